"""What single values of a user's file may be: names, voltages, shares, curves; and the strict table they stand in."""

from copy import deepcopy
from functools import cache
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
# A cell's voltage, V: below any empty and above any full lithium cell.
CellVolts = Annotated[float, Field(ge=0.5, le=5.0)]
Celsius = Annotated[float, Field(ge=-60.0, le=120.0)]
Seconds = Annotated[float, Field(gt=0.0, le=3600.0)]
Amperes = Annotated[float, Field(gt=0.0, le=2000.0)]
Watts = Annotated[float, Field(gt=0.0, le=1e8)]
Kilowatts = Annotated[float, Field(gt=0.0, le=1e5)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Factor = Annotated[float, Field(gt=0.0, le=100.0)]
Ohms = Annotated[float, Field(ge=0.0, le=1.0)]
SmallVolts = Annotated[float, Field(ge=0.0, le=0.2)]
Soh = Annotated[float, Field(ge=0.3, le=1.1)]
LifeSoh = Annotated[float, Field(ge=0.01, le=1.0)]
CnyPerKwh = Annotated[float, Field(ge=0.0, le=1e5)]
Activation = Annotated[float, Field(ge=-2e5, le=2e5)]

# What a bill is made by. Under 1 kV ... 220 kV as the price sheets of the grid companies have it.
Supply = Literal["under_1kv", "10kv", "10kv_metered_low", "20kv", "35kv", "110kv", "220kv"]
Customer = Literal["commercial", "large_industry"]
DemandMode = Literal["actual", "contract", "capacity"]

# TOML has lists only, so tuples are told to take them; what is inside stays strict.
LIST = Strict(False)


def at_most(length: int) -> BeforeValidator:
    """Refuse a list that is too long as a whole, before anything is said of its elements."""

    def checked(value: object) -> object:
        if isinstance(value, list) and len(value) > length:
            raise ValueError("too long")
        return value

    return BeforeValidator(checked)


def _is_address(value: object) -> object:
    if isinstance(value, str):
        ip_address(value)
    return value


Address = Annotated[str, BeforeValidator(_is_address)]  # of a machine, IPv4 or IPv6

_VoltPoint = Annotated[tuple[CellVolts, Share], LIST, Field(description="a pair [cell V, share 0..1]")]
_CelsiusPoint = Annotated[tuple[Celsius, Share], LIST, Field(description="a pair [degrees C, share 0..1]")]
_SharePoint = Annotated[tuple[Share, Share], LIST, Field(description="a pair [SOC 0..1, share 0..1]")]
_SohPoint = Annotated[tuple[Soh, Share], LIST, Field(description="a pair [SOH 0.3..1.1, share 0..1]")]
POINTS, FEW = Field(min_length=2, max_length=100), at_most(100)
NUMBERS, SHORT = Field(min_length=2, max_length=1000), at_most(1000)
ByVolt = Annotated[tuple[_VoltPoint, ...], LIST, POINTS, FEW, Field(description="pairs [cell V, share 0..1]")]
ByCelsius = Annotated[tuple[_CelsiusPoint, ...], LIST, POINTS, FEW, Field(description="pairs [degrees C, share 0..1]")]
BySoc = Annotated[tuple[_SharePoint, ...], LIST, POINTS, FEW, Field(description="pairs [SOC 0..1, share 0..1]")]
BySoh = Annotated[tuple[_SohPoint, ...], LIST, POINTS, FEW, Field(description="pairs [SOH 0.3..1.1, share 0..1]")]


class Table(BaseModel):
    """Strict: a text is no number, an unknown key is refused, no infinity where none is allowed."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a file: for editors, and for the words of the messages. The caller's own copy."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **deepcopy(words_of(model))}


@cache
def words_of(model: type[BaseModel]) -> dict[str, Any]:
    """The same to look things up in, not to be changed."""
    without: dict[str, Any] = _without_null(model.model_json_schema())
    return without


def _without_null(node: Any) -> Any:
    """TOML knows no null: a key that may be absent is absent, and says only what may stand there."""
    if isinstance(node, list):
        return [_without_null(each) for each in node]
    if not isinstance(node, dict):
        return node
    said = {key: _without_null(value) for key, value in node.items() if not (key == "default" and value is None)}
    choice = [each for each in said.get("anyOf", []) if each != {"type": "null"}]
    if len(choice) == 1:
        del said["anyOf"]
        said = {**choice[0], **said}
    return said
