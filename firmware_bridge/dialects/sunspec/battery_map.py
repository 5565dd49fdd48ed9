"""Which register of a battery cabinet means what: one SunSpec map from bank to cell, the way our cabinets lay it out.

'SunS' at 40000, then models 1, 802 (bank), 803 (its strings), for each string 804 (its modules in short) and one 805 a
module (its cells; SN is the module's code), 713 (storage), end mark. A gateway by others may lay the same models out in
another order: `battery_scan` finds them wherever they are.

Sign: the models give A and W no sign in words ("flowing to/from the battery bank"). IEC 61850, where they come from,
and model 701 count what a source gives as positive, and so do those who read 802 W as it is (evcc): positive is
discharging, the same as ours. `positive_discharges=False` turns a gateway that counts the other way, here and once.

Temperatures: 805 has one a cell, a module of ours four sensors. Cell `i` of `n` shows sensor `4 i // n`; the way back
is `battery_reading.sensors_of`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.dialects.sunspec.model import Model, encode_number, encode_text, load_model, missing_words
from firmware_bridge.dialects.sunspec.scan import END, MARK
from firmware_bridge.records import TEMPERATURES_PER_MODULE, CabinetSpec, Ints

Registers = NDArray[np.uint16]

BASE = 40000
REGISTERS = 0x10000
MOST_READ = 125  # registers in one Modbus read
MODULE_HEAD = load_model(805, 0).length + 2  # registers before the first cell
CELL = load_model(805, 1).length - load_model(805, 0).length
MOST_CELLS = (MOST_READ - MODULE_HEAD) // CELL  # a module is read in one go
STRING_HEAD = load_model(804, 0).length + 2
MODULE_IN_STRING = load_model(804, 1).length - load_model(804, 0).length
BANK_HEAD = load_model(803, 0).length + 2
STRING_IN_BANK = load_model(803, 1).length - load_model(803, 0).length
DISCHARGE_SIGN = {True: 1.0, False: -1.0}  # by `positive_discharges`

CONNECT, DISCONNECT = 1, 2  # 804 SetCon, 802 SetOp
ENABLE, DISABLE = 1, 2  # 804 SetEna


@dataclass(frozen=True, slots=True)
class BatterySeat:
    """A cabinet as the site file describes it: what a gateway must show, and what we serve."""

    string_names: tuple[str, ...]
    codes: tuple[tuple[str, ...], ...]  # [string][module] module code, 805 SN
    cells: tuple[tuple[int, ...], ...]  # [string][module] cell groups
    positive_discharges: bool = True  # what a gateway means by its plus

    def __post_init__(self) -> None:
        if not self.cells or not all(self.cells):
            raise ValueError("a battery cabinet has at least one string, a string at least one module")
        if len(self.string_names) != len(self.cells) or [*map(len, self.codes)] != [*map(len, self.cells)]:
            raise ValueError("string names, module codes and cell counts do not belong together")
        for code, count in zip(sum(self.codes, ()), sum(self.cells, ()), strict=True):
            if not 1 <= count <= MOST_CELLS:
                raise ValueError(f"module {code}: {count} cells, expected 1..{MOST_CELLS} (805 in one Modbus read)")

    @classmethod
    def of(cls, cabinet: CabinetSpec, positive_discharges: bool = True) -> "BatterySeat":
        """The cabinet as `records` describes it."""
        return cls(
            tuple(string.name for string in cabinet.strings),
            tuple(tuple(module.code for module in string.modules) for string in cabinet.strings),
            tuple(tuple(module.cells for module in string.modules) for string in cabinet.strings),
            positive_discharges,
        )


class BatteryMap:
    """Where everything of a seat is: numbers of strings, modules and cells in Layout order, and their registers.

    Raises ValueError when the cabinet is too large for the registers from 40000 on.
    """

    def __init__(self, seat: BatterySeat) -> None:
        self.seat = seat
        self.module_codes: tuple[str, ...] = sum(seat.codes, ())
        self.module_cells = np.array(sum(seat.cells, ()), np.int64)
        self.string_modules = np.array([len(string) for string in seat.cells], np.int64)
        self.strings, self.modules, self.cells = len(seat.cells), len(self.module_cells), int(self.module_cells.sum())
        self.first_cell = np.cumsum(self.module_cells) - self.module_cells  # [module]
        self.first_module = np.cumsum(self.string_modules) - self.string_modules  # [string]
        self.module_string = np.repeat(np.arange(self.strings), self.string_modules)
        self.cell_module = np.repeat(np.arange(self.modules), self.module_cells)
        self.position = np.arange(self.cells) - self.first_cell[self.cell_module]  # [cell] 0.. in its module
        self.place = np.arange(self.modules) - self.first_module[self.module_string]  # [module] 0.. in its string
        self.sensor = self.position * TEMPERATURES_PER_MODULE // self.module_cells[self.cell_module]  # [cell]
        self.models = self._models()
        self.common_at, self.bank_at, self.strings_at = (self._address(at) for at in range(3))
        self.storage_at = self._address(len(self.models) - 1)
        self.string_at = self._addresses(804)  # [string] ID register of its 804
        self.module_at = self._addresses(805)  # [module] of its 805
        self.cell_at = self.module_at[self.cell_module] + MODULE_HEAD + CELL * self.position  # [cell] CellV

    def _models(self) -> tuple[tuple[int, int, int], ...]:
        """(model, L, address) in the order of the map, the end mark not among them."""
        lengths = [(1, load_model(1).length), (802, load_model(802).length)]
        lengths.append((803, load_model(803, self.strings).length))
        for string in self.seat.cells:
            lengths.append((804, load_model(804, len(string)).length))
            lengths += [(805, load_model(805, count).length) for count in string]
        lengths.append((713, load_model(713).length))
        models, at = [], BASE + len(MARK)
        for model, length in lengths:
            models.append((model, length, at))
            at += length + 2
        if at + 2 > REGISTERS:
            raise ValueError(
                f"{self.strings} strings with {self.modules} modules and {self.cells} cells need {at + 2 - BASE} "
                f"registers; from {BASE} on there are {REGISTERS - BASE}: split the cabinet"
            )
        return tuple(models)

    def _address(self, index: int) -> int:
        return self.models[index][2]

    def _addresses(self, wanted: int) -> Ints:
        return np.array([address for model, _, address in self.models if model == wanted], np.int64)

    def module_of(self, string: int, place: int) -> int:
        """Number of a module by its string and its place in it, both from 0; -1 where there is none."""
        if not 0 <= string < self.strings or not 0 <= place < self.string_modules[string]:
            return -1
        return int(self.first_module[string]) + place

    def place_name(self, module: int) -> str:
        """`A1/M03`, as Layout says it."""
        return f"{self.seat.string_names[self.module_string[module]]}/M{self.place[module] + 1:02d}"

    def blank(self) -> Registers:
        """The whole map with every point "not implemented": heads, counts and module codes alone are there."""
        words: list[int] = [*MARK]
        for model, length, _ in self.models:
            words += blank_model(model, length)
        whole = np.array([*words, END, 0], np.uint16)
        self._number(whole)
        return whole

    def _number(self, whole: Registers) -> None:
        """Counts and indices, which begin at 1."""
        strings, modules = self.string_at - BASE, self.module_at - BASE
        whole[self.strings_at - BASE + offset(803, "NStr")] = self.strings
        in_bank = self.strings_at - BASE + BANK_HEAD + STRING_IN_BANK * np.arange(self.strings)
        whole[in_bank + group_offset(803, "StrNMod")] = self.string_modules
        whole[strings + offset(804, "Idx")] = np.arange(self.strings) + 1
        whole[strings + offset(804, "NMod")] = self.string_modules
        whole[modules + offset(805, "StrIdx")] = self.module_string + 1
        whole[modules + offset(805, "ModIdx")] = self.place + 1
        whole[modules + offset(805, "NCell")] = self.module_cells
        in_string = strings[self.module_string] + STRING_HEAD + MODULE_IN_STRING * self.place
        whole[in_string + group_offset(804, "ModNCell")] = self.module_cells
        code = load_model(805, 0).points["SN"]
        for at, text in zip(modules.tolist(), self.module_codes, strict=True):
            whole[at + code.offset : at + code.offset + code.size] = encode_text(text, code.size)

    def put(self, whole: Registers, model: int, address: int, values: Mapping[str, float | str]) -> None:
        """Set points of one model by name; numbers as the register has them, unscaled."""
        points = load_model(model, 0).points
        for name, value in values.items():
            point = points[name]
            words = encode_text(value, point.size) if isinstance(value, str) else encode_number(point.kind, value)
            at = address - BASE + point.offset
            whole[at : at + point.size] = words


def offset(model: int, name: str) -> int:
    """Registers from the model's ID register to a point outside its repeating group."""
    return load_model(model, 0).points[name].offset


def group_offset(model: int, name: str) -> int:
    """Registers from the beginning of one repetition to a point of the repeating group."""
    return next(
        point.offset - load_model(model, 0).length - 2
        for point in load_model(model, 1).points.values()
        if point.name.endswith(f".1.{name}")
    )


def blank_model(model: int, length: int) -> Sequence[int]:
    """A model of this L whose every point is "not implemented"."""
    plain, once = load_model(model, 0), load_model(model, 1)
    step = once.length - plain.length
    words = _missing(plain)
    if step:
        words += _missing(once)[plain.length + 2 :] * ((length - plain.length) // step)
    words[:2] = model, length
    return words


def _missing(model: Model) -> list[int]:
    return [word for point in model.points.values() for word in missing_words(point)]
