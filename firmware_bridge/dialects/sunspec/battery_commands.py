"""What a gateway is told: our heartbeat, and which strings to connect; said again while a string does not obey.

PRECHARGE and CLOSED both are 804 SetCon CONNECT: the gateway precharges by itself. Nothing is written while the gateway
is local or its local switch unknown, nor for a string whose Contactor is UNKNOWN; with no string to speak to there is
no heartbeat either, and the gateway's watchdog opens. 804 SetEna is never written: a string that is disabled was
disabled by somebody who may be working on it, and is not told to connect either.
"""

from math import inf

import numpy as np

from firmware_bridge.dialects.sunspec.battery_map import CONNECT, DISCONNECT, BatteryMap, offset
from firmware_bridge.dialects.sunspec.battery_reading import BatteryReading
from firmware_bridge.dialects.sunspec.battery_scan import Found
from firmware_bridge.dialects.sunspec.model import Events
from firmware_bridge.frames import STALE, Answer, Request
from firmware_bridge.records import Contactor, Ints

HEARTBEAT_S = 1.0  # 802 CtrlHb: "incremented every second"
HEARTBEATS = 0xFFFF  # it counts below this, which means "not implemented"
OPEN_AGAIN_S = 1.0
CLOSE_AGAIN_S = 5.0  # not sooner: the precharge resistor is hot
LOCAL_STALE_S = 3.0  # local switch not heard for so long: somebody may stand at the cabinet, we do not write

_UNKNOWN, _OPEN = int(Contactor.UNKNOWN), int(Contactor.OPEN)


class BatteryCommands:
    """The writes to one gateway, in the order of their urgency."""

    def __init__(self, where: BatteryMap, found: Found, events: Events) -> None:
        self._names, self._events = where.seat.string_names, events
        self._heartbeat_at = found.bank.address + offset(802, "CtrlHb")
        self._connect_at = [place.address + offset(804, "SetCon") for place in found.strings]
        self._beat, self._beat_s = 0, -inf
        self._told = np.zeros(where.strings, np.int64)  # [string] CONNECT or DISCONNECT as last said; 0: nothing
        self._told_s = np.full(where.strings, -np.inf)

    def requests(self, contactor: Ints, reading: BatteryReading, now_s: float) -> list[Request]:
        """[string] Contactor -> what to write now."""
        wanted = contactor.tolist()
        may_write = not reading.local and now_s - reading.status_s <= LOCAL_STALE_S
        if not may_write or all(state == _UNKNOWN for state in wanted):
            return []
        requests = self._heartbeat(reading, now_s)
        for string, state in enumerate(wanted):
            if state != _UNKNOWN:
                requests += self._connection(string, DISCONNECT if state == _OPEN else CONNECT, reading, now_s)
        return requests

    def _heartbeat(self, reading: BatteryReading, now_s: float) -> list[Request]:
        if not reading.takes_heartbeat:
            self._events.tell("heartbeat taken", "gateway takes no heartbeat (802 CtrlHb): it has no watchdog on us")
            return []
        if now_s - self._beat_s < HEARTBEAT_S:
            return []
        self._beat, self._beat_s = (self._beat + 1) % HEARTBEATS, now_s
        return [Request(self._heartbeat_at, words=(self._beat,), tag="write CtrlHb")]

    def _connection(self, string: int, word: int, reading: BatteryReading, now_s: float) -> list[Request]:
        """A change at once; after that only while the string does not obey."""
        if word == CONNECT and not reading.enabled[string]:
            return []
        disobeys = bool(reading.contactor[string] == _OPEN) == (word == CONNECT)
        again_s = CLOSE_AGAIN_S if word == CONNECT else OPEN_AGAIN_S
        if word == self._told[string] and not (disobeys and now_s - self._told_s[string] >= again_s):
            return []
        self._told[string], self._told_s[string] = word, now_s
        name = self._names[string]
        if not reading.takes_connect[string]:
            self._events.tell(f"connect {string}", f"{name}: gateway takes no command for it (804 SetCon)")
            return []
        return [Request(self._connect_at[string], words=(word,), tag=f"write SetCon of {name}")]

    def hear(self, answer: Answer) -> None:
        """What became of a write: trouble is told once, until it is taken."""
        name = answer.request.tag
        if not answer.trouble:
            self._events.tell(name, "")
        elif not answer.trouble.startswith(STALE):
            self._events.tell(name, f"gateway does not take {name.removeprefix('write ')}: {answer.trouble}")
