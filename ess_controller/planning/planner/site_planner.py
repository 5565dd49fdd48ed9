"""Plans for a site: from its meter book to the value function of the day ahead, and to the inputs of a sure plan."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.planning.forecasts.clear_sky import NO_PVLIB, ClearSky, clear_sky_apart, is_installed
from ess_controller.planning.forecasts.day_ahead import Forecasts
from ess_controller.planning.forecasts.expected_load import expected_w
from ess_controller.planning.forecasts.sun import Sky
from ess_controller.planning.forecasts.weather import Weather
from ess_controller.planning.given.calendar_grid import days_of, kind_by_tariff
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery, Prices, Series, refill_cny_per_wh
from ess_controller.planning.given.tariff_prices import Terms, demand_costs, prices_over
from ess_controller.planning.meter.book import Block
from ess_controller.planning.value.replan import HORIZON_H, PlannedFor, Replanner
from ess_controller.planning.value.slot import SitePlan
from ess_controller.site import Site
from ess_controller.site.tariff import Tariff
from firmware_bridge.records import Bools, Floats

log = logging.getLogger("ess")

HISTORY_DAYS = 84  # looked back
MONTH_DAYS = 32  # looked ahead in the calendar, for the rest of a month
SKY_DAYS = 14  # more of the clear sky are reckoned than a day needs, so that it is done seldom
CHANGED = 0.02  # of the usable energy: more is another battery

Book = Callable[[int, int], list[Block]]  # the blocks first..end-1 that are kept
WeatherNow = Callable[[datetime], Weather | None]  # what is forecast at that time; the same object: nothing newer
ClearOf = Callable[[int, int], ClearSky | None]  # of so many blocks from the first on; None: it is not known


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    """What is made anew each local day. What is measured is written into its arrays."""

    day: date
    first: int  # block of the arrays' first step
    battery: Battery
    weather: Weather | None
    clear: ClearSky | None
    load_w: Floats
    pv_w: Floats
    held: Bools  # of the sun, what was held back
    forecasts: Forecasts
    replanner: Replanner


def terms_of(site: Site) -> tuple[Tariff, Terms]:
    """Tariff and contract. BadInputError where the site has none."""
    if site.tariff is None or site.contract is None:
        raise BadInputError(f"{site.file}: contract: is not there: expected a table with tariff_file and demand")
    agreed = site.contract
    return site.tariff, Terms(agreed.demand, agreed.contract_kw, agreed.transformer_kva)


class SitePlanner:
    """Keeps what a day's re-plans have in common; a new day, another battery or a newer forecast begins anew.

    Blocks, days and hours are those of the meter's clock, which bills them.
    """

    def __init__(self, site: Site, weather: WeatherNow = lambda _: None, clear: ClearOf | None = None) -> None:
        """`clear`: where the clear sky is known from; None: it is reckoned. BadInputError for a site without a
        tariff."""
        self._site, self._weather, self._clear_of = site, weather, clear or self._reckoned
        self._tariff, self._terms = terms_of(site)
        self._block_s, self._ahead_s = site.tuning.dispatch.block_s, site.tuning.billing.likeliest_s
        self._leads = round(HORIZON_H * 3600.0 / self._block_s)
        self._slots = round(86400.0 / self._block_s)
        self._day: _Day | None = None
        self.begun = False  # whether the last plan began a day anew, from nothing but what it was given
        self._held: tuple[int, ClearSky] | None = None  # from that block on
        self._told: set[str] = set()

    def plan(self, utc: datetime, book: Book, groups: tuple[Battery, ...], month_peak_w: float) -> SitePlan:
        """The value function from the present block on."""
        now, battery = self._site.block(utc), together(groups)
        day = self._of_day(utc, now, book, battery)
        value = day.replanner.plan(now - day.first, month_peak_w)
        self._tell_of(day.forecasts)
        learned, foreseen = day.forecasts.learned, self._foreseen(day.clear)
        roof = "" if learned is None else learned.roof
        return SitePlan(
            self._site.name,
            utc,
            replace(value, origin=now),
            self._heard_days(day, now),
            foreseen=foreseen,
            roof=roof,
            ahead_s=self._ahead_s,
        )

    def _foreseen(self, clear: ClearSky | None) -> bool:
        """Whether forecasts have something to say before any day is known: of the load by its owner, of the sun by
        geometry."""
        return self._site.expected_load is not None and (clear is not None or not self._site.plant.pvs)

    def expected(
        self, utc: datetime, book: Book, groups: tuple[Battery, ...], hottest_c: Mapping[str, float]
    ) -> tuple[Series, Prices, float]:
        """Expected load and sun from the present block on, their prices, and days of history behind them.

        `hottest_c`: ISO date -> highest temperature that is expected; days that are not in it are not hot.
        """
        now = self._site.block(utc)
        day = self._of_day(utc, now, book, together(groups))
        made = day.forecasts.at(now - day.first)
        count = min(self._leads, len(made.load_w))
        series = replace(
            self._series(now, count), load_w=np.maximum(made.load_w[:count], 0.0), pv_w=np.maximum(made.pv_w[:count], 0)
        )
        hottest = self._hottest(day.weather) | dict(hottest_c)
        return series, prices_over(self._tariff, self._terms, series, hottest), self._heard_days(day, now)

    def _heard_days(self, day: _Day, now: int) -> float:
        """How much is known of the load before that block, days."""
        return int(np.isfinite(day.load_w[: now - day.first]).sum()) / self._slots

    @property
    def weather(self) -> Weather | None:
        """The forecast that the last plan knew."""
        return None if self._day is None else self._day.weather

    @property
    def clear_sky(self) -> ClearSky | None:
        """What the last plan took for a clear sky, from the first block of its history on; None: it knew of none."""
        return None if self._day is None else self._day.clear

    def _of_day(self, utc: datetime, now: int, book: Book, battery: Battery) -> _Day:
        """The day's common things, with all that has been measured by now."""
        day, today = self._day, self._site.day(utc)
        weather = self._weather(utc)
        changed = day is None or _other(battery, day.battery) or weather is not day.weather
        self.begun = day is None or changed or day.day != today or now < day.first
        if self.begun or day is None:
            blocks = book(now - HISTORY_DAYS * self._slots, now)
            first = blocks[0].number if blocks else now
            day = self._begun(today, first, now, battery, weather)
        else:
            blocks = book(now - self._slots, now)
        measured(blocks, day.first, now, day.load_w, day.pv_w, day.held)
        self._day = day
        return day

    def _begun(self, today: date, first: int, now: int, battery: Battery, weather: Weather | None) -> _Day:
        length = now - first + self._slots + self._leads
        calendar = self._series(first, length)
        days = days_of(calendar, MONTH_DAYS * self._slots, kind_by_tariff(self._tariff))
        prices = self._prices(calendar, now - first, self._hottest(weather))
        refill = refill_cny_per_wh(
            replace(prices, import_cny_per_kwh=prices.import_cny_per_kwh[now - first :]), battery, calendar
        )
        count = length + self._slots
        clear = self._clear_of(first, count)
        sky = None if clear is None else self._sky(first, count, clear, weather)
        told, kinds = self._site.expected_load, kind_by_tariff(self._tariff)
        owners_w = None if told is None else expected_w(told, days, kinds, self._ahead_s)
        held = np.zeros(length, np.bool_)
        forecasts = Forecasts(calendar.load_w, calendar.pv_w, days, self._leads, sky, owners_w, held)
        hours = self._block_s / 3600.0
        planned = PlannedFor(battery, prices, days, hours, calendar.load_w, calendar.pv_w, refill)
        replanner = Replanner(planned, forecasts.at, foreseen=self._foreseen(clear))
        return _Day(today, first, battery, weather, clear, calendar.load_w, calendar.pv_w, held, forecasts, replanner)

    def _sky(self, first: int, count: int, clear: ClearSky, weather: Weather | None) -> Sky:
        """Of so many blocks."""
        middle_s = self._middle_s(first, count)
        index = np.full(count, np.nan) if weather is None else weather.index(middle_s, clear.horizontal_w_m2)
        return Sky(clear.pv_w, index)

    def _reckoned(self, first: int, count: int) -> ClearSky | None:
        """The clear sky of so many blocks; None where the site has no sun or no place, or pvlib is not there."""
        site = self._site
        if site.location is None or not site.pv_arrays:
            return None
        if not is_installed():
            self._tell(NO_PVLIB)
            return None
        held = self._held
        if held is None or first < held[0] or first + count > held[0] + len(held[1].pv_w):
            middle_s = self._middle_s(first, count + SKY_DAYS * self._slots)
            rated_w = tuple(each.rated_w for each in site.plant.pvs)
            try:
                held = self._held = (
                    first,
                    clear_sky_apart(site.location, site.pv_arrays, rated_w, tuple(middle_s.tolist())),
                )
            except OSError as trouble:
                self._tell(str(trouble))
                return None
        own = slice(first - held[0], first - held[0] + count)
        return ClearSky(held[1].pv_w[own], held[1].horizontal_w_m2[own])

    def _middle_s(self, first: int, count: int) -> Floats:
        """Of each block, by our clock."""
        middle_s = (first + np.arange(count, dtype=np.float64) + 0.5) * self._block_s
        return np.asarray(middle_s - self._ahead_s)

    def _hottest(self, weather: Weather | None) -> dict[str, float]:
        """ISO date -> highest temperature by the forecast: where weather makes hours dear."""
        return {} if weather is None else weather.hottest_c(self._tariff.zone)

    def _tell_of(self, forecasts: Forecasts) -> None:
        learned = forecasts.learned
        if learned is None:
            return
        for name, score in (("load", learned.load.score), ("sun", learned.pv.score)):
            if score.loses:
                self._tell(f"the forecast of the {name} is not used: {score.why_not}")
        self._tell(learned.weather)
        self._tell(learned.roof)

    def _tell(self, words: str) -> None:
        """Once: a second time with other figures is no news."""
        what, _, _ = words.partition(":")
        if what and what not in self._told:
            log.info("%s", words)
            self._told.add(what)

    def _series(self, first: int, count: int) -> Series:
        begin = datetime.fromtimestamp(first * self._block_s, UTC).astimezone(self._site.time_zone)
        return Series(begin, self._block_s, np.full(count, np.nan), np.full(count, np.nan))

    def _prices(self, calendar: Series, origin: int, hottest_c: dict[str, float]) -> Prices:
        """Prices of all blocks; of those before `origin`, which nobody looks at, none; demand of every month."""
        ahead = prices_over(self._tariff, self._terms, calendar.cut(origin, len(calendar)), hottest_c)
        past, (demand, *later) = np.zeros(origin), demand_costs(self._tariff, self._terms, calendar)
        return replace(
            ahead,
            demand=demand,
            demand_later=tuple(later),
            import_cny_per_kwh=np.concatenate((past, ahead.import_cny_per_kwh)),
            export_cny_per_kwh=np.concatenate((past, ahead.export_cny_per_kwh)),
        )


def measured(blocks: list[Block], first: int, end: int, load_w: Floats, pv_w: Floats, held: Bools) -> None:
    """Write what was heard well enough of the blocks first..end-1 into [block] arrays; the rest stays NaN. And whether
    the sun was held back."""
    for block in blocks:
        if first <= block.number < end:
            at = block.number - first
            load_w[at] = block.known_load_w
            pv_w[at] = block.known_pv_w
            held[at] = block.held_back


def _other(one: Battery, before: Battery) -> bool:
    """Whether it is no longer the same battery but for how full it is."""
    return abs(one.energy_wh - before.energy_wh) > CHANGED * before.energy_wh or one.charge_w != before.charge_w
