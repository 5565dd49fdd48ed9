"""A battery cabinet's side of SunSpec: the registers of a Modbus gateway, or of a cabinet that we serve to others.

Models 1, 802, 803, 804, 805 and 713 as `battery_map` lays them out. A gateway (`writable=True`) takes 804 SetEna and
SetCon of each string, 802 SetOp for all of them, and 802 CtrlHb: it precharges by itself, and opens when the
controller's heartbeat has stood still for WATCHDOG_S. A served cabinet says that it is local, and refuses every write
(exception 2).
"""

from collections.abc import Sequence
from math import inf

import numpy as np

from firmware_bridge.dialects.sbox.layout import WATCHDOG_S
from firmware_bridge.dialects.sunspec.battery_faults import bits_of, events_of
from firmware_bridge.dialects.sunspec.battery_map import (
    BASE,
    CONNECT,
    DISCHARGE_SIGN,
    ENABLE,
    BatteryMap,
    BatterySeat,
    offset,
)
from firmware_bridge.dialects.sunspec.battery_show import SCALES, CellRegisters
from firmware_bridge.dialects.sunspec.battery_totals import BatteryRatings, CabinetView, Totals
from firmware_bridge.records import Contactor, Ints

__all__ = ["BatteryBank", "BatteryRatings", "BatterySeat", "CabinetView"]

NO_RATINGS = BatteryRatings()
HEARTBEATS = 0xFFFF  # 802 Hb and CtrlHb count below this, which means "not implemented"


class BatteryBank:
    """Registers and heartbeat of one cabinet. `answering` False makes it silent, `local` True deaf to commands."""

    def __init__(
        self,
        seat: BatterySeat,
        ratings: BatteryRatings = NO_RATINGS,
        *,
        writable: bool,
        insulation_ohm_min: float = 200_000.0,
        model_name: str = "Battery cabinet",
        serial_number: str = "0",
        unit: int = 1,
    ) -> None:
        """Insulation below `insulation_ohm_min` (500 ohm/V at 400 V) shows as a ground fault.

        Raises ValueError when the cabinet is too large for the registers.
        """
        self.answering = True
        self.local = False
        self.map = where = BatteryMap(seat)
        self._sign = DISCHARGE_SIGN[seat.positive_discharges]
        self._insulation_ohm_min = insulation_ohm_min
        self._cells, self._totals = CellRegisters(where), Totals(where, ratings)
        self._at = {name: where.bank_at - BASE + offset(802, name) for name in ("Evt1", "CtrlHb", "LocRemCtl")}
        self._words = where.blank()
        where.put(
            self._words,
            1,
            where.common_at,
            {"Mn": "ESS Controller", "Md": model_name, "Vr": "1", "SN": serial_number, "DA": unit},
        )
        self._totals.first_words(self._words)
        self._first_words(writable)
        self._writable = self._commands() if writable else {}
        self._enabled = np.ones(where.strings, np.bool_)
        self._asked = np.full(where.strings, int(Contactor.OPEN))
        self._now_s, self._started_s, self._heartbeat_s = -inf, -inf, -inf

    def _first_words(self, writable: bool) -> None:
        """Scale factors of strings and modules; the commands of a gateway read 0: nothing under way."""
        where, words = self.map, self._words
        names = ("CellV_SF", "ModTmp_SF", "A_SF", "SoH_SF", "SoC_SF", "V_SF")
        scales = {name: SCALES[name] for name in names}
        where.put(words, 803, where.strings_at, scales)
        idle = {"SetEna": 0, "SetCon": 0} if writable else {}
        for at in where.string_at.tolist():
            where.put(words, 804, at, scales | idle)
        scales = {name: SCALES[name] for name in ("SoC_SF", "SoH_SF", "V_SF", "CellV_SF", "Tmp_SF")}
        for at in where.module_at.tolist():
            where.put(words, 805, at, scales)
        if writable:
            where.put(words, 802, where.bank_at, {"CtrlHb": 0, "SetOp": 0})

    # --- what the cabinet shows -----------------------------------------------------------------------------------

    def show(self, view: CabinetView, now_s: float) -> None:
        """Put all of it into the registers at once: one who reads sees the old picture or the new one, never half."""
        self.advance(now_s)
        words, where = self._words.copy(), self.map
        soc = np.full(where.cells, np.nan) if view.cell_soc is None else view.cell_soc
        soh = np.full(where.modules, np.nan) if view.module_soh is None else view.module_soh
        modules = self._cells.modules(words, view.cell_v, view.cell_bleeding, view.module_c, soc, soh)
        earthed = view.insulation_ohm < self._insulation_ohm_min  # false for NaN
        events, failure = events_of(view.fault, view.contactor, view.string_a, earthed)
        events = events if view.events is None else events | view.events
        strings = self._cells.strings(words, modules, view.string_a * self._sign, view.string_v, failure)
        self._cells.string_bits(words, np.array((*bits_of(view.contactor, self._enabled), events, view.fault)))
        joined = int(np.bitwise_or.reduce(events))
        words[self._at["Evt1"] : self._at["Evt1"] + 2] = joined >> 16, joined & 0xFFFF
        words[self._at["LocRemCtl"]] = self.local or not self._writable
        self._totals.write(words, view, strings, joined, int(now_s - self._started_s) % HEARTBEATS)
        self._words = words

    # --- what is asked of it --------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let the watchdog run to `now_s` (wall time, monotonic). What it has opened stays open until asked anew."""
        if self._started_s == -inf:
            self._started_s = now_s
        self._now_s = now_s
        if now_s - self._heartbeat_s > WATCHDOG_S:
            self._asked[:] = Contactor.OPEN

    def wanted(self, now_s: float) -> Ints:
        """[string] Contactor to go to: CLOSED, by way of its own precharge, or OPEN."""
        self.advance(now_s)
        return np.where(self._enabled, self._asked, int(Contactor.OPEN))

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """`count` registers from `address`; None where the map has none."""
        words, at = self._words, address - BASE
        if at < 0 or count < 1 or at + count > len(words):
            return None
        return tuple(words[at : at + count].tolist())

    def write(self, address: int, words: Sequence[int]) -> bool:
        """Take commands, all or none. False where a register is read-only or the command is none that there is."""
        targets = [self._writable.get(address - BASE + at, ("", 0)) for at in range(len(words))]
        told = [(name, string, word) for (name, string), word in zip(targets, words, strict=True)]
        if self.local or not told or not all(_is_command(name, word) for name, _, word in told):
            return False
        for name, string, word in told:
            self._obey(name, string, word)
        return True

    def _commands(self) -> dict[int, tuple[str, int]]:
        """Index in the map -> what is commanded there, and to which string."""
        where = self.map
        commands = {where.bank_at - BASE + offset(802, name): (name, 0) for name in ("CtrlHb", "SetOp")}
        for string, at in enumerate(where.string_at.tolist()):
            commands |= {at - BASE + offset(804, name): (name, string) for name in ("SetEna", "SetCon")}
        return commands

    def _obey(self, name: str, string: int, word: int) -> None:
        """SetEna, SetCon and SetOp stay 0 in the registers: carried out. Only a heartbeat that changes is one."""
        if name == "CtrlHb":
            if self._words[self._at["CtrlHb"]] != word:
                self._heartbeat_s = self._now_s
            self._words[self._at["CtrlHb"]] = word
        elif name == "SetEna":
            self._enabled[string] = word == ENABLE
        else:
            strings = slice(None) if name == "SetOp" else slice(string, string + 1)
            self._asked[strings] = Contactor.CLOSED if word == CONNECT else Contactor.OPEN


def _is_command(name: str, word: int) -> bool:
    return word in (1, 2) if name in ("SetEna", "SetCon", "SetOp") else name == "CtrlHb" and word < HEARTBEATS
