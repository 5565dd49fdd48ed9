"""Breaks a running site over real sockets: `ess hil` and `ess run` as processes, killed -9 at random instants."""

from contextlib import ExitStack
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from random import Random

from ess_controller.clock import wall_s
from ess_controller.site import Site
from firmware_bridge.records import Contactor
from sim.campaign.bench import HELD_S, PHASES
from sim.campaign.expect import (
    DEMANDS,
    FIRST_WITHIN_S,
    RECOVER_WITHIN_S,
    REST_WITHIN_S,
    WORLD_KILLED,
    Expected,
    expected,
    struck_here,
)
from sim.campaign.home import LOOK_EVERY_S, Household, household
from sim.campaign.score import Outcome
from sim.faults import DAEMON_KILLED, FAULTS
from sim.world.scenario import Scenario

UP_WITHIN_S = 60.0
SOCKETS = "sockets"
LATE_S = (15.5, 18.0)  # a dead daemon stays dead so long
SOON_S = (0.0, 3.0)
LATEST = 100  # lines of truth
PRECHARGE = int(Contactor.PRECHARGE)
FOR_S = {  # how long each fault lasts: long enough for its demand
    "bus silent": 17.0,
    "module silent": 18.0,
    "PCS dead": 18.0,
    "meter frozen": 7.0,
    "E-stop pressed": 5.0,
    "interlock open": 5.0,
    "smoke": 6.0,
    "gas": 6.0,
    "door open": 7.0,
    "remote I/O silent": 7.0,
    "solar inverter silent": 7.0,
    "gateway silent": 17.0,
    "fan failed": 3.0,
}
SCHEDULE_BEGINS_S, SCHEDULE_PAUSE_S = 22.0, 14.0


# --- the world's faults, by a schedule --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Turn:
    """One fault of the schedule."""

    wanted: Expected
    outcome: Outcome
    free_s: float = nan  # wall time from which all may come back


def scheduled(site: Site, path: Path, scenario: Scenario, dice: Random) -> list[Outcome]:
    """The faults of the world, one after the other on one site; an operator clears what needs it."""
    turns, text, at_s = _plan(site, dice)
    with household(path, scenario, dice, text) as home, home.start_world(), home.start_daemon() as daemon:
        began_s = wall_s()
        for turn in turns:
            _follow(home, turn, dice, began_s + at_s)
        daemon.stop()
        home.wait_for(2 * LOOK_EVERY_S)
        for turn in turns:
            _judge(home, turn)
        last = turns[-1].outcome
        last.points = home.points([(began_s, inf)])[0]
        home.harm(last, site, sum(turn.outcome.opened_by_chain for turn in turns))
    return [turn.outcome for turn in turns]


def _plan(site: Site, dice: Random) -> tuple[list[_Turn], str, float]:
    """Who comes when: the turns, the schedule as TOML, and after how long it is over."""
    turns, text, at_s = [], "", SCHEDULE_BEGINS_S
    for name in struck_here(site.plant):
        at_s += dice.random()
        target = dice.randrange(FAULTS[name].targets(site.plant))
        text += f'[[fault]]\nname = "{name}"\nat_s = {at_s:.3f}\nfor_s = {FOR_S[name]}\ntarget = {target}\n'
        wanted = expected(site.plant, name, target)
        turns.append(_Turn(wanted, Outcome(name, SOCKETS, f"{name}, target {target}")))
        at_s += FOR_S[name] + SCHEDULE_PAUSE_S + wanted.latched * HELD_S[1]
    return turns, text, at_s


def _follow(home: Household, turn: _Turn, dice: Random, end_s: float) -> None:
    """Until a fault is over and all is back; closes are given back, for there are more faults than closes an hour."""
    name, left_s = turn.wanted.name, max(end_s - wall_s(), 0.0)
    home.wait(lambda: any(name in line["faults"] for line in home.lines[-LATEST:]), left_s)
    home.wait(lambda: name not in home.lines[-1]["faults"], left_s)
    if turn.wanted.latched:
        home.wait_for(dice.uniform(*HELD_S))
        home.clear()
    turn.free_s = wall_s() if turn.wanted.latched else home.fault_span(name)[1]
    home.wait(lambda: home.at_power, RECOVER_WITHIN_S)
    home.clear()


def _judge(home: Household, turn: _Turn) -> None:
    """What came of a strike, by the truth."""
    wanted, outcome, free_s = turn.wanted, turn.outcome, turn.free_s
    struck_s, lifted_s = home.fault_span(wanted.name)
    outcome.detect_s = home.told_after(struck_s, free_s)
    outcome.recover_s = home.power_after(free_s)
    outcome.demand("power again", outcome.recover_s, RECOVER_WITHIN_S)
    back_s = free_s + outcome.recover_s
    if wanted.chain:
        outcome.opened_by_chain = home.opened_at(struck_s)
    if wanted.cabinets:
        outcome.safe_s = home.safe_after(struck_s, free_s, wanted.cabinets, wanted.strings)
        outcome.demand("0 W", outcome.safe_s, wanted.demand.safe_s)
    if wanted.opens:
        outcome.open_s = home.open_after(struck_s, free_s, wanted.strings)
        outcome.demand("open contactors", outcome.open_s, wanted.demand.open_s)
    elif not home.always_closed(struck_s, back_s):
        outcome.troubles.append(f"{outcome.how}: contactors moved")
    if wanted.latched and not home.stayed_open(struck_s, free_s, wanted.strings):
        outcome.troubles.append(f"{outcome.how}: contactors closed before an operator had cleared it")
    if wanted.rest:
        outcome.rest_s = home.works_after(struck_s, lifted_s, wanted.rest)
        outcome.demand("the rest of its cabinet at work", outcome.rest_s, REST_WITHIN_S)
    if wanted.others:
        outcome.went_on(home.went_on(struck_s, back_s, wanted.others))


# --- kill -9 ----------------------------------------------------------------------------------------------------------


class Killer:
    """Kills the daemon of one site in every phase of its life, and starts it again."""

    def __init__(self, home: Household, dice: Random, daemons: ExitStack) -> None:
        self._home, self._dice, self._daemons = home, dice, daemons
        self.lives: list[tuple[float, float]] = []  # of those that were killed
        self._bear()

    def _bear(self) -> None:
        # closes outlive a daemon; more lives than closes an hour allows would wait for the hour
        (self._home.home / "memory.json").unlink(missing_ok=True)
        self.daemon, self._born_s = self._daemons.enter_context(self._home.start_daemon()), wall_s()

    def strike(self, phase: str, *, soon: bool) -> Outcome:
        """Once, at a random instant in a phase; the next daemon comes soon or late."""
        home, dice = self._home, self._dice
        outcome = Outcome(DAEMON_KILLED, SOCKETS, f"{phase}, restarted {'soon' if soon else 'late'}")
        self._come_to(phase)
        was_at_power = home.at_power
        self.daemon.kill()
        struck_s = wall_s()
        self.lives.append((self._born_s, struck_s))
        home.wait_for(dice.uniform(*(SOON_S if soon else LATE_S)))
        if was_at_power and not soon:
            outcome.detect_s = home.falling_after(struck_s)
            outcome.safe_s = home.safe_after(struck_s, wall_s(), home.cabinets)
            outcome.demand("0 W", outcome.safe_s, DEMANDS[DAEMON_KILLED].safe_s)
        self._bear()
        if home.wait(lambda: home.knows_all, FIRST_WITHIN_S):
            outcome.first_s = wall_s() - self._born_s
        outcome.demand("a first command", outcome.first_s, FIRST_WITHIN_S)
        home.wait(lambda: home.at_power and home.modes == {"run"}, RECOVER_WITHIN_S)
        outcome.recover_s = home.power_after(self._born_s)
        outcome.demand("power again", outcome.recover_s, RECOVER_WITHIN_S)
        if soon and phase == "at power" and not home.always_closed(struck_s, wall_s()):
            outcome.troubles.append(f"{outcome.how}: closed contactors were not taken over")
        return outcome

    def _come_to(self, phase: str) -> None:
        """Until a random instant in a phase of the daemon's life."""
        home, dice = self._home, self._dice
        home.wait(lambda: home.at_power, UP_WITHIN_S)
        if phase in ("before start", "in precharge"):
            self.daemon.stop()
            self._bear()
        match phase:
            case "before start":
                home.wait_for(dice.uniform(0.2, 2.0))
            case "in precharge":
                home.wait(lambda: PRECHARGE in home.lines[-1]["contactor"], UP_WITHIN_S)
                home.wait_for(dice.uniform(0.0, 0.4))
            case "in shutdown":
                self.daemon.ask_to_end()
                home.wait_for(dice.uniform(0.0, 1.0))
            case _:
                home.wait_for(dice.uniform(0.0, 3.0))


def daemon_killed(site: Site, path: Path, scenario: Scenario, dice: Random, kills: int) -> list[Outcome]:
    """One site whose daemon is killed again and again."""
    outcomes = []
    with household(path, scenario, dice) as home, home.start_world(), ExitStack() as daemons:
        killer = Killer(home, dice, daemons)
        for number in range(kills):
            outcomes.append(killer.strike(PHASES[(number + 2) % len(PHASES)], soon=number % 2 == 1))
            home.harm(outcomes[-1], site)
        killer.daemon.stop()
        for outcome, points in zip(outcomes, home.points(killer.lives), strict=True):
            outcome.points = points
    return outcomes


def world_killed(site: Site, path: Path, scenario: Scenario, dice: Random) -> Outcome:
    """All devices are gone at once and come back with open contactors and empty registers; the daemon lives on.

    Nobody is left whose truth could be asked: `safe` is when 0 W was asked, `open` when contactors were told to.
    """
    outcome = Outcome(WORLD_KILLED, SOCKETS, "all devices gone")
    with household(path, scenario, dice) as home, ExitStack() as processes:
        world, daemon = (processes.enter_context(start()) for start in (home.start_world, home.start_daemon))
        born_s = wall_s()
        home.wait(lambda: home.at_power, UP_WITHIN_S)
        home.wait_for(dice.uniform(0.0, 3.0))
        world.kill()
        struck_s = wall_s()
        if home.wait(lambda: home.asked_nothing, DEMANDS[WORLD_KILLED].safe_s):
            outcome.safe_s = wall_s() - struck_s
        outcome.detect_s = home.told_after(struck_s)
        if home.wait(lambda: home.modes == {"fault"}, DEMANDS[WORLD_KILLED].open_s):
            outcome.open_s = wall_s() - struck_s
        outcome.demand("0 W", outcome.safe_s, DEMANDS[WORLD_KILLED].safe_s)
        outcome.demand("open contactors", outcome.open_s, DEMANDS[WORLD_KILLED].open_s)
        home.wait_for(dice.uniform(0.0, 3.0))
        processes.enter_context(home.start_world())
        back_s = wall_s()
        home.wait(lambda: home.lines[-1]["wire_s"] > back_s and home.at_power, RECOVER_WITHIN_S)
        outcome.recover_s = home.power_after(back_s)
        outcome.demand("power again", outcome.recover_s, RECOVER_WITHIN_S)
        daemon.stop()
        outcome.points = home.points([(born_s, inf)])[0]
        home.harm(outcome, site)
    return outcome
