"""What a tariff file does not know of the days that it is asked to price: said, and priced all the same."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

from ess_controller.site.kinds import DemandMode
from ess_controller.site.tariff import Tariff
from ess_controller.site.tariff_tables import DayKind

FEW = 4  # years that are told one by one


def doubts(tariff: Tariff, demand: DemandMode, first: date, last: date) -> Iterator[str]:
    """Of the days `first` to `last`, in words. `demand`: how it is counted."""
    ends = [each.valid_from - timedelta(days=1) for each in tariff.later]
    for each, begin, end in zip(
        tariff.all, (first, *(one.valid_from for one in tariff.later)), (*ends, last), strict=True
    ):
        since, until = max(first, begin), min(last, end)
        if since <= until:
            yield from _before(each, demand, since, "it begins" if each is tariff else "it goes on")
            yield from _within_a_month(each, demand, since, until)
            yield from _unlisted_years(each, since, until)
    yield from _changes_within_a_month(tariff, demand, first, last)


def _before(tariff: Tariff, demand: DemandMode, first: date, does: str) -> Iterator[str]:
    """Days before those from which on the file, and each of its prices, holds."""
    if first < tariff.valid_from:
        yield f"it begins before {tariff.valid_from}, from which on {tariff.name} holds: that prices it all the same"
    begins = {part.name: part.cny_per_kwh.valid_from[0] for part in tariff.energy}
    begins[f"demand, {demand}"] = tariff.demand[demand].valid_from[0]
    unknown = [f"{name} from {begin}" for name, begin in begins.items() if first < begin]
    if unknown:
        yield (
            f"{does} on {first}, and {tariff.name} has prices of {', '.join(unknown)}: "
            "the first of each prices the days before it too"
        )


def _within_a_month(tariff: Tariff, demand: DemandMode, first: date, last: date) -> Iterator[str]:
    """A month's demand has one price; how a supplier would share it out, no file says."""
    steps = tariff.demand[demand]
    for day, before, then in zip(steps.valid_from[1:], steps.values, steps.values[1:], strict=False):
        months = [(each.year, each.month) for each in (first, day, last)]
        if day.day > 1 and before != then and months == sorted(months):
            yield (
                f"the price of {tariff.name} for demand, {demand}, changes on {day}, within a month: all of that month "
                "is priced as the first of its days in the series"
            )


def _changes_within_a_month(tariff: Tariff, demand: DemandMode, first: date, last: date) -> Iterator[str]:
    """The same where one file follows another."""
    for before, then in pairwise(tariff.all):
        day = then.valid_from
        months = [(each.year, each.month) for each in (first, day, last)]
        by = [(each.demand[demand].on(day), each.demand_rules, each.monthly_step) for each in (before, then)]
        if day.day > 1 and first < day and by[0] != by[1] and months == sorted(months):
            yield (
                f"{then.name} follows {before.name} on {day}, within a month: all of that month's demand and its step "
                "are priced as the first of its days in the series"
            )


def _unlisted_years(tariff: Tariff, first: date, last: date) -> Iterator[str]:
    """Holidays are announced each autumn: a file that lists some is silent on those of later years."""
    listed = {day.year for day in tariff.holidays}
    missing = [str(year) for year in range(first.year, last.year + 1) if year not in listed]
    if listed and missing and _priced_by_calendar(tariff):
        years = (
            ", ".join(missing) if len(missing) <= FEW else f"{', '.join(missing[:FEW])} and {len(missing) - FEW} more"
        )
        yield f"{tariff.name} lists no holidays of {years}: days are priced by their weekday alone there"


def _priced_by_calendar(tariff: Tariff) -> bool:
    """Whether what kind of day it is changes a price."""
    kinds: tuple[DayKind, DayKind] = ("weekend", "holiday")
    return any(
        tariff.schedules[month, kind] != tariff.schedules[month, "workday"] for month in range(1, 13) for kind in kinds
    )
