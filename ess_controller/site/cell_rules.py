"""What a cell file's numbers must be to each other, and to the site that names it.

Each finding names the key that should give way and what would be right there.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from ess_controller.site.buses import cells_in_series
from ess_controller.site.errors import Finding, plain
from ess_controller.site.rules import Table, broken, key_path, number, rising

SHEET: Final = (  # what the maker of the cell allows, in the cell file; trips and limits lie inside the envelope
    ("envelope.cell_v_max", "<=", "data_sheet.v_max"),
    ("envelope.cell_v_min", ">=", "data_sheet.v_min"),
    ("envelope.charge_c_min", ">=", "data_sheet.charge_c_min"),
)
MODEL_V = 0.25  # a limit so far above the voltage of a full cell belongs to another chemistry
STRAIGHT = 1e-9  # SOH per SOC: rounding of a straight line
CLOSING = 0.1  # of an empty string's voltage: what contactors may close on; precharge usually ends at 5 to 10 %


def cell_findings(cell: Table) -> Iterator[Finding]:
    """The lists of a cell file: as long as each other, rising, and 1 where the reference is; its curve and data sheet
    of one chemistry.
    """
    yield from _list_findings(cell)
    v, v_max = cell.get("ocv", {}).get("v", []), number(cell, "data_sheet.v_max")
    if v and v_max > v[-1] + MODEL_V:
        expected = f"at most {plain(v[-1] + MODEL_V)}, {MODEL_V} V above the full cell of ocv.v"
        yield Finding(("data_sheet", "v_max"), expected)
    yield from _ageing_findings(cell.get("ageing", {}))
    soc = cell.get("ocv", {}).get("soc", [])
    for index, end in ((0, 0.0), (len(soc) - 1, 1.0)):
        if soc and soc[index] != end:
            yield Finding(("ocv", "soc", index), f"{plain(end)}: the curve covers SOC 0 to 1")
    for x_name, y_name, reference in (("by_temperature_c", "temperature_factor", 25.0), ("by_soh", "soh_factor", 1.0)):
        x, y = (cell.get("resistance", {}).get(name, []) for name in (x_name, y_name))
        if x and len(x) == len(y) and abs(np.interp(reference, x, y) - 1.0) > 0.02:
            yield Finding(("resistance", y_name), f"a factor of 1 where {x_name} is {plain(reference)}")


def _list_findings(cell: Table) -> Iterator[Finding]:
    for table, x_name, y_names in (
        ("ocv", "soc", ("v",)),
        ("resistance", "soc", ("r0_ohm", "r1_ohm", "r2_ohm")),
        ("resistance", "by_temperature_c", ("temperature_factor",)),
        ("resistance", "by_soh", ("soh_factor",)),
        ("hysteresis", "soc", ("v",)),
        ("ageing", "depth", ("per_cycle",)),
        ("ageing", "soc", ("per_year",)),
    ):
        x = cell.get(table, {}).get(x_name, [])
        yield from rising((table, x_name), x, strictly=True)
        for y_name in y_names:
            y = cell.get(table, {}).get(y_name, [])
            if x and y and len(x) != len(y):
                yield Finding((table, y_name), f"{len(x)} numbers, one for each of {table}.{x_name}, not {len(y)}")
    yield from rising(("ocv", "v"), cell.get("ocv", {}).get("v", []), strictly=True)
    for index, ohm in enumerate(cell.get("resistance", {}).get("r0_ohm", [])):
        if ohm == 0.0:
            yield Finding(("resistance", "r0_ohm", index), "more than 0")


def _ageing_findings(ageing: Table) -> Iterator[Finding]:
    """What cycles take rises from nothing, and ever steeper; both curves cover all SOCs."""
    for name in ("depth", "soc"):
        x = ageing.get(name, [])
        for index, end in ((0, 0.0), (len(x) - 1, 1.0)):
            if x and x[index] != end:
                yield Finding(("ageing", name, index), f"{plain(end)}: the curve covers 0 to 1")
    depth, lost = ageing.get("depth", []), ageing.get("per_cycle", [])
    if lost and lost[0] != 0.0:
        yield Finding(("ageing", "per_cycle", 0), "0: a cycle of no depth")
    elif len(depth) == len(lost) and len(lost) > 1 and (np.diff(depth) > 0.0).all():
        bends = np.diff(np.diff(lost) / np.diff(depth), prepend=0.0)
        if (bends < -STRAIGHT).any():
            at = int(np.argmax(bends < -STRAIGHT)) + 1
            yield Finding(("ageing", "per_cycle", at), "a number from which on each depth costs more")


def together_findings(site: Table, cell: Table, cell_file: str) -> Iterator[Finding]:
    """Whether site and cell file speak of the same cell; found in the site file."""
    v = cell.get("ocv", {}).get("v", [])
    for key, relation, other in SHEET:
        bound = number(cell, other)
        if words := broken(number(site, key), relation, bound):
            yield Finding(key_path(key), f"{words} {plain(bound)}, {other} of {cell_file}")
    yield from _closing_findings(site, number(cell, "data_sheet.v_min"))
    if site.get("wear") is not None and "ageing" not in cell:
        yield Finding(("wear",), f"no such table where {cell_file} has no [ageing]")
    if v and number(site, "limits.cell_v_min") > v[-1]:
        yield Finding(("limits", "cell_v_min"), f"less than {plain(v[-1])}, a full cell of {cell_file}")


def _closing_findings(site: Table, empty_v: float) -> Iterator[Finding]:
    """Contactors that close on much of a string's voltage weld."""
    strings = [string for cabinet in site.get("cabinet", []) for string in cabinet.get("string", [])]
    cells = min(filter(None, map(cells_in_series, strings)), default=0)
    most_v = CLOSING * empty_v * cells
    for name in ("precharge_v", "join_v"):
        if cells and number(site, f"mode.{name}") > most_v:
            expected = f"at most {plain(most_v)}, {plain(100 * CLOSING)} % of an empty string of {cells} cells"
            yield Finding(("mode", name), expected)
