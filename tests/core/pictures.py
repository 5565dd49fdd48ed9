"""Pictures of the bench site for tests of the core: everything well, unless a test says otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ess_controller.core.gauge.filter import SOC
from ess_controller.core.knobs import ClimateTuning
from ess_controller.core.step import first_state, step
from ess_controller.core.types import Decision, Mode, Order, State, Tuning
from ess_controller.site import load
from firmware_bridge.records import (
    CabinetSpec,
    Contactor,
    Floats,
    Ints,
    Layout,
    Measurements,
    ModuleSpec,
    PcsState,
    PlantSpec,
    StringSpec,
    Tick,
)

BENCH = Path(__file__).parents[2] / "sites/bench"
ASKED_NOTHING = Order()
START = datetime(2026, 6, 1, 4, tzinfo=UTC)


@cache
def tuning() -> Tuning:
    """The bench site's."""
    return load(BENCH, {}).tuning


@cache
def plant_tuning() -> Tuning:
    """The bench site's, for two cabinets of two strings of two modules of eight cells: 32 cells."""
    modules = [ModuleSpec(f"M{n}", f"can{n // 2}", n % 2, 8, 232.0, 0.8) for n in range(8)]
    strings = [StringSpec(f"S{n}", f"can{n}", tuple(modules[2 * n : 2 * n + 2])) for n in range(4)]
    cabinets = (CabinetSpec("A", "pcs a", tuple(strings[:2])), CabinetSpec("B", "pcs b", tuple(strings[2:])))
    layout = Layout.of(PlantSpec({}, cabinets, "meter"))
    soh, nameplate_ah = np.full(8, 0.8), np.full(8, 232.0)
    cell_ah = np.full(layout.cells, 0.8 * 232.0)
    return replace(tuning(), layout=layout, module_soh=soh, module_nameplate_ah=nameplate_ah, cell_ah=cell_ah)


CLIMATE = ClimateTuning(
    fan_on_c=32.0, fan_off_c=28.0, chiller_on_c=38.0, chiller_off_c=34.0, heater_on_c=5.0, heater_off_c=10.0
)


@cache
def dealer_tuning() -> Tuning:
    """Like `plant_tuning`, with two solar inverters and a remote I/O in the second cabinet."""
    plant = plant_tuning()
    layout = replace(plant.layout, pv_names=("roof", "carport"), io_cabinet=np.array([1]))
    return replace(plant, layout=layout, climate=CLIMATE)


def tick(t_s: float, dt_s: float = 0.1, speed: float = 1.0) -> Tick:
    """A beat at plant time t_s."""
    return Tick(t_s, dt_s, t_s / speed, START + timedelta(seconds=t_s))


def well(layout: Layout | None = None, /, **changes: Any) -> Measurements:
    """A site (the bench, or `layout`) at mid charge with closed contactors, idle, all heard."""
    layout = layout or tuning().layout
    cells, modules, strings, cabinets = layout.cells, layout.modules, layout.strings, layout.cabinets
    string_v = 3.7 * np.bincount(layout.cell_string).astype(np.float64)
    seen = Measurements(
        cell_v=np.full(cells, 3.7),
        cell_age_s=np.zeros(cells),
        cell_bleeding=np.zeros(cells, bool),
        module_c=np.full((modules, 4), 25.0),
        module_board_c=np.full(modules, 27.0),
        module_error=np.zeros(modules, np.int64),
        module_age_s=np.zeros(modules),
        string_a=np.zeros(strings),
        string_v=string_v,
        string_bus_v=string_v.copy(),
        string_contactor=np.full(strings, int(Contactor.CLOSED)),
        string_disabled=np.zeros(strings, bool),
        string_fault=np.zeros(strings, np.int64),
        string_insulation_ohm=np.full(strings, 1e6),
        string_age_s=np.zeros(strings),
        pcs_w=np.zeros(cabinets),
        pcs_state=np.full(cabinets, int(PcsState.RUNNING)),
        pcs_charge_w=np.full(cabinets, 50_000.0),
        pcs_discharge_w=np.full(cabinets, 50_000.0),
        pcs_set_w=np.zeros(cabinets),
        pcs_armed=np.ones(cabinets, bool),
        pcs_local=np.zeros(cabinets, bool),
        pcs_age_s=np.zeros(cabinets),
        grid_w=20_000.0,
        grid_age_s=0.0,
        pv_w=np.zeros(layout.pvs),
        pv_rated_w=np.array([60_000.0, 20_000.0])[: layout.pvs],
        pv_age_s=np.zeros(layout.pvs),
        io_contact=np.zeros(layout.ios, np.int64),
        io_climate=np.zeros(layout.ios, np.int64),
        io_age_s=np.zeros(layout.ios),
    )
    return replace(seen, **changes)


@dataclass(slots=True)
class Controller:
    """The core, beat after beat, with what it remembers. A beat is a tenth of a second on the wires, `dt_s` in the
    plant: its speed is plant time over wall time."""

    tuning: Tuning
    dt_s: float = 0.1
    t_s: float = 0.0
    state: State = field(init=False)
    lies: Ints = field(init=False)  # where contactors lie that do as they are told, see `obeyed`

    def __post_init__(self) -> None:
        self.state = first_state(self.tuning)
        self.lies = np.full(self.tuning.layout.strings, int(Contactor.OPEN))

    def beat(self, seen: Measurements, order: Order = ASKED_NOTHING) -> Decision:
        """One beat later."""
        self.t_s += self.dt_s
        self.state, decision = step(self.tuning, self.state, seen, order, tick(self.t_s, self.dt_s, self.dt_s / 0.1))
        return decision

    def last(self, seconds: float, seen: Measurements, order: Order = ASKED_NOTHING) -> Decision:
        """The same picture for so long (two beats at least); the last decision."""
        for _ in range(max(ceil(seconds / self.dt_s - 1e-9), 2) - 1):
            self.beat(seen, order)
        return self.beat(seen, order)

    def until(
        self, enough: Callable[[Decision], bool], seen: Measurements, order: Order = ASKED_NOTHING, most: int = 1000
    ) -> int:
        """The same picture until a decision is as wished: how many beats that took, `most` at most."""
        for beats in range(1, most + 1):
            if enough(self.beat(seen, order)):
                return beats
        raise AssertionError(f"not in {most} beats; the string is in {self.mode().name}")

    def obeyed(self, seen: Measurements, order: Order = ASKED_NOTHING) -> Decision:
        """One beat later, with string boxes that have done what they were told in the beat before."""
        decision = self.beat(replace(seen, string_contactor=self.lies), order)
        told = decision.commands.contactor
        self.lies = np.where(told == Contactor.UNKNOWN, self.lies, told)
        return decision

    def mode(self) -> Mode:
        """Of the first string."""
        return Mode(int(self.state.mode[0]))


def running(dt_s: float = 0.1, tuned: Tuning | None = None) -> Controller:
    """A controller that has found its contactors closed, and all well for as long as it takes to let power flow."""
    controller = Controller(tuned or tuning(), dt_s)
    controller.last(controller.tuning.mode.settle_s + dt_s, well(controller.tuning.layout), Order(set_w=0.0))
    assert set(controller.state.mode) == {Mode.RUN}
    controller.lies = well(controller.tuning.layout).string_contactor
    return controller


def one(values: NDArray[Any], at: int, value: float) -> NDArray[Any]:
    """A copy with one element changed."""
    changed = values.copy()
    changed.flat[at] = value
    return changed


def known(setting: Tuning, soc: Floats | float = 0.5, sd: float = 0.02, state: State | None = None) -> State:
    """A memory in which every cell has this SOC."""
    cells = setting.layout.cells
    first = state or first_state(setting)
    mean, cov = first.gauge.belief.mean.copy(), first.gauge.belief.cov.copy()
    mean[SOC], cov[SOC, SOC] = soc, sd**2
    belief = replace(first.gauge.belief, mean=mean, cov=cov)
    return replace(first, gauge=replace(first.gauge, belief=belief, soc_sd=np.full(cells, sd)))
