"""Which keys a site file and a cell file have, and their ranges: one model for check, editors and messages.

Strict: a text is no number, an unknown key is refused, nothing has a default that the file does not show.
What concerns two keys at once (order, names, buses) is in `rules` and `buses`.
"""

from copy import deepcopy
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
CellVolts = Annotated[
    float, Field(ge=0.5, le=5.0)
]  # a cell's voltage, V: below any empty and above any full lithium cell
Celsius = Annotated[float, Field(ge=-60.0, le=120.0)]
Seconds = Annotated[float, Field(gt=0.0, le=3600.0)]
Amperes = Annotated[float, Field(gt=0.0, le=2000.0)]
Watts = Annotated[float, Field(gt=0.0, le=1e8)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Factor = Annotated[float, Field(gt=0.0, le=100.0)]
Ohms = Annotated[float, Field(gt=0.0, le=1.0)]
Soh = Annotated[float, Field(ge=0.3, le=1.1)]

# TOML has lists only, so tuples are told to take them; what is inside stays strict.
_LIST = Strict(False)


def _at_most(length: int) -> BeforeValidator:
    """Refuse a list that is too long as a whole, before anything is said of its elements."""

    def checked(value: object) -> object:
        if isinstance(value, list) and len(value) > length:
            raise ValueError("too long")
        return value

    return BeforeValidator(checked)


_VoltPoint = Annotated[tuple[CellVolts, Share], _LIST, Field(description="a pair [cell V, share 0..1]")]
_CelsiusPoint = Annotated[tuple[Celsius, Share], _LIST, Field(description="a pair [degrees C, share 0..1]")]
_SharePoint = Annotated[tuple[Share, Share], _LIST, Field(description="a pair [SOC 0..1, share 0..1]")]
_SohPoint = Annotated[tuple[Soh, Share], _LIST, Field(description="a pair [SOH 0.3..1.1, share 0..1]")]
_POINTS, _FEW = Field(min_length=2, max_length=100), _at_most(100)
_NUMBERS, _SHORT = Field(min_length=2, max_length=1000), _at_most(1000)
ByVolt = Annotated[tuple[_VoltPoint, ...], _LIST, _POINTS, _FEW, Field(description="pairs [cell V, share 0..1]")]
ByCelsius = Annotated[
    tuple[_CelsiusPoint, ...], _LIST, _POINTS, _FEW, Field(description="pairs [degrees C, share 0..1]")
]
BySoc = Annotated[tuple[_SharePoint, ...], _LIST, _POINTS, _FEW, Field(description="pairs [SOC 0..1, share 0..1]")]
BySoh = Annotated[tuple[_SohPoint, ...], _LIST, _POINTS, _FEW, Field(description="pairs [SOH 0.3..1.1, share 0..1]")]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Beat(_Table):
    """How often the controller looks, and when a value is too old to be one."""

    period_s: float = Field(ge=0.02, le=1.0, description="one beat, s")
    # Lost battery data must bring 0 W within 5 s at worst; module boards speak every 0.1 s.
    can_stale_s: float = Field(ge=0.2, le=5.0, description="a CAN value older than this is not heard, s")
    register_stale_s: float = Field(ge=0.2, le=5.0, description="a Modbus value older than this is not heard, s")


class EnvelopeTable(_Table):
    """What the iron stands. The guard obeys this and nothing else."""

    cell_v_min: CellVolts
    cell_v_max: CellVolts
    charge_c_min: Celsius = Field(description="no charging below, C")
    cell_c_min: Celsius
    cell_c_max: Celsius
    string_a_max: Amperes
    pcs_w_max: Watts = Field(description="each cabinet, W")


class LimitsTable(_Table):
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


class ModeTable(_Table):
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


class EstimateTable(_Table):
    """When a string counts as resting and how far to trust what is counted in between."""

    rest_a: float = Field(gt=0.0, le=100.0)
    rest_s: float = Field(gt=0.0, le=86400.0)
    start_sd: float = Field(gt=0.0, le=0.5, description="of SOC read from a voltage of unknown history")
    rest_sd: float = Field(gt=0.0, le=0.5, description="of SOC read from a rested voltage")
    drift_per_hour: float = Field(ge=0.0, le=1.0, description="growth of the standard deviation while counting")


class DispatchTable(_Table):
    """What the battery is for, when no operator asks for anything else."""

    rule: Literal["self_consumption", "setpoint"]
    set_w: float = Field(ge=-1e8, le=1e8, description="for the rule setpoint, discharging positive, W")
    peak_w: float = Field(
        gt=0.0,
        allow_inf_nan=True,
        description="mean import of a billing block to stay below, W; inf: no peak guard",
        json_schema_extra={"also": "inf"},
    )
    block_s: float = Field(ge=60.0, le=3600.0, description="billing block, counted from the full hour, s")
    ramp_w_per_s: float = Field(gt=0.0, le=1e8, description="each cabinet, W/s")
    idle_w: float = Field(ge=0.0, le=1e6, description="less than this of a cabinet is not worth running it, W")
    idle_stop_s: float = Field(ge=0.0, le=1e6, description="after so long below, the inverter is stopped, s")
    contract_w: Watts = Field(description="most the site may import, W")
    export_w: float = Field(ge=0.0, le=1e8, description="most it may export, W; 0: never on purpose")
    feed_in_w: float = Field(
        ge=0.0,
        allow_inf_nan=True,
        description="most that may flow out, sun included, W; inf: solar inverters are never curtailed",
        json_schema_extra={"also": "inf"},
    )
    load_share: float = Field(gt=0.0, le=1.0, description="load of the inverters in use before another starts, a share")


class MeterTable(_Table):
    """The meter at the grid connection."""

    dialect: Literal["sunspec_meter"]
    bus: Name


class PcsTable(_Table):
    """A cabinet's inverter."""

    dialect: Literal["sunspec_pcs"]
    bus: Name


class BoxTable(_Table):
    """A string's box: current, voltages, contactors, insulation."""

    dialect: Literal["sbox"]
    bus: Name
    crc: Literal["on", "learn", "off"]


class ModuleTable(_Table):
    """One battery module: its code goes with it for life, bus and slot are where it sits today."""

    code: Name
    dialect: Literal["csc"]
    bus: Name
    slot: int = Field(ge=0, le=15, description="low nibble of its CAN ids")
    cells: int = Field(ge=8, le=16, description="cell groups in series")
    nameplate_ah: float = Field(gt=0.0, le=5000.0)
    soh: Soh = Field(description="from the intake test")
    crc: Literal["on", "learn", "off"]


class StringTable(_Table):
    """Modules in series behind one string box."""

    name: Name
    box: BoxTable
    module: Annotated[tuple[ModuleTable, ...], _LIST, _at_most(64)] = Field(min_length=1, max_length=64)


class CabinetTable(_Table):
    """Strings in parallel behind one inverter."""

    name: Name
    pcs: PcsTable
    string: Annotated[tuple[StringTable, ...], _LIST, _at_most(64)] = Field(min_length=1, max_length=64)


class SiteFile(_Table):
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
    meter: MeterTable
    cabinet: Annotated[tuple[CabinetTable, ...], _LIST, _at_most(100)] = Field(min_length=1, max_length=100)


class OcvTable(_Table):
    """Open-circuit voltage over SOC."""

    soc: Annotated[tuple[Share, ...], _LIST, _NUMBERS, _SHORT] = Field(description="numbers from 0 to 1")
    v: Annotated[tuple[CellVolts, ...], _LIST, _NUMBERS, _SHORT] = Field(description="voltages")


class ResistanceTable(_Table):
    """Resistance over horizon, and what temperature and age make of it."""

    horizon_s: Annotated[tuple[Seconds, ...], _LIST, _NUMBERS, _SHORT] = Field(description="horizons")
    ohm: Annotated[tuple[Ohms, ...], _LIST, _NUMBERS, _SHORT] = Field(description="resistances")
    by_temperature_c: Annotated[tuple[Celsius, ...], _LIST, _NUMBERS, _SHORT] = Field(description="temperatures")
    temperature_factor: Annotated[tuple[Factor, ...], _LIST, _NUMBERS, _SHORT] = Field(description="factors")
    by_soh: Annotated[tuple[Share, ...], _LIST, _NUMBERS, _SHORT] = Field(description="SOHs from 0 to 1")
    soh_factor: Annotated[tuple[Factor, ...], _LIST, _NUMBERS, _SHORT] = Field(description="factors")


class CellFile(_Table):
    """What is known of a cell type when new."""

    name: str = Field(min_length=1, max_length=200, description="text of 1 to 200 characters")
    nameplate_ah: float = Field(gt=0.0, le=5000.0)
    ocv: OcvTable
    resistance: ResistanceTable


def schema(model: type[BaseModel] = SiteFile) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a site file, or of a cell file: for editors, and for the words of the messages."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **deepcopy(_words(model))}


@cache
def _words(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()
