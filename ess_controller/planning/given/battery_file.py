"""A battery in a file of its own (b.toml), for commands that know no site."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ess_controller.planning.given.problem import Battery
from ess_controller.planning.given.taper import is_concave, within
from ess_controller.planning.given.wear import priced
from ess_controller.site.cell_records import ageing_of
from ess_controller.site.cell_rules import cell_findings
from ess_controller.site.cell_tables import CellFile
from ess_controller.site.checking import read_and_check
from ess_controller.site.companions import companion
from ess_controller.site.errors import Finding, SiteError, plain
from ess_controller.site.kinds import BySoc, Share, Table
from ess_controller.site.records import wear_of
from ess_controller.site.schema import WearTable
from ess_controller.site.sheet import UnreadableError

LINES = ("charge_by_soc", "discharge_by_soc")  # what SOC leaves of the powers
TINY_WH, FEEBLE = 10e3, 0.002  # held, and given as a share of load or sun: both in thousands are as long as they should
SHORTEST_H, LONGEST_H = 0.05, 200.0  # to fill or empty one: beyond, somebody has likely mistaken kW or kWh for W or Wh
Efficiency = Annotated[float, Field(gt=0.0, le=1.0)]
Watts = Annotated[float, Field(gt=0.0, le=1e9)]


class BatteryWearTable(WearTable):
    """What its life is worth, and the cell that says how it ages. Without the table only `wear_cny_per_kwh` counts."""

    cell_file: str = Field(min_length=1, max_length=1000, description="the path of a cell file, relative to this file")


class BatteryTable(Table):
    """A b.toml."""

    energy_wh: float = Field(gt=0.0, le=1e12, description="between SOC 0 and 1, Wh")
    charge_w: Watts = Field(description="on the grid's side, W")
    discharge_w: Watts = Field(description="on the grid's side, W")
    charge_efficiency: Efficiency
    discharge_efficiency: Efficiency
    soc_min: Share
    soc_max: Share
    soc_start: Share
    soc_end_min: Share | None = None
    export: Literal["none", "pv_surplus", "any"]
    feed_in_w: float | None = Field(
        default=None,
        ge=0.0,
        allow_inf_nan=True,
        description="most that may flow out, sun included, W; sun beyond is curtailed; without it: inf",
        json_schema_extra={"also": "inf"},
    )
    wear_cny_per_kwh: float = Field(default=0.0, ge=0.0, le=100.0)
    charge_by_soc: BySoc | None = None  # share of charge_w; without it all of it up to soc_max
    discharge_by_soc: BySoc | None = None
    wear: BatteryWearTable | None = None


def load_battery(path: Path) -> Battery:
    """Read and check a battery file; raises SiteError with every mistake."""
    try:
        sheet, table, problems = read_and_check(path, str(path), BatteryTable, lambda table, _: _findings(table))
    except UnreadableError as error:
        raise SiteError([error.problem]) from None
    cell = companion(sheet, ("wear", "cell_file"), "a cell file", CellFile, lambda cell, _: cell_findings(cell))
    problems += cell.problems
    if cell.content is not None and cell.content.ageing is None:
        problems.append(sheet.problem(Finding(("wear", "cell_file"), "a cell file that has a table [ageing]")))
    if problems or table is None:
        raise SiteError(problems)
    values: dict[str, Any] = {
        name: float(value) if isinstance(value, int) else value
        for name, value in table.model_dump(exclude={"wear", *LINES}).items()
    }
    for name in LINES:
        values[name] = within(getattr(table, name) or (), table.soc_min, table.soc_max)
    battery = Battery(**values | {"feed_in_w": inf if table.feed_in_w is None else table.feed_in_w})
    ageing, terms = ageing_of(cell.content) if cell.content else None, wear_of(table.wear)
    if ageing is None or terms is None:
        return battery
    return replace(battery, wear=priced(ageing, terms, battery.soc_min, battery.soc_max))


def ill_sized(battery: Battery, highest_w: float) -> str:
    """The suspicion that energy or power is in another unit; else empty. `highest_w`: load or sun beside it."""
    times_h = sorted(battery.energy_wh / power_w for power_w in (battery.charge_w, battery.discharge_w))
    if times_h[0] >= SHORTEST_H and times_h[1] <= LONGEST_H:
        most_w = max(battery.charge_w, battery.discharge_w)
        if battery.energy_wh >= TINY_WH or most_w >= FEEBLE * highest_w:
            return ""
        beside = f"it holds {plain(battery.energy_wh)} Wh beside load or sun of up to {plain(round(highest_w))} W"
        return f"{beside}: are energy_wh in Wh and powers in W? They are taken so"
    time_h = times_h[0] if times_h[0] < SHORTEST_H else times_h[1]
    took = f"{3600.0 * time_h:.3g} s" if time_h < SHORTEST_H else f"{time_h:.3g} h"
    return f"it is filled or emptied in {took}: are energy_wh in Wh and powers in W? They are taken so"


def _findings(table: dict[str, Any]) -> Iterator[Finding]:
    """What the SOCs must be to each other."""
    least, most = table.get("soc_min", 0.0), table.get("soc_max", 1.0)
    if least >= most:
        yield Finding(("soc_max",), f"a number above soc_min, {plain(least)}")
        return
    if not least <= table.get("soc_start", least) <= most:
        yield Finding(("soc_start",), f"a number from soc_min to soc_max, {plain(least)} to {plain(most)}")
    for name in LINES:
        line = table.get(name, ())
        if not all(one[0] < other[0] for one, other in pairwise(line)):
            yield Finding((name,), "SOCs that rise")
        elif line and not any(share > 0.0 for _, share in within(line, least, most) or ((least, 1.0),)):
            yield Finding((name,), "a share above 0 somewhere: nothing would ever flow")
        elif not is_concave(within(line, least, most)):
            yield Finding((name,), "a line that only bends down between soc_min and soc_max, and ends no sooner")
    if table.get("soc_end_min", least) > most:
        yield Finding(("soc_end_min",), f"at most soc_max, {plain(most)}")
