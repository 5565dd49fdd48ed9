"""A day of the site, block by block: metered, planned, priced, and what each way of living it costs. Pure sums."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import isnan, nan

import numpy as np

from ess_controller.planning.bills.bill import bill
from ess_controller.planning.given.tariff_prices import Terms
from ess_controller.planning.meter.book import Block, slid_peak_w
from ess_controller.planning.planner.daily_report import as_series, both_within
from ess_controller.planning.planner.daily_report import without_battery as import_and_export
from ess_controller.site import Site
from ess_controller.site.tariff import Tariff, price_at


@dataclass(frozen=True, slots=True)
class Slot:
    """One billing block; means, W. NaN: not metered, not planned or not priced."""

    begin: datetime  # local
    load_w: float
    pv_w: float
    grid_w: float  # import less export
    import_w: float
    export_w: float
    peak_w: float  # by which demand is billed: the highest window that ended in it, where windows slide
    battery_w: float  # + discharging
    bare_import_w: float  # had there been no battery
    bare_export_w: float
    planned_battery_w: float
    planned_grid_w: float
    cny_per_kwh: float
    period: str

    @property
    def metered(self) -> bool:
        """Whether it was heard."""
        return not isnan(self.grid_w)


@dataclass(frozen=True, slots=True)
class Day:
    """A local day."""

    day: date
    block_s: float
    slots: tuple[Slot, ...]
    feed_in_cny_per_kwh: float  # NaN: the site has no tariff
    planned: str  # when the plan that is shown was made, ISO 8601; "": there is none
    slides: bool = False  # peaks are of windows that slide, not of blocks
    why_unplanned: str = "no_plan_kept"  # a text of `words`, where there is no plan
    stored_more_wh: float = nan  # than at its begin, by the estimate
    refill_cny_per_wh: float = nan  # what that is worth
    before: tuple[tuple[float, float], ...] = ()  # the month's blocks before it: import, export, W, 0 if not metered
    ahead_s: float = 0.0  # the meter's clock, by which it begins and ends, less ours

    def kwh(self, of: Callable[[Slot], float]) -> float:
        """The energy of one flow over the metered blocks, kWh."""
        return sum(of(slot) for slot in self.slots if slot.metered) * self.block_s / 3.6e6

    @property
    def known_share(self) -> float:
        """Of the day that was metered."""
        return sum(slot.metered for slot in self.slots) / max(len(self.slots), 1)

    def over_share(self, utc: datetime) -> float:
        """How much of it is over, 0..1: of 23 or 25 hours on a day on which clocks change."""
        passed_s = utc.timestamp() + self.ahead_s - self.slots[0].begin.timestamp()
        return min(max(passed_s / (len(self.slots) * self.block_s), 0.0), 1.0)

    @property
    def peak_w(self) -> float:
        """The highest metered import by which demand is billed; NaN where none was metered."""
        return max((slot.peak_w for slot in self.slots if slot.metered), default=nan)

    @property
    def saved_cny(self) -> float:
        """Energy and feed-in without the battery less with it, over the metered blocks; NaN without prices."""
        return self.cost_cny(without_battery) - self.cost_cny(as_metered)

    @property
    def stored_cny(self) -> float:
        """What refilling costs of what more is stored than at its begin: on no bill yet, and an estimate."""
        return self.stored_more_wh * self.refill_cny_per_wh

    def cost_cny(self, way: Callable[[Slot], tuple[float, float]]) -> float:
        """Energy bought less feed-in, over the metered blocks; `way` gives import and export, W."""
        hours = self.block_s / 3600.0
        total = 0.0
        for slot in self.slots:
            if slot.metered:
                import_w, export_w = way(slot)
                total += (import_w * slot.cny_per_kwh - export_w * self.feed_in_cny_per_kwh) * hours / 1000.0
        return total


def as_metered(slot: Slot) -> tuple[float, float]:
    """Import and export, W."""
    return slot.import_w, slot.export_w


def without_battery(slot: Slot) -> tuple[float, float]:
    """The same of load and sun alone; what may not flow out is curtailed."""
    return slot.bare_import_w, slot.bare_export_w


def as_planned(slot: Slot) -> tuple[float, float]:
    """The same of the plan; as metered where there was none yet."""
    if isnan(slot.planned_grid_w):
        return as_metered(slot)
    return max(slot.planned_grid_w, 0.0), max(-slot.planned_grid_w, 0.0)


def day_of(
    site: Site, day: date, blocks: Sequence[Block], plan: Mapping[int, tuple[float, float]], planned: str = ""
) -> Day:
    """A local day from the meter book's blocks, those of its month before it included where the month's demand is
    asked for; `plan`: block number -> battery and grid as planned, W."""
    block_s = site.tuning.dispatch.block_s
    numbers = site.blocks(day)
    known = {block.number: block for block in blocks if block.number in numbers}
    slots = tuple(_slot(site, number, known.get(number), plan.get(number, (nan, nan))) for number in numbers)
    feed_in = site.tariff.on(day).feed_in_cny_per_kwh if site.tariff else nan
    slides = slid_peak_w(known.values()) is not None
    before = _before(site, day, [each for each in blocks if each.number < numbers.start])
    ahead_s = site.tuning.billing.likeliest_s
    return Day(day, block_s, slots, feed_in, planned, slides, before=before, ahead_s=ahead_s)


def _before(site: Site, day: date, blocks: Sequence[Block]) -> tuple[tuple[float, float], ...]:
    """From the month's begin on; nothing where no block is given."""
    known = {each.number: (each.import_w, each.export_w) for each in blocks if each.heard_well}
    if not known:
        return ()
    past = range(site.first_block(day.replace(day=1)), site.first_block(day))
    return tuple(known.get(number, (0.0, 0.0)) for number in past)


def _slot(site: Site, number: int, block: Block | None, plan: tuple[float, float]) -> Slot:
    begin = datetime.fromtimestamp(number * site.tuning.dispatch.block_s, site.time_zone)
    price, period = price_at(site.tariff, begin) if site.tariff else (nan, "")
    if block is None or not block.heard_well:
        return Slot(begin, *(nan,) * 9, *plan, price, period)
    grid_w = block.import_w - block.export_w
    battery_w = block.load_w - block.pv_w - grid_w
    flows = (block.load_w, block.pv_w, grid_w, block.import_w, block.export_w, block.peak_w, battery_w)
    both_w = both_within(block.import_w, block.export_w)
    bare_import_w, bare_export_w = (float(w) for w in import_and_export(site, block.load_w - block.pv_w, both_w))
    return Slot(begin, *flows, bare_import_w, bare_export_w, *plan, price, period)


def items(tariff: Tariff, terms: Terms, day: Day, way: Callable[[Slot], tuple[float, float]]) -> dict[str, float]:
    """Item -> CNY of the bill's lines for the blocks that are metered, demand left out: it is a month's. `way` gives
    import and export, W."""
    series = as_series(day.block_s, day.slots[0].begin, np.array(_rows(day, way)))
    found = [item for month in bill(tariff, terms, series, {}) for item in month.items]
    return {item.item: item.cny for item in found if not item.item.startswith("demand")}


def demand_cny(tariff: Tariff, terms: Terms, day: Day, way: Callable[[Slot], tuple[float, float]]) -> float:
    """The month's demand by the end of the day, had the day gone that way after a month as it was metered."""
    begin = day.slots[0].begin.replace(day=1) if day.before else day.slots[0].begin
    (month,) = bill(tariff, terms, as_series(day.block_s, begin, np.array([*day.before, *_rows(day, way)])), {})
    return sum(item.cny for item in month.items if item.item.startswith("demand"))


def _rows(day: Day, way: Callable[[Slot], tuple[float, float]]) -> list[tuple[float, float]]:
    return [way(slot) if slot.metered else (0.0, 0.0) for slot in day.slots]
