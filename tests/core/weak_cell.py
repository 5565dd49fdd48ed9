"""Strings with one weak cell, cycled between the limits that the controller itself sets: the world of the campaign.

The true cells follow the simulator's equations (`sim.world.cells`), the controller is the daemon's own `estimate` and
string rules. Beside it runs the same string under somebody who knows everything: each beat the largest current up to
the one that is asked which leaves no true cell outside its voltage limits or the site's SOC window.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.core.estimate import estimate
from ess_controller.core.gauge.setup import resistance
from ess_controller.core.limits import STRING_RULES, join_strings, string_rules
from ess_controller.core.step import first_state
from ess_controller.core.types import Rule, State, Tuning
from ess_controller.site import load
from firmware_bridge.records import (
    Bools,
    CabinetSpec,
    Floats,
    Ints,
    Layout,
    Measurements,
    ModuleSpec,
    PlantSpec,
    StringSpec,
)
from sim.world.ageing import aged_curves, seeded
from sim.world.cells import KNOTS, Cells, CellState, Curves, discharge, source, warmed, warmth
from sim.world.curve import read_curve
from tests.core.pictures import tick, well
from tests.core.sop_campaign import BENCH, CELLS, MODULES, NOISE_V, OFFSET_V, Truth, others
from tests.sim.sites import scenario

WEAK_CAPACITY, WEAK_RESISTANCE = 0.7, 2.0  # over those of its module
NAMEPLATE_AH = 232.0
WEAK = 4  # its number within the string
BEAT_S = 10.0
SLOT_S = 1200.0  # one asked current
LEAST_C, MOST_C = 0.2, 0.5
PAUSES = 0.1  # share of slots in which nothing is asked
REST_S = (1800.0, 3600.0)
ENDS_C = 0.05  # a half cycle is over when less may flow
ENDS_S = 180.0  # in the mean over so long
HALVINGS = 8
CHARGES, RESTS_FULL, DISCHARGES, RESTS_EMPTY = range(4)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of each string, drawn before anything runs: the same for whoever drives it."""

    rate_a: Floats  # [string, cycle, way, slot] >= 0
    rest_s: Floats  # [string, cycle, way]
    ends_a: Floats  # [string]

    @classmethod
    def drawn(cls, string_ah: Floats, cycles: int, rng: np.random.Generator) -> "Asked":
        """For so many cycles; `string_ah` [string] is what one C is."""
        shape = (len(string_ah), cycles, 2, 64)
        rate = rng.uniform(LEAST_C, MOST_C, shape) * (rng.random(shape) >= PAUSES)
        return cls(rate * string_ah[:, None, None, None], rng.uniform(*REST_S, shape[:3]), ENDS_C * string_ah)


@dataclass(slots=True)
class Cycle:
    """Where each string is in its cycle: charged, at rest, discharged, at rest. It begins with a discharge."""

    asked: Asked
    phase: Ints  # [string]
    number: Ints  # [string] cycles that are over
    since_s: Floats  # [string] how long this phase has lasted
    lately_a: Floats  # [string] mean of what may flow, over `ENDS_S`

    @classmethod
    def begun(cls, asked: Asked) -> "Cycle":
        """Somewhere in between; the first discharge belongs to no cycle."""
        n = len(asked.ends_a)
        return cls(asked, np.full(n, DISCHARGES), np.full(n, -1), np.zeros(n), np.full(n, np.inf))

    @property
    def over(self) -> bool:
        """Whether all strings have done all their cycles."""
        return bool((self.number >= self.asked.rate_a.shape[1]).all())

    def _now(self) -> tuple[Ints, Ints]:
        return np.arange(len(self.phase)), np.clip(self.number, 0, self.asked.rate_a.shape[1] - 1)

    def wanted_a(self) -> Floats:
        """[string] + discharging."""
        each, number = self._now()
        slot = (self.since_s // SLOT_S).astype(np.int64) % self.asked.rate_a.shape[3]
        sign = np.array((-1.0, 0.0, 1.0, 0.0))[self.phase] * (self.number < self.asked.rate_a.shape[1])
        return np.asarray(sign * self.asked.rate_a[each, number, self.phase // 2, slot])

    def passed(self, may_a: Floats, dt_s: float) -> Bools:
        """Time passes; `may_a` [2, string] ends a half cycle. Returns which strings have just ended a cycle."""
        each, number = self._now()
        self.since_s = self.since_s + dt_s
        flows = self.phase % 2 == 0
        now_a = np.minimum(np.where(self.phase == CHARGES, may_a[0], may_a[1]), 4.0 * self.asked.ends_a)
        begins = ~flows | (self.since_s <= dt_s)
        self.lately_a = np.where(begins, np.inf, np.minimum(self.lately_a, 4.0 * self.asked.ends_a))
        self.lately_a = self.lately_a + np.where(begins, 0.0, (now_a - self.lately_a) * dt_s / ENDS_S)
        starved = self.lately_a < self.asked.ends_a
        rested = self.since_s >= self.asked.rest_s[each, number, self.phase // 2]
        over = np.where(flows, starved, rested)
        closes = over & (self.phase == RESTS_EMPTY)
        self.number = self.number + closes
        self.phase = np.where(over, (self.phase + 1) % 4, self.phase)
        self.since_s = np.where(over, 0.0, self.since_s)
        return np.asarray(closes)


def drawn(strings: int, knows: Bools, rng: np.random.Generator) -> tuple[Tuning, Truth, CellState]:
    """Strings of ten modules, SOH 0.72 to 0.88, one weak cell each; `knows` [string]: its module's sheet says so."""
    soh = np.clip(rng.uniform(0.76, 0.84, strings)[:, None] + rng.normal(0.0, 0.02, (strings, MODULES)), 0.72, 0.88)
    rows = [
        [
            ModuleSpec(f"M{row}.{slot}", f"can{row}", slot, CELLS, NAMEPLATE_AH, own)
            for slot, own in enumerate(of_string)
        ]
        for row, of_string in enumerate(soh.tolist())
    ]
    boxes = tuple(StringSpec(f"S{row}", f"can{row}", tuple(modules)) for row, modules in enumerate(rows))
    plant = PlantSpec({}, (CabinetSpec("A", "pcs", boxes),), "meter")
    layout, world = Layout.of(plant), scenario()
    cells = weakened(seeded(plant, world, rng).cells, layout, soh.ravel(), rng)
    sheet = soh.ravel() * (1 + rng.normal(0.0, 0.01, soh.size))
    sheet[layout.cell_module[weak_cells(layout)]] *= np.where(knows, WEAK_CAPACITY, 1.0)
    nameplate_ah = np.full(layout.modules, NAMEPLATE_AH)
    tuning = replace(
        load(BENCH, {}).tuning,
        layout=layout,
        module_soh=sheet,
        module_nameplate_ah=nameplate_ah,
        cell_ah=(sheet * nameplate_ah)[layout.cell_module],
    )
    cell_c = rng.uniform(15.0, 32.0, strings)[layout.cell_string] + rng.normal(0.0, 0.7, layout.cells)
    truth = Truth(
        cells,
        rng.uniform(-OFFSET_V, OFFSET_V, layout.cells),
        rng.normal(0.0, 1.0, layout.modules)[layout.cell_module],
        rng.normal(1.0, 0.003, strings),
        cell_c,
    )
    soc = rng.uniform(0.45, 0.6, strings)[layout.cell_string] + rng.normal(0.0, 0.01, layout.cells)
    return tuning, truth, CellState.rested(cells, soc, cell_c)


def weak_cells(layout: Layout) -> Ints:
    """[string] the weak one."""
    return layout.first_cell_of_string + WEAK


def weakened(cells: Cells, layout: Layout, module_soh: Floats, rng: np.random.Generator) -> Cells:
    """The same cells with one weak one a string, whose curve has aged along."""
    weak, world = weak_cells(layout), scenario()
    soh = module_soh[layout.cell_module[weak]] * WEAK_CAPACITY
    ah, r0, rc = cells.capacity_ah.copy(), cells.r0_ohm.copy(), cells.rc_ohm.copy()
    ah[weak] = NAMEPLATE_AH * soh
    curve_v = cells.curves.knot_v.reshape(-1, KNOTS).copy()
    curve_v[weak] = aged_curves(read_curve(Path(world.cell.ocv_file)), soh, world.ageing, rng)
    r0[weak] *= WEAK_RESISTANCE
    rc[:, weak] *= WEAK_RESISTANCE
    return replace(cells, capacity_ah=ah, r0_ohm=r0, rc_ohm=rc, rc_f=cells.rc_s / rc, curves=Curves.of(curve_v))


@dataclass(slots=True)
class Driven:
    """True strings under way."""

    tuning: Tuning
    truth: Truth
    nature: CellState
    cycle: Cycle
    cell_v: Floats
    string_a: Floats
    out_wh: Floats  # [string] discharged in this cycle

    def flowed(self, string_a: Floats, dt_s: float) -> None:
        """Carry a current for a beat."""
        self.cell_v, self.nature = moved(self.truth, self.nature, self._of_cells(string_a), dt_s)
        self.string_a = string_a
        string_v = np.add.reduceat(self.cell_v, self.tuning.layout.first_cell_of_string)
        self.out_wh = self.out_wh + np.maximum(string_a, 0.0) * string_v * (dt_s / 3600.0)

    def _of_cells(self, string_a: Floats) -> Floats:
        return np.asarray(string_a[self.tuning.layout.cell_string])


def moved(truth: Truth, nature: CellState, cell_a: Floats, dt_s: float) -> tuple[Floats, CellState]:
    """True voltages at the end of a beat, and the cells then."""
    cell_v, after, _ = discharge(truth.cells, nature, source(truth.cells, nature, dt_s), cell_a, dt_s)
    return cell_v, warmed(truth.cells, after, truth.cell_c)


def perfect_a(driven: Driven, wanted_a: Floats, dt_s: float) -> Floats:
    """[string] the largest current up to the wanted one that keeps every true cell inside."""
    tuning, layout = driven.tuning, driven.tuning.layout
    low_v, high_v, first = tuning.limits.cell_v_min, tuning.limits.cell_v_max, layout.first_cell_of_string

    def stays(a: Floats) -> Bools:
        cell_v, after = moved(driven.truth, driven.nature, a[layout.cell_string], dt_s)
        down = (cell_v >= low_v) & (after.soc >= tuning.empty_soc)
        up = (cell_v <= high_v) & (after.soc <= tuning.full_soc)
        inside = np.where((a >= 0.0)[layout.cell_string], down, up)
        return np.asarray(np.logical_and.reduceat(inside, first))

    good = stays(wanted_a)
    if good.all():
        return wanted_a
    least, most = np.where(good, wanted_a, 0.0), wanted_a
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        fits = stays(middle)
        least, most = np.where(fits, middle, least), np.where(fits, most, middle)
    return np.where(good, wanted_a, least)


def true_others(tuning: Tuning, truth: Truth) -> Floats:
    """[way, string] what rating, temperature and age allow by the site's curves, if all were known."""
    knobs, layout = tuning.limits, tuning.layout
    soh = truth.cells.capacity_ah / NAMEPLATE_AH
    mean = np.add.reduceat(soh, layout.first_cell) / CELLS
    module = np.minimum(mean, tuning.module_soh)[layout.cell_module]
    by_soh = knobs.charge_by_soh(module) * np.minimum(soh / module, 1.0)
    may_a = others(tuning, truth.cell_c)
    may_a[0] = np.minimum(may_a[0], knobs.rated_a * np.minimum.reduceat(by_soh, layout.first_cell_of_string))
    return may_a


@dataclass(slots=True)
class Operated(Driven):
    """By the controller, with what instruments say."""

    rng: np.random.Generator
    state: State
    well: Measurements
    t_s: float
    age_a: Floats  # [string] what the rule of age lets it charge

    @classmethod
    def of(cls, driven: Driven, rng: np.random.Generator) -> "Operated":
        """By a controller that has just started and knows nothing but the intake sheet."""
        known = {field.name: getattr(driven, field.name) for field in fields(Driven)}
        layout, truth = driven.tuning.layout, driven.truth
        module_c = (truth.cell_c + truth.offset_c)[layout.first_cell][:, None].repeat(4, axis=1)
        seen = well(layout, module_c=module_c)
        return cls(**known, rng=rng, state=first_state(driven.tuning), well=seen, t_s=0.0, age_a=driven.string_a)

    def looked(self, dt_s: float) -> Floats:
        """One look at the instruments: what may flow [way, string], A."""
        tuning, layout, rng, first = self.tuning, self.tuning.layout, self.rng, self.tuning.layout.first_cell_of_string
        self.t_s += dt_s
        read_v = np.round(self.cell_v + self.truth.offset_v + rng.normal(0.0, NOISE_V, layout.cells), 3)
        seen = replace(
            self.well,
            cell_v=read_v,
            string_a=self.string_a * self.truth.gain + rng.normal(0.0, 0.05, layout.strings),
            string_v=np.add.reduceat(read_v, first),
        )
        now, gauge, rest_s = estimate(tuning, self.state, seen, tick(self.t_s, dt_s, dt_s / 0.1))
        self.state = replace(self.state, gauge=gauge, rest_s=rest_s, outlook=now.outlook)
        table = string_rules(tuning, seen, now, np.zeros(layout.cells, bool), np.ones(layout.strings, bool))
        self.age_a = np.minimum.reduceat(table.charge[STRING_RULES.index(Rule.MODULE_SOH)], first)
        bound = join_strings(tuning, table)
        return np.array((bound.charge, bound.discharge))

    def learnt(self) -> tuple[Floats, Floats, Floats]:
        """Of the weak cells [string], shares of the truth: how far off capacity is, its own standard deviation, and how
        far off the 10-s resistance at mid SOC is."""
        tuning, truth, gauge = self.tuning, self.truth, self.state.gauge
        weak = weak_cells(tuning.layout)
        true_ah, ah, sd_ah = truth.cells.capacity_ah[weak], gauge.capacity_ah[weak], gauge.capacity_sd_ah[weak]
        true_ohm = truth.cells.resistance_ohm(10.0, warmth(truth.cells, truth.cell_c))[weak]
        read_c = self.well.module_c[tuning.layout.cell_module, 0]
        ohm = resistance(tuning.cells, gauge.ratio, 0.5, read_c)[HORIZONS_S.index(10.0), weak]
        return ah / true_ah - 1.0, sd_ah / true_ah, np.asarray(ohm / true_ohm - 1.0)
