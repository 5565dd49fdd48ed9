"""A cabinet behind a Modbus gateway: found, read whole and fresh, what is odd is told."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from firmware_bridge.dialects.sbox import FAULT_UNKNOWN
from firmware_bridge.dialects.sunspec.battery import BatteryMaster
from firmware_bridge.dialects.sunspec.battery_bank import BatteryBank
from firmware_bridge.dialects.sunspec.battery_map import BASE, offset
from firmware_bridge.dialects.sunspec.battery_reading import Sensors
from firmware_bridge.frames import Answer
from tests.bridge.battery_talk import (
    CLOSED,
    DEALER,
    IX3,
    RATINGS,
    UNKNOWN,
    Cabinet,
    Rearranged,
    seat,
    view,
)

BOTH_CLOSED = (CLOSED, CLOSED)


def test_a_cabinet_is_found_and_every_cell_heard_within_two_seconds() -> None:
    cabinet = Cabinet()
    picture = cabinet.beats(2.0)
    assert cabinet.events == ["gateway found: 2 strings, 188 cells"]
    assert picture.cell_v == pytest.approx(cabinet.view.cell_v, abs=1e-9)
    assert (picture.cell_bleeding == cabinet.view.cell_bleeding).all()
    assert picture.module_c == pytest.approx(cabinet.view.module_c, abs=1e-9)
    assert picture.string_a == pytest.approx(cabinet.view.string_a, abs=1e-9)
    assert picture.string_v == pytest.approx(cabinet.view.string_v, abs=1e-9)
    assert picture.string_bus_v == pytest.approx(cabinet.view.string_bus_v, abs=1e-9)
    assert picture.contactor.tolist() == [CLOSED, CLOSED]
    assert picture.fault.tolist() == [0, 0]
    assert np.isnan(picture.insulation_ohm).all()  # SunSpec has no point for it
    assert np.isnan(picture.module_board_c).all()
    assert picture.module_error.tolist() == [0] * 20


def test_cells_are_never_older_than_a_second_and_strings_never_older_than_a_beat() -> None:
    cabinet = Cabinet()
    cabinet.beats(2.0)
    for _ in range(50):
        picture = cabinet.beat()
        assert picture.cell_age_s.max() <= 1.0
        assert picture.module_age_s.max() <= 1.0
        assert picture.string_age_s == pytest.approx([0.1, 0.1])


def test_no_read_is_longer_than_modbus_allows_and_no_beat_asks_for_all_modules_at_once() -> None:
    cabinet = Cabinet(seat(*[(20,) * 10] * 2), view(seat(*[(20,) * 10] * 2)))
    for _ in range(60):
        cabinet.beat(BOTH_CLOSED)
        assert all(request.count <= 125 for request in cabinet.asked)
        reads = [request for request in cabinet.asked if request.tag.startswith("module")]
        assert len(reads) <= 3
    assert cabinet.beat().cell_age_s.max() <= 1.0


def test_a_slow_beat_reads_everything_at_once() -> None:
    cabinet = Cabinet()
    for _ in range(12):
        picture = cabinet.beat(dt_s=10.0)
    assert picture.cell_age_s == pytest.approx(np.full(188, 10.0))


def test_a_slow_line_is_asked_for_no_more_than_it_carries() -> None:
    """30 ms for each answer: 60 modules would take two seconds and starve the strings."""
    large = seat(*[(9,) * 10] * 6)
    cabinet = Cabinet(large, view(large))
    waiting: list[Answer] = []
    for _ in range(400):
        now_s = cabinet.clock.now_s = cabinet.clock.now_s + 0.1
        cabinet.bank.show(cabinet.view, now_s)
        heard = [answer for answer in waiting if answer.wire_s <= now_s]
        waiting = waiting[len(heard) :]
        cabinet.master.hear(heard, now_s)
        if not waiting:
            requests = cabinet.master.ask(np.full(6, int(UNKNOWN)), now_s)
            assert len(requests) * 0.03 < 1.0  # a wire throws away what has waited for a second
            cabinet.wire.ask(requests)
            answers = cabinet.wire.drain()
            waiting = [replace(answer, wire_s=now_s + 0.03 * (at + 1)) for at, answer in enumerate(answers)]
    picture = cabinet.master.picture(cabinet.clock.now_s)
    assert picture.string_age_s.max() < 1.5
    assert picture.cell_age_s.max() < 5.0


def test_before_anything_is_heard_nothing_is_known() -> None:
    picture = BatteryMaster(DEALER).picture(5.0)
    assert np.isnan(picture.cell_v).all()
    assert np.isnan(picture.string_a + picture.string_v + picture.string_bus_v).all()
    assert (picture.cell_age_s == inf).all()
    assert (picture.string_age_s == inf).all()
    assert picture.contactor.tolist() == [UNKNOWN, UNKNOWN]
    assert picture.fault.tolist() == [FAULT_UNKNOWN] * 2
    assert picture.module_error.tolist() == [-1] * 20


def test_a_gateway_that_counts_charging_as_positive_is_turned_once() -> None:
    turned = replace(DEALER, positive_discharges=False)
    cabinet = Cabinet(turned)
    assert cabinet.beats(2.0).string_a == pytest.approx(cabinet.view.string_a)
    at = int(cabinet.bank.map.string_at[0]) + offset(804, "A")
    raw = (cabinet.bank.read(at, 1) or (0,))[0]
    assert (raw if raw < 0x8000 else raw - 0x10000) == pytest.approx(-10 * cabinet.view.string_a[0])


# --- what is missing or old -----------------------------------------------------------------------------------------


def test_a_cell_that_is_not_implemented_keeps_its_last_voltage_and_grows_old() -> None:
    cabinet = Cabinet()
    before = cabinet.beats(2.0).cell_v[17]
    cabinet.view.cell_v[17] = nan
    picture = cabinet.beats(3.0)
    assert picture.cell_v[17] == before
    assert picture.cell_age_s[17] > 2.0
    assert np.delete(picture.cell_age_s, 17).max() <= 1.0


def test_a_temperature_that_is_not_implemented_is_missing_at_once() -> None:
    cabinet = Cabinet()
    cabinet.beats(2.0)
    cabinet.view.module_c[3, 2] = nan
    cabinet.view.module_c[4] = nan
    picture = cabinet.beats(1.5)
    assert np.isnan(picture.module_c).sum() == 5
    assert np.isnan(picture.module_c[3, 2])


def test_a_gateway_whose_heartbeat_stands_still_says_nothing_new() -> None:
    cabinet = Cabinet()
    cabinet.beats(2.0, BOTH_CLOSED)
    cabinet.bank.show = lambda view, now_s: None  # type: ignore[method-assign]  # the gateway hangs, its registers answer
    picture = cabinet.beats(10.0, BOTH_CLOSED)
    assert "gateway heartbeat stands still: what it says is old" in cabinet.events
    assert picture.cell_age_s.min() > 8.0
    assert picture.string_age_s.min() > 8.0
    del cabinet.bank.show
    assert cabinet.beats(2.0).cell_age_s.max() <= 1.0
    assert cabinet.events[-1] == "gateway heartbeat goes on"


def test_a_silent_gateway_ages_is_searched_again_and_found_again() -> None:
    cabinet = Cabinet()
    before = cabinet.beats(2.0)
    cabinet.bank.answering = False
    picture = cabinet.beats(5.0)
    assert picture.cell_v.tolist() == before.cell_v.tolist()
    assert picture.cell_age_s.min() > 4.0
    assert any("gateway does not answer" in event for event in cabinet.events)
    cabinet.bank.answering = True
    assert cabinet.beats(5.0).cell_age_s.max() <= 1.0


def test_a_line_that_fails_for_a_moment_is_no_news() -> None:
    cabinet = Cabinet()
    cabinet.beats(2.0)
    for _ in range(20):
        cabinet.between = lambda answer: (
            answer if answer.request.tag == "bank" else replace(answer, words=(), trouble="x")
        )
        cabinet.beat()
        cabinet.between = lambda answer: answer
        cabinet.beats(0.5)
    assert cabinet.events == ["gateway found: 2 strings, 188 cells"]


def test_a_module_that_is_refused_behind_a_living_gateway_ages_alone() -> None:
    cabinet = Cabinet()
    cabinet.beats(2.0)
    cabinet.between = lambda answer: (
        replace(answer, words=(), trouble="exception 4") if answer.request.tag == "module 3" else answer
    )
    picture = cabinet.beats(5.0)
    assert picture.module_age_s[3] > 4.0
    assert np.delete(picture.module_age_s, 3).max() <= 1.0
    assert cabinet.events[1:] == ["A1/M04 is not answered for: exception 4"]
    cabinet.between = lambda answer: answer
    cabinet.beats(2.0)
    assert cabinet.events[2:] == ["A1/M04 answers again"]


# --- is it the cabinet of the site file? ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (seat(IX3), "gateway not used: 1 string in it (804), 2 in the site file"),
        (seat(IX3, IX3[:9]), "gateway not used: 19 modules in it (805), 20 in the site file"),
        (seat(IX3[:9], (*IX3, 9)), "gateway not used: string A1 has 9 modules in it, 10 in the site file"),
        (seat(IX3, (10, 10, 10, 11, 9, 9, 9, 9, 9, 9)), "gateway not used: module A2/M04 has 11 cells in it, 10 in"),
    ],
)
def test_a_cabinet_that_is_not_the_site_s_is_refused_in_words(there: object, told: str) -> None:
    assert isinstance(there, type(DEALER))
    cabinet = Cabinet(there, view(there), expected=DEALER)
    picture = cabinet.beats(4.0)
    assert len(cabinet.events) == 1
    assert cabinet.events[0].startswith(told)
    assert np.isnan(picture.cell_v).all()
    assert cabinet.written() == []


def test_another_module_code_is_told_and_the_module_is_read() -> None:
    codes = (DEALER.codes[0], ("ANOTHER", *DEALER.codes[1][1:]))
    cabinet = Cabinet(expected=replace(DEALER, codes=codes))
    picture = cabinet.beats(2.0)
    assert cabinet.events[0] == "A2/M01: module code 02IEM200 instead of ANOTHER"
    assert not np.isnan(picture.cell_v).any()


def test_a_module_that_is_swapped_while_we_look_is_told() -> None:
    cabinet = Cabinet()
    cabinet.beats(2.0)
    swapped = replace(DEALER, codes=(("SWAPPED", *DEALER.codes[0][1:]), DEALER.codes[1]))
    cabinet.bank._words = BatteryBank(swapped, RATINGS, writable=True)._words
    cabinet.beats(220.0)
    assert "A1/M01: module code SWAPPED instead of 02IEM100" in cabinet.events


def test_a_map_in_another_order_with_unknown_models_is_found_all_the_same() -> None:
    bank = BatteryBank(DEALER, RATINGS, writable=True)
    bank.show(view(), 1.0)
    other = Rearranged.of(bank, lambda model: (-model[0], -model[2]), 64_001, 3, 7, 7, 7)
    cabinet = Cabinet(served=other)
    picture = cabinet.beats(2.5)
    assert picture.cell_v == pytest.approx(view().cell_v)
    assert picture.string_v == pytest.approx(view().string_v)


def test_a_gateway_that_changes_its_map_is_searched_anew() -> None:
    cabinet = Cabinet()
    cabinet.beats(2.0)
    cabinet.bank._words[cabinet.bank.map.bank_at - BASE] = 899
    cabinet.beats(0.3)
    assert "gateway has changed its register map: searched anew" in cabinet.events


# --- temperatures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        ([20, 20, 21, 21, 22, 22, 23, 23], [20, 21, 22, 23]),  # ours: a sensor's cells say the same
        ([20, 30, 21, 21, 22, 22, 23, 23], [30, 20, 22, 23]),  # the coldest beside the hottest: both are kept
        ([20, 29, 21, 21, 22, 22, 23, 40], [20, 21, 22, 40]),
        ([nan] * 8, [nan] * 4),
        ([nan, nan, 5, 7, nan, nan, nan, nan], [nan, 7, 5, nan]),
    ],
)
def test_of_the_temperatures_of_cells_the_coldest_and_the_hottest_are_kept(
    cells: list[float], kept: list[float]
) -> None:
    assert Sensors(np.arange(8) // 2).of(np.array(cells, np.float64)) == pytest.approx(kept, nan_ok=True)


def test_a_gateway_without_cell_temperatures_is_read_by_its_coldest_and_hottest() -> None:
    cabinet = Cabinet()
    cabinet.beats(2.0)
    cell_c = cabinet.bank.map.cell_at + 1 - BASE
    show = cabinet.bank.show

    def without_cell_temperatures(view: object, now_s: float) -> None:
        show(view, now_s)  # type: ignore[arg-type]
        cabinet.bank._words[cell_c] = 0x8000

    cabinet.bank.show = without_cell_temperatures  # type: ignore[method-assign]
    picture = cabinet.beats(3.0)
    assert np.nanmin(picture.module_c, axis=1) == pytest.approx(cabinet.view.module_c.min(axis=1))
    assert np.nanmax(picture.module_c, axis=1) == pytest.approx(cabinet.view.module_c.max(axis=1))
