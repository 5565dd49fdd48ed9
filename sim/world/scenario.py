"""world.toml: what the simulated site is truly like, key by key; `sim.scenario_file` reads it. Nothing has a default.

Upper bounds are far beyond any iron: they keep a slip of the pen from overflowing the physics.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

Positive = Annotated[float, Field(gt=0, le=1e9)]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]
Celsius = Annotated[float, Field(ge=-60, le=120)]
Share = Annotated[float, Field(ge=0, le=1)]
Hour = Annotated[float, Field(ge=0, le=24)]
Weekday = Annotated[int, Field(ge=0, le=6)]

_LIST = Strict(False)  # TOML has lists only, so tuples are told to take them; what is inside stays strict
Text = Annotated[str, Field(min_length=1, max_length=100, description="a name")]
OffsetHours = Annotated[float, Field(ge=-14, le=14)]
Weekdays = Annotated[
    tuple[Weekday, ...], _LIST, Field(min_length=0, max_length=7, description="weekdays, Monday being 0")
]
Pair = Annotated[tuple[Positive, Positive], _LIST, Field(description="a pair of numbers above 0, one an RC element")]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Start(_Table):
    """How the cells are found."""

    soc: Share
    soc_sd: NotNegative
    temperature_c: Celsius


class Cell(_Table):
    """A new cell group (`parallel` cells as one)."""

    ocv_file: Annotated[str, Field(min_length=1, max_length=1000, description="the path of a curve (CSV)")]
    parallel: Annotated[int, Field(ge=1, le=8)]
    r10_ohm: Positive
    r0_share: Positive
    rc_share: Pair
    rc_s: Pair
    arrhenius_k: NotNegative
    hysteresis_v: NotNegative
    hysteresis_per_soc: Positive
    leak_per_month: NotNegative
    leak_factor_sd: Annotated[float, Field(ge=1, le=100)]
    leak_doubles_k: Positive
    soft_shorts: Share
    bleed_ohm: Positive
    bleed_sense_ohm: NotNegative
    heat_j_per_k: Positive


class Ageing(_Table):
    """How used cells differ from new ones and from one another."""

    spread: NotNegative
    r_per_soh: NotNegative
    r_module_sd: NotNegative
    r_soh_correlation: Annotated[float, Field(ge=-1, le=1)]
    ocv_shift_v: Annotated[float, Field(ge=-1, le=1)]
    ocv_shift_sd: NotNegative
    ocv_stretch: Annotated[float, Field(ge=0, le=1)]


class Pack(_Table):
    """Busbars, cables, precharge and the inverter's DC capacitor."""

    busbar_ohm: NotNegative
    link_ohm: NotNegative
    link_sd: NotNegative
    cable_ohm: Positive
    precharge_ohm: Positive
    bus_f: Positive
    bus_bleed_ohm: Positive
    insulation_ohm: Positive


class Thermal(_Table):
    """Heat paths: cell, module frame, cabinet air, ambient."""

    cell_module_w_per_k: Positive
    module_j_per_k: Positive
    module_air_w_per_k: Positive
    air_j_per_k: Positive
    air_ambient_w_per_k: Positive
    board_k_per_w: NotNegative


class Inverter(_Table):
    """One bidirectional inverter (PCS)."""

    charge_w: Positive
    discharge_w: Positive
    ramp_w_per_s: Positive
    start_s: NotNegative
    no_load_w: NotNegative
    loss_share: NotNegative
    loss_square: NotNegative
    standby_w: NotNegative
    dc_v_min: Positive
    dc_v_max: Positive


class Solar(_Table):
    """One solar inverter of the site."""

    ramp_share_per_s: Positive


class ClimateDevices(_Table):
    """What a cabinet's fan, chiller and heater do while they are switched on."""

    fan_air_factor: Annotated[float, Field(ge=1, le=100)]
    fan_w: NotNegative
    chiller_heat_w: NotNegative
    chiller_cop: Annotated[float, Field(ge=0.1, le=20)]
    heater_w: NotNegative


class Premises(_Table):
    """Load, sun and weather around the battery, made up."""

    utc_offset_h: OffsetHours
    base_w: NotNegative
    peak_w: NotNegative
    open_h: Hour
    close_h: Hour
    closed_weekdays: Weekdays
    noise_share: Share
    burst_w: NotNegative
    burst_share: Share
    pv_wp: NotNegative
    pv_share: Share
    sunrise_h: Hour
    sunset_h: Hour
    cloud_share: Share
    ambient_c: Celsius
    ambient_swing_k: NotNegative


class Sun(_Table):
    """What one solar inverter's panels could give: a measured column, scaled to its best quarter hour of the year."""

    pv: Text
    column: Text
    peak_w: Positive
    later_h: Annotated[float, Field(ge=-6, le=6)]


class Charger(_Table):
    """Charging points of one kind: when they are used, for how much energy, and how long they taper."""

    name: Text
    points: Annotated[int, Field(ge=1, le=200)]
    w: Positive
    open_h: Hour
    close_h: Annotated[float, Field(ge=0, le=48)]
    closed_weekdays: Weekdays
    sessions: Annotated[int, Field(ge=1, le=48)]
    used_share: Share
    energy_wh: Annotated[
        tuple[Positive, Positive], _LIST, Field(description="a pair of numbers above 0: least and most energy, Wh")
    ]
    taper_s: Positive


class Weather(_Table):
    """Outdoor temperature: monthly normals, swing over the day, spells of some days."""

    month_c: Annotated[
        tuple[Celsius, ...], _LIST, Field(min_length=12, max_length=12, description="temperatures, January first")
    ]
    swing_k: NotNegative
    spell_sd_k: NotNegative


class Measured(_Table):
    """Load and sun as measured elsewhere, on this site's scale. `series_file` is absolute once loaded."""

    utc_offset_h: OffsetHours
    series_file: Annotated[str, Field(min_length=1, max_length=1000, description="the path of a series (CSV)")]
    load_column: Text
    load_peak_w: NotNegative
    ripple_share: Share
    sun: Annotated[tuple[Sun, ...], _LIST, Field(min_length=0, max_length=100)]
    charger: Annotated[tuple[Charger, ...], _LIST, Field(min_length=0, max_length=100)]
    weather: Weather


class Sensors(_Table):
    """What instruments add to the truth: `_sd` between instruments, `noise` from sample to sample."""

    cell_offset_v_sd: NotNegative
    cell_noise_v: NotNegative
    temperature_offset_k_sd: NotNegative
    temperature_noise_k: NotNegative
    current_gain_sd: NotNegative
    current_offset_a_sd: NotNegative
    current_noise_a: NotNegative
    string_gain_sd: NotNegative
    string_noise_v: NotNegative
    insulation_noise_share: NotNegative
    meter_gain_sd: NotNegative
    meter_noise_w: NotNegative
    pcs_gain_sd: NotNegative
    pcs_noise_w: NotNegative
    register_period_s: NotNegative


class _World(_Table):
    """A whole world.toml but its premises. `cell.ocv_file` is relative to the file's folder, absolute once loaded."""

    seed: Annotated[int, Field(ge=0, le=2**53)]
    step_s: Annotated[float, Field(gt=0, le=10)]
    start: Start
    cell: Cell
    ageing: Ageing
    pack: Pack
    thermal: Thermal
    inverter: Inverter
    solar: Solar
    climate: ClimateDevices
    sensors: Sensors


class MadeUp(_World):
    """A world whose premises are made up by formulas."""

    premises: Premises


class OnRecord(_World):
    """A world whose premises play a measured year."""

    premises: Measured


Scenario = MadeUp | OnRecord
