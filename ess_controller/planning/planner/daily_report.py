"""What each day cost with the battery, and would have cost without: savings.json in the daemon's home, for 400 days.

Energy and feed-in are the day's; demand is the month's so far, for one quarter of an hour decides a month. Blocks of
which too little was heard count on neither side. Where billing windows slide, what is billed goes by them; what the
battery saved of it goes by blocks on both sides, for without it only blocks are known; so the day's peaks stand by
blocks, and that by which it is billed beside.
"""

import json
import logging
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.kept import whole_file
from ess_controller.planning.bills.bill import bill
from ess_controller.planning.given.problem import Series
from ess_controller.planning.meter.book import Block, slid_peak_w
from ess_controller.planning.planner.site_planner import Book, terms_of
from ess_controller.site import Site
from firmware_bridge.records import Floats

log = logging.getLogger("ess")

FILE = "savings.json"
SCHEMA_VERSION = 1
KEEP_DAYS = 400
BACK_DAYS = 31  # days without a report that are made up for


def missing(home: Path, site: Site, utc: datetime) -> list[date]:
    """Days that are over and have no report yet, the oldest first.

    A report of the day that goes on is of a clock gone astray: it knew half of that day, and is forgotten. Later ones
    in their turn: a clock that is behind must not cost all that is later. Where one lies so far ahead that this day
    would not be made up for after it, the clock is behind, and the day's report is whole.
    """
    today, told = site.day(utc), _believed(home / FILE)
    over = {day: each for day, each in told.items() if day != today.isoformat()}
    if max(told, default="") >= (today + timedelta(days=BACK_DAYS)).isoformat():
        over = told
    if len(over) < len(told):
        _write(home / FILE, over)
    days = [today - timedelta(days=back) for back in range(BACK_DAYS, 0, -1)]
    return [day for day in days if day.isoformat() not in over]


def report(site: Site, book: Book, day: date) -> dict[str, Any] | None:
    """One local day; None where nothing of it was heard."""
    numbers, begin = site.blocks(day), datetime(day.year, day.month, day.day, tzinfo=site.time_zone)
    month = range(site.first_block(day.replace(day=1)), numbers.stop)
    blocks = book(month.start, month.stop)
    heard = {each.number: each for each in blocks if each.heard_well}
    mine = [heard[number] for number in numbers if number in heard]
    if not mine:
        return None
    told: dict[str, Any] = {"known_share": round(len(mine) / len(numbers), 4)}
    demands_cny = []
    for name, of, slid_w in (
        ("without_battery", partial(_net, site), None),
        ("with_battery", with_battery, slid_peak_w(blocks)),
    ):
        rows = np.array([of(heard[number]) if number in heard else (0.0, 0.0) for number in month])
        energy_cny, _, peak_kw = _priced(site, begin, rows[-len(numbers) :])
        _, by_blocks_cny, _ = _priced(site, begin.replace(day=1), rows)
        demand_cny = by_blocks_cny if slid_w is None else _priced(site, begin.replace(day=1), rows, slid_w)[1]
        told[name] = {
            "energy_cny": round(energy_cny, 4),
            "peak_kw": round(peak_kw, 4),
            "month_demand_cny": round(demand_cny, 4),
        }
        if slid_w is not None:
            told[name]["month_demand_by_blocks_cny"] = round(by_blocks_cny, 4)
        demands_cny.append(by_blocks_cny)
    if (billed_w := slid_peak_w(mine)) is not None:
        told["with_battery"]["billed_peak_kw"] = round(billed_w / 1000.0, 4)
    told["saved_energy_cny"] = round(told["without_battery"]["energy_cny"] - told["with_battery"]["energy_cny"], 4)
    told["saved_month_demand_cny"] = round(demands_cny[0] - demands_cny[1], 4)
    return told


def with_battery(block: Block) -> tuple[float, float]:
    """Import and export as metered, W."""
    return block.import_w, block.export_w


def both_within(import_w: Floats | float, export_w: Floats | float) -> Floats:
    """What was bought and sold within one block, elementwise, W: a block's mean load and sun do not show it."""
    return np.fmin(import_w, export_w)


def without_battery(site: Site, net_w: Floats | float, both_w: Floats | float) -> tuple[Floats, Floats]:
    """Import and export of a load less sun, elementwise, W: what may not flow out is curtailed. `both_w`: bought and
    sold within the block as metered; without the battery as much of it is taken, so that one at rest saves nothing."""
    most_w = site.tuning.dispatch.feed_in_w
    return np.maximum(net_w, 0.0) + both_w, np.minimum(np.maximum(np.negative(net_w), 0.0) + both_w, most_w)


def _net(site: Site, block: Block) -> tuple[float, float]:
    both_w = both_within(block.import_w, block.export_w)
    import_w, export_w = without_battery(site, block.load_w - block.pv_w, both_w)
    return float(import_w), float(export_w)


def as_series(block_s: float, begin: datetime, rows: Floats) -> Series:
    """[block, import and export] mean powers of billing blocks, W, as a series from `begin` on.

    A block may have both: they are billed each by itself, so they are put one after the other, half a block each.
    """
    grid_w = (2.0 * rows * np.array([1.0, -1.0])).ravel()
    return Series(begin, block_s / 2.0, np.maximum(grid_w, 0.0), np.maximum(-grid_w, 0.0))


def _priced(site: Site, begin: datetime, rows: Floats, peak_w: float | None = None) -> tuple[float, float, float]:
    """Energy less feed-in, demand, and the highest block in kW, of [block, import and export] mean power, W. `peak_w`:
    what demand is billed by where that is known better than by blocks."""
    tariff, terms = terms_of(site)
    bills = bill(tariff, terms, as_series(site.tuning.dispatch.block_s, begin, rows), {}, peak_w)
    items = [item for month in bills for item in month.items]
    demand_cny = sum(item.cny for item in items if item.item.startswith("demand"))
    return sum(item.cny for item in items) - demand_cny, demand_cny, max(month.peak_kw for month in bills)


def read(path: Path) -> dict[str, Any]:
    """ISO date -> what was told of it; empty where there is no file. ValueError where it is not one of ours."""
    try:
        told = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    if not isinstance(told, dict) or told.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"{path.name}: it is not of schema_version {SCHEMA_VERSION}")
    return dict(told["days"])


def _believed(path: Path) -> dict[str, Any]:
    """What stands there; a file that cannot be believed is put aside and told, and a new one begins."""
    try:
        return read(path)
    except (ValueError, KeyError, TypeError, RecursionError) as trouble:
        aside = path.with_name(path.name + ".broken")
        path.replace(aside)
        log.warning(
            "%s cannot be believed and is kept as %s: %s", path, aside.name, " ".join(str(trouble).split())[:100]
        )
        return {}


def keep(path: Path, days: dict[str, dict[str, Any]]) -> None:
    """Add these; the file is replaced whole, and the youngest 400 days stay. Raises OSError."""
    known = _believed(path) | days
    _write(path, {day: known[day] for day in sorted(known)[-KEEP_DAYS:]})


def _write(path: Path, days: dict[str, dict[str, Any]]) -> None:
    whole_file.put(path, json.dumps({"schema_version": SCHEMA_VERSION, "days": days}).encode())
