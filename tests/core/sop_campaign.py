"""Whether the published state of power can be believed: `python -m tests.core.sop_campaign`.

Strings of cells that follow the simulator's equations, not the controller's (`sim.world.cells`: Arrhenius, RC pairs
that are slower in the cold, curves aged cell by cell), are driven for hours by random currents within what the outlook
allows them, deep into both ends where the daemon's other rules would never let them, by a gauge that knows an intake
test and nothing else. Then, again and again, the published current is really drawn from the true cells for as long as
it was published for, and the greatest that they could have borne is found by bisection.

Inside: every cell stayed within `limits.cell_v_min` and `cell_v_max`. Power is joined with rating, temperature and SOC
rule on both sides. Bound by V: states in which nothing but voltage bounds, to a quarter of the rating at least.
"""

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from ess_controller.core import recall
from ess_controller.core.estimate import outlook
from ess_controller.core.gauge.look import look
from ess_controller.core.gauge.outlook import Outlook
from ess_controller.core.gauge.setup import Readings
from ess_controller.core.gauge.state import Gauge
from ess_controller.core.recall import NOTHING
from ess_controller.core.types import Tuning
from ess_controller.site import load
from firmware_bridge.records import CabinetSpec, Floats, Layout, ModuleSpec, PlantSpec, StringSpec
from sim.world.ageing import seeded
from sim.world.cells import Cells, CellState, discharge, source, warmed
from sim.world.possible import Strings
from tests.sim.sites import scenario

BENCH = Path(__file__).parents[2] / "sites/bench"
SETTLING_BEAT_S, BEAT_S = 5.0, 1.0
EVERY_S = 60.0  # a string is asked so often
OFFSET_V, NOISE_V = 0.005, 0.002  # of a cell's sensor: evenly spread each way, and from reading to reading
SETTLES_S = 3 * 3600.0  # a history that the gauge has before anybody asks
MODULES, CELLS = 10, 9
FELT_A = 1.0  # less than this is no pulse


@dataclass(frozen=True, slots=True)
class Truth:
    """What the controller does not see."""

    cells: Cells
    offset_v: Floats  # [cell] of its sensor
    offset_c: Floats  # [cell] of its module's
    gain: Floats  # [string] of the current sensor
    cell_c: Floats  # [cell]


@dataclass(frozen=True, slots=True)
class Asked:
    """One way and one horizon at many states. All [state]; currents up to what rating and temperature allow, A."""

    published_a: Floats
    possible_a: Floats  # greatest that every true cell bears
    others_a: Floats  # what rating and temperature allow
    soc_a: Floats  # and what the SOC rule does
    power: Floats  # at the published current, over that at the possible one
    over_v: Floats  # how far the worst true cell left its limit at the published current; below zero: room left


def drawn(strings: int, rng: np.random.Generator) -> tuple[Tuning, Truth, CellState]:
    """Strings of ten modules: SOH 0.6 to 1 known to 2 %, -5 to 45 C, any SOC."""
    soh = np.clip(rng.uniform(0.63, 0.97, strings)[:, None] + rng.normal(0.0, 0.03, (strings, MODULES)), 0.6, 1.0)
    rows = [
        [ModuleSpec(f"M{row}.{slot}", f"can{row}", slot, CELLS, 232.0, own) for slot, own in enumerate(of_string)]
        for row, of_string in enumerate(soh.tolist())
    ]
    boxes = tuple(StringSpec(f"S{row}", f"can{row}", tuple(modules)) for row, modules in enumerate(rows))
    plant = PlantSpec({}, (CabinetSpec("A", "pcs", boxes),), "meter")
    layout = Layout.of(plant)
    found = seeded(plant, scenario(), rng)
    intake = np.clip(soh.ravel() * (1 + rng.normal(0.0, 0.02, soh.size)), 0.4, 1.0)
    nameplate_ah = np.full(layout.modules, 232.0)
    tuning = replace(
        load(BENCH, {}).tuning,
        layout=layout,
        module_soh=intake,
        module_nameplate_ah=nameplate_ah,
        cell_ah=(intake * nameplate_ah)[layout.cell_module],
    )
    cell_c = rng.uniform(-5.0, 45.0, strings)[layout.cell_string] + rng.normal(0.0, 0.7, layout.cells)
    truth = Truth(
        found.cells,
        rng.uniform(-OFFSET_V, OFFSET_V, layout.cells),
        rng.normal(0.0, 1.0, layout.modules)[layout.cell_module],
        rng.normal(1.0, 0.003, strings),
        cell_c,
    )
    soc = rng.uniform(0.1, 0.9, strings)[layout.cell_string] + rng.normal(0.0, 0.01, layout.cells)
    return tuning, truth, CellState.rested(found.cells, np.clip(soc, 0.02, 0.98), cell_c)


@dataclass(slots=True)
class Drive:
    """Random currents: towards a random SOC more often than not, at times none."""

    rng: np.random.Generator
    a: Floats  # [string] wanted
    until_s: Floats
    goal: Floats

    def wanted(self, t_s: float, soc: Floats) -> Floats:
        """[string] at a time, the mean SOC being [string]."""
        n, rng = len(self.a), self.rng
        anew = t_s >= self.until_s
        self.goal = np.where(anew & (rng.random(n) < 0.15), rng.uniform(-0.05, 1.05, n), self.goal)
        towards = np.sign(soc - self.goal) * np.where(rng.random(n) < 0.75, 1.0, -1.0)
        size = 160.0 * rng.random(n) ** 0.7 * (rng.random(n) < 0.8)
        self.a = np.where(anew, towards * size, self.a)
        self.until_s = np.where(anew, t_s + rng.choice([10.0, 40.0, 200.0, 900.0], n), self.until_s)
        return self.a


def others(tuning: Tuning, cell_c: Floats) -> Floats:
    """[way, string] what rating and temperature (plating in the cold) let it charge and discharge, A."""
    knobs, first = tuning.limits, tuning.layout.first_cell_of_string
    shares = np.array((knobs.charge_by_c(cell_c), knobs.discharge_by_c(cell_c)))
    return np.asarray(knobs.rated_a * np.minimum.reduceat(shares, first, axis=1))


@dataclass(slots=True)
class Course:
    """Strings under way: what is true, and what the controller makes of it."""

    tuning: Tuning
    truth: Truth
    state: CellState
    gauge: Gauge
    drive: Drive
    rng: np.random.Generator
    t_s: float
    string_a: Floats
    cell_v: Floats  # true
    ahead: Outlook | None = None

    @classmethod
    def begun(cls, strings: int, seed: int) -> "Course":
        """At rest, and nothing known but the intake test."""
        rng = np.random.default_rng(seed)
        tuning, truth, state = drawn(strings, rng)
        drive = Drive(rng, np.zeros(strings), np.zeros(strings), rng.uniform(0.0, 1.0, strings))
        return cls(tuning, truth, state, recall.gauge(tuning, NOTHING), drive, rng, 0.0, np.zeros(strings), state.ocv_v)

    def looked(self, dt_s: float) -> tuple[Outlook, Floats, Floats]:
        """Look at what instruments say: the outlook, what it lets strings carry [way, horizon, string] and what rating
        and temperature do [way, string]."""
        tuning, truth, rng, strings = self.tuning, self.truth, self.rng, len(self.string_a)
        layout = tuning.layout
        self.t_s += dt_s
        readings = Readings(
            string_a=self.string_a * truth.gain + rng.normal(0.0, 0.05, strings),
            open=np.zeros(strings, bool),
            resting=np.zeros(strings, bool),
            cell_v=self.cell_v + truth.offset_v + rng.normal(0.0, NOISE_V, layout.cells),
            bled=np.zeros(layout.cells, bool),
            cell_c=truth.cell_c + truth.offset_c,
        )
        self.gauge = look(tuning.cells, self.gauge, readings, self.t_s, dt_s)
        self.ahead = outlook(tuning, self.gauge, readings, self.ahead, dt_s)
        words = np.array((self.ahead.charge_a, self.ahead.discharge_a))
        told = np.maximum(np.minimum.reduceat(words, layout.first_cell_of_string, axis=2), 0.0)
        allow = others(tuning, readings.cell_c)
        return self.ahead, np.minimum(told, allow[:, None]), allow

    def go_on(self, may_a: Floats, dt_s: float) -> None:
        """Carry what the drive wants, within `may_a` [way, string]."""
        truth, layout = self.truth, self.tuning.layout
        soc = np.add.reduceat(self.state.soc, layout.first_cell_of_string) / (MODULES * CELLS)
        self.string_a = np.clip(self.drive.wanted(self.t_s, soc), -may_a[0], may_a[1])
        cell_a = self.string_a[layout.cell_string]
        flows = source(truth.cells, self.state, dt_s)
        self.cell_v, state, _ = discharge(truth.cells, self.state, flows, cell_a, dt_s)
        self.state = warmed(truth.cells, state, truth.cell_c)


def campaign(strings: int, hours: float, seed: int, settles_s: float = SETTLES_S) -> list[list[Asked]]:
    """[horizon][way: charge, discharge] over all strings and moments."""
    course = Course.begun(strings, seed)
    asked: list[list[list[Asked]]] = [[[], []] for _ in range(3)]
    ask_s = settles_s
    while course.t_s < settles_s + hours * 3600.0:
        dt_s = SETTLING_BEAT_S if course.t_s < settles_s - 300.0 else BEAT_S
        ahead, told_a, allow_a = course.looked(dt_s)
        if course.t_s >= ask_s:
            ask_s += EVERY_S
            soc_a = by_soc(course)
            for number, seconds in enumerate(ahead.horizon_s.tolist()):
                for way in range(2):
                    one = ask(course, told_a[way, number], allow_a[way], soc_a[way], way, seconds)
                    asked[number][way].append(one)
        course.go_on(told_a[:, 0], dt_s)
    return [[_joined(parts) for parts in ways] for ways in asked]


def by_soc(course: Course) -> Floats:
    """[way, string] what the SOC rule lets flow, A."""
    knobs, gauge, first = course.tuning.limits, course.gauge, course.tuning.layout.first_cell_of_string
    shares = (knobs.charge_by_soc(gauge.soc + gauge.soc_sd), knobs.discharge_by_soc(gauge.soc - gauge.soc_sd))
    return knobs.rated_a * np.minimum.reduceat(np.array(shares), first, axis=1)


def ask(course: Course, published_a: Floats, allow_a: Floats, soc_a: Floats, way: int, seconds: float) -> Asked:
    """Draw what was published, and find what would have been possible."""
    window = course.tuning.window
    true = Strings(course.truth.cells, course.state, course.tuning.layout, window.cell_v_min, window.cell_v_max)
    possible_a = true.possible(allow_a, way, seconds)
    over_v, _ = true.over(published_a, way, seconds)
    told_a, could_a = np.minimum(published_a, soc_a), np.minimum(possible_a, soc_a)
    told_w, could_w = (a * true.over(a, way, seconds)[1] for a in (told_a, could_a))
    power = np.divide(told_w, could_w, out=np.full_like(told_w, np.nan), where=could_a > FELT_A)
    return Asked(published_a, possible_a, allow_a, soc_a, power, over_v)


def _joined(parts: list[Asked]) -> Asked:
    return Asked(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Asked)))


def row(one: Asked) -> dict[str, float]:
    """How safe and how bold: shares of states, and millivolts."""
    pulses, moves = one.published_a > FELT_A, np.isfinite(one.power)
    bound = one.possible_a < 0.995 * np.minimum(one.others_a, one.soc_a)
    bound &= one.possible_a > 0.25 * one.others_a.max()
    share = one.published_a[bound] / one.possible_a[bound]
    return {
        "states": len(one.over_v),
        "inside %": 100.0 * float((one.over_v[pulses] <= 0.0).mean()),
        "worst mV": 1e3 * float(one.over_v[pulses].max()),
        "85 % of power in %": 100.0 * float((one.power[moves] >= 0.85).mean()),
        "bound by V": int(bound.sum()),
        "of these 85 % in %": 100.0 * float((share >= 0.85).mean()) if len(share) else np.nan,
        "median share": float(np.median(share)) if len(share) else np.nan,
    }


def main(strings: int = 24, hours: float = 1.0, seed: int = 1) -> None:
    """Print the table."""
    for name, ways in zip(("10 s", "30 s", "300 s"), campaign(strings, hours, seed), strict=True):
        for way, one in zip(("charge", "discharge"), ways, strict=True):
            words = "  ".join(f"{key} {value:.4g}" for key, value in row(one).items())
            print(f"{name:<6}{way:<10}{words}")  # noqa: T201


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
