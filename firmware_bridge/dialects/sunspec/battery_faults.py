"""What is wrong with a string and where its contactors are: our words <-> 804 St, ConSt, Evt1 and ConFail, both ways.

SunSpec has no point for the insulation resistance: below the limit it is the alarm GROUND_FAULT, which read back is a
resistance of 0. It has none for an open interlock either: that is OTHER_ALARM with ConFail BUTTON_PUSHED. Which
contactor is which bit of ConSt is the maker's own affair; so a string counts as closed when St says connected, as
open when ConSt has no bit (or is not implemented), and as precharging in between.
"""

from collections.abc import Mapping
from enum import IntEnum

import numpy as np

from firmware_bridge.dialects.sbox.layout import FAULT_UNKNOWN, BoxFault
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.records import Bools, Contactor, Floats, Ints

ENABLED, CONNECTED = 1, 2  # St
MAIN_CONTACTORS, PRECHARGE_CONTACTORS = 0b011, 0b110  # ConSt of ours: positive, negative, precharge relay
NEVER = -1  # a bit field that is not known
OTHER_ALARM = 64
"""Fault bit beside those of BoxFault: an alarm of the gateway's own, whose name is told as an event."""

EVENTS: Mapping[int, str] = load_model(804, 0).points["Evt1"].symbols


class Event(IntEnum):
    """Bits of Evt1 that open a string. Warnings, doors, fans and the gateway's own SOC limits are told, not obeyed."""

    COMMUNICATION = 0
    OVER_TEMPERATURE = 1
    UNDER_TEMPERATURE = 3
    OVER_CHARGE_CURRENT = 5
    OVER_DISCHARGE_CURRENT = 7
    OVER_VOLTAGE = 9
    UNDER_VOLTAGE = 11
    TEMPERATURE_IMBALANCE = 18
    CONTACTOR = 20
    GROUND_FAULT = 22
    OTHER = 25
    CONFIGURATION = 28


class Warn(IntEnum):
    """Bits of Evt1 that we say besides."""

    DOOR = 23
    OTHER = 26


class Failure(IntEnum):
    """ConFail, as far as we say or heed it."""

    NONE = 0
    BUTTON_PUSHED = 1
    GROUND_FAULT = 2
    CONTACTOR = 6
    PRECHARGE = 7
    STRING_FAULT = 8


def _mask(*events: Event) -> int:
    return sum(1 << event for event in events)


_COMMUNICATION, _CONTACTOR, _OTHER = _mask(Event.COMMUNICATION), _mask(Event.CONTACTOR), _mask(Event.OTHER)
_CHARGING, _DISCHARGING = _mask(Event.OVER_CHARGE_CURRENT), _mask(Event.OVER_DISCHARGE_CURRENT)
_EARTH, _CURRENT = _mask(Event.GROUND_FAULT), _CHARGING | _DISCHARGING
ALARMS = _mask(*Event)
_ALARM = ALARMS & ~(_COMMUNICATION | _CONTACTOR | _EARTH | _CURRENT)
# an IntFlag is slow to reckon with: what each picture needs stands here as plain numbers
_WELDED, _STUCK_OPEN = int(BoxFault.WELDED), int(BoxFault.STUCK_OPEN)
_OVERCURRENT, _PRECHARGE = int(BoxFault.OVERCURRENT), int(BoxFault.PRECHARGE)
_INTERLOCK, _SENSOR = int(BoxFault.INTERLOCK), int(BoxFault.SENSOR)
_STUCK = _WELDED | _STUCK_OPEN
_REASONS = ((_PRECHARGE, Failure.PRECHARGE), (_INTERLOCK, Failure.BUTTON_PUSHED), (_STUCK, Failure.CONTACTOR))
_UNKNOWN, _CLOSED = int(Contactor.UNKNOWN), int(Contactor.CLOSED)
_CONTACTORS = {
    _UNKNOWN: NEVER,
    int(Contactor.OPEN): 0,
    int(Contactor.PRECHARGE): PRECHARGE_CONTACTORS,
    _CLOSED: MAIN_CONTACTORS,
}


def events_of(fault: Ints, contactor: Ints, string_a: Floats, earthed: Bools) -> tuple[Ints, Ints]:
    """[string] Evt1 and ConFail. A string whose contactor is unknown is one that is not heard."""
    events, failures = [], []
    strings = zip(fault.tolist(), contactor.tolist(), string_a.tolist(), earthed.tolist(), strict=True)
    for bits, state, a, is_earthed in strings:
        known = max(bits, 0)
        event = _COMMUNICATION if state == _UNKNOWN or known & _SENSOR else 0
        event |= (_CHARGING if a < 0.0 else _DISCHARGING) if known & _OVERCURRENT else 0
        event |= _CONTACTOR if known & (_STUCK | _PRECHARGE) else 0
        event |= _OTHER if known & (_INTERLOCK | OTHER_ALARM) else 0
        events.append(event | (_EARTH if is_earthed else 0))
        rest = Failure.GROUND_FAULT if is_earthed else Failure.STRING_FAULT if known else Failure.NONE
        failures.append(next((failure for mask, failure in _REASONS if known & mask), rest))
    return np.array(events, np.int64), np.array(failures, np.int64)


def bits_of(contactor: Ints, enabled: Bools) -> tuple[Ints, Ints]:
    """[string] St and ConSt; NEVER where the contactor is unknown."""
    status, contactors = [], []
    for state, is_enabled in zip(contactor.tolist(), enabled.tolist(), strict=True):
        status.append(NEVER if state == _UNKNOWN else ENABLED * is_enabled | CONNECTED * (state == _CLOSED))
        contactors.append(_CONTACTORS[state])
    return np.array(status, np.int64), np.array(contactors, np.int64)


def contactor_of(status: int, contactors: int) -> Contactor:
    """From St and ConSt; NEVER where not implemented."""
    if status == NEVER:
        return Contactor.UNKNOWN
    if status & CONNECTED:
        return Contactor.CLOSED
    return Contactor.PRECHARGE if contactors > 0 else Contactor.OPEN


def fault_of(events: int, failure: int, contactor: Contactor) -> int:
    """BoxFault and OTHER_ALARM bits from Evt1, which ConFail (the reason for the last failure) explains."""
    if events == NEVER:
        return FAULT_UNKNOWN
    fault = _SENSOR if events & _COMMUNICATION else 0
    fault |= _OVERCURRENT if events & _CURRENT else 0
    if events & _CONTACTOR:
        stuck = _STUCK_OPEN if contactor == Contactor.OPEN else _WELDED
        fault |= _PRECHARGE if failure == Failure.PRECHARGE else stuck
    other = events & _ALARM
    if other == _OTHER and failure == Failure.BUTTON_PUSHED:
        return fault | _INTERLOCK
    return fault | (OTHER_ALARM if other else 0)
