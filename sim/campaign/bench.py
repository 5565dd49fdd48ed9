"""Breaks the bench in one way at a random moment, lets it recover, and measures by the truth how long all that took."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from ess_controller.core.types import Order
from ess_controller.replay.journal import Journal
from ess_controller.site import Site
from firmware_bridge.records import Contactor, Tick
from sim.campaign.expect import DEMANDS, FIRST_WITHIN_S, RECOVER_WITHIN_S, REST_WITHIN_S, Expected, expected
from sim.campaign.score import Outcome, journal_stamps, points_of
from sim.campaign.stage import Stage, busy_time
from sim.faults import DAEMON_KILLED, FAULTS
from sim.verdict import verdict
from sim.world.scenario import Scenario

UP_WITHIN_S = 60.0  # of wire time, as everything here
SETTLED_WITHIN_S = 60.0  # until all the sun is let go, where it was held back: 2 % of it a second
SCENE_S = 120.0  # how long a run may take
JOURNAL_BYTES = 100_000_000
SHORT_S, LONG_S = (0.2, 3.0), (16.5, 20.0)  # a drop-out that must not open contactors; a fault
ANY_S = (1.0, 20.0)  # a fault that opens contactors however short it is
HELD_S = (5.0, 8.0)  # from lifting what is latched to the operator's word: enough to come back, if it could
SOON_S, LATE_S = (0.1, 5.0), (15.5, 25.0)  # until a dead daemon is started again
PHASES = ("before start", "in precharge", "at power", "in shutdown")
KILLS = (*((phase, True) for phase in PHASES), *(("at power", False),) * 3, ("in precharge", False))  # restarted soon?


def strike(site: Site, scenario: Scenario, fault: str, dice: Random, beat_s: float | None = None) -> Outcome:
    """One run of a fault on a world of its own: up, a short drop-out, up, the fault, lifted, up again."""
    seed = dice.randrange(1 << 31)
    speed = (beat_s or site.period_s) / site.period_s
    cabinets, load_share = site.plant.layout.cabinets, site.tuning.dispatch.load_share
    start = busy_time(scenario, seed, dice, SCENE_S * speed, cabinets, load_share)
    stage = Stage(site, scenario, start, seed, beat_s)
    with tempfile.TemporaryDirectory(prefix="ess-faults-") as folder:
        journal = Journal(Path(folder), site.plant, JOURNAL_BYTES)
        how = f"{fault} (world {seed}, {start.isoformat()})"
        try:
            run_ = _kill if fault == DAEMON_KILLED else partial(_break, name=fault)
            outcome = run_(stage, dice=dice, how=how, journal=journal)
        finally:
            journal.close()
        outcome.points = points_of(journal_stamps(Path(folder)), stage.totals.beats)
    outcome.guard_trips = stage.totals.guard_trips
    outcome.harm(verdict(stage.world, site.tuning.envelope))
    return outcome


@dataclass(slots=True)
class _Marks:
    """Moments of a strike, wire time."""

    up_s: float = 0.0
    struck_s: float = 0.0
    lifted_s: float = 0.0
    free_s: float = 0.0  # the same, or when an operator had cleared what was latched
    recovered_s: float = 0.0


def _break(stage: Stage, dice: Random, how: str, journal: Journal, name: str) -> Outcome:
    """A fault of the world, with the daemon alive all the time."""
    fault, plant, broken, marks = FAULTS[name], stage.site.plant, stage.world.faults, _Marks()
    target = dice.randrange(fault.targets(plant))
    wanted = expected(plant, name, target)
    outcome = Outcome(name, "bench", f"{how}, target {target}")

    def script() -> Iterator[Tick]:
        yield from stage.until(lambda: stage.at_power, UP_WITHIN_S)
        yield from stage.until(lambda: stage.settled, SETTLED_WITHIN_S)
        marks.up_s = stage.wire_s
        if not wanted.at_once:
            yield from stage.for_s(dice.uniform(0.0, 3.0))
            fault.set(broken, plant, target)
            yield from stage.for_s(dice.uniform(*SHORT_S))
            fault.lift(broken, plant, target)
            yield from stage.for_s(1.0)
            yield from stage.until(lambda: stage.at_power and not stage.looks[-1].told, RECOVER_WITHIN_S)
            yield from stage.until(lambda: stage.settled, SETTLED_WITHIN_S)
        yield from stage.for_s(dice.uniform(0.0, 3.0))
        if not stage.at_power:
            outcome.troubles.append(f"{outcome.how}: not at power when struck")
        marks.struck_s, before = stage.wire_s, stage.opened_under_load
        fault.set(broken, plant, target)
        yield from stage.for_s(stage.site.period_s)
        if wanted.chain:
            outcome.opened_by_chain = stage.opened_under_load - before
        yield from stage.for_s(dice.uniform(*(ANY_S if wanted.at_once else LONG_S)))
        marks.lifted_s = marks.free_s = stage.wire_s
        fault.lift(broken, plant, target)
        if wanted.latched:
            yield from stage.for_s(dice.uniform(*HELD_S))
            marks.free_s = stage.wire_s
            yield from stage.clear()
        yield from stage.until(lambda: stage.at_power, RECOVER_WITHIN_S + 1.0)
        marks.recovered_s = stage.wire_s
        yield from stage.for_s(1.0)

    stage.live(script(), (journal,))
    _judge(stage, wanted, marks, outcome)
    return outcome


def _judge(stage: Stage, wanted: Expected, marks: _Marks, outcome: Outcome) -> None:
    """What came of a strike, by the truth."""
    strings, until_s, how = wanted.strings, marks.free_s, outcome.how
    if not stage.always_closed(marks.up_s, marks.struck_s):
        outcome.troubles.append(f"{how}: contactors moved for a short drop-out")
    outcome.detect_s = stage.told_after(marks.struck_s, until_s)
    outcome.recover_s = marks.recovered_s - marks.free_s
    outcome.demand("power again", outcome.recover_s, RECOVER_WITHIN_S)
    if wanted.cabinets:
        outcome.safe_s = stage.safe_after(marks.struck_s, wanted.cabinets, strings, until_s)
        outcome.demand("0 W", outcome.safe_s, wanted.demand.safe_s)
    if wanted.opens:
        outcome.open_s = stage.open_after(marks.struck_s, strings, until_s)
        outcome.demand("open contactors", outcome.open_s, wanted.demand.open_s)
    elif not stage.always_closed(marks.struck_s, marks.recovered_s):
        outcome.troubles.append(f"{how}: contactors moved")
    if wanted.latched and not stage.stayed_open(strings, marks.struck_s, until_s):
        outcome.troubles.append(f"{how}: contactors closed before an operator had cleared it")
    if wanted.rest:
        outcome.rest_s = stage.works_after(marks.struck_s, wanted.rest, marks.lifted_s)
        outcome.demand("the rest of its cabinet at work", outcome.rest_s, REST_WITHIN_S)
    if wanted.others:
        outcome.went_on(stage.went_on(wanted.others, marks.struck_s, marks.recovered_s))


def _kill(stage: Stage, dice: Random, how: str, journal: Journal) -> Outcome:
    """The daemon ends without a word in some phase of its life; another one starts sooner or later."""
    phase, soon = dice.choice(KILLS)
    outcome = Outcome(DAEMON_KILLED, "bench", f"{how}, {phase}, restarted {'soon' if soon else 'late'}")
    stage.live(_until_killed(stage, phase, dice), (journal,))
    struck_s, was_closed, was_at_power = stage.wire_s, stage.closed, stage.at_power
    if soon:
        stage.dead(stage.for_s(dice.uniform(*SOON_S)))
    else:
        stage.dead(stage.for_s(dice.uniform(*LATE_S)))
        if was_at_power:
            every = tuple(range(stage.site.plant.layout.cabinets))
            outcome.detect_s = stage.falling_after(struck_s)
            outcome.safe_s = stage.safe_after(struck_s, every, (), stage.wire_s)
            outcome.demand("0 W", outcome.safe_s, DEMANDS[DAEMON_KILLED].safe_s)
    restarted_s = stage.wire_s
    stage.order = Order()
    marks: list[float] = []

    def script() -> Iterator[Tick]:
        yield from stage.until(lambda: stage.knows_all, FIRST_WITHIN_S + 1.0)
        marks.append(stage.wire_s)
        yield from stage.until(lambda: stage.at_power, RECOVER_WITHIN_S + 1.0)
        marks.append(stage.wire_s)
        yield from stage.for_s(1.0)

    stage.live(script(), (journal,))
    outcome.first_s, outcome.recover_s = (mark - restarted_s for mark in marks)
    outcome.demand("a first command", outcome.first_s, FIRST_WITHIN_S)
    outcome.demand("power again", outcome.recover_s, RECOVER_WITHIN_S)
    if soon and phase == "at power" and was_closed and not stage.always_closed(struck_s, stage.wire_s):
        outcome.troubles.append(f"{outcome.how}: closed contactors were not taken over")
    return outcome


def _until_killed(stage: Stage, phase: str, dice: Random) -> Iterator[Tick]:
    match phase:
        case "before start":
            yield from stage.for_s(dice.uniform(0.1, 2.0))
        case "in precharge":
            yield from stage.until(lambda: bool((stage.world.now.contactor == Contactor.PRECHARGE).any()), UP_WITHIN_S)
            yield from stage.for_s(dice.uniform(0.0, 0.4))
        case _:
            yield from stage.until(lambda: stage.at_power, UP_WITHIN_S)
            yield from stage.for_s(dice.uniform(0.0, 5.0))
            if phase == "in shutdown":
                stage.order = Order(run=False)
                yield from stage.for_s(dice.uniform(0.0, 3.0))
