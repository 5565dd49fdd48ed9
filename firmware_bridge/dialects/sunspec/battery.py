"""A cabinet behind a Modbus gateway (SunSpec 802, 804, 805): reads every cell, commands the strings' contactors.

The bank and all strings are read each time, modules in turn, each within CELLS_S where the line allows. 804 V is the
battery's side of the contactors, 802 V the inverter's side of all of them. The gateway precharges by itself: PRECHARGE
and CLOSED both are 804 SetCon CONNECT. Balancing is not commanded: the models have no point for it.
The gateway's own watchdog on CtrlHb opens the contactors when we fall silent; one without it is told of.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf

import numpy as np

from firmware_bridge.dialects.sunspec.battery_commands import BatteryCommands
from firmware_bridge.dialects.sunspec.battery_map import CELL, MODULE_HEAD, BatteryMap, BatterySeat
from firmware_bridge.dialects.sunspec.battery_reading import BANK, CELLS_FROM, EXTREMES_FROM, STRING, BatteryReading
from firmware_bridge.dialects.sunspec.battery_scan import BatteryScan, Found, tell_code
from firmware_bridge.dialects.sunspec.model import Events, load_model
from firmware_bridge.dialects.sunspec.scan import Place
from firmware_bridge.frames import STALE, Answer, Request
from firmware_bridge.records import Bools, Contactor, Floats, Ints

__all__ = ["BatteryMaster", "BatteryPicture", "BatterySeat"]

CELLS_S = 0.8  # each module is read again after so long
LUMP_S = 0.4  # of the line's time: modules asked at once may take so long, then strings come first again
CODE_S = 10.0  # one module after the other is asked for its code
REFUSALS = 3  # answers in trouble until a string or module behind a gateway that answers is told of
STREAK = 5  # answers of the bank in trouble, one after the other, until the gateway is searched anew

_SN = load_model(805, 0).points["SN"]


@dataclass(frozen=True, slots=True, eq=False)
class BatteryPicture:
    """What a gateway says of its cabinet; fresh arrays in Layout order. NaN = never heard; age inf likewise."""

    cell_v: Floats  # [cell] last known voltage, however old
    cell_age_s: Floats  # [cell] since then
    cell_bleeding: Bools  # [cell]
    module_c: Floats  # [module, 4] NaN: sensor not available
    module_board_c: Floats  # [module] NaN: SunSpec has none
    module_error: Ints  # [module] 0; -1: never heard
    module_age_s: Floats  # [module] since its cells were read
    string_a: Floats  # [string] + discharging
    string_v: Floats  # [string] battery side of the contactors
    string_bus_v: Floats  # [string] inverter side: of the whole bank
    contactor: Ints  # [string] Contactor
    disabled: Bools  # [string] out of service, says the gateway; False: never heard
    fault: Ints  # [string] BoxFault and battery_faults.OTHER_ALARM bits; -1: never heard
    insulation_ohm: Floats  # [string] 0: the gateway says ground fault; NaN: not measured
    string_age_s: Floats  # [string] the oldest of current, both voltages and contactor
    local: bool  # switched to local: we do not write


class BatteryMaster:
    """The controller's side of one gateway. It never raises on what the gateway answers."""

    def __init__(self, seat: BatterySeat) -> None:
        """ValueError: the cabinet is too large for one gateway."""
        self._map = BatteryMap(seat)
        self._events = Events()
        self._scan = BatteryScan(self._map, self._events)
        self._reading = BatteryReading(self._map, self._events)
        self._forget()

    def _forget(self) -> None:
        """Another gateway may answer next. What was read stays, and grows old, until one does."""
        self._found: Found | None = None
        self._commands: BatteryCommands | None = None
        self._reads: dict[str, tuple[Request, Callable[[Sequence[int], float], None]]] = {}
        self._fast: list[Request] = []
        self._turn = self._code_turn = 0  # the module that is next
        self._asked_s = np.full((self._map.modules, 2), -np.inf)  # each when, of wall time and of plant time
        self._asked_module_s, self._code_s = (-inf, -inf), -inf
        self._sent_s, self._sent, self._each_s = -inf, 0, inf  # the last questions, how many, the line's time for one
        self._streak = 0
        self._refused: dict[str, int] = {}  # strings and modules: answers in trouble, one after the other

    def take_events(self) -> list[str]:
        """What changed since the last call, in words."""
        return self._events.take()

    def picture(self, now_s: float) -> BatteryPicture:
        """What is known now."""
        reading = self._reading
        silent = np.isneginf(reading.module_s)
        oldest_s = np.minimum(np.minimum.reduce(reading.string_s), reading.bus_s)
        return BatteryPicture(
            cell_v=reading.cell_v.copy(),
            cell_age_s=now_s - reading.cell_s,
            cell_bleeding=reading.cell_bleeding.copy(),
            module_c=reading.module_c.copy(),
            module_board_c=np.full(self._map.modules, np.nan),
            module_error=np.where(silent, -1, 0),
            module_age_s=now_s - reading.module_s,
            string_a=reading.string_a.copy(),
            string_v=reading.string_v.copy(),
            string_bus_v=np.full(self._map.strings, reading.bus_v),
            contactor=reading.contactor.copy(),
            disabled=~reading.enabled & (reading.contactor != Contactor.UNKNOWN),
            fault=reading.fault.copy(),
            insulation_ohm=np.where(reading.earthed, 0.0, np.nan),
            string_age_s=now_s - oldest_s,
            local=reading.local,
        )

    # --- hearing --------------------------------------------------------------------------------------------------

    def hear(self, answers: Iterable[Answer], now_s: float) -> None:
        """Take the answers of this beat, in order. Each is as old as its `wire_s` says, at least: never from later."""
        for answer in answers:
            heard_s = min(answer.wire_s, now_s)
            request, tag = answer.request, answer.request.tag
            self._clock_line(answer, heard_s)
            if tag == "scan":
                self._scan.hear(answer, now_s)
                if self._scan.found is not None and self._found is None:
                    self._begin(self._scan.found, now_s)
            elif request.is_write:
                if self._commands is not None:
                    self._commands.hear(answer)
            elif (read := self._reads.get(tag)) is not None and read[0] == request:
                self._hear_read(tag, answer, read[1], heard_s, now_s)

    def _clock_line(self, answer: Answer, heard_s: float) -> None:
        """How long the line takes for one question: the slowest line is not flooded."""
        if self._sent and not answer.trouble and heard_s >= self._sent_s:
            self._each_s = (heard_s - self._sent_s) / self._sent

    def _hear_read(
        self, tag: str, answer: Answer, take: Callable[[Sequence[int], float], None], heard_s: float, now_s: float
    ) -> None:
        words, request = answer.words, answer.request
        trouble = answer.trouble or ("" if len(words) == request.count else "short answer")
        is_bank = tag == "bank"
        if trouble:
            self._hear_trouble(tag, trouble, now_s)
            return
        if is_bank:
            self._streak = 0
            if self._events.last("link"):
                self._events.tell("link", "gateway answers again")
        elif self._refused.pop(tag, 0) >= REFUSALS:
            self._events.tell(tag, f"{self._name(tag)} answers again")
        if not tag.startswith("module") and not self._same_place(tag, words):
            self._events.tell("scan", "gateway has changed its register map: searched anew")
            self._search(now_s)
            return
        take(words, heard_s)

    def _hear_trouble(self, tag: str, trouble: str, now_s: float) -> None:
        """The bank stands for the gateway; a string or module that is refused while it answers has died behind it."""
        if trouble.startswith(STALE):
            self._streak += tag == "bank"  # its wire is down, and that is told of the wire
        elif tag == "bank":
            self._streak += 1
            if self._streak >= STREAK:
                self._events.tell("link", f"gateway does not answer: {trouble}")
        elif not self._streak:
            self._refused[tag] = self._refused.get(tag, 0) + 1
            if self._refused[tag] == REFUSALS:
                self._events.tell(tag, f"{self._name(tag)} is not answered for: {trouble}")
        if self._streak >= STREAK:
            self._search(now_s)

    def _name(self, tag: str) -> str:
        kind, _, number = tag.partition(" ")
        return self._map.seat.string_names[int(number)] if kind == "string" else self._map.place_name(int(number))

    def _same_place(self, tag: str, words: Sequence[int]) -> bool:
        """Whether ID and L are still those of the model that was found there."""
        if self._found is None:
            return False
        kind, _, number = tag.partition(" ")
        if kind == "bank":
            return tuple(words[:2]) == (802, self._found.bank.length)
        if kind == "string":
            return tuple(words[:2]) == (804, self._found.strings[int(number)].length)
        module = int(number)
        length = self._found.modules[module].length
        same = tuple(words[:2]) == (805, length)
        return same and self._map.module_of(words[2] - 1, words[3] - 1) == module

    def _search(self, now_s: float) -> None:
        self._forget()
        self._scan.restart(now_s)

    def _begin(self, found: Found, now_s: float) -> None:
        reading, self._found = self._reading, found
        self._asked_module_s = now_s, -inf
        self._commands = BatteryCommands(self._map, found, self._events)
        self._add("bank", found.bank, BANK.first, BANK.count, reading.hear_bank)
        for string, place in enumerate(found.strings):
            self._add(f"string {string}", place, STRING.first, STRING.count, _of(reading.hear_string, string))
        self._fast = [request for request, _ in self._reads.values()]
        for module, place in enumerate(found.modules):
            self._add(f"code {module}", place, 0, _SN.offset + _SN.size, _of(self._hear_code, module))
            self._ask_cells(module, CELLS_FROM)

    def _add(
        self, tag: str, place: Place, first: int, count: int, take: Callable[[Sequence[int], float], None]
    ) -> None:
        self._reads[tag] = Request(place.address + first, count, tag=tag), take

    def _ask_cells(self, module: int, first: int) -> None:
        """From `first` to the last cell of a module."""
        if self._found is not None:
            count = MODULE_HEAD + CELL * int(self._map.module_cells[module]) - first
            place = self._found.modules[module]
            self._add(f"module {module}", place, first, count, _of(self._reading.hear_module, module))

    def _hear_code(self, module: int, words: Sequence[int], heard_s: float) -> None:
        tell_code(self._map, module, words, self._events)

    # --- asking ---------------------------------------------------------------------------------------------------

    def ask(self, contactor: Ints, now_s: float, plant_s: float = -inf) -> list[Request]:
        """Writes first, then reads. `contactor` [string of the cabinet]; UNKNOWN: nothing is said to that string.

        `plant_s`: the plant's time, where it may pass faster than the line's: cells are due by whichever is over first.
        Nothing is written while the gateway is local, or its local switch unknown.
        """
        if self._commands is None:
            requests = self._scan.ask(now_s)
        else:
            requests = self._commands.requests(contactor, self._reading, now_s)
            requests += self._fast
            requests += self._modules_due(now_s, plant_s)
        self._sent_s, self._sent = now_s, len(requests)
        return requests

    def _modules_due(self, now_s: float, plant_s: float) -> list[Request]:
        """Modules in turn, no more than the line carries out in LUMP_S; and now and then the code of one."""
        modules, requests = self._map.modules, []
        share = ceil(modules * min(_passed_s(self._asked_module_s, now_s, plant_s), CELLS_S) / CELLS_S)
        most = share if self._each_s <= 0.0 else min(share, max(1, int(min(LUMP_S / self._each_s, modules))))
        self._asked_module_s = now_s, plant_s
        for _ in range(most):
            if _passed_s(self._asked_s[self._turn].tolist(), now_s, plant_s) < CELLS_S:
                break
            if not self._reading.has_cell_c[self._turn]:
                self._ask_cells(self._turn, EXTREMES_FROM)
            self._asked_s[self._turn] = now_s, plant_s
            requests.append(self._reads[f"module {self._turn}"][0])
            self._turn = (self._turn + 1) % modules
        if now_s - self._code_s >= CODE_S:
            self._code_s, self._code_turn = now_s, (self._code_turn + 1) % modules
            requests.append(self._reads[f"code {self._code_turn}"][0])
        return requests


def _passed_s(since: Sequence[float], now_s: float, plant_s: float) -> float:
    """Of wall time or of plant time, whichever is more; time that is not told does not count."""
    return max(now_s - since[0], plant_s - since[1] if plant_s > -inf else -inf)


def _of(take: Callable[[int, Sequence[int], float], None], number: int) -> Callable[[Sequence[int], float], None]:
    """`take` for one string or module."""
    return lambda words, heard_s: take(number, words, heard_s)
