"""Which keys the devices of a site file have: meter, inverters, cabinets, strings, modules, contacts.

A key that only some dialects need may be absent here; `cabinets` tells where it must stand and where it must not.
"""

from typing import Annotated, Literal

from pydantic import Field

from ess_controller.site.kinds import LIST, Name, Soh, Table, Watts, at_most

Crc = Literal["on", "learn", "off"]
Address = Annotated[int, Field(ge=0, le=65535, description="a Modbus address, counted from 0")]
Input = Literal["estop", "interlock", "smoke", "gas", "door"]
Output = Literal["fan", "chiller", "heater"]


class MeterTable(Table):
    """The meter at the grid connection."""

    dialect: Literal["sunspec_meter"]
    bus: Name
    positive_imports: bool = Field(description="true where it counts imports positive, false where exports")


class ArrayTable(Table):
    """Solar modules that look the same way."""

    kwp: float = Field(gt=0.0, le=1e5, description="DC name plate, kW peak")
    tilt_deg: float = Field(ge=0.0, le=90.0, description="0 flat, 90 upright")
    azimuth_deg: float = Field(ge=0.0, le=360.0, description="90 east, 180 south, 270 west")


class PvTable(Table):
    """A solar inverter and what it has on the roof."""

    name: Name
    dialect: Literal["sunspec_pv"]
    bus: Name
    rated_w: Watts = Field(description="AC name plate, W")
    array: Annotated[tuple[ArrayTable, ...], LIST, at_most(20)] = Field(min_length=1, max_length=20)


class PcsTable(Table):
    """A cabinet's inverter."""

    dialect: Literal["sunspec_pcs", "sunspec_pcs_legacy"]
    bus: Name
    fallback_is_zero: bool | None = Field(
        default=None, description="true where it was tested to fall to 0 W when its timer runs out"
    )
    discharge_reference_w: Watts | None = Field(
        default=None, description="what 100 % of OutWRte is, W, where its maker does not take WChaMax"
    )


class GatewayTable(Table):
    """A gateway that speaks for all strings of a cabinet, instead of CAN."""

    dialect: Literal["sunspec_battery"]
    bus: Name
    positive_discharges: bool = Field(description="true where it counts discharging positive, false where charging")


class IoTable(Table):
    """A cabinet's remote I/O: what its contacts report, what it switches."""

    dialect: Literal["remote_io"]
    bus: Name
    inputs: dict[Input, Address] = Field(description="contact = discrete input")
    outputs: dict[Output, Address] = Field(description="device = coil")
    closed_is_well: Annotated[tuple[Input, ...], LIST, at_most(5)] = Field(
        min_length=0, max_length=5, description="names of inputs whose closed contact (1) means that all is well"
    )


class BoxTable(Table):
    """A string's box: current, voltages, contactors, insulation."""

    dialect: Literal["sbox"]
    bus: Name
    crc: Crc


class ModuleTable(Table):
    """One battery module: its code goes with it for life, bus and slot are where it sits today."""

    code: Name
    dialect: Literal["csc", "sunspec_battery"]
    bus: Name | None = None
    slot: int | None = Field(default=None, ge=0, le=15, description="low nibble of its CAN ids")
    cells: int = Field(ge=8, le=16, description="cell groups in series")
    nameplate_ah: float = Field(gt=0.0, le=5000.0)
    soh: Soh = Field(description="from the intake test")
    crc: Crc | None = None
    origin: str = Field(min_length=1, max_length=200, description="where it comes from: car, mileage, retired when")


class StringTable(Table):
    """Modules in series behind one string box."""

    name: Name
    in_service: bool = Field(description="false while it is isolated by hand: nothing is said or heard")
    box: BoxTable | None = None
    module: Annotated[tuple[ModuleTable, ...], LIST, at_most(64)] = Field(min_length=1, max_length=64)


class CabinetTable(Table):
    """Strings in parallel behind one inverter."""

    name: Name
    pcs: PcsTable
    battery: GatewayTable | None = None
    io: IoTable | None = None
    string: Annotated[tuple[StringTable, ...], LIST, at_most(64)] = Field(min_length=1, max_length=64)
