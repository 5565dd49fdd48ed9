"""A home whose books tell of hand-made days: 10 kW of load, sun at noon, a battery that does what the hour says."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.planning.meter.book import Block
from ess_controller.planning.meter.store import FILE as BOOK
from ess_controller.planning.meter.store import MeterStore
from ess_controller.report.ledger import FILE as LEDGER
from ess_controller.report.ledger import Event, Ledger
from ess_controller.report.quarter import FLOWS, Quarter
from ess_controller.rollups.quantities import LEVELS
from ess_controller.rollups.store import FILE as ROLLUPS
from ess_controller.rollups.store import RollupStore
from ess_controller.rollups.sums import Rolled, columns_of, rows_in
from ess_controller.site import Site, load
from ess_controller.told.rows import rows as rows_of
from tests.site.site_files import SITES

Power = Mapping[int, float]  # hour of the local day -> W
NOTHING: Power = {}


@cache
def dealer() -> Site:
    """Shanghai, agreed demand of 160 kW."""
    return load(SITES / "shanghai-dealer", {})


def first_of(site: Site, year: int, month: int, day: int) -> int:
    """Number of a local day's first quarter of an hour."""
    return int(datetime(year, month, day, tzinfo=site.time_zone).timestamp() // 900)


def blocks_of(first: int, days: int, load_w: Power, pv_w: Power = NOTHING, battery_w: Power = NOTHING) -> list[Block]:
    """Meter blocks of equal days; a load that is not told is 10 kW."""
    rows = []
    for number in range(first, first + 96 * days):
        hour = (number - first) // 4 % 24
        load, pv, battery = load_w.get(hour, 10e3), pv_w.get(hour, 0.0), battery_w.get(hour, 0.0)
        grid = load - pv - battery
        rows.append(Block(number, load, 1.0, pv, 1.0, max(grid, 0.0), max(-grid, 0.0), 1.0))
    return rows


def write_book(home: Path, blocks: list[Block]) -> None:
    """meter.sqlite."""
    store = MeterStore(home / BOOK, 900.0, make=True)
    store.put(blocks)
    store.close()


def write_ledger(
    home: Path,
    site: Site,
    first: int,
    quarters: int,
    fill: Callable[[int, Quarter], None],
    events: tuple[Event, ...] = (),
) -> None:
    """ledger.sqlite; `fill` gets each quarter by its place."""
    rows = []
    for at in range(quarters):
        quarter = Quarter.empty(first + at, site.tuning.layout)
        quarter.heard_s = quarter.looked_s = 900.0
        quarter.flowed_s = [900.0] * quarter.layout.cabinets
        fill(at, quarter)
        rows.append(quarter)
    ledger = Ledger(home / LEDGER, make=True)
    ledger.put(rows, events)
    ledger.close()


def write_limits(
    home: Path, site: Site, first: int, quarters: int, cabinet: str, way: str, rule: str, **row: float
) -> None:
    """rollups.sqlite: one rule that takes so much of one cabinet in each quarter, all of it heard."""
    layout, rows = site.tuning.layout, {level: rows_of(level, site.tuning.layout) for level in LEVELS}
    at = rows["limit"].index({"cabinet": cabinet, "way": way, "rule": rule})
    columns = {level: {name: np.zeros(rows_in(level, layout)) for name in columns_of(level)} for level in LEVELS}
    for name, value in {"count": 90.0, "coverage": 1.0, **row}.items():
        columns["limit"][name][at] = value
    store = RollupStore(home / ROLLUPS, make=True)
    begins = [datetime.fromtimestamp(900 * (first + number), UTC) for number in range(quarters)]
    store.put([(Rolled("15m", begin, 900.0, columns), True) for begin in begins], rows)
    store.close()


def flow(quarter: Quarter, **wh: float) -> None:
    """Put Wh (or Ah) of each cabinet; all is heard, so the strings' own are those behind the inverter."""
    wh |= {f"string_{way}_wh": wh[f"dc_{way}_wh"] for way in ("in", "out") if f"dc_{way}_wh" in wh}
    for name, value in wh.items():
        for row in quarter.flows:
            row[FLOWS.index(name)] = value


def store(quarter: Quarter, soc: float, stored_wh: float, given_wh: float, stored_sd_wh: float = 50.0) -> None:
    """How full each cabinet is, and how sure that is."""
    count = quarter.layout.cabinets
    quarter.soc = [(soc, soc, soc)] * count
    quarter.stored_wh, quarter.given_wh = [stored_wh] * count, [given_wh] * count
    quarter.stored_sd_wh, quarter.capacity_doubt = [stored_sd_wh] * count, [0.0] * count
    quarter.capacity_ah = [100.0] * count


def paying(site: Site, **dispatch: Any) -> Site:
    """With other dispatch settings."""
    return replace(site, tuning=replace(site.tuning, dispatch=replace(site.tuning.dispatch, **dispatch)))


def hours(values: Power) -> np.ndarray[Any, Any]:
    """[block of a day] of values by the hour."""
    return np.repeat([values.get(hour, 0.0) for hour in range(24)], 4)
