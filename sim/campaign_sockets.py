"""Breaks a running site over real sockets: `ess hil` and `ess run` as processes, killed -9 at random instants."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import inf, isnan, nan
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

from ess_controller.clock import wall_s
from ess_controller.live import NoDaemonError, ask
from ess_controller.site import Site, load
from sim.campaign_bench import PHASES, busy_time
from sim.campaign_score import (
    DEMANDS,
    FIRST_WITHIN_S,
    RECOVER_WITHIN_S,
    SMALL_SHARE,
    WORLD_KILLED,
    Outcome,
    Points,
    journal_stamps,
    points_of,
)
from sim.demo import Child, own_buses
from sim.faults import DAEMON_KILLED, FAULTS
from sim.world.scenario import Scenario

UP_WITHIN_S = 60.0
LOOK_EVERY_S = 0.03
SOCKETS = "sockets"
LATE_S = (15.5, 18.0)  # a dead daemon stays dead so long
SOON_S = (0.0, 3.0)
# In this order the string closes three times, which is all that a site allows in an hour.
SCHEDULE = (("PCS dead", 18.0), ("meter frozen", 7.0), ("bus silent", 17.0), ("module silent", 13.0))
SCHEDULE_BEGINS_S, SCHEDULE_PAUSE_S = 22.0, 14.0

Line = dict[str, Any]


class Household:
    """A world and a daemon in a folder of their own, watched by the world's truth and the daemon's window."""

    def __init__(self, site: Path, scenario: Scenario, home: Path, seed: int, options: list[str]) -> None:
        self.home = home
        self.lines: list[Line] = []  # of truth
        self.picture: Line = {}  # the daemon's latest; empty when none answers
        self.told: list[tuple[float, bool]] = []  # when looked, whether the daemon told of trouble
        self._truth, self._read = home / "truth.jsonl", 0
        self._options = [str(site), "--home", str(home), *own_buses(site)]
        self._period_s = load(site, {}).period_s
        self._world = ["hil", *self._options, "--seed", str(seed), "--truth", str(self._truth), *options]
        self._small_w = SMALL_SHARE * max(scenario.inverter.charge_w, scenario.inverter.discharge_w)
        self._pause = Event()

    def start_world(self) -> Child:
        """`ess hil`."""
        return Child(self._world, self.home / "hil.log")

    def start_daemon(self) -> Child:
        """`ess run`."""
        return Child(["run", *self._options], self.home / "run.log")

    def log(self) -> list[str]:
        """What the daemons said so far, lines without their time."""
        path = self.home / "run.log"
        return [line.split(" ", 2)[2].strip() for line in path.read_text().splitlines() if line.count(" ") > 1]

    # --- looking ------------------------------------------------------------------------------------------------------

    def wait(self, enough: Callable[[], bool], within_s: float) -> bool:
        """Look until `enough` holds; whether it came to that in time."""
        end_s = wall_s() + within_s
        while True:
            self._look()
            if enough():
                return True
            if wall_s() >= end_s:
                return False
            self._pause.wait(LOOK_EVERY_S)

    def wait_for(self, seconds: float) -> None:
        """Look for so long."""
        self.wait(lambda: False, seconds)

    def _look(self) -> None:
        if self._truth.exists():
            with self._truth.open("rb") as file:
                file.seek(self._read)
                data = file.read()
            whole = data.rfind(b"\n") + 1
            self._read += whole
            self.lines += [json.loads(line) for line in data[:whole].splitlines()]
        try:
            picture = ask(self.home / "live.sock", {"get": "picture"})
        except (NoDaemonError, ValueError):
            picture = {}
        self.picture = {} if "error" in picture else picture
        if self.picture:
            self.told.append((wall_s(), tells_trouble(self.picture)))

    @property
    def at_power(self) -> bool:
        """By the latest truth, every string is closed and every inverter moves power."""
        return bool(self.lines) and not self._open(self.lines[-1]) and not self._powerless(self.lines[-1])

    @property
    def mode(self) -> str:
        """Of the first string, as its daemon tells; empty when none answers."""
        return str(self.picture["strings"][0]["mode"]) if self.picture else ""

    @property
    def knows_all(self) -> bool:
        """The daemon lives, sees everything fresh, and its set-point or hold is written and proven."""
        return bool(self.picture) and all_fresh(self.picture)

    @property
    def asked_nothing(self) -> bool:
        """The daemon lives and asks every inverter for 0 W."""
        return bool(self.picture) and all(one["set_w"] == 0.0 for one in self.picture["cabinets"])

    def _powerless(self, line: Line) -> bool:
        return all(abs(w) < self._small_w for w in line["pcs_w"])

    def _open(self, line: Line) -> bool:
        return any(contactor != 2 for contactor in line["contactor"])

    # --- how long it took ---------------------------------------------------------------------------------------------

    def fault_span(self, name: str) -> tuple[float, float]:
        """When a scheduled fault was set and when lifted, monotonic s."""
        on = [line["wire_s"] for line in self.lines if name in line["faults"]]
        after = [line["wire_s"] for line in self.lines if line["wire_s"] > on[-1]] if on else []
        return (on[0], after[0]) if after else (nan, nan)

    def told_after(self, since_s: float) -> float:
        """From `since_s` until the daemon told of trouble."""
        return next((at_s - since_s for at_s, told in self.told if told and at_s > since_s), nan)

    def safe_after(self, since_s: float, until_s: float) -> float:
        """From `since_s` until no inverter moved power any more; NaN when one still did at `until_s`."""
        lines = [line for line in self.lines if since_s < line["wire_s"] <= until_s]
        moving = [number for number, line in enumerate(lines) if not self._powerless(line)]
        if not lines or (moving and moving[-1] + 1 == len(lines)):
            return nan
        return float(lines[moving[-1] + 1]["wire_s"]) - since_s if moving else 0.0

    def open_after(self, since_s: float, until_s: float) -> float:
        """From `since_s` until the first string lay open."""
        times = (
            line["wire_s"] - since_s for line in self.lines if since_s < line["wire_s"] <= until_s and self._open(line)
        )
        return next(times, nan)

    def power_after(self, since_s: float) -> float:
        """From `since_s` until all was at power again."""
        lines = (line for line in self.lines if line["wire_s"] > since_s)
        return next(
            (line["wire_s"] - since_s for line in lines if not self._open(line) and not self._powerless(line)), nan
        )

    def points(self, lives: list[tuple[float, float]]) -> list[Points]:
        """Beats in the journal, for each life of a daemon from its start to its end, both monotonic s."""
        stamps_s = journal_stamps(self.home / "journal")
        found = []
        for began_s, ended_s in lives:
            mine = stamps_s[(stamps_s >= began_s) & (stamps_s <= ended_s)]
            first_s = (
                mine[0] if len(mine) else next((at_s for at_s, _ in self.told if began_s < at_s < ended_s), ended_s)
            )
            found.append(points_of(mine, int((ended_s - first_s) / self._period_s + 0.5)))
        return found

    def harm(self, outcome: Outcome, site: Site) -> None:
        """What the world suffered since it began."""
        envelope, last = site.tuning.envelope, self.lines[-1]
        outside = last["cell_v_min"] < envelope.cell_v_min or last["cell_v_max"] > envelope.cell_v_max
        outside |= last["cell_c_max"] > envelope.cell_c_max
        load, inrush_a = last["opened_under_load"], last["inrush_a"]
        outcome.harm({"opened_under_load": load, "cells_outside_limits": int(outside), "inrush_a_max": inrush_a})


def all_fresh(picture: Line) -> bool:
    """Whether nothing is missing in a picture and every inverter's fallback is proven."""
    strings = all(
        one["cells_silent"] == 0 and one["string_a"] is not None and one["mode"] != "wake" for one in picture["strings"]
    )
    cabinets = all(one["pcs_w"] is not None and one["pcs_armed"] for one in picture["cabinets"])
    return strings and cabinets and picture["grid_w"] is not None


def tells_trouble(picture: Line) -> bool:
    """A diagnosis, or a cabinet that may neither charge nor discharge."""
    limits = [one["limits"] for one in picture["cabinets"]]
    shut = any(one["charge_w"] == 0.0 and one["discharge_w"] == 0.0 for one in limits)
    return shut or any(one["diagnoses"] for one in picture["strings"])


@contextmanager
def household(site: Path, scenario: Scenario, dice: Random, schedule: str = "") -> Iterator[Household]:
    """A folder for a world and a daemon, at a time of day when the battery has work; `schedule` is of faults, TOML."""
    seed = dice.randrange(1 << 31)
    options = ["--start", busy_time(scenario, seed, dice, span_s=300.0).isoformat()]
    with tempfile.TemporaryDirectory(prefix="ess-faults-") as folder:
        home = Path(folder)
        if schedule:
            (home / "faults.toml").write_text(schedule, encoding="utf-8")
            options += ["--faults", str(home / "faults.toml")]
        yield Household(site, scenario, home, seed, options)


# --- the world's faults, by a schedule --------------------------------------------------------------------------------


def scheduled(site: Site, path: Path, scenario: Scenario, dice: Random) -> list[Outcome]:
    """The faults of the world, one after the other on one site."""
    outcomes, at_s, text = [], SCHEDULE_BEGINS_S, ""
    for name, for_s in SCHEDULE:
        at_s += dice.random()
        target = dice.randrange(FAULTS[name].targets(site.plant))
        text += f'[[fault]]\nname = "{name}"\nat_s = {at_s:.3f}\nfor_s = {for_s}\ntarget = {target}\n'
        outcomes.append(Outcome(name, SOCKETS, f"{name}, target {target}"))
        at_s += for_s + SCHEDULE_PAUSE_S
    with household(path, scenario, dice, text) as home, home.start_world(), home.start_daemon() as daemon:
        began_s = wall_s()
        home.wait_for(at_s)
        daemon.stop()
        home.wait_for(2 * LOOK_EVERY_S)
        outcomes[-1].points = home.points([(began_s, wall_s())])[0]
        for outcome in outcomes:
            _score(home, outcome)
        home.harm(outcomes[-1], site)
    return outcomes


def _score(home: Household, outcome: Outcome) -> None:
    struck_s, lifted_s = home.fault_span(outcome.fault)
    demand = DEMANDS[outcome.fault]
    outcome.detect_s = home.told_after(struck_s)
    outcome.safe_s = home.safe_after(struck_s, lifted_s)
    outcome.open_s = home.open_after(struck_s, lifted_s)
    outcome.recover_s = home.power_after(lifted_s)
    outcome.demand("0 W", outcome.safe_s, demand.safe_s)
    outcome.demand("power again", outcome.recover_s, RECOVER_WITHIN_S)
    if demand.open_s < inf:
        outcome.demand("open contactors", outcome.open_s, demand.open_s)
    elif not isnan(outcome.open_s):
        outcome.troubles.append(f"{outcome.how}: contactors moved")


# --- kill -9 ----------------------------------------------------------------------------------------------------------


class Killer:
    """Kills the daemon of one site in every phase of its life, and starts it again."""

    def __init__(self, home: Household, dice: Random, daemons: ExitStack) -> None:
        self._home, self._dice, self._daemons = home, dice, daemons
        self.lives: list[tuple[float, float]] = []  # of those that were killed
        self._bear()

    def _bear(self) -> None:
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
            outcome.safe_s = home.safe_after(struck_s, wall_s())
            outcome.demand("0 W", outcome.safe_s, DEMANDS[DAEMON_KILLED].safe_s)
        self._bear()
        if home.wait(lambda: home.knows_all, FIRST_WITHIN_S):
            outcome.first_s = wall_s() - self._born_s
        outcome.demand("a first command", outcome.first_s, FIRST_WITHIN_S)
        home.wait(lambda: home.at_power and home.mode == "run", RECOVER_WITHIN_S)
        outcome.recover_s = home.power_after(self._born_s)
        outcome.demand("power again", outcome.recover_s, RECOVER_WITHIN_S)
        if soon and phase == "at power" and not isnan(home.open_after(struck_s, wall_s())):
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
                home.wait(lambda: 1 in home.lines[-1]["contactor"], UP_WITHIN_S)
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
        if home.wait(lambda: home.mode == "fault", DEMANDS[WORLD_KILLED].open_s):
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
        outcome.points = home.points([(born_s, wall_s())])[0]
        home.harm(outcome, site)
    return outcome
