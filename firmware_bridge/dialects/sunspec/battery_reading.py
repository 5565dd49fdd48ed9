"""What a cabinet behind a Modbus gateway says: its bank, strings, modules and cells as values, each with its time.

A value that is not implemented, or whose scale factor is not, changes nothing: what was last known stays and grows old.
A gateway whose heartbeat (802 Hb) stands still for HEARTBEAT_DEAD_S answers with old numbers: nothing it says is new.
"""

from collections.abc import Sequence
from math import inf, isnan, nan

import numpy as np

from firmware_bridge.dialects.sbox.layout import FAULT_UNKNOWN
from firmware_bridge.dialects.sunspec.battery_faults import ENABLED, EVENTS, NEVER, Event, contactor_of, fault_of
from firmware_bridge.dialects.sunspec.battery_map import CELL, DISCHARGE_SIGN, MODULE_HEAD, BatteryMap, offset
from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import NO_SCALE, SCALES, Events, names_of_bits
from firmware_bridge.records import TEMPERATURES_PER_MODULE, Contactor, Floats, Ints

HEARTBEAT_DEAD_S = 3.0  # 802 Hb is "incremented every second"

BANK = Block(802, ("LocRemCtl", "Hb", "CtrlHb", "State", "Evt1", "V", "V_SF"), header=True)
STRING = Block(804, ("St", "ConFail", "A", "V", "ConSt", "Evt1", "SetCon", "A_SF", "V_SF"), header=True)
CELLS_FROM = offset(805, "CellV_SF")  # and Tmp_SF, then the cells: SN and what is made from the cells is not read
EXTREMES_FROM = offset(805, "CellTmpMax")  # for a gateway that tells no temperature of single cells
_SCALES = MODULE_HEAD - CELLS_FROM
_COLDEST = offset(805, "CellTmpMin") - EXTREMES_FROM


class BatteryReading:
    """The latest of one cabinet; arrays in Layout order, NaN and -inf where nothing was ever heard."""

    def __init__(self, where: BatteryMap, events: Events) -> None:
        self._map, self._events = where, events
        self._sign = DISCHARGE_SIGN[where.seat.positive_discharges]
        strings, modules, cells = where.strings, where.modules, where.cells
        self.bus_v, self.bus_s = nan, -inf
        self.local = False
        self.takes_heartbeat = False
        self.status_s = -inf  # when the local switch was last heard
        self.string_a, self.string_v = np.full((2, strings), np.nan)
        self.string_s = np.full((3, strings), -np.inf)  # of current, voltage and contactor
        self.contactor = np.full(strings, int(Contactor.UNKNOWN))
        self.fault = np.full(strings, FAULT_UNKNOWN)
        self.earthed = np.zeros(strings, np.bool_)
        self.enabled = np.zeros(strings, np.bool_)  # not until it is heard
        self.takes_connect = np.zeros(strings, np.bool_)
        self.cell_v, self.cell_s = np.full(cells, np.nan), np.full(cells, -np.inf)
        self.cell_bleeding = np.zeros(cells, np.bool_)
        self.module_c = np.full((modules, TEMPERATURES_PER_MODULE), np.nan)
        self.module_s = np.full(modules, -np.inf)
        self.has_cell_c = np.ones(modules, np.bool_)
        self._bank_bits, self._string_bits = 0, np.zeros(strings, np.int64)  # Evt1
        self._beat, self._beat_s = nan, -inf
        self._still = False
        ends = where.first_cell + where.module_cells
        self._cells_of = [slice(*ends) for ends in zip(where.first_cell.tolist(), ends.tolist(), strict=True)]
        self._sensors = [Sensors(where.sensor[cells]) for cells in self._cells_of]

    def latest_s(self, heard_s: float) -> float:
        """How new an answer heard then is: no newer than the heartbeat that stands still."""
        return min(heard_s, self._beat_s) if self._still else heard_s

    def hear_bank(self, words: Sequence[int], heard_s: float) -> None:
        """802 from its ID on."""
        local, beat, our_beat, _, events, bus_v, _ = BANK.decode(words, {})
        self._heartbeat(beat, heard_s)
        self.status_s = self.latest_s(heard_s)
        if not isnan(bus_v):
            self.bus_v, self.bus_s = bus_v, self.latest_s(heard_s)
        is_local = not isnan(local) and local != 0  # a number the model does not know: somebody's switch
        if is_local != self.local:
            self.local = is_local
            told = "gateway switched to local: not written to" if is_local else "gateway back to remote"
            self._events.tell("local", told)
        self.takes_heartbeat = not isnan(our_beat)
        # what a string says too is told of the string: its words came after those of the bank, so a round later
        rest = self._bank_bits & ~int(np.bitwise_or.reduce(self._string_bits))
        self._tell_events("bank", rest)
        self._bank_bits = max(_bits(events), 0)

    def _heartbeat(self, beat: float, heard_s: float) -> None:
        """One that is not implemented is NaN: ever new."""
        if beat != self._beat:
            self._beat, self._beat_s = beat, max(heard_s, self._beat_s)
            if self._still:
                self._still = False
                self._events.tell("heartbeat", "gateway heartbeat goes on")
        elif heard_s - self._beat_s > HEARTBEAT_DEAD_S and not self._still:
            self._still = True
            self._events.tell("heartbeat", "gateway heartbeat stands still: what it says is old")

    def hear_string(self, string: int, words: Sequence[int], heard_s: float) -> None:
        """804 from its ID on."""
        status, failure, a, v, contactors, events, connect, _, _ = STRING.decode(words, {})
        now_s = self.latest_s(heard_s)
        if not isnan(a):
            self.string_a[string], self.string_s[0, string] = a * self._sign, now_s
        if not isnan(v):
            self.string_v[string], self.string_s[1, string] = v, now_s
        contactor = contactor_of(_bits(status), _bits(contactors))
        if contactor != Contactor.UNKNOWN:
            self.contactor[string], self.string_s[2, string] = contactor, now_s
            self._tell_enabled(string, bool(int(status) & ENABLED))
        bits = _bits(events)
        self.fault[string] = fault_of(bits, -1 if isnan(failure) else int(failure), contactor)
        self.earthed[string] = bits != NEVER and bits >> Event.GROUND_FAULT & 1
        self.takes_connect[string] = not isnan(connect)
        self._string_bits[string] = max(bits, 0)
        self._tell_events(self._map.seat.string_names[string], max(bits, 0))

    def _tell_enabled(self, string: int, enabled: bool) -> None:
        self.enabled[string] = enabled
        name, topic = self._map.seat.string_names[string], f"enabled {string}"
        if not enabled:
            self._events.tell(topic, f"{name}: disabled at its gateway: it stays open until it is enabled there")
        elif self._events.last(topic):
            self._events.tell(topic, f"{name}: enabled at its gateway")

    def _tell_events(self, name: str, bits: int) -> None:
        topic = f"events of {name}"
        if bits:
            self._events.tell(topic, f"{name}: {', '.join(names_of_bits(bits, EVENTS))}")
        elif self._events.last(topic):
            self._events.tell(topic, f"{name}: alarms and warnings gone")
            self._events.tell(topic, "")

    def hear_module(self, module: int, words: Sequence[int], heard_s: float) -> None:
        """805 from CELLS_FROM, or from EXTREMES_FROM, to its last cell."""
        now_s, cells = self.latest_s(heard_s), self._cells_of[module]
        raw = np.array(words, np.int64)
        tail = raw[-_SCALES - CELL * (cells.stop - cells.start) :]  # two scale factors, then the cells
        volts, celsius, high, low = tail[_SCALES:].reshape(-1, CELL).T
        volt_scale, celsius_scale = tail[:_SCALES].tolist()
        times, over = SCALES.get(volt_scale, NO_SCALE)
        known = (volts != 0xFFFF) & (not isnan(times))
        self.cell_v[cells] = np.where(known, volts * times / over, self.cell_v[cells])
        self.cell_s[cells] = np.where(known, now_s, self.cell_s[cells])
        self.cell_bleeding[cells] = (low & 1 > 0) & (high < 0x8000)
        cell_c = _celsius(celsius, celsius_scale)
        self.has_cell_c[module] = known_c = bool((~np.isnan(cell_c)).any())
        if known_c:
            self.module_c[module] = self._sensors[module].of(cell_c)
        elif len(raw) > len(tail):
            hottest_c, coldest_c = _celsius(raw[[0, _COLDEST]], celsius_scale).tolist()
            self.module_c[module] = coldest_c, nan, nan, hottest_c
        else:
            self.module_c[module] = nan
        self.module_s[module] = now_s


class Sensors:
    """The way back from a temperature a cell to four a module, so that the coldest and the hottest are kept.

    Of a module of ours all cells of a sensor say the same. Of another's the hottest of each quarter counts, and the
    coldest cell stands in its own quarter, or, where the hottest cell is there too, in the next coldest.
    """

    def __init__(self, sensor: Ints) -> None:
        """`sensor` [cell of one module], rising."""
        self._present = np.unique(sensor)
        self._first = np.searchsorted(sensor, self._present)

    def of(self, cell_c: Floats) -> list[float]:
        """[4] from [cell]; NaN where none of a sensor's cells is known."""
        kept_c = [nan] * TEMPERATURES_PER_MODULE
        hot_c: list[float] = np.fmax.reduceat(cell_c, self._first).tolist()
        cold_c: list[float] = np.fmin.reduceat(cell_c, self._first).tolist()
        for sensor, value in zip(self._present.tolist(), hot_c, strict=True):
            kept_c[sensor] = value
        rising = sorted(
            (value, sensor) for sensor, value in zip(self._present.tolist(), cold_c, strict=True) if not isnan(value)
        )
        if not rising:
            return kept_c
        coldest_c, at = rising[0]
        if kept_c[at] == np.fmax.reduce(cell_c) > coldest_c:
            at = rising[1][1] if len(rising) > 1 else (at + 1) % TEMPERATURES_PER_MODULE
        kept_c[at] = coldest_c
        return kept_c


def _celsius(codes: Ints, scale: int) -> Floats:
    times, over = SCALES.get(scale, NO_SCALE)
    return np.where(codes == 0x8000, nan, ((codes ^ 0x8000) - 0x8000) * times / over)


def _bits(value: float) -> int:
    """A bit field as a whole number; NEVER where not implemented."""
    return NEVER if isnan(value) else int(value)
