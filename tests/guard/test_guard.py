"""The guard, value by value: what each raw reading forbids, exactly where the limit lies, and for whom.

Every test is a plain function without arguments that calls `guard` by this module's name for it:
`tests.guard.mutants` puts broken guards in its place and expects at least one test to notice.
"""

from typing import Any

import numpy as np

from firmware_bridge.guard import Trip, guard, in_words
from firmware_bridge.records import Commands, Contactor, Measurements
from tests.guard.readings import (
    A1,
    A2,
    B1,
    ENVELOPE,
    FIRST_CELL_OF_A2,
    FIRST_CELL_OF_B1,
    LAST_CELL_OF_A1,
    LAYOUT,
    around,
    ask,
    bled,
    reading,
    sound,
)

CHARGE, DISCHARGE = -1000.0, 1000.0
OPEN, PRECHARGE, CLOSED = int(Contactor.OPEN), int(Contactor.PRECHARGE), int(Contactor.CLOSED)
UNKNOWN = int(Contactor.UNKNOWN)
FIRST_CELL = 0
NAN = np.nan


def passed(seen: Measurements, commands: Commands) -> Commands:
    """What the guard lets through."""
    return guard(ENVELOPE, LAYOUT, seen, commands)[0]


def trips(seen: Measurements, commands: Commands) -> list[int]:
    """What it says it changed, by cabinet."""
    return list(guard(ENVELOPE, LAYOUT, seen, commands)[1])


def flows(seen: Measurements, power_w: float) -> list[bool]:
    """Whether this power passes untouched, by cabinet; what does not is 0 W."""
    told = passed(seen, ask(power_w)).pcs_w
    assert set(told) <= {0.0, power_w}, told
    return list(told == power_w)


def test_sound_readings_let_every_command_inside_the_envelope_pass_unchanged() -> None:
    for power_w in (-50_000.0, -1.0, 0.0, 1.0, 50_000.0):
        commands = ask(power_w)
        told, trip = guard(ENVELOPE, LAYOUT, sound(), commands)
        assert list(told.pcs_w) == [power_w, power_w]
        assert list(told.contactor) == [CLOSED] * 3
        assert told.bleed_s == commands.bleed_s
        assert list(trip) == [0, 0]


def test_power_beyond_the_envelope_is_cut_to_it_and_told() -> None:
    for asked_w in around(50_000.0, 20_000.0):
        for sign in (1.0, -1.0):
            told, trip = guard(ENVELOPE, LAYOUT, sound(), ask((sign * asked_w, 7.0)))
            assert list(told.pcs_w) == [sign * min(asked_w, 50_000.0), 7.0]
            assert list(trip) == [Trip.COMMAND if asked_w > 50_000.0 else 0, 0]


def test_a_power_that_is_no_number_becomes_zero_and_is_told() -> None:
    for nonsense in (NAN, np.inf, -np.inf):
        told, trip = guard(ENVELOPE, LAYOUT, sound(), ask((5.0, nonsense)))
        assert list(told.pcs_w) == [5.0, 0.0]
        assert list(trip) == [0, Trip.COMMAND]


def test_cell_voltage_forbids_the_direction_that_makes_it_worse() -> None:
    for cell, cabinet in ((FIRST_CELL, 0), (LAST_CELL_OF_A1, 0), (FIRST_CELL_OF_A2, 0), (FIRST_CELL_OF_B1, 1)):
        for v in (*around(2.5, 1.0), *around(4.2, 1.0)):
            seen = reading("cell_v", v, cell)
            charge, discharge = [True, True], [True, True]
            charge[cabinet] = v <= 4.2
            discharge[cabinet] = v >= 2.5
            assert flows(seen, CHARGE) == charge, v
            assert flows(seen, DISCHARGE) == discharge, v


def test_cell_temperature_forbids_charging_when_cold_and_everything_beyond_the_envelope() -> None:
    for sensor, cabinet in ((0, 0), (7, 0), (8, 0), (15, 1)):
        for c in (*around(0.0, 10.0), *around(-20.0, 10.0), *around(55.0, 10.0)):
            seen = reading("module_c", c, sensor)
            charge, discharge = [True, True], [True, True]
            charge[cabinet] = 0.0 <= c <= 55.0
            discharge[cabinet] = -20.0 <= c <= 55.0
            assert flows(seen, CHARGE) == charge, c
            assert flows(seen, DISCHARGE) == discharge, c


def test_string_current_beyond_the_envelope_stops_both_directions() -> None:
    for string, cabinet in ((A1, 0), (A2, 0), (B1, 1)):
        for a in (*around(180.0, 100.0), *around(-180.0, 100.0)):
            seen = reading("string_a", a, string)
            expected = [True, True]
            expected[cabinet] = abs(a) <= 180.0
            assert flows(seen, CHARGE) == flows(seen, DISCHARGE) == expected, a


def test_whatever_is_unheard_stops_its_own_cabinet_in_both_directions() -> None:
    silent = (
        ("cell_v", (LAST_CELL_OF_A1,), 0),
        ("cell_v", (FIRST_CELL_OF_B1,), 1),
        ("module_c", (4, 5, 6, 7), 0),
        ("module_c", (12, 13, 14, 15), 1),
        ("string_a", (A2,), 0),
        ("string_a", (B1,), 1),
        ("string_v", (A2,), 0),
        ("string_v", (B1,), 1),
        ("string_bus_v", (A2,), 0),
        ("string_bus_v", (B1,), 1),
        ("pcs_w", (0,), 0),
        ("pcs_w", (1,), 1),
    )
    for field, places, cabinet in silent:
        seen = reading(field, NAN, *places)
        for power_w in (CHARGE, DISCHARGE):
            expected = [True, True]
            expected[cabinet] = False
            assert flows(seen, power_w) == expected, field
            trip = trips(seen, ask(power_w))
            assert trip[cabinet] == Trip.UNHEARD, field
            assert trip[1 - cabinet] == 0, field


def test_one_sensor_of_a_module_is_enough_to_know_its_temperature() -> None:
    assert flows(reading("module_c", NAN, 0, 1, 2), CHARGE) == [True, True]
    values = reading("module_c", NAN, 0, 1, 2).module_c
    values[0, 3] = -5.0
    assert flows(sound(module_c=values), CHARGE) == [False, True]
    assert flows(sound(module_c=values), DISCHARGE) == [True, True]


def test_an_inverter_without_proven_fallback_or_in_local_gets_no_power() -> None:
    for cabinet in (0, 1):
        for field, value in (("pcs_armed", False), ("pcs_local", True)):
            seen = reading(field, value, cabinet)
            expected = [True, True]
            expected[cabinet] = False
            assert flows(seen, CHARGE) == flows(seen, DISCHARGE) == expected
            assert trips(seen, ask(DISCHARGE))[cabinet] == Trip.NO_FALLBACK


def test_each_reason_has_its_own_name() -> None:
    def of_a(field: str, value: Any, power_w: float) -> int:
        return trips(reading(field, value, 0), ask(power_w))[0]

    assert of_a("cell_v", 4.3, CHARGE) == Trip.CELL_VOLTAGE
    assert of_a("cell_v", 4.3, DISCHARGE) == 0
    assert of_a("cell_v", 2.4, DISCHARGE) == Trip.CELL_VOLTAGE
    assert of_a("cell_v", 2.4, CHARGE) == 0
    assert of_a("module_c", -1.0, CHARGE) == Trip.CELL_TEMPERATURE
    assert of_a("module_c", -1.0, DISCHARGE) == 0
    assert of_a("module_c", -21.0, DISCHARGE) == Trip.CELL_TEMPERATURE
    assert of_a("module_c", 56.0, CHARGE) == Trip.CELL_TEMPERATURE
    assert of_a("module_c", 56.0, DISCHARGE) == Trip.CELL_TEMPERATURE
    assert of_a("string_a", 181.0, CHARGE) == Trip.STRING_CURRENT
    assert of_a("string_a", -181.0, DISCHARGE) == Trip.STRING_CURRENT
    assert of_a("pcs_w", NAN, CHARGE) == Trip.UNHEARD


def test_several_reasons_are_told_together() -> None:
    cell_v, string_a = sound().cell_v, sound().string_a
    cell_v[FIRST_CELL], string_a[A2] = 4.3, 200.0
    assert trips(sound(cell_v=cell_v, string_a=string_a), ask(CHARGE)) == [Trip.CELL_VOLTAGE | Trip.STRING_CURRENT, 0]
    cell_v[FIRST_CELL_OF_A2] = NAN
    every = Trip.CELL_VOLTAGE | Trip.STRING_CURRENT | Trip.UNHEARD
    assert trips(sound(cell_v=cell_v, string_a=string_a), ask(CHARGE)) == [every, 0]


def test_what_one_string_is_refused_does_not_hide_what_another_or_the_command_is_told() -> None:
    v = sound().cell_v.copy()
    v[[FIRST_CELL, FIRST_CELL_OF_A2]] = NAN
    seen = sound(cell_v=v, string_contactor=np.full(3, OPEN))
    commands = ask((60_000.0, 0.0), bleed=bled(FIRST_CELL).bleed, contactor=np.full(3, PRECHARGE))
    assert trips(seen, commands) == [Trip.COMMAND | Trip.CLOSING | Trip.BLEEDING, 0]
    closed = sound(cell_v=v, string_contactor=np.array([CLOSED, OPEN, CLOSED]))
    assert trips(closed, commands) == [Trip.COMMAND | Trip.UNHEARD | Trip.CLOSING | Trip.BLEEDING, 0]


def test_nothing_is_told_of_a_cabinet_that_was_asked_for_nothing() -> None:
    seen = reading("cell_v", NAN, *range(LAYOUT.cells))
    assert trips(seen, ask(0.0)) == [0, 0]
    assert trips(seen, ask((0.0, 1.0))) == [0, Trip.UNHEARD]


def test_each_cabinet_is_judged_by_the_direction_that_it_is_asked_for() -> None:
    seen = reading("cell_v", 4.3, FIRST_CELL, FIRST_CELL_OF_B1)
    assert list(passed(seen, ask((CHARGE, DISCHARGE))).pcs_w) == [0.0, DISCHARGE]
    assert list(passed(seen, ask((DISCHARGE, CHARGE))).pcs_w) == [DISCHARGE, 0.0]


def test_a_watt_is_judged_as_a_kilowatt() -> None:
    for power_w in (1e-9, 0.5, 1.0):
        assert flows(reading("cell_v", 4.3, FIRST_CELL), power_w) == [True, True]
        assert flows(reading("cell_v", 4.3, FIRST_CELL), -power_w) == [False, True]
        assert flows(reading("cell_v", 2.4, FIRST_CELL), power_w) == [False, True]
        assert flows(reading("cell_v", 2.4, FIRST_CELL), -power_w) == [True, True]


def test_a_string_known_to_be_open_does_not_bind_its_cabinet_and_one_unknown_does() -> None:
    cell_v = reading("cell_v", NAN, FIRST_CELL_OF_A2).cell_v
    for feedback, expected in ((OPEN, True), (PRECHARGE, False), (CLOSED, False), (UNKNOWN, False)):
        contactor = np.array([CLOSED, feedback, CLOSED])
        for power_w in (CHARGE, DISCHARGE):
            assert flows(sound(cell_v=cell_v, string_contactor=contactor), power_w) == [expected, True]


def test_contactors_do_not_move_towards_closed_on_an_unsound_string() -> None:
    unsound = (
        ("cell_v", 4.3, (FIRST_CELL_OF_A2,)),
        ("cell_v", 2.4, (FIRST_CELL_OF_A2,)),
        ("cell_v", NAN, (FIRST_CELL_OF_A2,)),
        ("module_c", 56.0, (8,)),
        ("module_c", -21.0, (8,)),
        ("module_c", NAN, (8, 9, 10, 11)),
        ("string_a", NAN, (A2,)),
        ("string_a", 181.0, (A2,)),
        ("string_v", NAN, (A2,)),
    )
    for field, value, places in unsound:
        values = getattr(reading(field, value, *places), field)
        for feedback, wanted in ((OPEN, PRECHARGE), (PRECHARGE, CLOSED)):
            changes = {field: values, "string_contactor": np.full(3, feedback)}
            told, trip = guard(ENVELOPE, LAYOUT, sound(**changes), ask(contactor=np.full(3, wanted)))
            assert list(told.contactor) == [wanted, OPEN, wanted], (field, value)
            assert list(trip) == [Trip.CLOSING, 0], (field, value)


def test_sound_strings_may_close_step_by_step() -> None:
    for feedback, wanted in ((OPEN, PRECHARGE), (PRECHARGE, CLOSED), (PRECHARGE, PRECHARGE)):
        told, trip = guard(
            ENVELOPE, LAYOUT, sound(string_contactor=np.full(3, feedback)), ask(contactor=np.full(3, wanted))
        )
        assert list(told.contactor) == [wanted] * 3
        assert list(trip) == [0, 0]


def test_contactors_never_close_without_precharge() -> None:
    told, trip = guard(ENVELOPE, LAYOUT, sound(string_contactor=np.array([OPEN, CLOSED, CLOSED])), ask())
    assert list(told.contactor) == [OPEN, CLOSED, CLOSED]
    assert list(trip) == [Trip.CLOSING, 0]


def test_contactors_that_nobody_sees_are_told_neither_to_close_nor_to_open_by_the_guard() -> None:
    for wanted in (PRECHARGE, CLOSED):
        seen = sound(string_contactor=np.array([CLOSED, UNKNOWN, CLOSED]))
        told, trip = guard(ENVELOPE, LAYOUT, seen, ask(contactor=np.array([CLOSED, wanted, CLOSED])))
        assert list(told.contactor) == [CLOSED, UNKNOWN, CLOSED]
        assert list(trip) == [Trip.CLOSING, 0]


def test_a_refusal_adds_to_what_the_string_before_was_told() -> None:
    seen = sound(cell_v=reading("cell_v", 2.4, FIRST_CELL).cell_v, string_contactor=np.array([CLOSED, UNKNOWN, CLOSED]))
    assert trips(seen, ask(bleed=bled(FIRST_CELL).bleed)) == [Trip.BLEEDING | Trip.CLOSING, 0]


def test_a_string_too_cold_to_charge_may_close_so_that_it_can_discharge() -> None:
    cold = reading("module_c", -5.0, 8).module_c
    told = passed(sound(module_c=cold, string_contactor=np.full(3, OPEN)), ask(contactor=np.full(3, PRECHARGE)))
    assert list(told.contactor) == [PRECHARGE] * 3


def test_a_string_that_is_closed_or_unseen_is_never_opened_by_the_guard_and_opening_always_passes() -> None:
    cell_v = np.full(LAYOUT.cells, NAN)
    assert list(passed(sound(cell_v=cell_v), ask()).contactor) == [CLOSED] * 3
    for feedback in (UNKNOWN, OPEN, PRECHARGE, CLOSED):
        seen = sound(cell_v=cell_v, string_contactor=np.full(3, feedback))
        for wanted in (OPEN, UNKNOWN):
            told, trip = guard(ENVELOPE, LAYOUT, seen, ask(contactor=np.full(3, wanted)))
            assert list(told.contactor) == [wanted] * 3
            assert list(trip) == [0, 0]
    held = passed(sound(cell_v=cell_v, string_contactor=np.full(3, PRECHARGE)), ask(contactor=np.full(3, PRECHARGE)))
    assert list(held.contactor) == [PRECHARGE] * 3


def test_only_heard_cells_above_empty_are_bled() -> None:
    for v in (*around(2.5, 1.0), NAN):
        for cell, cabinet in ((LAST_CELL_OF_A1, 0), (FIRST_CELL_OF_B1, 1)):
            told, trip = guard(ENVELOPE, LAYOUT, reading("cell_v", v, cell), bled(cell, FIRST_CELL))
            allowed = bool(v > 2.5)
            assert list(np.flatnonzero(told.bleed)) == sorted({FIRST_CELL, cell} if allowed else {FIRST_CELL})
            expected = [0, 0]
            expected[cabinet] = 0 if allowed else Trip.BLEEDING
            assert list(trip) == expected


def test_an_unsound_cell_that_nobody_bleeds_is_no_matter() -> None:
    assert trips(reading("cell_v", 2.0, FIRST_CELL), bled(LAST_CELL_OF_A1)) == [0, 0]
    assert not passed(sound(), ask()).bleed.any()


def test_trip_bits_read_as_words() -> None:
    assert in_words(0) == ""
    assert in_words(Trip.UNHEARD | Trip.CELL_VOLTAGE) == "unheard, cell voltage"
    assert in_words(sum(Trip)) == (
        "unheard, cell voltage, cell temperature, string current, no fallback, command, closing, bleeding"
    )
    assert [flag.value for flag in Trip] == [1, 2, 4, 8, 16, 32, 64, 128]  # kept in journals
