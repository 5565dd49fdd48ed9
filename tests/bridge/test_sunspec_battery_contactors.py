"""What a gateway is told to do with its strings, what it does when nobody speaks, and which faults it tells."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from firmware_bridge.dialects.sbox import WATCHDOG_S, BoxFault
from firmware_bridge.dialects.sunspec.battery_bank import BatteryBank
from firmware_bridge.dialects.sunspec.battery_faults import OTHER_ALARM
from firmware_bridge.dialects.sunspec.battery_map import BASE, DISABLE, ENABLE, offset
from tests.bridge.battery_talk import CLOSED, DEALER, OPEN, PRECHARGE, RATINGS, UNKNOWN, Cabinet, Rearranged

BOTH_CLOSED = (CLOSED, CLOSED)


def test_precharge_and_closed_are_one_connect_and_open_is_disconnect() -> None:
    cabinet = Cabinet(follows=True)
    cabinet.beats(2.0, (OPEN, OPEN))
    assert cabinet.written() == [("SetCon of A1", 2), ("SetCon of A2", 2)]
    assert cabinet.beats(1.0, (PRECHARGE, OPEN)).contactor.tolist() == [CLOSED, OPEN]
    assert cabinet.written() == [("SetCon of A1", 1)]
    cabinet.beats(1.0, (CLOSED, CLOSED))
    assert cabinet.written() == [("SetCon of A2", 1)]
    assert cabinet.beats(1.0, (CLOSED, OPEN)).contactor.tolist() == [CLOSED, OPEN]
    assert cabinet.written() == [("SetCon of A2", 2)]


def test_a_string_that_is_disabled_at_the_gateway_is_neither_enabled_nor_connected_until_it_is_enabled_there() -> None:
    cabinet = Cabinet(follows=True)
    cabinet.beats(2.0, (OPEN, OPEN))
    enable_at = int(cabinet.bank.map.string_at[1]) + offset(804, "SetEna")
    cabinet.bank.write(enable_at, (DISABLE,))
    cabinet.beats(0.5, (OPEN, OPEN))
    cabinet.written()
    picture = cabinet.beats(10.0, BOTH_CLOSED)
    assert (picture.contactor.tolist(), picture.disabled.tolist()) == ([CLOSED, OPEN], [False, True])
    assert cabinet.written() == [("SetCon of A1", 1)]
    assert cabinet.events[-1] == "A2: disabled at its gateway: it stays open until it is enabled there"
    cabinet.bank.write(enable_at, (ENABLE,))
    picture = cabinet.beats(1.0, BOTH_CLOSED)
    assert (picture.contactor.tolist(), picture.disabled.tolist()) == ([CLOSED, CLOSED], [False, False])
    assert cabinet.written() == [("SetCon of A2", 1)]
    assert cabinet.events[-1] == "A2: enabled at its gateway"


def test_a_string_that_has_not_been_heard_is_not_said_to_be_disabled() -> None:
    assert not Cabinet().beat().disabled.any()


def test_a_string_that_does_not_obey_is_told_again_to_open_soon_to_close_later() -> None:
    cabinet = Cabinet()  # its contactors stay closed whatever it is told
    cabinet.beats(2.0, (OPEN, CLOSED))
    cabinet.written()
    cabinet.beats(10.0, (OPEN, CLOSED))
    assert cabinet.written() == [("SetCon of A1", 2)] * 10
    cabinet.view = replace(cabinet.view, contactor=np.zeros(2, np.int64))
    cabinet.beats(0.5, (OPEN, CLOSED))
    cabinet.written()
    cabinet.beats(20.0, (OPEN, CLOSED))
    assert cabinet.written() == [("SetCon of A2", 1)] * 4


def test_silence_of_the_controller_opens_the_contactors_and_they_stay_open_until_told_anew() -> None:
    cabinet = Cabinet(follows=True)
    cabinet.beats(2.0, BOTH_CLOSED)
    now_s = cabinet.clock.now_s
    assert cabinet.bank.wanted(now_s + WATCHDOG_S - 1.1).tolist() == [CLOSED, CLOSED]
    assert cabinet.bank.wanted(now_s + WATCHDOG_S + 0.1).tolist() == [OPEN, OPEN]
    assert cabinet.bank.write(cabinet.bank.map.bank_at + offset(802, "CtrlHb"), (777,))
    assert cabinet.bank.wanted(now_s + WATCHDOG_S + 0.2).tolist() == [OPEN, OPEN]


def test_a_heartbeat_that_does_not_count_is_none() -> None:
    cabinet = Cabinet(follows=True)
    cabinet.beats(2.0, BOTH_CLOSED)
    for _ in range(200):
        cabinet.clock.now_s += 0.1
        cabinet.bank.advance(cabinet.clock.now_s)
        cabinet.bank.write(cabinet.bank.map.bank_at + offset(802, "CtrlHb"), (9,))
    assert cabinet.bank.wanted(cabinet.clock.now_s).tolist() == [OPEN, OPEN]


def test_with_no_string_to_speak_to_the_controller_is_silent_and_the_watchdog_acts() -> None:
    cabinet = Cabinet(follows=True)
    cabinet.beats(2.0, BOTH_CLOSED)
    cabinet.writes.clear()
    picture = cabinet.beats(WATCHDOG_S + 1.0, (UNKNOWN, UNKNOWN))
    assert cabinet.writes == []
    assert picture.contactor.tolist() == [OPEN, OPEN]


def test_a_gateway_switched_to_local_is_told_nothing() -> None:
    cabinet = Cabinet(follows=True)
    cabinet.beats(2.0, BOTH_CLOSED)
    cabinet.bank.local = True
    cabinet.beats(0.3, BOTH_CLOSED)
    cabinet.writes.clear()
    assert cabinet.beats(3.0, (OPEN, OPEN)).local
    assert cabinet.writes == []
    assert cabinet.events[-1] == "gateway switched to local: not written to"
    cabinet.bank.local = False
    cabinet.beats(1.0, (OPEN, OPEN))
    assert cabinet.written() == [("SetCon of A1", 2), ("SetCon of A2", 2)]


def test_a_cabinet_that_takes_no_commands_is_read_and_that_is_told() -> None:
    bank = BatteryBank(DEALER, RATINGS, writable=False)
    words = Rearranged.of(bank, lambda model: (model[2],))
    words.words[bank.map.bank_at - BASE + offset(802, "LocRemCtl")] = 0  # says remote, takes nothing
    for at in bank.map.string_at.tolist():
        words.words[at - BASE + offset(804, "St") : at - BASE + offset(804, "St") + 2] = 0, 3
    cabinet = Cabinet(served=words)
    cabinet.beats(3.0, (OPEN, CLOSED))
    assert cabinet.writes == []
    assert "A1: gateway takes no command for it (804 SetCon)" in cabinet.events
    assert "gateway takes no heartbeat (802 CtrlHb): it has no watchdog on us" in cabinet.events


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contactor", [OPEN, PRECHARGE, CLOSED])
@pytest.mark.parametrize("fault", [0, *BoxFault, OTHER_ALARM])
def test_each_fault_of_a_string_crosses_the_registers(fault: int, contactor: int) -> None:
    if (fault == BoxFault.WELDED) is (contactor == OPEN) and fault in (BoxFault.WELDED, BoxFault.STUCK_OPEN):
        return  # neither is welded what is open, nor stuck open what is not
    cabinet = Cabinet()
    cabinet.view = replace(cabinet.view, contactor=np.array([contactor, CLOSED]), fault=np.array([int(fault), 0]))
    picture = cabinet.beats(2.0)
    assert picture.fault.tolist() == [fault, 0]
    assert picture.contactor.tolist() == [contactor, CLOSED]


def test_an_earth_fault_is_a_resistance_of_nothing_and_told() -> None:
    cabinet = Cabinet()
    cabinet.view.insulation_ohm[1] = 50_000.0
    picture = cabinet.beats(2.0)
    assert np.isnan(picture.insulation_ohm[0])
    assert picture.insulation_ohm[1] == 0.0
    assert "A2: GROUND_FAULT" in cabinet.events
    cabinet.view.insulation_ohm[1] = nan
    assert np.isnan(cabinet.beats(1.0).insulation_ohm).all()
    assert "A2: alarms and warnings gone" in cabinet.events
