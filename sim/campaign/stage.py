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
GIVEN_SHARE = 0.98  # of the sun: less is held back
PAUSE_S = 2.0  # a cabinet that moves no power for longer has stood still
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
        self._cabinet = site.plant.layout.string_cabinet
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
    def settled(self) -> bool:
        """All that, and the sun gives what it can: held back while batteries were not ready, it is let go slowly where
        nothing may flow out, and batteries that discharged meanwhile turn to charging: they stand still on the way."""
        now = self.world.now
        return self.at_power and bool(now.pv_w.sum() >= GIVEN_SHARE * now.around.sun_w.sum())

    @property
    def powerless(self) -> bool:
        """No inverter truly moves power."""
        return bool((np.abs(self.world.now.pcs_w) < self._small_w).all())

    @property
    def opened_under_load(self) -> int:
        """How often contactors have opened under load so far, whoever did it."""
        return int(self.world.truth.opened_under_load.sum())

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

    def clear(self) -> Iterator[Tick]:
        """An operator has looked."""
        self.order = Order(clear_latched=True)
        yield from self.for_s(self.site.period_s)
        self.order = Order()

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

    def told_after(self, since_s: float, until_s: float) -> float:
        """From `since_s` to the first decision that told of trouble; NaN when none did. Looks see the beat before."""
        looks = (one for one in self.looks if since_s < one.wire_s <= until_s)
        times = [one.wire_s - self.site.period_s for one in looks if one.told]
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
        """From `since_s` until some inverter moved less than it did then: its timer has run out."""
        looks = [one for one in self.looks if one.wire_s > since_s]
        times = (one.wire_s - since_s for one in looks if (np.abs(one.pcs_w) < 0.9 * np.abs(looks[0].pcs_w)).any())
        return next(times, nan)

    def open_after(self, since_s: float, strings: tuple[int, ...], until_s: float) -> float:
        """From `since_s` until all `strings` truly lay open; NaN when they did not before `until_s`."""
        times = [one.wire_s for one in self.looks if since_s < one.wire_s <= until_s and _all_open(one, strings)]
        return times[0] - since_s if times else nan

    def always_closed(self, since_s: float, until_s: float) -> bool:
        """Whether every string stayed on its bus between two moments."""
        looks = [one for one in self.looks if since_s <= one.wire_s <= until_s]
        return all((one.contactor == Contactor.CLOSED).all() for one in looks)

    def stayed_open(self, strings: tuple[int, ...], since_s: float, until_s: float) -> bool:
        """Whether `strings`, once they all lay open after `since_s`, stayed so."""
        opened = [_all_open(one, strings) for one in self.looks if since_s < one.wire_s <= until_s]
        return True in opened and all(opened[opened.index(True) :])

    def went_on(self, cabinets: tuple[int, ...], since_s: float, until_s: float) -> bool:
        """Whether each of these kept its contactors closed and never moved no power for longer than PAUSE_S."""
        looks = [one for one in self.looks if since_s < one.wire_s <= until_s]
        mine = np.isin(self._cabinet, cabinets)
        if any((one.contactor[mine] != Contactor.CLOSED).any() for one in looks):
            return False
        still_s = np.zeros(len(cabinets))
        for one in looks:
            still_s = (still_s + self.site.period_s) * (np.abs(one.pcs_w[list(cabinets)]) < self._small_w)
            if (still_s > PAUSE_S).any():
                return False
        return True

    def works_after(self, since_s: float, cabinets: tuple[int, ...], until_s: float) -> float:
        """From `since_s` until each of the cabinets moved power for good; NaN when one did not at `until_s`."""
        looks = [one for one in self.looks if since_s < one.wire_s <= until_s]
        still = [one.wire_s for one in looks if (np.abs(one.pcs_w[list(cabinets)]) < self._small_w).any()]
        if not still:
            return 0.0
        return nan if still[-1] == looks[-1].wire_s else still[-1] - since_s + self.site.period_s

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


def busy_time(
    scenario: Scenario,
    seed: int,
    dice: Random,
    span_s: float,
    cabinets: int = 1,
    load_share: float = 0.5,
    *,
    surplus: bool = True,
) -> datetime:
    """A moment from which the site's rule keeps every cabinet at work for `span_s`: discharging or, with `surplus`,
    charging. As few inverters as carry the net load at `load_share` of their rating are in use. BadInputError when
    there is no such time.
    """
    rated_w = scenario.inverter.discharge_w
    least_w, most_w = (load_share * (cabinets - 1) + BUSY_SHARE) * rated_w, MOST_SHARE * cabinets * rated_w
    for _ in range(MOST_TRIES):
        start = FIRST_DAY + timedelta(seconds=dice.randrange(28 * 86_400))
        moments = (start + timedelta(seconds=span_s * share / 20) for share in range(21))
        around = (surroundings(scenario.premises, seed, moment) for moment in moments)
        net_w = [one.load_w - one.pv_w for one in around]
        if (min(net_w) > least_w and max(net_w) < most_w) or (surplus and max(net_w) < -least_w):
            return start
    raise BadInputError(
        f"world.toml: premises: found no {span_s:g} s with load less sun between {least_w:g} and {most_w:g} W "
        f"or below {-least_w:g} W: expected work for every cabinet, to strike it under power"
    )
