"""What learning an aged cell's curve gains: SOC and capacity of retired cells by their rests at known charge.

    python -m tests.bench.aged_curves

Of each kind of cell the youngest sixth make the curve of a new one; the others are retired cells of known capacity.
Each is told a capacity that is 5 % wrong (one standard deviation), rests five times within the range that the curve
covers, goes up and down once, and is asked what it is and how full it was. The data are not ours and not shipped: see
`../shared/data/cells/retired_pulse` (MIT, github.com/terencetaothucb).
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ess_controller.core.cell_model import KNOTS, Tables
from ess_controller.core.gauge.anchors import SLIDE, STRETCH, Anchors, AnchorTuning, counted, inverse, rested, undone
from ess_controller.core.gauge.filter import Shape
from firmware_bridge.records import Floats
from tests.bench.table import Row, row, show
from tests.intake.measured import CELLS

FILES = ("data_Pouch31.xlsx", "data_Cylind21.xlsx")
YOUNGEST = 6  # one cell in so many makes the new one's curve
COVERED = 0.55  # SOC up to which the young ones were tested
TOLD_SD = 0.05
VARIANTS = {
    "curve of a new cell": AnchorTuning(capacity_sd=TOLD_SD, slide_sd=1e-4, stretch_sd=1e-4),
    "shift learnt": AnchorTuning(capacity_sd=TOLD_SD),
    "shift learnt, rests trusted": AnchorTuning(capacity_sd=TOLD_SD, slide_sd=0.15, stretch_sd=0.15, curve_soc=1e-4),
}
_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@dataclass(frozen=True, slots=True)
class Retired:
    """One cell: its capacity, and rested voltages at known charge."""

    capacity_ah: float
    nominal_ah: float
    charge_ah: Floats  # [rest] above empty
    rest_v: Floats  # [rest]


def retired(path: Path) -> list[Retired]:
    """All cells of a workbook whose rests are (nearly) all there, in the order of the file."""
    found: dict[tuple[str, float], dict[float, tuple[float, float]]] = {}
    for name, nominal_ah, capacity_ah, label, rest_v in _rows(path):
        found.setdefault((name, capacity_ah), {})[label] = (nominal_ah, rest_v)
    cells = []
    for (_, capacity_ah), rests in found.items():
        if len(rests) >= 8:
            labels = sorted(rests)
            nominal_ah = rests[labels[0]][0]
            volts = np.array([rests[label][1] for label in labels])
            cells.append(Retired(capacity_ah, nominal_ah, np.array(labels) * nominal_ah / 100.0, volts))
    return cells


def _rows(path: Path) -> Iterator[tuple[str, float, float, float, float]]:
    """Name, nominal Ah, Ah, label in % of nominal, rested V of each line of the first sheet."""
    with zipfile.ZipFile(path) as book:
        texts = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        words = ["".join(part.text or "" for part in item.iter(f"{_XML}t")) for item in texts]
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    for line in sheet.iter(f"{_XML}row"):
        cells = {cell.get("r", "").rstrip("0123456789"): cell for cell in line}
        values = {column: cell.findtext(f"{_XML}v") for column, cell in cells.items()}
        if line.get("r") == "1" or values.get("B") is None:
            continue
        name = words[int(values["A"] or 0)] if cells["A"].get("t") == "s" else str(values["A"])
        nominal_ah, ah, label, rest_v = (float(values[column] or "nan") for column in ("B", "C", "E", "G"))
        yield name, nominal_ah, ah, label, rest_v


def young_curve(cells: list[Retired]) -> Tables:
    """OCV of a new cell, by a polynomial through the youngest; straight on where they were not tested."""
    soc = np.concatenate([cell.charge_ah / cell.capacity_ah for cell in cells])
    volts = np.concatenate([cell.rest_v for cell in cells])
    order = np.argsort(soc)
    fit = np.polynomial.Polynomial.fit(soc[order], volts[order], 7)
    low, high, grid = 0.06, COVERED - 0.01, np.linspace(0.0, 1.0, KNOTS)
    inner = np.clip(grid, low, high)
    ocv_v = fit(inner) + fit.deriv()(inner) * (grid - inner)
    rising = np.maximum.accumulate(ocv_v) + 1e-9 * np.arange(KNOTS)
    return Tables(rising, np.ones((3, KNOTS)), np.zeros(KNOTS), 1.0)


def lived(tables: Tables, knobs: AnchorTuning, cell: Retired, told_ah: float) -> tuple[float, Floats]:
    """Capacity it is believed to have, over the true one less 1, and errors of SOC at its rests [rest]."""
    within = cell.charge_ah / cell.capacity_ah < COVERED
    charge_ah, rest_v = cell.charge_ah[within], cell.rest_v[within]
    stops = [*range(0, len(charge_ah), 2)]
    anchors, qn_ah, before = Anchors.fresh(knobs, 1), np.array([told_ah]), np.nan
    for stop in (*stops, *stops[::-1]):
        if np.isfinite(before):
            anchors = counted(anchors, np.array([before - charge_ah[stop]]), 3600.0)
        before = charge_ah[stop]
        for resting, volts in ((True, rest_v[stop]), (False, np.nan)):
            anchors, _ = rested(tables, knobs, anchors, np.array([resting]), np.array([volts]), qn_ah)
    best, _ = anchors.solved()
    shape = Shape(np.full(len(rest_v), best[SLIDE, 0]), np.full(len(rest_v), best[STRETCH, 0]))
    soc = undone(shape, inverse(tables, rest_v))
    return told_ah / float(best[0, 0]) / cell.capacity_ah - 1.0, soc - charge_ah / cell.capacity_ah


def rows() -> list[Row]:
    """One line a kind of cell, variant and error."""
    found: list[Row] = []
    for name in FILES:
        cells = sorted(retired(CELLS / "retired_pulse" / name), key=lambda cell: cell.capacity_ah / cell.nominal_ah)
        young = max(3, len(cells) // YOUNGEST)
        tables, old = young_curve(cells[-young:]), cells[:-young]
        rng = np.random.default_rng(1)
        told_ah = [cell.capacity_ah * (1.0 + TOLD_SD * rng.standard_normal()) for cell in old]
        for variant, knobs in VARIANTS.items():
            lives = [lived(tables, knobs, cell, ah) for cell, ah in zip(old, told_ah, strict=True)]
            capacity = np.array([capacity for capacity, _ in lives])
            soc = np.concatenate([soc for _, soc in lives])
            what = f"{name.removesuffix('.xlsx')}, {len(old)} cells, {variant}"
            found.append(row(f"{what}: SOC by rest, rms", 100.0 * _rms(soc), "%"))
            found.append(row(f"{what}: capacity, rms", 100.0 * _rms(capacity), "%"))
    return found


def _rms(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))


if __name__ == "__main__":
    show(rows())
