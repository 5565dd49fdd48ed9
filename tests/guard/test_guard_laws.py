"""The guard's law: no reading and no command yields anything outside the envelope, by a second, slow judge."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.guard import guard
from firmware_bridge.records import Commands, Contactor, Measurements
from tests.guard.readings import ENVELOPE, LAYOUT, ask, sound

ABSURD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 1e-308)
LIMITS = (2.5, 4.2, 0.0, -20.0, 55.0, 180.0, -180.0, 50_000.0, -50_000.0)
numbers = st.one_of(st.sampled_from(ABSURD), st.sampled_from(LIMITS), st.floats(), st.floats(-300.0, 300.0))
FIELDS = ("cell_v", "module_c", "string_a", "string_v", "string_bus_v", "pcs_w", "pcs_charge_w", "pcs_discharge_w")
flags = st.booleans()
contactors = st.lists(st.sampled_from([int(c) for c in Contactor]), min_size=3, max_size=3)


@st.composite
def readings(draw: st.DrawFn) -> Measurements:
    """Sound readings with some numbers, feedbacks and flags replaced by anything."""
    seen = sound(
        string_contactor=np.array(draw(contactors)),
        pcs_armed=np.array([draw(flags), True]),
        pcs_local=np.array([draw(flags), False]),
    )
    for field in draw(st.lists(st.sampled_from(FIELDS), max_size=4)):
        values = getattr(seen, field).copy()
        values.flat[draw(st.integers(0, values.size - 1))] = draw(numbers)
        seen = replace(seen, **{field: values})
    return seen


@st.composite
def commands(draw: st.DrawFn) -> Commands:
    """Any powers, any contactors, any bleeding."""
    bleed = np.zeros(LAYOUT.cells, bool)
    bleed[draw(st.lists(st.integers(0, LAYOUT.cells - 1), max_size=4))] = True
    power_w = (draw(numbers), draw(numbers))
    return ask(power_w, contactor=np.array(draw(contactors)), bleed=bleed)


def heard(value: float) -> bool:
    """Whether a reading is a number."""
    return not np.isnan(value)


def may(seen: Measurements, string: int, power_w: float) -> bool:
    """Whether a string's raw readings allow power in this direction: cell by cell, as the envelope reads."""
    if not (heard(seen.string_a[string]) and abs(seen.string_a[string]) <= ENVELOPE.string_a_max):
        return False
    if not heard(seen.string_v[string]):
        return False
    for cell in np.flatnonzero(LAYOUT.cell_string == string):
        v = seen.cell_v[cell]
        if not heard(v) or (power_w < 0 and v > ENVELOPE.cell_v_max) or (power_w > 0 and v < ENVELOPE.cell_v_min):
            return False
    for module in np.flatnonzero(LAYOUT.module_string == string):
        known = [c for c in seen.module_c[module] if heard(c)]
        coldest_allowed = ENVELOPE.charge_c_min if power_w < 0 else ENVELOPE.cell_c_min
        if not known or min(known) < max(coldest_allowed, ENVELOPE.cell_c_min) or max(known) > ENVELOPE.cell_c_max:
            return False
    return True


@settings(max_examples=200, deadline=None)
@given(readings(), commands())
def test_no_reading_yields_a_command_outside_the_envelope(seen: Measurements, wish: Commands) -> None:
    with np.errstate(all="ignore"):
        told, trip = guard(ENVELOPE, LAYOUT, seen, wish)
    assert np.isfinite(told.pcs_w).all()
    assert (np.abs(told.pcs_w) <= ENVELOPE.pcs_w_max).all()
    for cabinet, power_w in enumerate(told.pcs_w):
        if power_w == 0.0:
            continue
        assert power_w == np.clip(wish.pcs_w[cabinet], -50_000.0, 50_000.0)
        assert heard(seen.pcs_w[cabinet])
        assert seen.pcs_armed[cabinet]
        assert not seen.pcs_local[cabinet]
        for string in np.flatnonzero(LAYOUT.string_cabinet == cabinet):
            assert seen.string_contactor[string] == Contactor.OPEN or may(seen, int(string), power_w)
    assert ((trip != 0) | (told.pcs_w == np.where(np.isnan(wish.pcs_w), np.inf, wish.pcs_w))).all()


@settings(max_examples=200, deadline=None)
@given(readings(), commands())
def test_contactors_close_and_cells_bleed_only_where_the_readings_allow_it(seen: Measurements, wish: Commands) -> None:
    with np.errstate(all="ignore"):
        told, _ = guard(ENVELOPE, LAYOUT, seen, wish)
    for string in range(LAYOUT.strings):
        before, after = seen.string_contactor[string], told.contactor[string]
        assert after in (wish.contactor[string], Contactor.OPEN, Contactor.UNKNOWN)
        if before == Contactor.UNKNOWN:
            assert after <= Contactor.OPEN
        elif after > before:
            assert may(seen, string, 1.0)
            assert after - before == 1
        if wish.contactor[string] <= Contactor.OPEN:
            assert after == wish.contactor[string]
    assert not (told.bleed & ~wish.bleed).any()
    assert (seen.cell_v[told.bleed] > ENVELOPE.cell_v_min).all()


@settings(max_examples=100, deadline=None)
@given(readings(), commands())
def test_the_guard_has_nothing_to_add_to_what_it_has_let_through(seen: Measurements, wish: Commands) -> None:
    with np.errstate(all="ignore"):
        once, _ = guard(ENVELOPE, LAYOUT, seen, wish)
        twice, trip = guard(ENVELOPE, LAYOUT, seen, once)
    assert list(twice.pcs_w) == list(once.pcs_w)
    assert list(twice.contactor) == list(once.contactor)
    assert list(twice.bleed) == list(once.bleed)
    assert not trip.any()
