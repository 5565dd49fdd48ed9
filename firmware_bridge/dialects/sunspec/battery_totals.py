"""What a battery cabinet shows of itself as a whole (802, the head of 803, 713), and the picture it is made from."""

from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from firmware_bridge.dialects.sunspec.bank import scale_for
from firmware_bridge.dialects.sunspec.battery_faults import ALARMS
from firmware_bridge.dialects.sunspec.battery_map import DISCHARGE_SIGN, BatteryMap, Registers
from firmware_bridge.dialects.sunspec.battery_show import (
    CELL_V,
    COUNT,
    DC_A,
    DC_V,
    DEG_C,
    SCALES,
    SHARE,
    Groups,
    Row,
    Rows,
)
from firmware_bridge.records import Bools, Contactor, Floats, Ints

FLOWS_A = 1.0  # a bank with more than this is charging or discharging
HIGHEST_CELL_V, HIGHEST_STRING_A = 4.3, 400.0  # 1.7 C of 232 Ah: the power register holds all strings at that
DISCONNECTED, INITIALIZING, CONNECTED, FAULT = 1, 2, 3, 99  # 802 State
OFF, DISCHARGING, CHARGING, HOLDING = 1, 3, 4, 6  # 802 ChaSt
WELL, WARNING, ERROR = 0, 1, 2  # 713 Sta
_CELLS, _STRINGS = ("cell_v", "c"), ("v", "a")  # highest and lowest of the cells, and of the strings themselves
LITHIUM_ION = 4  # 802 Typ


@dataclass(frozen=True, slots=True)
class BatteryRatings:
    """Name plate of a cabinet's battery, DC side. NaN = not told."""

    capacity_ah: float = nan
    energy_wh: float = nan
    charge_w: float = nan
    discharge_w: float = nan


@dataclass(frozen=True, slots=True, eq=False)
class CabinetView:
    """A cabinet at one instant; arrays of its cells, modules and strings in Layout order. NaN = not known."""

    cell_v: Floats  # [cell]
    cell_bleeding: Bools  # [cell]
    module_c: Floats  # [module, 4]
    string_a: Floats  # [string] + discharging
    string_v: Floats  # [string] battery side of the contactors
    string_bus_v: Floats  # [string] inverter side; there is one bus: the first that is known counts
    contactor: Ints  # [string] Contactor
    fault: Ints  # [string] BoxFault bits; 0 = well, -1 = not known
    insulation_ohm: Floats  # [string]
    cell_soc: Floats | None = None  # [cell] 0..1
    module_soh: Floats | None = None  # [module] 0..1
    charge_a: float = nan  # most the cabinet takes and gives now, >= 0
    discharge_a: float = nan
    events: Ints | None = None  # [string] bits of Evt1 besides those that faults and insulation set


def _rows(w_scale: int, wh_scale: int) -> tuple[Row, ...]:
    """Each number, and its points in 802, 803 and 713."""
    return (
        Row("soc", SHARE, ("SoC", "", "SoC")),
        Row("soh", SHARE, ("SoH", "", "SoH")),
        Row("bus_v", DC_V, ("V",)),
        Row("cell_v_max", CELL_V, ("CellVMax",)),
        Row("cell_v_max_string", COUNT, ("CellVMaxStr",)),
        Row("cell_v_max_at", COUNT, ("CellVMaxMod",)),
        Row("cell_v_min", CELL_V, ("CellVMin",)),
        Row("cell_v_min_string", COUNT, ("CellVMinStr",)),
        Row("cell_v_min_at", COUNT, ("CellVMinMod",)),
        Row("cell_v_mean", CELL_V, ("CellVAvg",)),
        Row("charge_a", DC_A, ("AChaMax",)),
        Row("discharge_a", DC_A, ("ADisChaMax",)),
        Row("charging", COUNT, ("ChaSt",)),
        Row("state", COUNT, ("State",)),
        Row("heartbeat", COUNT, ("Hb",)),
        Row("connected", COUNT, ("", "NStrCon")),
        Row("c_max_string", COUNT, ("", "ModTmpMaxStr")),
        Row("c_max_at", COUNT, ("", "ModTmpMaxMod")),
        Row("c_min_string", COUNT, ("", "ModTmpMinStr")),
        Row("c_min_at", COUNT, ("", "ModTmpMinMod")),
        Row("v_max", DC_V, ("", "StrVMax")),
        Row("v_max_string", COUNT, ("", "StrVMaxStr")),
        Row("v_min", DC_V, ("", "StrVMin")),
        Row("v_min_string", COUNT, ("", "StrVMinStr")),
        Row("v_mean", DC_V, ("", "StrVAvg")),
        Row("a_max_string", COUNT, ("", "StrAMaxStr")),
        Row("a_min_string", COUNT, ("", "StrAMinStr")),
        Row("bleeding", COUNT, ("", "NCellBal")),
        Row("available_wh", 10.0**-wh_scale, ("", "", "WHAvail")),
        Row("health", COUNT, ("", "", "Sta")),
        Row("a", DC_A, ("A",), "signed"),
        Row("w", 10.0**-w_scale, ("W",), "signed"),
        Row("c_max", DEG_C, ("", "ModTmpMax"), "signed"),
        Row("c_min", DEG_C, ("", "ModTmpMin"), "signed"),
        Row("c_mean", DEG_C, ("", "ModTmpAvg"), "signed"),
        Row("a_max", DC_A, ("", "StrAMax"), "signed"),
        Row("a_min", DC_A, ("", "StrAMin"), "signed"),
        Row("a_mean", DC_A, ("", "StrAAvg"), "signed"),
    )


class Totals:
    """The registers of the bank as a whole."""

    def __init__(self, where: BatteryMap, ratings: BatteryRatings) -> None:
        self._map, self._ratings = where, ratings
        self._sign = DISCHARGE_SIGN[where.seat.positive_discharges]
        most_w = HIGHEST_STRING_A * HIGHEST_CELL_V * where.cells  # of all strings, each with its own cells
        w_scale, self._wh_scale = scale_for(most_w, 32767), scale_for(ratings.energy_wh, 65534)
        self._w_scale = w_scale
        self._strings, self._one = Groups(np.array([where.strings])), np.ones(where.strings)
        self._share = np.add.reduceat(where.module_cells, where.first_module) / where.cells
        self._names = tuple(row.name for row in _rows(w_scale, self._wh_scale))
        models = ((802, where.bank_at), (803, where.strings_at), (713, where.storage_at))
        places = tuple((model, np.array([address]), False) for model, address in models)
        self._rows = Rows(_rows(w_scale, self._wh_scale), places)

    def first_words(self, words: Registers) -> None:
        """Name plate and scale factors."""
        where, ratings = self._map, self._ratings
        power_scale = max(scale_for(w, 65534) for w in (ratings.charge_w, ratings.discharge_w))
        energy = {"WHRtg": ratings.energy_wh / 10**self._wh_scale}
        plate = energy | {
            "AHRtg": ratings.capacity_ah * 10,
            "WChaRteMax": ratings.charge_w / 10**power_scale,
            "WDisChaRteMax": ratings.discharge_w / 10**power_scale,
        }
        scales = {"AHRtg_SF": -1, "WHRtg_SF": self._wh_scale, "WChaDisChaMax_SF": power_scale, "W_SF": self._w_scale}
        kept = ("SoC_SF", "SoH_SF", "V_SF", "CellV_SF", "A_SF", "AMax_SF")
        scales |= {name: SCALES[name] for name in kept}
        fixed = {"LocRemCtl": 0, "Typ": LITHIUM_ION, "Evt2": 0, "EvtVnd1": 0, "EvtVnd2": 0}
        where.put(words, 802, where.bank_at, plate | scales | fixed)
        where.put(words, 713, where.storage_at, energy | {"WH_SF": self._wh_scale, "Pct_SF": SCALES["SoC_SF"]})

    def write(
        self, words: Registers, view: CabinetView, strings: dict[str, Floats], events: int, heartbeat: int
    ) -> None:
        """Put the whole bank into the map; `strings` are the rows as `CellRegisters.strings` returns them."""
        values = self._of_strings(strings) | self._of_bank(view, events)
        values["heartbeat"] = heartbeat
        values["available_wh"] = self._ratings.energy_wh * values["soc"] * values["soh"]  # 713's own formula
        self._rows.write(words, np.array([values[name] for name in self._names])[:, None])

    def _of_strings(self, strings: dict[str, Floats]) -> dict[str, float]:
        """Highest, lowest and mean of the strings, which string that is and which module of it."""
        high, low = (
            np.array([strings[f"{name}_{end}"] for name in _CELLS] + [strings[name] for name in _STRINGS])
            for end in ("max", "min")
        )
        extremes = self._strings.extremes(high, low)
        counts = np.array([strings["known_v"], strings["known_c"], self._one, self._one])
        values = np.array([strings[name] for name in ("cell_v_mean", "c_mean", "v", "a")])
        mean = self._strings.mean(values, counts)[0][:, 0].tolist()
        found: dict[str, float] = dict(zip(("cell_v_mean", "c_mean", "v_mean", "a_mean"), mean, strict=True))
        ends = (("max", extremes.high, extremes.high_at), ("min", extremes.low, extremes.low_at))
        for end, value, string in ends:
            for kind, name in enumerate((*_CELLS, *_STRINGS)):
                found[f"{name}_{end}"], found[f"{name}_{end}_string"] = float(value[kind, 0]), float(string[kind, 0])
            for name in _CELLS:
                at = found[f"{name}_{end}_string"]
                found[f"{name}_{end}_at"] = nan if isnan(at) else float(strings[f"{name}_{end}_at"][int(at) - 1])
        found["soc"] = float(strings["soc"] @ self._share)
        found["soh"] = float(np.minimum.reduce(strings["soh"]))
        found["bleeding"] = float(np.add.reduce(strings["bleeding"]))
        return found

    def _of_bank(self, view: CabinetView, events: int) -> dict[str, float]:
        contactors = view.contactor.tolist()
        if Contactor.CLOSED in contactors:
            state = CONNECTED
        elif events & ALARMS:
            state = FAULT
        else:
            state = INITIALIZING if Contactor.PRECHARGE in contactors else DISCONNECTED
        total_a = float(np.add.reduce(view.string_a))
        flow = CHARGING if total_a < -FLOWS_A else DISCHARGING if total_a > FLOWS_A else HOLDING
        bus_v = next((volts for volts in view.string_bus_v.tolist() if not isnan(volts)), nan)
        return {
            "bus_v": bus_v,
            "charge_a": view.charge_a,
            "discharge_a": view.discharge_a,
            "charging": OFF if state != CONNECTED else nan if isnan(total_a) else flow,
            "state": state,
            "connected": contactors.count(Contactor.CLOSED),
            "health": ERROR if events & ALARMS else WARNING if events else WELL,
            "a": total_a * self._sign,
            "w": total_a * self._sign * bus_v,
        }
