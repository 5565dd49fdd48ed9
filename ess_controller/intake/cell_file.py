"""A fitted cell as cell.toml: numbers as exact as they are known, and beside them what they rest on."""

import tomllib
from collections.abc import Iterable, Sequence

import numpy as np

from ess_controller.errors import TroubleError
from ess_controller.intake.curve import GRID
from ess_controller.intake.figures import Figures, figures
from ess_controller.intake.fitting import FittedCell
from ess_controller.intake.shape import SLOWEST_C
from ess_controller.site.cell_rules import cell_findings
from ess_controller.site.cell_tables import CellFile
from ess_controller.site.checking import checked
from ess_controller.site.errors import plain
from ess_controller.site.sheet import Sheet
from firmware_bridge.records import Floats

WIDTH = 120
OCV_ERROR_V = 0.0003  # that leaving knots out may cost
LEAST_OHM = 0.01  # of the largest R0: an R0 of zero is none
AS_NEW = 0.98  # SOH above which a module counts as new
OLDEST = 0.4
OHM_AT_OLDEST = 1.6  # R10s / R0 = 1 + (1 - SOH): 48 cells cycled to SOH 0.58, RWTH


def cell_toml(cell: FittedCell, name: str, nameplate_ah: float | None, tested: str, file: str) -> str:
    """The text of a cell file; `tested`: a day, or empty. Raises TroubleError where `ess check` would refuse."""
    circuit, told = cell.fitted.circuit, figures(cell)
    ocv_soc, ocv_v = thinned(GRID, cell.curve.open_v, OCV_ERROR_V)
    by_soh, soh_factor = _ageing(cell.capacity_ah, nameplate_ah)
    r0_ohm = np.maximum(circuit.r0_ohm, LEAST_OHM * np.max(circuit.r0_ohm))
    parts: list[Iterable[str]] = [
        _heading(cell, told, nameplate_ah, tested),
        [f"name = {_quoted(name)}", f"nameplate_ah = {cell.capacity_ah:.4g}  # measured: SOC 0 to 1", ""],
        _data_sheet(cell),
        _ocv_comment(cell),
        ["[ocv]", *_list("soc", ocv_soc, "{:.3f}"), *_list("v", _rising(ocv_v), "{:.4f}"), ""],
        _circuit_comment(told, circuit.rc_s[0], fast=bool(np.any(circuit.r1_ohm))),
        ["[resistance]", *_list("soc", circuit.soc, "{:.3f}")],
        *(_list(key, row, "{:.4g}") for key, row in zip(_OHM_KEYS, (r0_ohm, *_rc(cell)), strict=True)),
        _list("rc_s", np.array(circuit.rc_s), "{:.3g}"),
        _temperature_comment(cell),
        _list("by_temperature_c", cell.resistance_by_c.x, "{:.1f}"),
        _list("temperature_factor", cell.resistance_by_c.y, "{:.3f}"),
        _ageing_comment(cell.capacity_ah, nameplate_ah),
        [*_list("by_soh", by_soh, "{:.3f}"), *_list("soh_factor", soh_factor, "{:.3f}"), ""],
        _hysteresis_comment(cell),
        ["[hysteresis]", *_list("soc", circuit.soc, "{:.3f}")],
        _list("v", np.clip(circuit.hysteresis_v, 0.0, 0.2), "{:.4f}"),
        [f"share = {plain(circuit.hysteresis_share)}", f"fades_s = {plain(circuit.hysteresis_s)}"],
    ]
    text = "\n".join(line for part in parts for line in part) + "\n"
    return _passed(text, file)


def _data_sheet(cell: FittedCell) -> list[str]:
    """The test's own ends: the maker's may be wider, never narrower."""
    low_v, high_v = float(cell.curve.open_v[0]), float(cell.curve.open_v[-1])
    return [
        "# The ends of the test; no charging in the frost, as is usual for graphite, assumed: see the data sheet.",
        "[data_sheet]",
        f"v_min = {np.floor(low_v * 100) / 100:.2f}",
        f"v_max = {np.ceil(high_v * 100) / 100:.2f}",
        "charge_c_min = 0.0",
        "",
    ]


_OHM_KEYS = ("r0_ohm", "r1_ohm", "r2_ohm")


def _rc(cell: FittedCell) -> tuple[Floats, Floats]:
    return cell.fitted.circuit.r1_ohm, cell.fitted.circuit.r2_ohm


def thinned(x: Floats, y: Floats, error: float) -> tuple[Floats, Floats]:
    """As few points of a polyline as tell all others within `error`."""
    kept = [0, len(x) - 1]
    while True:
        off = np.abs(np.interp(x, x[kept], y[kept]) - y)
        worst = int(np.argmax(off))
        if off[worst] <= error:
            return x[kept], y[kept]
        kept = sorted([*kept, worst])


def _rising(volts: Floats) -> Floats:
    """In steps of 0.1 mV, each at least one above the one before."""
    steps = np.round(volts * 1e4)
    index = np.arange(len(steps))
    return np.asarray((np.maximum.accumulate(steps - index) + index) / 1e4)


def _ageing(capacity_ah: float, nameplate_ah: float | None) -> tuple[Floats, Floats]:
    """SOH and its factor on resistance.

    The file of an aged module holds at both ends of how a site may name it: as new with the capacity that was measured,
    or with its nameplate and SOH. The daemon scales resistance by file's over module's nameplate, which is the SOH; at
    the SOH of the test the factor makes up for that.
    """
    soh = 1.0 if nameplate_ah is None else capacity_ah / nameplate_ah
    if soh >= AS_NEW:
        return np.array((OLDEST, 1.0)), np.array((OHM_AT_OLDEST, 1.0))
    factor_at = {soh: 1.0 / soh, 1.0: 1.0}
    if soh > OLDEST + 0.01:
        factor_at[OLDEST] = OHM_AT_OLDEST / (2.0 - soh) / soh
    known = sorted(factor_at)
    return np.array(known), np.array([factor_at[each] for each in known])


def _heading(cell: FittedCell, told: Figures, nameplate_ah: float | None, tested: str) -> list[str]:
    reference = cell.told[0]
    soc = reference.test.soc
    slow = (
        f"slow discharge {cell.slow.source}: {cell.capacity_ah:.4g} Ah at C/{1.0 / cell.slow_c:.3g}"
        if cell.slow
        else ""
    )
    tests = "; ".join(f"{one.test.trace.source} at {one.cell_c:.1f} C" for one in cell.told)
    soh = f"SOH {cell.capacity_ah / nameplate_ah:.3f} of {plain(nameplate_ah)} Ah" if nameplate_ah else ""
    words = [
        f"What the controller believes of one cell (or group of cells in parallel), fitted by `ess fit`"
        f"{f' to tests of {tested}' if tested else ''}.",
        *([slow + "."] if slow else []),
        f"Pulse tests: {tests}; SOC {np.min(soc):.2f} to {np.max(soc):.2f}, {len(cell.rests.soc)} rests.",
        *([f"{soh}: the file describes the module as tested."] if soh else []),
        f"The model against the pulse test: {told.rms_mv:.1f} mV rms, {told.rms_flowing_mv:.1f} while current flows, "
        f"{told.rms_resting_mv:.1f} at rest.",
        *(f"{note[0].upper()}{note[1:]}." for note in cell.notes),
    ]
    return [line for sentence in words for line in _comment(sentence)]


def _ocv_comment(cell: FittedCell) -> list[str]:
    shape = "the slow discharge" if cell.slow else "the pulse test's own discharges"
    return _comment(
        f"Open-circuit voltage over SOC: {len(cell.rests.soc)} rests of up to "
        f"{np.max(cell.rests.lasted_s) / 60.0:.0f} min, in between the shape of {shape}."
    )


def _circuit_comment(told: Figures, fast_s: float, *, fast: bool) -> list[str]:
    off = [f"{each.horizon_s:.0f} s {each.off:.1%} of {each.steps} steps" for each in told.resistance if each.steps]
    words = f"At 25 C. Half of the measured steps lie within: {', '.join(off)}." if off else "At 25 C."
    if not fast:
        words += (
            f" The samples are too far apart to tell a fast RC pair: r1_ohm is 0 (rc_s {fast_s:.0f} s means nothing), "
            "and what passes in less than a sample is in r0_ohm."
        )
    return _comment(words)


def _temperature_comment(cell: FittedCell) -> list[str]:
    measured = ", ".join(f"{each:.1f}" for each in cell.measured_c)
    return _comment(f"Measured at {measured} C; the rest by 20 kJ/mol, as a 33 Ah EV cell has it from 10 to 25 C.")


def _ageing_comment(capacity_ah: float, nameplate_ah: float | None) -> list[str]:
    words = "R10s / R0 = 1 + (1 - SOH): 48 cells cycled to SOH 0.58, RWTH."
    if nameplate_ah is not None and capacity_ah / nameplate_ah < AS_NEW:
        words += (
            f" Relative to this module: right for nameplate_ah = {plain(nameplate_ah)} with soh = "
            f"{capacity_ah / nameplate_ah:.3f} in site.toml, and for nameplate_ah = {capacity_ah:.4g} with soh = 1."
        )
    return _comment(words)


def _hysteresis_comment(cell: FittedCell) -> list[str]:
    if cell.slow is None or cell.slow_c > SLOWEST_C:
        return _comment("No slow discharge, so nothing is known of hysteresis.")
    return _comment(f"How far the discharge at C/{1.0 / cell.slow_c:.3g} lies below the rests, ohmic drop included.")


def _comment(words: str) -> list[str]:
    lines, line = [], "#"
    for word in _printable(words).split():
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = "#"
        line += " " + word
    return [*lines, line] if line != "#" else lines


def _printable(words: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in words)


def _list(key: str, values: Floats | Sequence[float], form: str) -> list[str]:
    """`key = [...]`, on several lines where one is too short."""
    words = [_number(float(value), form) for value in values]
    one = f"{key} = [{', '.join(words)}]"
    if len(one) <= WIDTH:
        return [one]
    lines, line = [f"{key} = ["], "   "
    for word in words:
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return [*lines, line, "]"]


def _number(value: float, form: str) -> str:
    text = form.format(value)
    if "e" in text:
        text = f"{float(text):.10f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_printable(escaped)}"'


def _passed(text: str, file: str) -> str:
    """The text, if `ess check` would take it."""
    sheet = Sheet(file, text, tomllib.loads(text))
    _, wrong = checked(CellFile, sheet)
    problems = [sheet.problem(finding) for finding in [*wrong, *([] if wrong else cell_findings(sheet.table))]]
    if problems:
        raise TroubleError("the tests give a cell that is none:\n" + "\n".join(map(str, problems)))
    return text
