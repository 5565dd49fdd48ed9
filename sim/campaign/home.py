"""A world and a daemon as processes in a folder of their own, watched by the world's truth and the daemon's window."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf, isinf, nan
from pathlib import Path
from random import Random
from threading import Event

from ess_controller.clock import wall_s
from ess_controller.doors.live import NoDaemonError, ask, picture_of
from ess_controller.site import Site, load
from sim.campaign.record import Line, Record
from sim.campaign.score import SMALL_SHARE, Outcome, Points, journal_stamps, points_of
from sim.campaign.stage import busy_time
from sim.demo import Child, own_buses, own_port
from sim.world.scenario import Scenario

LOOK_EVERY_S = 0.03
SCENE_S = 420.0  # how long the battery must have work
CLEAR_S = 1.0  # how long an operator's word holds


class Household(Record):
    """A world and a daemon in a folder of their own, watched by the world's truth and the daemon's window."""

    def __init__(self, site: Path, scenario: Scenario, home: Path, seed: int, options: list[str]) -> None:
        self.picture: Line = {}  # the daemon's latest; empty when none answers
        self.told: list[tuple[float, bool]] = []  # when looked, whether the daemon told of trouble
        self._truth, self._read = home / "truth.jsonl", 0
        loaded = load(site, {})
        most_w = max(scenario.inverter.charge_w, scenario.inverter.discharge_w)
        super().__init__(loaded.plant.layout.string_cabinet.tolist(), SMALL_SHARE * most_w)
        self.home = home
        self._options = [str(site), "--home", str(home), *own_buses(site)]
        self._served = own_port(site)
        self._period_s = loaded.period_s
        self._world = ["hil", *self._options, "--seed", str(seed), "--truth", str(self._truth), *options]
        self._pause = Event()

    def start_world(self) -> Child:
        """`ess hil`."""
        return Child(self._world, self.home / "hil.log")

    def start_daemon(self) -> Child:
        """`ess run`."""
        return Child(["run", *self._options, *self._served], self.home / "run.log")

    def log(self) -> list[str]:
        """What the daemons said so far, lines without their time."""
        path = self.home / "run.log"
        return [line.split(" ", 2)[2].strip() for line in path.read_text().splitlines() if line.count(" ") > 1]

    def clear(self) -> None:
        """An operator has looked: what is latched may go, and closes of the last hour are forgotten.

        Without a daemon nobody hears it; that nothing comes back then is told by who waits for it.
        """
        with suppress(NoDaemonError):
            ask(self.home / "live.sock", {"order": {"clear_latched": True, "for_s": CLEAR_S}})

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
        self.picture = picture_of(self.home) or {}
        if self.picture:
            self.told.append((wall_s(), tells_trouble(self.picture)))

    @property
    def modes(self) -> set[str]:
        """Of all strings, as their daemon tells; empty when none answers."""
        return {str(one["mode"]) for one in self.picture["strings"]} if self.picture else set()

    @property
    def mode(self) -> str:
        """Of the first string; empty when no daemon answers."""
        return str(self.picture["strings"][0]["mode"]) if self.picture else ""

    @property
    def knows_all(self) -> bool:
        """The daemon lives, sees everything fresh, and its set-point or hold is written and proven."""
        return bool(self.picture) and all_fresh(self.picture)

    @property
    def asked_nothing(self) -> bool:
        """The daemon lives and asks every inverter for 0 W."""
        return bool(self.picture) and all(one["set_w"] == 0.0 for one in self.picture["cabinets"])

    # --- what came of it ---------------------------------------------------------------------------------------------

    def told_after(self, since_s: float, until_s: float = inf) -> float:
        """From `since_s` until the daemon told of trouble; NaN when it did not before `until_s`."""
        return next((at_s - since_s for at_s, told in self.told if told and since_s < at_s <= until_s), nan)

    def points(self, lives: list[tuple[float, float]]) -> list[Points]:
        """Beats in the journal, for each life of a daemon from its start to its end, both monotonic s; inf: it ended in
        order, with its last beat stored. Expected are those from its first known beat to its end."""
        stamps_s = journal_stamps(self.home / "journal")
        found = []
        for began_s, ended_s in lives:
            mine = stamps_s[(stamps_s >= began_s) & (stamps_s <= ended_s)]
            known_s = [*mine[:1], *(at_s for at_s, _ in self.told if began_s < at_s < ended_s)]
            last_s = ended_s if ended_s < inf else mine[-1]
            expected = round((last_s - min(known_s)) / self._period_s) + (ended_s == inf) if known_s else 0
            found.append(points_of(mine, expected))
        return found

    def harm(self, outcome: Outcome, site: Site, by_chains: int = 0) -> None:
        """What the world suffered since it began, less the openings under load that chains are to be thanked for."""
        envelope, last = site.tuning.envelope, self.lines[-1]
        outside = last["cell_v_min"] < envelope.cell_v_min or last["cell_v_max"] > envelope.cell_v_max
        outside |= last["cell_c_max"] > envelope.cell_c_max
        load, inrush_a = last["opened_under_load"] - by_chains, last["inrush_a"]
        outcome.harm(
            {
                "opened_under_load": load + outcome.opened_by_chain,
                "cells_outside_limits": int(outside),
                "inrush_a_max": inrush_a,
            }
        )


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
    loaded = load(site, {})
    dispatch, cabinets = loaded.tuning.dispatch, loaded.plant.layout.cabinets
    # where nothing may flow out the sun is held back after every fault, and a schedule does not wait until it is let go
    surplus = isinf(dispatch.feed_in_w)
    start = busy_time(scenario, seed, dice, SCENE_S, cabinets, dispatch.load_share, surplus=surplus)
    options = ["--start", start.isoformat()]
    with tempfile.TemporaryDirectory(prefix="ess-faults-") as folder:
        home = Path(folder)
        if schedule:
            (home / "faults.toml").write_text(schedule, encoding="utf-8")
            options += ["--faults", str(home / "faults.toml")]
        yield Household(site, scenario, home, seed, options)
