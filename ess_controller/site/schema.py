"""Which keys a site file and a cell file have, and their ranges: one model for check, editors and messages.

Strict: a text is no number, an unknown key is refused, nothing has a default that the file does not show: a table or
key that may be absent means that the site has no such thing. What concerns two keys at once (order, names, buses) is in
`rules`, `cabinets` and `buses`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ess_controller.site.alarm_tables import AlarmsTable
from ess_controller.site.carbon import CarbonTable
from ess_controller.site.devices import CabinetTable, MeterTable, PvTable
from ess_controller.site.expected_load import ExpectedLoadTable
from ess_controller.site.kinds import (
    LIST,
    NUMBERS,
    SHORT,
    Activation,
    Address,
    Amperes,
    ByCelsius,
    BySoc,
    BySoh,
    ByVolt,
    CellVolts,
    Celsius,
    CnyPerKwh,
    Customer,
    DemandMode,
    Factor,
    Kilowatts,
    LifeSoh,
    Name,
    Ohms,
    Seconds,
    Share,
    SmallVolts,
    Supply,
    Table,
    Watts,
    at_most,
    schema_of,
)


class Beat(Table):
    """How often the controller looks, and when a value is too old to be one."""

    period_s: float = Field(ge=0.02, le=1.0, description="one beat, s")
    # Lost battery data must bring 0 W within 5 s at worst; module boards speak every 0.1 s.
    can_stale_s: float = Field(ge=0.2, le=5.0, description="a CAN value older than this is not heard, s")
    register_stale_s: float = Field(ge=0.2, le=5.0, description="a Modbus value older than this is not heard, s")


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


class HealthTable(Table):
    """Where the lines are between keeping a module and recycling it. Without the table nobody is judged."""

    line_soh: Share = Field(description="end of use here: the forecast says when a module meets it")
    recycle_soh: Share = Field(description="surely below: raw material")
    light_within_days: float = Field(ge=0.0, le=3650.0, description="meets the line so soon: lighter duty, days")
    regroup_gap: Share = Field(description="so far below the middle module of its string: regroup, in SOH")
    derate_soh: Share
    derate_resistance: float = Field(gt=1.0, le=10.0, description="10-s resistance over that of a new cell")
    recycle_resistance: float = Field(gt=1.0, le=20.0, description="10-s resistance over that of a new cell")
    leak_per_month: float = Field(
        gt=0.0, le=1.0, description="self-discharge over its string's: a soft short is suspected, a share of capacity"
    )
    recycle_leak_per_month: float = Field(gt=0.0, le=10.0, description="the same, that cannot be lived with")
    knee_probability: float = Field(ge=0.5, le=0.999, description="that fading has sped up for good: it is told")
    fade_per_year: float = Field(gt=0.0, le=0.5, description="what a module of this kind loses, a median, in SOH")
    fade_spread: float = Field(ge=0.1, le=2.0, description="standard deviation of its logarithm between modules")


class WearTable(Table):
    """What the modules' life is worth. Without the table nothing that the planner does wears them."""

    value_cny_per_kwh: CnyPerKwh = Field(
        description="of what modules hold: to replace it, less what they bring when they go, CNY"
    )
    life_soh: LifeSoh = Field(description="SOH that they can lose for that, from intake to their end here")
    cell_c: Celsius = Field(description="of the cells, a mean over the year, C")


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


class LocationTable(Table):
    """Where the site is: for the sun."""

    latitude: float = Field(ge=-90.0, le=90.0, description="degrees, north positive")
    longitude: float = Field(ge=-180.0, le=180.0, description="degrees, east positive")
    altitude_m: float = Field(ge=-500.0, le=9000.0)


class ContractTable(Table):
    """What the site has agreed with its supplier."""

    supply: Supply = Field(description="voltage class of the bill")
    customer: Customer = Field(description="class of the bill")
    tariff_file: str = Field(
        min_length=1, max_length=1000, description="the path of a tariff file, relative to this file"
    )
    demand: DemandMode = Field(description="what the monthly demand charge is counted by")
    contract_kw: Kilowatts | None = Field(default=None, description="agreed demand, with demand = contract")
    transformer_kva: float = Field(gt=0.0, le=1e6, description="of the site's transformers")


class WeatherTable(Table):
    """Where the planner's weather forecast comes from. Without the table it goes by what was measured alone."""

    source: str = Field(
        min_length=1,
        max_length=1000,
        description="http(s)://HOST/PATH of Open-Meteo's forecast API, or the path of a file, relative to this",
    )
    every_h: float = Field(ge=0.25, le=24.0, description="asked anew so often, h")
    oldest_h: float = Field(ge=1.0, le=72.0, description="gone on with while it is no older, h")


class ServeTable(Table):
    """Our cabinets as SunSpec batteries for other systems, read only."""

    url: str = Field(min_length=1, max_length=1000, description="tcp://HOST:PORT/1 or rtu:PATH, unit 1 = first cabinet")


class PageTable(Table):
    """What stands before the operator's page (`ess board SITE`). Without the table nobody's word on who asks counts."""

    trusted_proxy: Address = Field(
        description="the address of the TLS proxy before it, whose X-Forwarded-For and -Proto are believed"
    )


class InfluxTable(Table):
    """Where reports go. The token is a secret: it stands in the environment, never in a file."""

    url: str = Field(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=1000, description="http(s)://HOST:PORT")
    org: str = Field(min_length=1, max_length=200, description="an organisation's name")
    bucket: str = Field(min_length=1, max_length=200, description="a bucket's name")
    bucket_1m: str = Field(min_length=1, max_length=200, description="a bucket's name, that of `bucket` or another")
    bucket_long: str = Field(min_length=1, max_length=200, description="a bucket's name, that of `bucket` or another")
    token_env: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$",
        description="the name of the environment variable that holds the token",
    )
    outbox_mb: float = Field(gt=0.0, le=1e6, description="disk for what could not be sent yet, MB")


SolarInverters = Annotated[
    tuple[PvTable, ...], LIST, Field(min_length=1, max_length=100, description="solar inverters"), at_most(100)
]


class SiteFile(Table):
    """A site.toml."""

    name: Name
    time_zone: str = Field(min_length=1, max_length=64, description="an IANA time zone, such as Asia/Shanghai")
    cell_file: str = Field(min_length=1, max_length=1000, description="the path of a cell file, relative to this file")
    buses: dict[Name, str] = Field(description="bus name = URL", min_length=1, max_length=1000)
    beat: Beat
    envelope: EnvelopeTable
    limits: LimitsTable
    mode: ModeTable
    estimate: EstimateTable
    dispatch: DispatchTable
    balance: BalanceTable | None = None
    health: HealthTable | None = None
    wear: WearTable | None = None
    climate: ClimateTable | None = None
    location: LocationTable | None = None
    contract: ContractTable | None = None
    expected_load: ExpectedLoadTable | None = None
    weather: WeatherTable | None = None
    carbon: CarbonTable | None = None
    serve: ServeTable | None = None
    page: PageTable | None = None
    influx: InfluxTable | None = None
    alarms: AlarmsTable | None = None
    meter: MeterTable
    pv: SolarInverters | None = None
    cabinet: Annotated[tuple[CabinetTable, ...], LIST, at_most(100)] = Field(min_length=1, max_length=100)


class OcvTable(Table):
    """Open-circuit voltage over SOC."""

    soc: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    v: Annotated[tuple[CellVolts, ...], LIST, NUMBERS, SHORT] = Field(description="voltages")


class ResistanceTable(Table):
    """Two RC pairs over SOC at 25 C, new, and what temperature and age make of them."""

    soc: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    r0_ohm: Annotated[tuple[Ohms, ...], LIST, NUMBERS, SHORT] = Field(description="resistances")
    r1_ohm: Annotated[tuple[Ohms, ...], LIST, NUMBERS, SHORT] = Field(description="resistances")
    r2_ohm: Annotated[tuple[Ohms, ...], LIST, NUMBERS, SHORT] = Field(description="resistances")
    rc_s: Annotated[tuple[Seconds, Seconds], LIST] = Field(description="two time constants")
    by_temperature_c: Annotated[tuple[Celsius, ...], LIST, NUMBERS, SHORT] = Field(description="temperatures")
    temperature_factor: Annotated[tuple[Factor, ...], LIST, NUMBERS, SHORT] = Field(description="factors")
    by_soh: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="SOHs from 0 to 1")
    soh_factor: Annotated[tuple[Factor, ...], LIST, NUMBERS, SHORT] = Field(description="factors")


class HysteresisTable(Table):
    """How far charging and discharging pull the voltage off its rest, whatever the current."""

    soc: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    v: Annotated[tuple[SmallVolts, ...], LIST, NUMBERS, SHORT] = Field(description="voltages, each way")
    share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(description="of the capacity, to build up 63 % of it")
    fades_s: Annotated[float, Field(gt=0.0, le=1e9)] = Field(description="time constant of its fading at rest, s")


class DataSheetTable(Table):
    """What the cell's maker allows."""

    v_min: CellVolts
    v_max: CellVolts
    charge_c_min: Celsius = Field(description="no charging below, C")


class AgeingTable(Table):
    """What an aged cell loses next, in SOH, at 25 C: by cycles over their depth, and in a year of rest over SOC."""

    depth: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    per_cycle: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="shares of the nameplate")
    soc: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="numbers from 0 to 1")
    per_year: Annotated[tuple[Share, ...], LIST, NUMBERS, SHORT] = Field(description="shares of the nameplate")
    cycle_j_per_mol: Activation = Field(description="activation energy of what cycles do, J/mol")
    rest_j_per_mol: Activation = Field(description="and of what time does, J/mol")


class CellFile(Table):
    """What is known of a cell type when new."""

    name: str = Field(min_length=1, max_length=200, description="text of 1 to 200 characters")
    nameplate_ah: float = Field(gt=0.0, le=5000.0)
    data_sheet: DataSheetTable
    ocv: OcvTable
    resistance: ResistanceTable
    hysteresis: HysteresisTable
    ageing: AgeingTable | None = None


def schema(model: type[BaseModel] = SiteFile) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a site file, or of another: for editors, and for the words of the messages."""
    return schema_of(model)
