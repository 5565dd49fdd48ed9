"""The controller's knobs, table by table of a site file: limits, contactors, estimate, dispatch, climate, balancing."""

from dataclasses import dataclass
from typing import Literal

from ess_controller.core.cell_model import Curve


@dataclass(frozen=True, slots=True, eq=False)
class LimitTuning:
    """Derating curves give a share (0..1) of the string's rated current."""

    rated_a: float  # each string, both directions
    cell_v_min: float  # what a prediction may reach, V
    cell_v_max: float
    horizon_s: float  # of the prediction, at least two beats
    charge_by_cell_v: Curve  # highest cell, V -> share
    discharge_by_cell_v: Curve  # lowest cell
    charge_by_c: Curve  # coldest and hottest sensor, C -> share
    discharge_by_c: Curve
    charge_by_soc: Curve  # highest cell, with its uncertainty
    discharge_by_soc: Curve  # lowest cell
    charge_by_soh: Curve  # most aged module
    inverter_efficiency: float  # its lowest: discharging, strings give more than the grid gets
    deep_discharge_v: float  # a cell found below this is never charged until an operator clears it


@dataclass(frozen=True, slots=True)
class ModeTuning:
    """Contactors: when they may close, when they must open. Plant seconds, except where the name says wire."""

    settle_s: float  # all good for so long before a start
    precharge_v: float  # bus within this of the string
    precharge_a: float  # and the current below this
    precharge_timeout_s: float
    join_v: float  # a string joins others on a live bus within this
    join_a: float  # and when the current that will equalise them is predicted below this
    closes_per_hour: int
    break_a: float  # contactors open below this
    break_deadline_s: float  # or after so long, whatever flows (data sheet)
    lost_open_wire_s: float  # data lost for so long: open
    insulation_ohm_min: float
    trip_cell_v_min: float
    trip_cell_v_max: float
    trip_cell_c_max: float
    trip_a: float


@dataclass(frozen=True, slots=True)
class EstimateTuning:
    """When a string counts as resting, and how far instruments and the intake test are trusted."""

    rest_a: float
    rest_s: float
    start_sd: float  # of SOC read from a voltage of unknown history
    capacity_sd: float  # of the intake test's, a share
    capacity_common_sd: float  # of all intake tests together: one tester, one way of testing
    voltage_sd_v: float  # of a cell's sensor and curve together: what no averaging removes
    current_gain_sd: float  # of a string's current sensor, a share
    bleed_ohm: float  # of the resistor that drains a bled cell


@dataclass(frozen=True, slots=True)
class DispatchTuning:
    """What the battery is for, when nobody asks for anything else."""

    rule: Literal["self_consumption", "time_of_use", "setpoint", "value"]
    set_w: float  # for the rule "setpoint", + discharging
    store_w: float  # for the rule "time_of_use", and "value" without a plan: stored in cheap hours, whole site
    peak_w: float  # mean import in a billing window to stay below; inf = no peak guard
    block_s: float  # billing window, counted from the full hour of the meter's clock
    slide_s: float  # one begins so often; equal to block_s: block follows block
    meter_clock_offset_s: float  # the meter's clock less ours
    meter_clock_within_s: float  # and how well that is known, either way
    ramp_w_per_s: float  # each cabinet
    idle_w: float  # less than this of a cabinet is not worth its inverter's own losses
    idle_stop_s: float  # after so long below, the inverter is stopped, or it would empty the battery by itself
    contract_w: float  # most the site may import
    export_w: float  # most it may export; 0 = never export on purpose
    feed_in_w: float  # most that may flow out, sun included: beyond, solar inverters are curtailed; inf = never
    load_share: float  # of their rating that inverters in use should carry before another is started


@dataclass(frozen=True, slots=True)
class ClimateTuning:
    """When a cabinet's fan, chiller and heater are switched, by its modules' sensors."""

    fan_on_c: float
    fan_off_c: float
    chiller_on_c: float
    chiller_off_c: float
    heater_on_c: float
    heater_off_c: float


@dataclass(frozen=True, slots=True)
class BalanceTuning:
    """When cells are bled, and what their boards bear."""

    least_share: float  # of a cell's capacity: less is not worth the heat
    start_sigmas: float  # surer than so many standard deviations, before a cell of an aligned string is bled
    stop_sigmas: float  # and bled until what is too much is within so many
    forgets_h: float  # of rest: what was seen so long ago counts 1/e
    soc_min: float  # an empty cell is not bled
    commission_share: float  # of a cell's capacity: with more, a string is commissioned
    upkeep_h_a_day: float  # others are bled so long
    look_every_s: float  # bleeding pauses so often
    look_s: float  # for so long, that voltages are seen without it
    board_c_max: float  # while a string is commissioned
    upkeep_board_c_max: float
    board_k_per_cell: float  # heat of one bled cell, on its module's board
