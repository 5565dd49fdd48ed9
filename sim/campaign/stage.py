"""A bench of which every beat is watched: the daemon on it can be killed and started again, and its world broken."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import nan
from random import Random

import numpy as np

from ess_controller.core.types import Decision, Order
from ess_controller.daemon import Beat, Tee, run
from ess_controller.errors import BadInputError
from ess_controller.site import Site
from ess_controller.tees import Totals
from firmware_bridge.plant import Freshness, Plant
from firmware_bridge.records import Contactor, Floats, Ints, Measurements, Tick
from sim.bench import Bench
from sim.campaign.score import SMALL_SHARE
from sim.world.premises import surroundings
from sim.world.scenario import Scenario

BUSY_SHARE, MOST_SHARE = 0.16, 0.8  # of an inverter: net load that keeps the battery at work and not at its limits
MOST_TRIES = 5_000
FIRST_DAY = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What was truly so at one beat, and whether the daemon (if there was one) told of trouble."""

    wire_s: float
    pcs_w: Floats  # [cabinet]
    contactor: Ints  # [string]
    told: bool


class Life:
    """One life of the daemon: a clock whose beats a script hands out. It ends without a word, as by kill -9."""

    late_beats = 0

    def __init__(self, script: Iterator[Tick]) -> None:
        self._script = script

    def ticks(self) -> Iterator[Tick]:
        """The script's beats."""
        return self._script


class Stage:
    """A bench of which every beat is watched, whether or not a daemon lives."""

    def __init__(
        self, site: Site, scenario: Scenario, start: datetime, seed: int | None = None, beat_s: float | None = None
    ) -> None:
        self.site = site
        self.bench = Bench(site, scenario, start, 1_000_000, beat_s, seed)
        self.world = self.bench.world
        self.order = Order()
        self.beat: Beat | None = None  # the living daemon's latest
        self.looks: list[Look] = []  # one a beat
        self.totals = Totals(site.plant.layout)
        self._ticks = self.bench.ticks()
        self._small_w = SMALL_SHARE * max(scenario.inverter.charge_w, scenario.inverter.discharge_w)

    # --- what is so ---------------------------------------------------------------------------------------------------

    @property
    def wire_s(self) -> float:
        """Wire time of the latest beat."""
        return self.looks[-1].wire_s if self.looks else 0.0

    @property
    def closed(self) -> bool:
        """Every string is truly on its bus."""
        return bool((self.world.now.contactor == Contactor.CLOSED).all())

    @property
    def at_power(self) -> bool:
        """That, and every inverter truly moves power."""
        return self.closed and bool((np.abs(self.world.now.pcs_w) >= self._small_w).all())

    @property
    def powerless(self) -> bool:
        """No inverter truly moves power."""
        return bool((np.abs(self.world.now.pcs_w) < self._small_w).all())

    @property
    def knows_all(self) -> bool:
        """The daemon's latest beat saw everything fresh, and its set-point or hold is written and proven."""
        return self.beat is not None and all_fresh(self.beat.seen)

    # --- what happens -------------------------------------------------------------------------------------------------

    def until(self, enough: Callable[[], bool], within_s: float) -> Iterator[Tick]:
        """Beats until `enough` holds, for `within_s` of wire time at most."""
        end_s = self.wire_s + within_s - self.site.period_s / 2
        while self.wire_s < end_s and not enough():
            tick = next(self._ticks)
            now = self.world.now
            told = self.beat is not None and tells_trouble(self.beat.decision)
            self.looks.append(Look(tick.wire_s, now.pcs_w, now.contactor, told))
            yield tick

    def for_s(self, seconds: float) -> Iterator[Tick]:
        """Beats for so much wire time."""
        return self.until(lambda: False, seconds)

    def live(self, script: Iterator[Tick], tees: Sequence[Tee] = ()) -> None:
        """A daemon starts and lives through `script`; it remembers nothing of those before it."""
        bench, site = self.bench, self.site
        for wire in bench.plant.wires().values():
            wire.drain()  # what came before it was there, nobody heard
        plant = Plant(site.plant, Freshness(site.can_stale_s, site.register_stale_s), bench.can, bench.registers)
        self.beat = None
        run(site.tuning, plant, Life(script), lambda _: self.order, (self._keep, self.totals, *tees))
        self.beat = None

    def dead(self, script: Iterator[Tick]) -> None:
        """Nobody controls the site."""
        for _ in script:
            for wire in self.bench.plant.wires().values():
                wire.drain()

    def _keep(self, beat: Beat) -> None:
        self.beat = beat

    # --- how long it took ---------------------------------------------------------------------------------------------

    def told_after(self, since_s: float) -> float:
        """From `since_s` to the first decision that told of trouble; NaN when none did. Looks see the beat before."""
        times = [one.wire_s - self.site.period_s for one in self.looks if one.told and one.wire_s > since_s]
        return max(times[0] - since_s, 0.0) if times else nan

    def safe_after(self, since_s: float, cabinets: tuple[int, ...], strings: tuple[int, ...], until_s: float) -> float:
        """From `since_s` until the cabinets truly moved no power any more, up to `until_s`; NaN when they still did.

        Once all the `strings` concerned lie open, what others in the cabinet do is no matter.
        """
        looks = [one for one in self.looks if since_s < one.wire_s <= until_s]
        moving = [one.wire_s for one in looks if self._moves(one, cabinets) and not _all_open(one, strings)]
        if not moving:
            return 0.0
        return nan if moving[-1] == looks[-1].wire_s else moving[-1] - since_s + self.site.period_s

    def falling_after(self, since_s: float) -> float:
        """From `since_s` until the first inverter moved less than it did then: its timer has run out."""
        looks = [one for one in self.looks if one.wire_s > since_s]
        times = (one.wire_s - since_s for one in looks if abs(one.pcs_w[0]) < 0.9 * abs(looks[0].pcs_w[0]))
        return next(times, nan)

    def open_after(self, since_s: float, strings: tuple[int, ...], until_s: float) -> float:
        """From `since_s` until all `strings` truly lay open; NaN when they did not before `until_s`."""
        times = [one.wire_s for one in self.looks if since_s < one.wire_s <= until_s and _all_open(one, strings)]
        return times[0] - since_s if times else nan

    def always_closed(self, since_s: float, until_s: float) -> bool:
        """Whether every string stayed on its bus between two moments."""
        looks = [one for one in self.looks if since_s <= one.wire_s <= until_s]
        return all((one.contactor == Contactor.CLOSED).all() for one in looks)

    def _moves(self, look: Look, cabinets: tuple[int, ...]) -> bool:
        return bool((np.abs(look.pcs_w[list(cabinets)]) >= self._small_w).any())


def all_fresh(seen: Measurements) -> bool:
    """Whether nothing is missing in a picture and every inverter's fallback is proven."""
    heard = (seen.cell_v, seen.module_c[:, 0], seen.string_a, seen.string_v, seen.pcs_w, np.array([seen.grid_w]))
    return not any(np.isnan(values).any() for values in heard) and bool(seen.pcs_armed.all())


def tells_trouble(decision: Decision) -> bool:
    """A diagnosis, or a cabinet that may neither charge nor discharge."""
    bound = decision.cabinet_bound
    return bool(decision.active.any() or ((bound.charge == 0.0) & (bound.discharge == 0.0)).any())


def _all_open(look: Look, strings: tuple[int, ...]) -> bool:
    return bool(strings) and bool((look.contactor[list(strings)] == Contactor.OPEN).all())


def busy_time(scenario: Scenario, seed: int, dice: Random, span_s: float) -> datetime:
    """A moment from which the site's rule keeps the battery at work for `span_s`, charging or discharging.

    BadInputError when the premises have no such time.
    """
    least_w, most_w = (share * scenario.inverter.discharge_w for share in (BUSY_SHARE, MOST_SHARE))
    for _ in range(MOST_TRIES):
        start = FIRST_DAY + timedelta(seconds=dice.randrange(28 * 86_400))
        moments = (start + timedelta(seconds=span_s * share / 20) for share in range(21))
        around = (surroundings(scenario.premises, seed, moment) for moment in moments)
        net_w = [one.load_w - one.pv_w for one in around]
        if (min(net_w) > least_w and max(net_w) < most_w) or max(net_w) < -least_w:
            return start
    raise BadInputError(
        f"world.toml: premises: found no {span_s:g} s with load less sun between {least_w:g} and {most_w:g} W "
        f"or below {-least_w:g} W: expected work for the battery, to strike it under power"
    )
