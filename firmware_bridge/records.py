"""What a site can say (Measurements) and be told (Commands), and who sits where (Layout): all other rooms' words.

Positive flows towards the site busbar: battery discharging +, PV +, grid importing +. SI units, float64.
NaN = not heard; the age of a value travels beside it. Cells, modules and strings of a whole site are flat arrays;
`Layout` says which cell sits in which module, string and cabinet, so that forty strings cost what one costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag
from functools import cached_property
from math import nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TEMPERATURES_PER_MODULE = 4  # i3 CSC frame 0x170: four cell sensors and one of the board
CrcMode = Literal["on", "learn", "off"]
PcsDialect = Literal["sunspec_pcs", "sunspec_pcs_legacy"]


class Contactor(IntEnum):
    """Where a string's contactors are, or should be."""

    UNKNOWN = -1
    OPEN = 0
    PRECHARGE = 1
    CLOSED = 2


class PcsState(IntEnum):
    """What the inverter does, as far as control cares."""

    UNKNOWN = -1
    OFF = 0
    STANDBY = 1
    RUNNING = 2
    FAULT = 3


class Contact(IntFlag):
    """What a cabinet's contacts report; a bit is set when something is wrong. The hard-wired chain acts by itself."""

    ESTOP = 1  # pressed
    INTERLOCK = 2  # open: a plug pulled, a cover off (HVIL)
    SMOKE = 4
    GAS = 8
    DOOR = 16  # open


class Climate(IntFlag):
    """What blows, cools or warms a cabinet."""

    FAN = 1
    CHILLER = 2
    HEATER = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """One beat's instant. Made only by a clock."""

    t_s: float  # plant time, monotonic: physics and control
    dt_s: float  # plant time since the last beat
    wire_s: float  # wall time, monotonic: communication ages, watchdogs, reversion timers
    utc: datetime  # plant time of day, aware: tariffs, sun, records


# --- what is connected where -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """One battery module: its code goes with it for life, bus and slot are where it sits today."""

    code: str
    bus: str  # empty: behind its cabinet's gateway
    slot: int  # 0..15, low nibble of its CAN ids
    cells: int  # 8..16 cell groups
    nameplate_ah: float
    soh: float  # 0..1, from the intake test
    crc: CrcMode = "on"


@dataclass(frozen=True, slots=True)
class StringSpec:
    """Modules in series behind one string box (current sensor, contactors, precharge, insulation)."""

    name: str
    box_bus: str  # empty: behind its cabinet's gateway
    modules: tuple[ModuleSpec, ...]
    box_crc: CrcMode = "on"


@dataclass(frozen=True, slots=True)
class CabinetSpec:
    """Strings in parallel behind one inverter. A bus that is empty: the cabinet has no such device."""

    name: str
    pcs_bus: str
    strings: tuple[StringSpec, ...]
    pcs_dialect: PcsDialect = "sunspec_pcs"
    battery_bus: str = ""  # Modbus gateway (SunSpec 802-805) that speaks for all its strings, instead of CAN
    io: "IoSpec | None" = None
    pcs_fallback_is_zero: bool = False  # declared for a legacy inverter, whose fallback cannot be read back
    pcs_discharge_reference_w: float = nan  # of a legacy inverter: what 100 % of OutWRte is; NaN: WChaMax
    battery_positive_discharges: bool = True  # False: a gateway that counts charging positive


@dataclass(frozen=True, slots=True)
class IoChannel:
    """One contact or one switched output of a remote I/O device."""

    bit: int  # a Contact of an input, a Climate of an output
    address: int  # discrete input or coil, from 0
    inverted: bool = False  # a closed contact is well (as E-stop chains are wired): what is wrong reads 0


@dataclass(frozen=True, slots=True)
class IoSpec:
    """A cabinet's remote I/O: contacts, fan, chiller, heater."""

    bus: str
    inputs: tuple[IoChannel, ...]
    outputs: tuple[IoChannel, ...]


@dataclass(frozen=True, slots=True)
class PvSpec:
    """One solar inverter."""

    name: str
    bus: str
    rated_w: float  # AC name plate


@dataclass(frozen=True)
class PlantSpec:
    """Everything on the wires of one site. `buses` maps a bus name to its URL (`wires.urls`)."""

    buses: dict[str, str]
    cabinets: tuple[CabinetSpec, ...]
    meter_bus: str
    pvs: tuple[PvSpec, ...] = ()
    meter_positive_imports: bool = True  # False: a make that counts exports positive

    @cached_property
    def strings(self) -> tuple[StringSpec, ...]:
        """All strings, in Layout order."""
        return tuple(string for cabinet in self.cabinets for string in cabinet.strings)

    @cached_property
    def modules(self) -> tuple[ModuleSpec, ...]:
        """All modules, in Layout order."""
        return tuple(module for string in self.strings for module in string.modules)

    @cached_property
    def can_buses(self) -> tuple[str, ...]:
        """Names of the CAN buses, in order of first use; a frame's `bus` is the index here."""
        named = [*(module.bus for module in self.modules), *(string.box_bus for string in self.strings)]
        return tuple(dict.fromkeys(filter(None, named)))

    @cached_property
    def register_buses(self) -> tuple[str, ...]:
        """Names of the register buses: inverters, the meter, solar inverters, remote I/O, gateways, each in order."""
        return (
            *(cabinet.pcs_bus for cabinet in self.cabinets),
            self.meter_bus,
            *(pv.bus for pv in self.pvs),
            *(cabinet.io.bus for cabinet in self.cabinets if cabinet.io),
            *(cabinet.battery_bus for cabinet in self.cabinets if cabinet.battery_bus),
        )

    @cached_property
    def layout(self) -> "Layout":
        """Index arrays of this plant."""
        return Layout.of(self)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Who sits where. `first_*` are the offsets for `np.ufunc.reduceat`: no cabinet, string or module is ever empty."""

    cell_module: Ints  # [cell] -> module
    cell_string: Ints  # [cell] -> string
    module_string: Ints  # [module] -> string
    string_cabinet: Ints  # [string] -> cabinet
    first_cell: Ints  # [module] its first cell
    first_cell_of_string: Ints  # [string]
    first_module: Ints  # [string] its first module
    first_string: Ints  # [cabinet] its first string
    strings_of_cabinet: tuple[tuple[int, ...], ...]
    module_names: tuple[str, ...]
    string_names: tuple[str, ...]
    cabinet_names: tuple[str, ...]
    pv_names: tuple[str, ...]
    io_cabinet: Ints  # [io] -> cabinet
    gateway_cabinet: Ints  # [gateway] -> cabinet
    first_cell_of_cabinet: Ints  # [cabinet]
    cells_of_cabinet: Ints  # [cabinet] how many

    @classmethod
    def of(cls, plant: PlantSpec) -> "Layout":
        """Number everything in the order of the site file."""
        cells = [module.cells for module in plant.modules]
        modules = [len(string.modules) for string in plant.strings]
        strings = [len(cabinet.strings) for cabinet in plant.cabinets]
        module_string = np.repeat(np.arange(len(modules)), modules)
        cell_module = np.repeat(np.arange(len(cells)), cells)
        first_cell, first_module, first_string = _starts(cells), _starts(modules), _starts(strings)
        members = zip(first_string.tolist(), strings, strict=True)
        return cls(
            cell_module,
            module_string[cell_module],
            module_string,
            np.repeat(np.arange(len(strings)), strings),
            first_cell,
            first_cell[first_module],
            first_module,
            first_string,
            tuple(tuple(range(first, first + count)) for first, count in members),
            tuple(module.code for module in plant.modules),
            tuple(string.name for string in plant.strings),
            tuple(cabinet.name for cabinet in plant.cabinets),
            tuple(pv.name for pv in plant.pvs),
            np.array([at for at, cabinet in enumerate(plant.cabinets) if cabinet.io], np.int64),
            np.array([at for at, cabinet in enumerate(plant.cabinets) if cabinet.battery_bus], np.int64),
            first_cell[first_module][first_string],
            np.add.reduceat(np.add.reduceat(cells, first_module), first_string),
        )

    @property
    def cells(self) -> int:
        """How many cell groups the site has."""
        return len(self.cell_module)

    @property
    def modules(self) -> int:
        """How many modules."""
        return len(self.module_names)

    @property
    def strings(self) -> int:
        """How many strings."""
        return len(self.string_names)

    @property
    def cabinets(self) -> int:
        """How many cabinets (each with one inverter)."""
        return len(self.cabinet_names)

    @property
    def pvs(self) -> int:
        """How many solar inverters."""
        return len(self.pv_names)

    @property
    def ios(self) -> int:
        """How many remote I/O devices."""
        return len(self.io_cabinet)

    def of_cabinet(self, cabinet: int) -> tuple[slice, slice, slice]:
        """Where a cabinet's cells, modules and strings lie: side by side, as all is numbered cabinet by cabinet."""
        strings = self.strings_of_cabinet[cabinet]
        modules = self.module_string.searchsorted((strings[0], strings[-1] + 1)).tolist()
        cells = self.cell_string.searchsorted((strings[0], strings[-1] + 1)).tolist()
        return slice(*cells), slice(*modules), slice(strings[0], strings[-1] + 1)

    def cell_name(self, cell: int) -> str:
        """`A1/M03/C07`: string, module position and cell position, counted from 1 as on the label."""
        module = int(self.cell_module[cell])
        return f"{self.module_place(module)}/C{cell - int(self.first_cell[module]) + 1:02d}"

    def module_place(self, module: int) -> str:
        """`A1/M03`: where a technician finds it (its code is in `module_names`)."""
        string = int(self.module_string[module])
        return f"{self.string_names[string]}/M{module - int(self.first_module[string]) + 1:02d}"


def nothing_of() -> Floats:
    """Numbers of devices that a site does not have."""
    return np.zeros(0)


def no_bits() -> Ints:
    """Bits of devices that a site does not have."""
    return np.zeros(0, np.int64)


def _starts(counts: Sequence[int]) -> Ints:
    return np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)


# --- one picture in, one set of commands out -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Measurements:
    """One consistent picture of the whole site, taken at one tick."""

    cell_v: Floats  # [cell]
    cell_age_s: Floats  # [cell] since a valid voltage was heard
    cell_bleeding: Bools  # [cell] its bleed resistor is on: the voltage is not the cell's
    module_c: Floats  # [module, 4]
    module_board_c: Floats  # [module]
    module_error: Ints  # [module] error bits of the board
    module_age_s: Floats  # [module] since any live frame
    string_a: Floats  # [string] mean over the beat, + discharging
    string_v: Floats  # [string] battery side of the contactors
    string_bus_v: Floats  # [string] inverter side of the contactors
    string_contactor: Ints  # [string] Contactor, as fed back
    string_disabled: Bools  # [string] out of service by its gateway's word, however old
    string_fault: Ints  # [string] fault bits of the string box
    string_insulation_ohm: Floats  # [string]
    string_age_s: Floats  # [string] the oldest of current, voltages and feedback
    pcs_w: Floats  # [cabinet] AC side, + discharging
    pcs_state: Ints  # [cabinet] PcsState
    pcs_charge_w: Floats  # [cabinet] rating, >= 0
    pcs_discharge_w: Floats  # [cabinet] rating, >= 0
    pcs_set_w: Floats  # [cabinet] set-point as read back
    pcs_armed: Bools  # [cabinet] its reversion to 0 W is proven by read-back; without it no power is asked
    pcs_local: Bools  # [cabinet] switched to local: we do not write
    pcs_age_s: Floats  # [cabinet]
    grid_w: float  # + importing
    grid_age_s: float  # since the meter said something new
    pv_w: Floats = field(default_factory=nothing_of)  # [pv] AC side, + generating
    pv_rated_w: Floats = field(default_factory=nothing_of)  # [pv] as it says itself, else its name plate
    pv_age_s: Floats = field(default_factory=nothing_of)  # [pv]
    io_contact: Ints = field(default_factory=no_bits)  # [io] Contact bits; -1 = not heard
    io_climate: Ints = field(default_factory=no_bits)  # [io] Climate bits as read back; -1 = not heard
    io_age_s: Floats = field(default_factory=nothing_of)  # [io]

    @cached_property
    def module_cold_c(self) -> Floats:
        """[module] its coldest sensor; NaN where none is heard."""
        coldest: Floats = np.fmin.reduce(self.module_c, axis=1)
        return coldest

    @cached_property
    def module_hot_c(self) -> Floats:
        """[module] its hottest sensor; NaN where none is heard."""
        hottest: Floats = np.fmax.reduce(self.module_c, axis=1)
        return hottest

    @cached_property
    def box_heard(self) -> Bools:
        """[string] whether current and both voltages are known."""
        return ~np.isnan(self.string_a + self.string_v + self.string_bus_v)


@dataclass(frozen=True, slots=True, eq=False)
class Commands:
    """What the site is told in this beat."""

    pcs_w: Floats  # [cabinet] + discharging
    pcs_run: Bools  # [cabinet] started; a stopped inverter drops to 0 W at once, without its ramp
    contactor: Ints  # [string] Contactor
    bleed: Bools  # [cell]
    bleed_s: float = 0.0  # how long the modules go on bleeding without a new word
    pv_limit_w: Floats = field(default_factory=nothing_of)  # [pv] most it may generate; inf = as the sun shines
    climate: Ints = field(default_factory=no_bits)  # [io] Climate bits


@dataclass(frozen=True, slots=True)
class Envelope:
    """The guard's hard numbers: what the iron stands. Not tuning."""

    cell_v_min: float
    cell_v_max: float
    charge_c_min: float
    cell_c_min: float
    cell_c_max: float
    string_a_max: float
    pcs_w_max: float  # each cabinet
