"""Which keys a site file has, and their ranges: one model for check, editors and messages.

Strict: a text is no number, an unknown key is refused, nothing has a default that the file does not show: a table or
key that may be absent means that the site has no such thing. What concerns two keys at once (order, names, buses) is in
`rules`, `cabinets` and `buses`.
"""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from ess_controller.site.alarm_tables import AlarmsTable
from ess_controller.site.carbon import CarbonTable
from ess_controller.site.control_tables import (
    BalanceTable,
    Beat,
    ClimateTable,
    DispatchTable,
    EnvelopeTable,
    EstimateTable,
    LimitsTable,
    ModeTable,
)
from ess_controller.site.devices import CabinetTable, MeterTable, PvTable
from ess_controller.site.expected_load import ExpectedLoadTable
from ess_controller.site.kinds import (
    LIST,
    Address,
    Celsius,
    CnyPerKwh,
    Customer,
    DemandMode,
    Kilowatts,
    LifeSoh,
    Name,
    Share,
    Supply,
    Table,
    at_most,
    schema_of,
)


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


def schema(model: type[BaseModel] = SiteFile) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a site file, or of another: for editors, and for the words of the messages."""
    return schema_of(model)
