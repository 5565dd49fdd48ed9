"""What a battery cabinet shows in its registers: cells, modules, strings and bank, all written in one go.

A number is computed once and written wherever the models repeat it (805 and 804, 804 and 803, 803 and 802). NaN is
"not implemented" (0xFFFF, 0x8000), what is beyond a register is clipped to its end.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from firmware_bridge.dialects.sunspec.battery_map import (
    BANK_HEAD,
    BASE,
    MODULE_IN_STRING,
    STRING_HEAD,
    STRING_IN_BANK,
    BatteryMap,
    Registers,
    group_offset,
    offset,
)
from firmware_bridge.records import Bools, Floats, Ints

SHARE, CELL_V, DC_V, DC_A, DEG_C, COUNT = 1e4, 1e3, 10.0, 10.0, 10.0, 1.0  # register codes a unit
SCALES = {  # power of ten that stands in the registers for it
    **dict.fromkeys(("SoC_SF", "SoH_SF"), -2),
    "CellV_SF": -3,
    **dict.fromkeys(("V_SF", "A_SF", "AMax_SF", "ModTmp_SF", "Tmp_SF"), -1),
}
Kind = Literal["plain", "signed"]


@dataclass(frozen=True, slots=True)
class Row:
    """One number of each module, string or bank, and the points that show it."""

    name: str
    unit: float
    points: tuple[str, ...]  # in each of the models that show it; empty: not in that one
    kind: Kind = "plain"


MODULE_ROWS = (
    Row("soc", SHARE, ("SoC", "ModSoC")),
    Row("soh", SHARE, ("SoH", "ModSoH")),
    Row("v", DC_V, ("V",)),
    Row("cell_v_max", CELL_V, ("CellVMax", "ModCellVMax")),
    Row("cell_v_max_at", COUNT, ("CellVMaxCell", "ModCellVMaxCell")),
    Row("cell_v_min", CELL_V, ("CellVMin", "ModCellVMin")),
    Row("cell_v_min_at", COUNT, ("CellVMinCell", "ModCellVMinCell")),
    Row("cell_v_mean", CELL_V, ("CellVAvg", "ModCellVAvg")),
    Row("c_max_at", COUNT, ("CellTmpMaxCell", "ModCellTmpMaxCell")),
    Row("c_min_at", COUNT, ("CellTmpMinCell", "ModCellTmpMinCell")),
    Row("bleeding", COUNT, ("NCellBal",)),
    Row("c_max", DEG_C, ("CellTmpMax", "ModCellTmpMax"), "signed"),
    Row("c_min", DEG_C, ("CellTmpMin", "ModCellTmpMin"), "signed"),
    Row("c_mean", DEG_C, ("CellTmpAvg", "ModCellTmpAvg"), "signed"),
)
STRING_ROWS = (
    Row("soc", SHARE, ("SoC", "StrSoC")),
    Row("soh", SHARE, ("SoH", "StrSoH")),
    Row("v", DC_V, ("V",)),
    Row("cell_v_max", CELL_V, ("CellVMax", "StrCellVMax")),
    Row("cell_v_max_at", COUNT, ("CellVMaxMod", "StrCellVMaxMod")),
    Row("cell_v_min", CELL_V, ("CellVMin", "StrCellVMin")),
    Row("cell_v_min_at", COUNT, ("CellVMinMod", "StrCellVMinMod")),
    Row("cell_v_mean", CELL_V, ("CellVAvg", "StrCellVAvg")),
    Row("c_max_at", COUNT, ("ModTmpMaxMod", "StrModTmpMaxMod")),
    Row("c_min_at", COUNT, ("ModTmpMinMod", "StrModTmpMinMod")),
    Row("bleeding", COUNT, ("NCellBal",)),
    Row("failure", COUNT, ("ConFail", "StrConFail")),
    Row("a", DC_A, ("A", "StrA"), "signed"),
    Row("c_max", DEG_C, ("ModTmpMax", "StrModTmpMax"), "signed"),
    Row("c_min", DEG_C, ("ModTmpMin", "StrModTmpMin"), "signed"),
    Row("c_mean", DEG_C, ("ModTmpAvg", "StrModTmpAvg"), "signed"),
)
STRING_BITS = (("St", "StrSt"), ("ConSt", "StrConSt"), ("Evt1", "StrEvt1"), ("EvtVnd1", "StrEvtVnd1"))


class Rows:
    """Where the rows of one level go: a table of values [row, n] becomes words in one step each for either kind."""

    def __init__(self, rows: tuple[Row, ...], places: tuple[tuple[int, Ints, bool], ...]) -> None:
        """`places`: for each of a row's points model, address of the ID register or the repetition, and whether it is
        a point of the repeating group."""
        self._unit = np.array([row.unit for row in rows])[:, None]
        signed = np.array([row.kind == "signed" for row in rows])
        self._least = np.where(signed, -32767.0, 0.0)[:, None]
        self._most = np.where(signed, 32767.0, 65534.0)[:, None]
        self._missing = np.where(signed, 0x8000, 0xFFFF)[:, None]
        source, target = [], []
        for number, row in enumerate(rows):
            for name, (model, address, in_group) in zip(row.points, places, strict=False):
                if name:
                    source.append(number)
                    target.append(address - BASE + (group_offset if in_group else offset)(model, name))
        self._source, self._target = np.array(source), np.array(target)  # [point], [point, n]

    def write(self, words: Registers, values: Floats) -> None:
        """Put [row, n] values, in SI, into the map."""
        codes = np.minimum(np.maximum(np.rint(values * self._unit), self._least), self._most)
        words[self._target] = np.where(np.isnan(codes), self._missing, codes).astype(np.int64)[self._source] & 0xFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """Lowest and highest of each group, and which member that is, counted from 1; NaN where none is known."""

    high: Floats  # [kind, group]
    high_at: Floats
    low: Floats
    low_at: Floats

    def named(self, kind: int, name: str) -> dict[str, Floats]:
        """One kind's four rows."""
        return {
            f"{name}_max": self.high[kind],
            f"{name}_max_at": self.high_at[kind],
            f"{name}_min": self.low[kind],
            f"{name}_min_at": self.low_at[kind],
        }


class Groups:
    """Members that belong to groups of any sizes, in order; values of several kinds are looked at together."""

    def __init__(self, sizes: Ints) -> None:
        """`sizes` [group]."""
        self._first = np.cumsum(sizes) - sizes
        self._shape = len(sizes), int(sizes.max())
        group = np.repeat(np.arange(len(sizes)), sizes)
        self._at = group * self._shape[1] + np.arange(len(group)) - self._first[group]
        self._rows = np.arange(self._shape[0])

    def _table(self, values: Floats) -> Floats:
        """[kind, member] -> [kind, group, place], NaN where a group is smaller."""
        whole = np.full((len(values), self._shape[0] * self._shape[1]), np.nan)
        whole[:, self._at] = values
        return whole.reshape(len(values), *self._shape)

    def extremes(self, high: Floats, low: Floats) -> Extremes:
        """Of [kind, member] upper and lower values (the same array, where a member has but one)."""
        upper = self._table(high)
        lower = upper if low is high else self._table(low)
        kinds = np.arange(len(high))[:, None]
        high_at = np.where(np.isnan(upper), -np.inf, upper).argmax(axis=2)
        low_at = np.where(np.isnan(lower), np.inf, lower).argmin(axis=2)
        high_v, low_v = upper[kinds, self._rows, high_at], lower[kinds, self._rows, low_at]
        # of a group of which nothing is known the place of its first member would be a lie
        return Extremes(
            high_v,
            np.where(np.isnan(high_v), np.nan, high_at + 1),
            low_v,
            np.where(np.isnan(low_v), np.nan, low_at + 1),
        )

    def mean(self, values: Floats, counts: Floats) -> tuple[Floats, Floats]:
        """Mean [kind, group] of what is known, each member weighing `counts` [kind, member]; and the counts known."""
        known = np.where(np.isnan(values), 0.0, counts)
        total = np.add.reduceat(np.where(known > 0.0, values, 0.0) * known, self._first, axis=1)
        weight = np.add.reduceat(known, self._first, axis=1)
        return np.where(weight > 0.0, total / np.maximum(weight, 1.0), np.nan), weight


class CellRegisters:
    """Cells, and all that modules and strings say of their cells."""

    def __init__(self, where: BatteryMap) -> None:
        self._map = where
        self._cells, self._modules = Groups(where.module_cells), Groups(where.string_modules)
        self._string_cells = np.add.reduceat(where.module_cells, where.first_module)
        in_string = where.string_at[where.module_string] + STRING_HEAD + MODULE_IN_STRING * where.place
        in_bank = where.strings_at + BANK_HEAD + STRING_IN_BANK * np.arange(where.strings)
        self._module_rows = Rows(MODULE_ROWS, ((805, where.module_at, False), (804, in_string, True)))
        self._string_rows = Rows(STRING_ROWS, ((804, where.string_at, False), (803, in_bank, True)))
        self._cell_at = where.cell_at - BASE
        self._bits_at = np.array(
            [
                [where.string_at - BASE + offset(804, own), in_bank - BASE + group_offset(803, above)]
                for own, above in STRING_BITS
            ]
        )  # [bits, own or above, string]
        self._one = np.ones((3, where.cells))

    def modules(
        self, words: Registers, cell_v: Floats, bleeding: Bools, module_c: Floats, cell_soc: Floats, module_soh: Floats
    ) -> dict[str, Floats]:
        """Write cells and modules; returns the module rows by name, and the weights of their means."""
        where = self._map
        cell_c = module_c[where.cell_module, where.sensor]
        _write_cells(words, self._cell_at, cell_v, cell_c, bleeding)
        measured = np.array((cell_v, cell_c))
        extremes = self._cells.extremes(measured, measured)
        mean, known = self._cells.mean(np.array((cell_v, cell_c, cell_soc)), self._one)
        found = {
            "soc": np.where(known[2] == where.module_cells, mean[2], np.nan),
            "soh": module_soh,
            "v": np.add.reduceat(cell_v, where.first_cell),  # not the sum of some: NaN
            **extremes.named(0, "cell_v"),
            "cell_v_mean": mean[0],
            **extremes.named(1, "c"),
            "bleeding": np.add.reduceat(bleeding.astype(np.float64), where.first_cell),
            "c_mean": mean[1],
        }
        self._module_rows.write(words, np.array([found[row.name] for row in MODULE_ROWS]))
        return found | {"known_v": known[0], "known_c": known[1]}

    def strings(
        self, words: Registers, modules: dict[str, Floats], string_a: Floats, string_v: Floats, failure: Ints
    ) -> dict[str, Floats]:
        """Write strings, from the rows of their modules; returns the string rows by name, and weights."""
        where = self._map
        high, low = (np.array((modules[f"cell_v_{end}"], modules[f"c_{end}"])) for end in ("max", "min"))
        extremes = self._modules.extremes(high, low)
        means, counts = (modules["cell_v_mean"], modules["c_mean"]), (modules["known_v"], modules["known_c"])
        mean, known = self._modules.mean(np.array(means), np.array(counts))
        soc = np.add.reduceat(modules["soc"] * where.module_cells, where.first_module) / self._string_cells
        found = {
            "soc": soc,
            "soh": np.minimum.reduceat(modules["soh"], where.first_module),  # a chain is as strong as its weakest link
            "v": string_v,
            **extremes.named(0, "cell_v"),
            "cell_v_mean": mean[0],
            **extremes.named(1, "c"),
            "bleeding": np.add.reduceat(modules["bleeding"], where.first_module),
            "failure": failure.astype(np.float64),
            "a": string_a,
            "c_mean": mean[1],
        }
        self._string_rows.write(words, np.array([found[row.name] for row in STRING_ROWS]))
        return found | {"known_v": known[0], "known_c": known[1]}

    def string_bits(self, words: Registers, bits: Ints) -> None:
        """Write bit fields [bits, string], in the order of STRING_BITS; -1 = not implemented."""
        words[self._bits_at] = (bits >> 16 & 0xFFFF)[:, None]
        words[self._bits_at + 1] = (bits & 0xFFFF)[:, None]


def _write_cells(words: Registers, at: Ints, cell_v: Floats, cell_c: Floats, bleeding: Bools) -> None:
    volts = np.minimum(np.maximum(np.rint(cell_v * CELL_V), 0.0), 65534.0)
    words[at] = np.where(np.isnan(volts), 0xFFFF, volts).astype(np.int64)
    celsius = np.minimum(np.maximum(np.rint(cell_c * DEG_C), -32767.0), 32767.0)
    words[at + 1] = np.where(np.isnan(celsius), 0x8000, celsius).astype(np.int64) & 0xFFFF
    words[at + 2] = 0
    words[at + 3] = bleeding
