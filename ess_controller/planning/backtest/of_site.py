"""What `ess backtest SITE` runs on: load and sun as the site's meter book holds them, and what the battery did."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.kept import home as homes
from ess_controller.planning.given.calendar_grid import KindOfDay, kind_by_tariff
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.inputs import ill_fitting
from ess_controller.planning.given.problem import Battery, Prices, Series
from ess_controller.planning.given.tariff_prices import doubts_over, prices_over
from ess_controller.planning.meter.book import Block
from ess_controller.planning.meter.store import FILE, KEEP_DAYS, all_blocks
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import terms_of
from ess_controller.site import clock_note, load
from firmware_bridge.records import Bools, Floats

LEAST_DAYS = 1.0  # of the book


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A site's past, without gaps."""

    series: Series
    prices: Prices
    battery: Battery  # all cabinets together, half full at the begin
    kinds: KindOfDay
    done_w: Floats | None  # [step] what the battery really did, as metered; NaN where that is not known
    heard: Bools | None  # [step] whether load and sun were; None: there was no battery, and all is there
    notes: tuple[str, ...] = ()  # what its numbers do not show, in words
    prices_known: bool = True  # as by a tariff; else a day ahead

    def gaps(self, first: int, end: int) -> dict[str, int]:
        """How many of the steps first..end-1 were not heard; empty where nothing was metered."""
        if self.done_w is None or self.heard is None:
            return {}
        unheard, silent = ~self.heard[first:end], np.isnan(self.done_w[first:end])
        return {"load_or_sun": int(unheard.sum()), "battery": int(silent.sum()), "of": end - first}


def recorded(path: Path, home: Path | None) -> Recorded:
    """All that the site's meter book holds. BadInputError.

    A block of which load or sun was not heard is taken as the same hour of the nearest day before, or else after, of
    which it was; the battery is taken to have rested there, and wherever the meter was silent.
    """
    site, folder = load(path, {}), homes.find(path, home)
    tariff, terms = terms_of(site)
    block_s = site.tuning.dispatch.block_s
    blocks = _of_one_clock(all_blocks(folder, block_s), block_s)
    held = len(blocks) * block_s / 86400.0
    if held < LEAST_DAYS:
        raise BadInputError(f"{folder / FILE} holds {held:.2f} days: expected at least {LEAST_DAYS:g}")
    load_w, pv_w, done_w = _columns(blocks)
    day = max(round(86400.0 / block_s), 1)
    begin = datetime.fromtimestamp(blocks[0].number * block_s, UTC).astimezone(site.time_zone)
    series = Series(begin, block_s, filled(load_w, day), filled(pv_w, day))
    prices = prices_over(tariff, terms, series, {})
    said = clock_note(site.tuning.billing.likeliest_s), ill_fitting(series, prices.block_s, prices.slide_s)
    return Recorded(
        series,
        prices,
        together(groups_of(site)),
        kind_by_tariff(tariff),
        done_w,
        np.isfinite(load_w + pv_w),
        (*doubts_over(tariff, terms, series), *filter(None, said)),
    )


def _of_one_clock(blocks: list[Block], block_s: float) -> list[Block]:
    """Without what a clock gone astray has left, further from the middle one than a book reaches."""
    reach = round(KEEP_DAYS * 86400.0 / block_s)
    middle = blocks[len(blocks) // 2].number if blocks else 0
    return [block for block in blocks if abs(block.number - middle) <= reach]


def _columns(blocks: list[Block]) -> tuple[Floats, Floats, Floats]:
    """[block] load, sun and battery from the first block to the last; NaN where too little was heard."""
    first, count = blocks[0].number, blocks[-1].number - blocks[0].number + 1
    load_w, pv_w, done_w = np.full((3, count), np.nan)
    for block in blocks:
        at = block.number - first
        load_w[at], pv_w[at] = block.known_load_w, block.known_pv_w
        if block.heard_well:  # the balance at the busbar: load = grid + battery + sun
            done_w[at] = block.load_w - block.pv_w - block.import_w + block.export_w
    return load_w, pv_w, done_w


def filled(values: Floats, day: int) -> Floats:
    """[step] with NaN as the same step of the nearest day before of which it is known, else after, else 0."""
    days = -(-len(values) // day)
    grid = np.concatenate((values, np.full(days * day - len(values), np.nan))).reshape(days, day)
    for rows in (range(1, days), range(days - 2, -1, -1)):
        step = 1 if rows.step > 0 else -1
        for row in rows:
            grid[row] = np.where(np.isnan(grid[row]), grid[row - step], grid[row])
    return np.asarray(np.nan_to_num(grid.ravel()[: len(values)]), np.float64)
