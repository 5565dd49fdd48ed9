"""Which keys the tables of a site file have that the controller is tuned by, from its beat to its climate."""

from typing import Annotated, Literal

from pydantic import Field

from ess_controller.site.kinds import (
    Amperes,
    ByCelsius,
    BySoc,
    BySoh,
    ByVolt,
    CellVolts,
    Celsius,
    Seconds,
    Share,
    Table,
    Watts,
)


class Beat(Table):
    """How often the controller looks, and when a value is too old to be one."""

    period_s: float = Field(ge=0.02, le=1.0, description="one beat, s")
    # Lost battery data must bring 0 W within 5 s at worst; module boards speak every 0.1 s.
    can_stale_s: float = Field(ge=0.2, le=5.0, description="a CAN value older than this is not heard, s")
    register_stale_s: float = Field(
        ge=0.2,
        le=5.0,
        description="a Modbus value older than this is not heard, s; of a solar inverter, on a slow line, three turns",
    )


class EnvelopeTable(Table):
    """What the iron stands. The guard obeys this and nothing else."""

    cell_v_min: CellVolts
    cell_v_max: CellVolts
    charge_c_min: Celsius = Field(description="no charging below, C")
    cell_c_min: Celsius
    cell_c_max: Celsius
    string_a_max: Amperes
    pcs_w_max: Watts = Field(description="each cabinet, W")


class LimitsTable(Table):
    """Derating: share of the rated current over the worst cell."""

    rated_a: Amperes = Field(description="each string, both directions, A")
    cell_v_min: CellVolts = Field(description="what a prediction may reach, V")
    cell_v_max: CellVolts = Field(description="what a prediction may reach, V")
    horizon_s: Seconds = Field(description="of the prediction, s")
    inverter_efficiency: Annotated[float, Field(ge=0.5, le=1.0)] = Field(description="lowest of the inverter, a share")
    deep_discharge_v: CellVolts = Field(description="a cell found below is not charged until an operator clears it, V")
    charge_by_cell_v: ByVolt
    discharge_by_cell_v: ByVolt
    charge_by_c: ByCelsius
    discharge_by_c: ByCelsius
    charge_by_soc: BySoc
    discharge_by_soc: BySoc
    charge_by_soh: BySoh


class ModeTable(Table):
    """Contactors: when they may close, when they must open."""

    settle_s: Seconds = Field(description="all good for so long before a start, s")
    precharge_v: float = Field(gt=0.0, le=100.0, description="the bus is within this of the string, V")
    precharge_a: float = Field(gt=0.0, le=100.0, description="and the current is below this, A")
    precharge_timeout_s: float = Field(gt=0.0, le=60.0)
    join_v: float = Field(gt=0.0, le=100.0, description="a string joins others on a live bus within this, V")
    join_a: float = Field(gt=0.0, le=500.0, description="and when they will equalise with less than this, A")
    closes_per_hour: int = Field(ge=1, le=12)
    break_a: float = Field(gt=0.0, le=500.0, description="contactors open below this, A")
    break_deadline_s: float = Field(gt=0.0, le=60.0, description="or after so long, whatever flows (data sheet), s")
    lost_open_wire_s: float = Field(gt=0.0, le=60.0, description="data lost for so long: open, wall s")
    insulation_ohm_min: float = Field(gt=0.0, le=1e9)
    trip_cell_v_min: CellVolts
    trip_cell_v_max: CellVolts
    trip_cell_c_max: Celsius
    trip_a: Amperes


class EstimateTable(Table):
    """When a string counts as resting and how far to trust what is counted in between."""

    rest_a: float = Field(gt=0.0, le=100.0)
    rest_s: float = Field(gt=0.0, le=86400.0)
    start_sd: float = Field(gt=0.0, le=0.5, description="of SOC read from a voltage of unknown history")
    capacity_sd: float = Field(gt=0.0, le=0.5, description="of the intake test's capacity, a share")
    capacity_common_sd: float = Field(gt=0.0, le=0.5, description="of all intake tests together")
    voltage_sd_v: float = Field(gt=0.0, le=0.1, description="of a cell's sensor and curve together, V")
    current_gain_sd: float = Field(gt=0.0, le=0.1, description="of a string's current sensor, a share")
    bleed_ohm: float = Field(gt=0.5, le=1e6, description="of the resistor that drains a bled cell, ohm")


class BalanceTable(Table):
    """When cells are bled, and what their boards bear. Without the table nobody is bled."""

    least_share: float = Field(gt=0.0, le=0.5, description="of a cell's capacity: less is not worth the heat")
    start_sigmas: float = Field(
        ge=0.0, le=6.0, description="surer than so many standard deviations, before a cell of an aligned string is bled"
    )
    stop_sigmas: float = Field(ge=0.0, le=6.0, description="bled until what is too much is within so many of them")
    forgets_h: float = Field(ge=1.0, le=8760.0, description="of rest: what was seen so long ago counts 1/e, h")
    soc_min: Share = Field(description="a cell emptier than this is not bled")
    commission_share: float = Field(
        gt=0.0, le=0.5, description="of a cell's capacity: a string further apart is commissioned, bled at all times"
    )
    upkeep_h_a_day: float = Field(gt=0.0, le=24.0, description="another string is bled so long, h a day")
    look_every_s: float = Field(ge=10.0, le=3600.0, description="bleeding pauses so often, s")
    look_s: float = Field(ge=0.5, le=60.0, description="for so long, that voltages are seen without it, s")
    board_c_max: Celsius = Field(description="hottest a module's board may become while its string is commissioned, C")
    upkeep_board_c_max: Celsius = Field(description="and otherwise, C")
    board_k_per_cell: float = Field(gt=0.0, le=50.0, description="heat of one bled cell, on its module's board, K")


class DispatchTable(Table):
    """What the battery is for, when no operator asks for anything else."""

    rule: Literal["self_consumption", "time_of_use", "setpoint", "value"]
    set_w: float = Field(ge=-1e8, le=1e8, description="for the rule setpoint, discharging positive, W")
    store_w: float = Field(ge=0.0, le=1e8, description="for the rules time_of_use and value: stored in cheap hours, W")
    peak_w: float = Field(
        gt=0.0,
        allow_inf_nan=True,
        description="mean import of a billing window to stay below, W; inf: no peak guard",
        json_schema_extra={"also": "inf"},
    )
    block_s: float = Field(ge=60.0, le=3600.0, description="billing window, counted from the full hour, s")
    slide_s: float = Field(ge=60.0, le=3600.0, description="a window begins so often, s; as block_s: plain blocks")
    meter_clock_offset_s: float = Field(ge=-3600.0, le=3600.0, description="the meter's clock less ours, s")
    meter_clock_within_s: float = Field(ge=0.0, le=900.0, description="how well that is known, either way, s")
    ramp_w_per_s: float = Field(gt=0.0, le=1e8, description="each cabinet, W/s")
    idle_w: float = Field(ge=0.0, le=1e6, description="less than this of a cabinet is not worth running it, W")
    idle_stop_s: float = Field(ge=0.0, le=1e6, description="after so long below, the inverter is stopped, s")
    contract_w: Watts = Field(description="most the site may import, W")
    export_w: float = Field(ge=0.0, le=1e8, description="most it may export, W; 0: never on purpose")
    feed_in_w: float = Field(
        ge=0.0,
        allow_inf_nan=True,
        description="most that may flow out, sun included, W; inf: solar inverters are never curtailed; "
        "where the tariff's feed-in is below zero, any other number counts as 0",
        json_schema_extra={"also": "inf"},
    )
    load_share: float = Field(gt=0.0, le=1.0, description="load of the inverters in use before another starts, a share")


class ClimateTable(Table):
    """When fan, chiller and heater are switched, by the hottest and coldest sensor of a cabinet's modules."""

    fan_on_c: Celsius
    fan_off_c: Celsius
    chiller_on_c: Celsius
    chiller_off_c: Celsius
    heater_on_c: Celsius
    heater_off_c: Celsius
