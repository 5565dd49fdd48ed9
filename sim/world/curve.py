"""A cell's open-circuit voltage from a CSV file: strictly read, so that a damaged file is named and never believed.

Lines that begin with # say where it comes from; then KNOTS lines `soc,voltage`, evenly spaced from SOC 0 to 1.
"""

from math import isfinite
from pathlib import Path

import numpy as np

from firmware_bridge.records import Floats
from sim.world.cells import KNOTS
from sim.world.series import decoded, shown

LARGEST_BYTES = 1_000_000
SOC_WITHIN = 1e-4  # of the even spacing: as many digits as anybody writes
_LINE = "soc,voltage: two numbers with a decimal point and a comma between"


class CurveError(ValueError):
    """A curve that cannot be used. Its text: file:line: what stands there: what was expected."""


def read_curve(path: Path) -> Floats:
    """[knot] V, rising. CurveError tells what is wrong, where, and what was expected."""
    curve_v: list[float] = []
    number = 0
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        soc, volt = _pair(path, number, line)
        wanted = len(curve_v) / (KNOTS - 1)
        if len(curve_v) == KNOTS:
            raise CurveError(f"{path}:{number}: {shown(line)}: expected the end after {KNOTS} lines, SOC 0 to 1")
        if not abs(soc - wanted) <= SOC_WITHIN:
            raise CurveError(
                f"{path}:{number}: {shown(line)}: expected SOC {wanted:.3f}: {KNOTS} even steps from 0 to 1"
            )
        if curve_v and volt <= curve_v[-1]:
            raise CurveError(
                f"{path}:{number}: {shown(line)}: expected more than {curve_v[-1]:g} V, as the line before"
            )
        curve_v.append(volt)
    if len(curve_v) < KNOTS:
        raise CurveError(f"{path}:{number + 1}: expected {KNOTS} lines soc,voltage, but it ends after {len(curve_v)}")
    return np.array(curve_v)


def _pair(path: Path, number: int, line: str) -> tuple[float, float]:
    fields = line.split(",")
    try:
        soc, volt = map(float, fields)
    except ValueError:
        raise CurveError(f"{path}:{number}: {shown(line)}: expected {_LINE}") from None
    if not isfinite(volt):
        raise CurveError(f"{path}:{number}: {shown(line)}: expected {_LINE}")
    return soc, volt


def _text(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            found = opened.read(LARGEST_BYTES + 1)
    except OSError as trouble:
        raise CurveError(f"{path}: expected a file that can be read: {trouble.strerror}") from None
    return decoded(path, found, LARGEST_BYTES, CurveError)
