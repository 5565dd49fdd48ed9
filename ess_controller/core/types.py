"""The controller's own words: what it is tuned to, what it remembers, what it is asked, what it decides and why."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Literal

import numpy as np

from ess_controller.core.cell_model import CellModel
from ess_controller.core.gauge.kin import Kin
from ess_controller.core.gauge.outlook import Outlook, Window
from ess_controller.core.gauge.setup import Setup
from ess_controller.core.gauge.state import Gauge, GaugeTuning
from ess_controller.core.knobs import (
    BalanceTuning,
    ClimateTuning,
    DispatchTuning,
    EstimateTuning,
    LimitTuning,
    ModeTuning,
)
from ess_controller.core.ledger import Ledger
from ess_controller.core.steady import Course
from ess_controller.core.value import Value
from ess_controller.core.windows import Billing, Counted
from firmware_bridge.records import Bools, Commands, Envelope, Floats, Ints, Layout

# A command and its answer cross the wires within three beats, however long a beat is. They take more through a gateway,
# which is asked, precharges, closes and is read back.
WIRE_BEATS, GATEWAY_BEATS, GATEWAY_S = 3.0, 4.0, 6.0

# --- tuning: from site.toml and the cell file, frozen ---------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Tuning:
    """All that is fixed while the daemon runs."""

    layout: Layout
    envelope: Envelope
    cell: CellModel
    limits: LimitTuning
    mode: ModeTuning
    estimate: EstimateTuning
    dispatch: DispatchTuning
    module_soh: Floats  # [module] 0..1, intake test
    module_nameplate_ah: Floats  # [module]
    cell_ah: Floats  # [cell] nameplate x soh
    climate: ClimateTuning | None = None  # None: no cabinet has anything to switch
    balance: BalanceTuning | None = None  # None: nobody is bled

    @cached_property
    def module_ohm_factor(self) -> Floats:
        """[module] resistance as a multiple of the cell file's, for age and size."""
        return self.cell.resistance_by_soh(self.module_soh) * (self.cell.nameplate_ah / self.module_nameplate_ah)

    @cached_property
    def cells(self) -> Setup:
        """What the fuel gauge must know."""
        knobs = self.estimate
        return Setup(
            layout=self.layout,
            cell=self.cell,
            knobs=GaugeTuning.of(
                knobs.capacity_sd, knobs.capacity_common_sd, knobs.voltage_sd_v, knobs.current_gain_sd
            ),
            capacity_ah=self.cell_ah,
            kin=Kin.of(self.module_soh[self.layout.cell_module], self.layout.modules),
            ohm_factor=self.module_ohm_factor[self.layout.cell_module],
            start_sd=knobs.start_sd,
            bleed_ohm=knobs.bleed_ohm,
        )

    @cached_property
    def window(self) -> Window:
        """Where a prediction may lead cells."""
        return Window(self.limits.cell_v_min, self.limits.cell_v_max, self.limits.rated_a)

    @cached_property
    def billing(self) -> Billing:
        """Which windows the meter counts demand by."""
        knobs = self.dispatch
        return Billing.of(knobs.block_s, knobs.slide_s, knobs.meter_clock_offset_s, knobs.meter_clock_within_s)

    @cached_property
    def empty_soc(self) -> float:
        """Where a cell's SOC lets nothing be discharged any more."""
        curve = self.limits.discharge_by_soc
        return float(curve.x[curve.y <= 0.0].max(initial=0.0))

    @cached_property
    def full_soc(self) -> float:
        """Where a cell's SOC lets nothing be charged any more."""
        curve = self.limits.charge_by_soc
        return float(curve.x[curve.y <= 0.0].min(initial=1.0))

    @cached_property
    def string_usable_v(self) -> Floats:
        """[string] mean voltage at rest between empty and full."""
        cell_v = float(self.cell.ocv(np.linspace(self.empty_soc, self.full_soc, 101)).mean())
        ends = np.append(self.layout.first_cell_of_string[1:], self.layout.cells)
        return np.asarray(cell_v * (ends - self.layout.first_cell_of_string))

    @cached_property
    def string_ohm(self) -> Floats:
        """[string] resistance of its cells at 25 C and the prediction's horizon: the least it will have in service."""
        return self._string_ohm(self.limits.horizon_s)

    @cached_property
    def string_at_once_ohm(self) -> Floats:
        """[string] the same in the first second: what stands against an inrush."""
        return self._string_ohm(1.0)

    def _string_ohm(self, horizon_s: float) -> Floats:
        each: Floats = (self.module_ohm_factor * self.cell.ohm(horizon_s))[self.layout.cell_module]
        return np.add.reduceat(each, self.layout.first_cell_of_string)

    @cached_property
    def by_gateway(self) -> tuple[bool, ...]:
        """[string] whether a gateway precharges and closes it, by itself."""
        behind: list[bool] = np.isin(self.layout.string_cabinet, self.layout.gateway_cabinet).tolist()
        return tuple(behind)

    @cached_property
    def precharge_within(self) -> tuple[Floats, Floats]:
        """[string] how long precharge may take: seconds, and beats, whichever is longer; more behind a gateway, which
        does it by itself."""
        behind = np.array(self.by_gateway, np.float64)
        return self.mode.precharge_timeout_s + GATEWAY_S * behind, WIRE_BEATS + GATEWAY_BEATS * behind


# --- asked for ------------------------------------------------------------------------------------------------------


Price = Literal["", "cheap", "middling", "dear"]


@dataclass(frozen=True, slots=True)
class Order:
    """What operator or plan want now; None leaves it to the site's rule. Passes limits and guard like everything."""

    run: bool = True  # False: strings rest with open contactors
    set_w: float | None = None  # whole site, + discharging
    clear_latched: bool = False  # an operator has looked: latched faults may go
    price: Price = ""  # of a bought kWh in this hour against the others of its day; "" = unknown
    value: Value | None = None  # for the rule "value": the plan's one stage that is this billing block
    unplanned: str = ""  # why there is none
    month_peak_w: float = 0.0  # highest mean import of a billing window of this month so far
    limit_w: float | None = None  # whole site, either way: no more than this
    valued_w: float | None = None  # of a journal, which has no room for plans: what the value function said then


# --- why ------------------------------------------------------------------------------------------------------------


class Rule(IntEnum):
    """Every reason that can bound power. The name is what the operator reads."""

    NONE = 0
    CELL_VOLTAGE = 1
    CELL_VOLTAGE_PREDICTED = 2
    CELL_TEMPERATURE = 3
    CELL_SOC = 4
    MODULE_SOH = 5
    STRING_CURRENT = 6
    DEEP_DISCHARGE = 7
    COMMUNICATION = 8
    CONTACTORS = 9
    PCS = 10
    GRID_CONTRACT = 11
    GRID_EXPORT = 12
    OPERATOR = 13
    SETTLING = 14


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """How far power or current may go each way, and whose word that is. Bounds join with `&` and only shrink."""

    charge: Floats  # [n] >= 0, A for strings, W for cabinets
    discharge: Floats  # [n] >= 0
    charge_by: Ints  # [n] Rule
    discharge_by: Ints  # [n] Rule

    def __and__(self, other: "Bound") -> "Bound":
        charge, discharge = other.charge < self.charge, other.discharge < self.discharge
        return Bound(
            np.where(charge, other.charge, self.charge),
            np.where(discharge, other.discharge, self.discharge),
            np.where(charge, other.charge_by, self.charge_by),
            np.where(discharge, other.discharge_by, self.discharge_by),
        )

    def clamp(self, power: Floats) -> Floats:
        """The nearest allowed value [n] of `power` [n], discharging positive, in the bound's own unit."""
        return np.minimum(np.maximum(power, -self.charge), self.discharge)


@dataclass(frozen=True, slots=True, eq=False)
class RuleTable:
    """Each string rule's own word on each cell, in the order of `limits.STRING_RULES`, A: reasons to be asked for."""

    charge: Floats  # [rule, cell] >= 0
    discharge: Floats  # [rule, cell] >= 0


# --- remembered -----------------------------------------------------------------------------------------------------


class Mode(IntEnum):
    """Where a string stands between lying open and carrying power."""

    WAKE = 0  # just started: contactors not yet seen, nothing is said to them
    OFF = 1
    PRECHARGE = 2
    RUN = 3
    RELEASE = 4  # wants to open: 0 W asked, waits for the current to fall
    TRIPPED = 5  # must open: the same, and a fault afterwards
    FAULT = 6


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that the controller remembers from beat to beat."""

    gauge: Gauge  # of all cells
    outlook: Outlook  # as of the gauge's last look
    rest_s: Floats  # [string] plant time at rest
    ledger: Ledger  # what each cell has too much
    deep: Bools  # [cell] was found deeply discharged
    deep_s: Floats  # [cell] how long it has been below that voltage
    bad_s: Floats  # [diagnosis, string] how long each condition has held
    good_s: Floats  # [string] how long nothing has been wrong
    latched: Bools  # [diagnosis, string] waits for an operator
    mode: Ints  # [string] Mode
    mode_s: Floats  # [string] plant time in this mode
    closed_t_s: Floats  # [string, closes_per_hour] when it closed last, oldest first
    power_w: Floats  # [cabinet] last told
    idle_s: Floats  # [cabinet] how long nothing worth its inverter's losses has been wanted
    counted: Counted  # imported in the billing windows that are in flight
    course: Course  # which way the plan's value function has the battery go
    climate: Ints  # [io] Climate bits, last told
    pv_limit_w: Floats  # [pv] last told; inf = not held back
    pv_beyond_s: Floats  # [pv] how long it has given more than that
    wire_s: float  # of the last beat

    @property
    def soc(self) -> Floats:
        """[cell] 0..1; NaN until a voltage was heard."""
        return self.gauge.soc

    @property
    def soc_sd(self) -> Floats:
        """[cell] its standard deviation."""
        return self.gauge.soc_sd


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What the controller believes after looking."""

    soc: Floats  # [cell] 0..1; NaN until a voltage was heard
    soc_sd: Floats  # [cell]
    soc_apart_sd: Floats  # [cell] of that, what it does not share with the other cells of its string
    capacity_ah: Floats  # [cell]
    capacity_sd_ah: Floats  # [cell]
    capacity_apart_sd_ah: Floats  # [cell] of that, what it does not share with the other cells
    quality: Ints  # [cell] bits of gauge.sensors.Quality
    outlook: Outlook  # what currents will do to each cell
    net_load_w: float  # load minus PV, as far as inverters that obey can serve it: grid + what these give

    @property
    def cell_ohm(self) -> Floats:
        """[cell] at the horizon that acts."""
        first: Floats = self.outlook.ohm[0]
        return first


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What is to be done and every reason for it."""

    order: Order
    commands: Commands
    estimate: Estimate
    wanted_w: float  # site, before any bound
    wanted_by: str  # rule that wanted it
    rules: RuleTable
    string_bound: Bound  # joined, A
    cabinet_bound: Bound  # joined, W
    active: Bools  # [diagnosis, string]
    valued_w: float | None = None  # what the plan's value function said; None: nothing
