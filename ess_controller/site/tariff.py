"""What a kWh costs at any moment, and what a month's demand costs, by a dated tariff file.

`load_tariff` reads a file, and those that follow it, for one voltage class and customer class, or raises SiteError with
every mistake; `price_at` looks a moment up. Dates before the first that a number is valid from are given its first
value: a file does not know what was before it.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import inf, nan
from pathlib import Path
from zoneinfo import ZoneInfo

from ess_controller.core.types import Price
from ess_controller.site.checking import read_and_check
from ess_controller.site.companions import Companion
from ess_controller.site.errors import Problem, SiteError
from ess_controller.site.kinds import Customer, DemandMode, Supply
from ess_controller.site.sheet import UnreadableError
from ess_controller.site.tariff_rules import tariff_findings
from ess_controller.site.tariff_sequence import followers
from ess_controller.site.tariff_tables import DayKind, DayTable, Sourced, TariffFile

FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Dated:
    """A number that changes on certain days."""

    valid_from: tuple[date, ...]  # rising, at least one
    values: tuple[float, ...]

    def on(self, day: date) -> float:
        """What holds that day; before the first date the first value."""
        return self.values[max(bisect_right(self.valid_from, day) - 1, 0)]


@dataclass(frozen=True, slots=True)
class DayPattern:
    """The periods of one kind of day."""

    begin_minute: tuple[int, ...]  # of the day, local time; the first is 0
    period: tuple[str, ...]

    def at(self, minute: int) -> str:
        """The period of a minute of the day, 0..1439."""
        return self.period[bisect_right(self.begin_minute, minute) - 1]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which pattern a day has and what its periods cost: ratios to the flat price, or prices."""

    pattern: DayPattern
    ratio: Mapping[str, float] | None
    cny_per_kwh: Mapping[str, float] | None  # all parts included; None where there are ratios


@dataclass(frozen=True, slots=True)
class EnergyPart:
    """One part of the flat price of a kWh."""

    name: str
    in_ratio: bool  # the periods' ratios apply to it
    cny_per_kwh: Dated


@dataclass(frozen=True, slots=True)
class DemandRules:
    """How demand is counted, and what an agreed one means."""

    block_s: float  # length of a billing window
    slide_s: float  # one begins so often; equal to block_s: block follows block
    tolerated_share: float  # of the agreed demand, not charged as excess
    excess_factor: float  # price of what lies beyond
    least_share: float  # of the transformers' kVA, least kW that may be agreed


@dataclass(frozen=True, slots=True)
class HotDays:
    """Days that get another pattern by their weather."""

    at_c: float  # highest temperature of the day at `where`, from which on
    where: str
    months: frozenset[int]
    pattern: DayPattern


@dataclass(frozen=True, slots=True)
class MonthlyStep:
    """Another price for every kWh of a month in which more than `kwh_per_kva` was bought."""

    kwh_per_kva: float
    cny_per_kwh: float  # added


@dataclass(frozen=True, slots=True, eq=False)
class Tariff:
    """A tariff for one voltage class and one class of customers, with those that follow it."""

    name: str
    zone: ZoneInfo  # of its hours
    valid_from: date
    transformer_kva: tuple[float, float]  # least and most of the customers that it is for
    supply: Supply
    customer: Customer
    holidays: frozenset[date]
    working_weekends: frozenset[date]
    schedules: Mapping[tuple[int, DayKind], Schedule]  # every month 1..12 and kind of day
    hot_days: HotDays | None
    energy: tuple[EnergyPart, ...]
    demand: Mapping[DemandMode, Dated]  # CNY a month for a kW; mode "capacity": for a kVA
    demand_rules: DemandRules
    monthly_step: MonthlyStep | None
    feed_in_cny_per_kwh: float
    assumed: tuple[str, ...]  # tables of the file that no document says exactly so
    later: tuple["Tariff", ...] = ()  # each from its `valid_from` on, rising; none has later ones of its own

    @property
    def all(self) -> tuple["Tariff", ...]:
        """It and those that follow."""
        return self, *self.later

    def on(self, day: date) -> "Tariff":
        """The one that holds that day; before the first the first."""
        return self.all[bisect_right([each.valid_from for each in self.later], day)]

    def within(self, first: date, last: date) -> "Tariff":
        """Those of a sequence that hold on any of the days `first` to `last`."""
        held = [self.on(first), *(each for each in self.later if first < each.valid_from <= last)]
        return replace(held[0], later=tuple(held[1:]))


def load_tariff(path: Path, supply: Supply | None = None, customer: Customer | None = None) -> Tariff:
    """Read and check a tariff file for one voltage class and class of customers; None: the first of the file.

    Raises SiteError with every mistake, those of the files that follow it too, and where it has no prices for them.
    """
    try:
        first = Companion(*read_and_check(path, str(path), TariffFile, tariff_findings))
    except UnreadableError as error:
        raise SiteError([error.problem]) from None
    file, (later, problems) = first.content, followers(first)
    if first.problems or problems or file is None:
        raise SiteError(first.problems + problems)
    supply, customer = supply or file.supplies[0], customer or file.customers[0]
    for what, word, known in (("supply", supply, file.supplies), ("customer", customer, file.customers)):
        if word not in known:
            expected = f"a tariff for {what} {word}; this one is for {', '.join(known)}"
            raise SiteError([Problem(str(path), 0, "", "", expected)])
    return tariff_of(file, supply, customer, later)


def kind_of_day(tariff: Tariff, day: date) -> DayKind:
    """Workday, weekend or public holiday, by the tariff's calendar."""
    tariff = tariff.on(day)
    if day in tariff.holidays:
        return "holiday"
    return "workday" if day.weekday() <= FRIDAY or day in tariff.working_weekends else "weekend"


def price_at(tariff: Tariff, local: datetime, *, hottest_c: float = nan) -> tuple[float, str]:
    """Price of a bought kWh, CNY, and the period's name.

    `local` without a time zone is taken as the tariff's local time. `hottest_c` is the day's highest temperature where
    the tariff wants it measured (`hot_days`); NaN: not known, no day is hot. What depends on a whole month
    (`monthly_step`, demand) is not in it.
    """
    if local.tzinfo is not None:
        local = local.astimezone(tariff.zone)
    tariff = tariff.on(day := local.date())
    hot = tariff.hot_days
    schedule = tariff.schedules[local.month, kind_of_day(tariff, day)]
    is_hot = hot is not None and local.month in hot.months and hottest_c >= hot.at_c
    pattern = hot.pattern if hot is not None and is_hot else schedule.pattern
    period = pattern.at(60 * local.hour + local.minute)
    if schedule.cny_per_kwh is not None:
        return schedule.cny_per_kwh[period], period
    ratio = schedule.ratio[period] if schedule.ratio else nan
    parts = ((ratio if part.in_ratio else 1.0) * part.cny_per_kwh.on(day) for part in tariff.energy)
    return sum(parts), period


def hour_price(tariff: Tariff, local: datetime) -> Price:
    """Whether a kWh bought now is cheap or dear against the mean of its day; a fifth makes the difference.

    On a day of one price all hours are middling.
    """
    if local.tzinfo is not None:
        local = local.astimezone(tariff.zone)
    now, _ = price_at(tariff, local)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    hours = [price_at(tariff, midnight + timedelta(minutes=30 * half))[0] for half in range(48)]
    mean = sum(hours) / len(hours)
    return "cheap" if now < 0.8 * mean else "dear" if now > 1.2 * mean else "middling"


def tariff_of(file: TariffFile, supply: Supply, customer: Customer, later: Sequence[TariffFile] = ()) -> Tariff:
    """The records of a checked file that has prices for `supply` and `customer`, and of those that follow it."""
    patterns = {day.name: _pattern(day) for day in file.day}
    hot, step, rules = file.hot_days, file.monthly_step, file.demand_rules
    return Tariff(
        name=file.name,
        zone=ZoneInfo(file.time_zone),
        valid_from=file.valid_from,
        transformer_kva=file.transformer_kva or (0.0, inf),
        supply=supply,
        customer=customer,
        holidays=frozenset(file.calendar.holidays),
        working_weekends=frozenset(file.calendar.working_weekends),
        schedules={
            (month, kind): Schedule(patterns[each.day], each.ratio, each.cny_per_kwh)
            for each in file.schedule
            if customer in each.customers
            for month in each.months
            for kind in each.days
        },
        hot_days=HotDays(hot.at_c, hot.where, frozenset(hot.months), patterns[hot.day]) if hot else None,
        energy=_energy(file, supply),
        demand=_demand(file, supply),
        demand_rules=DemandRules(
            rules.block_s, rules.slide_s, rules.tolerated_share, rules.excess_factor, rules.least_share
        ),
        monthly_step=MonthlyStep(step.kwh_per_kva, step.cny_per_kwh) if step else None,
        feed_in_cny_per_kwh=file.feed_in.cny_per_kwh,
        assumed=tuple(name for name, table in _sourced(file) if table.assumed),
        later=tuple(tariff_of(each, supply, customer) for each in later),
    )


def _pattern(day: DayTable) -> DayPattern:
    begins = tuple(60 * int(begin[:2]) + int(begin[3:]) for begin, _, _ in day.hours)
    return DayPattern(begins, tuple(period for _, _, period in day.hours))


def _energy(file: TariffFile, supply: Supply) -> tuple[EnergyPart, ...]:
    """Each part once, with all its dates. Whether the ratios apply is as its first entry says."""
    entries = sorted(file.energy or (), key=lambda entry: entry.valid_from)
    parts = dict.fromkeys(entry.part for entry in file.energy or ())
    return tuple(
        EnergyPart(name, own[0].in_ratio, _dated([(each.valid_from, each.cny_per_kwh[supply]) for each in own]))
        for name in parts
        for own in ([entry for entry in entries if entry.part == name],)
    )


def _demand(file: TariffFile, supply: Supply) -> dict[DemandMode, Dated]:
    entries = sorted(file.demand, key=lambda entry: entry.valid_from)
    modes = dict.fromkeys(entry.mode for entry in file.demand)
    return {
        mode: _dated([(each.valid_from, each.cny_per_month[supply]) for each in entries if each.mode == mode])
        for mode in modes
    }


def _dated(steps: list[tuple[date, float]]) -> Dated:
    return Dated(tuple(day for day, _ in steps), tuple(float(value) for _, value in steps))


def _sourced(file: TariffFile) -> list[tuple[str, Sourced]]:
    """Everything in the file that names a source, in words."""
    return [
        ("rules", file),
        ("calendar", file.calendar),
        *((f"day {day.name}", day) for day in file.day),
        *((f"schedule {at + 1}", schedule) for at, schedule in enumerate(file.schedule)),
        *([("hot days", file.hot_days)] if file.hot_days else []),
        *((f"{entry.part} from {entry.valid_from}", entry) for entry in file.energy or ()),
        *((f"demand by {entry.mode} from {entry.valid_from}", entry) for entry in file.demand),
        ("demand rules", file.demand_rules),
        *([("monthly step", file.monthly_step)] if file.monthly_step else []),
        ("feed-in", file.feed_in),
    ]
