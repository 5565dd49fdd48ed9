"""Any cabinet crosses the registers unchanged; any words in any answer raise nothing and never become numbers."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.dialects.sbox import BoxFault
from firmware_bridge.dialects.sunspec.battery import BatteryMaster, BatteryPicture, BatterySeat
from firmware_bridge.dialects.sunspec.battery_bank import BatteryBank, CabinetView
from firmware_bridge.dialects.sunspec.battery_faults import (
    NEVER,
    OTHER_ALARM,
    bits_of,
    contactor_of,
    events_of,
    fault_of,
)
from firmware_bridge.dialects.sunspec.battery_map import BASE
from firmware_bridge.dialects.sunspec.battery_reading import Sensors
from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.frames import Answer
from firmware_bridge.records import Contactor, Floats, Ints
from tests.bridge.battery_talk import CLOSED, RATINGS, UNKNOWN, Cabinet, Rearranged, seat, view
from tests.bridge.test_sunspec_garbage import WORD, WORDS, Noise

SMALL = seat((8, 9), (10,))
SEATS = st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=4).map(tuple), min_size=1, max_size=3).map(
    lambda cells: seat(*cells)
)


def floats(random: np.random.Generator, shape: int | tuple[int, int], low: int, high: int, unit: float) -> Floats:
    """Values such as a register can say, a fifth of them not known."""
    values = np.rint(random.uniform(low, high, shape)) / unit
    return np.where(random.random(shape) < 0.2, np.nan, values)


def any_view(of: BatterySeat, seed: int) -> CabinetView:
    random = np.random.default_rng(seed)
    strings, modules = len(of.cells), sum(map(len, of.cells))
    cells = sum(map(sum, of.cells))
    return CabinetView(
        cell_v=floats(random, cells, 0, 65534, 1000),
        cell_bleeding=random.random(cells) < 0.5,
        module_c=floats(random, (modules, 4), -32767, 32767, 10),
        string_a=floats(random, strings, -32767, 32767, 10),
        string_v=floats(random, strings, 0, 65534, 10),
        string_bus_v=np.full(strings, floats(random, 1, 0, 65534, 10)[0]),
        contactor=random.integers(-1, 3, strings),
        fault=np.zeros(strings, np.int64),
        insulation_ohm=floats(random, strings, 0, 400_000, 1),
        cell_soc=floats(random, cells, 0, 10_000, 10_000),
        module_soh=floats(random, modules, 0, 10_000, 10_000),
    )


@settings(max_examples=40)
@given(SEATS, st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_any_cabinet_is_heard_as_it_is(of: BatterySeat, seed: int, positive: bool, reordered: bool) -> None:
    of = replace(of, positive_discharges=positive)
    shown = any_view(of, seed)
    bank = BatteryBank(of, RATINGS, writable=True)
    bank.show(shown, 1.0)
    served = Rearranged.of(bank, lambda model: (-model[0], -model[2])) if reordered else bank
    heard = Cabinet(of, shown, served=served).beats(4.0)
    where = bank.map
    assert heard.cell_v == pytest.approx(shown.cell_v, nan_ok=True)
    assert (np.isinf(heard.cell_age_s) == np.isnan(shown.cell_v)).all()
    assert (heard.cell_bleeding == shown.cell_bleeding).all()
    assert heard.string_a == pytest.approx(shown.string_a, nan_ok=True)
    assert heard.string_v == pytest.approx(shown.string_v, nan_ok=True)
    assert heard.string_bus_v == pytest.approx(shown.string_bus_v, nan_ok=True)
    assert heard.contactor.tolist() == shown.contactor.tolist()
    assert heard.fault.tolist() == [int(BoxFault.SENSOR) if state == UNKNOWN else 0 for state in shown.contactor]
    assert (np.nan_to_num(heard.insulation_ohm, nan=1.0) == 0.0).tolist() == (shown.insulation_ohm < 200_000).tolist()
    for module in range(where.modules):
        sensors = where.sensor[where.cell_module == module]
        told = np.isin(np.arange(4), sensors)
        assert heard.module_c[module] == pytest.approx(np.where(told, shown.module_c[module], np.nan), nan_ok=True)


@given(st.lists(st.tuples(WORDS, st.booleans()), max_size=60), st.lists(st.integers(-1, 2), min_size=2, max_size=2))
def test_a_gateway_that_answers_anything_never_raises_is_never_believed_and_never_commanded(
    script: list[tuple[tuple[int, ...], bool]], contactor: list[int]
) -> None:
    master, now_s = BatteryMaster(SMALL), 0.0
    for words, whole in script:
        now_s += 0.1
        requests = master.ask(np.array(contactor), now_s)
        filled = [(words * 130)[: request.count] if whole and words else words for request in requests]
        master.hear([Answer(request, given, "", now_s) for request, given in zip(requests, filled, strict=True)], now_s)
        assert not any(request.is_write for request in requests)
        assert np.isnan(master.picture(now_s).cell_v).all()
    assert all(isinstance(event, str) for event in master.take_events())


def plausible(picture: BatteryPicture) -> None:
    """What every picture is, whatever was heard."""
    assert (picture.cell_age_s >= 0).all()
    assert (picture.string_age_s >= 0).all()
    assert np.isin(picture.contactor, [int(state) for state in Contactor]).all()
    assert not np.isinf(picture.cell_v).any()
    assert not np.isinf(picture.string_a).any()


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.2, 0.7]))
def test_spoilt_answers_never_raise(seed: int, share: float) -> None:
    noise = Noise(seed, share)
    cabinet = Cabinet(SMALL, view(SMALL), between=noise)
    for _ in range(100):
        plausible(cabinet.beat((CLOSED, CLOSED)))
    noise.share = 0.0
    cabinet.beats(8.0)
    assert cabinet.beat().cell_v == pytest.approx(cabinet.view.cell_v)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 420), WORD), min_size=1, max_size=30))
def test_a_cabinet_with_any_words_in_its_registers_never_raises(changes: list[tuple[int, int]]) -> None:
    bank = BatteryBank(SMALL, RATINGS, writable=True)
    bank.show(view(SMALL), 1.0)
    odd = Rearranged.of(bank, lambda model: (model[2],))
    cabinet = Cabinet(SMALL, view(SMALL), served=odd)
    cabinet.beats(1.5)
    for at, word in changes:
        odd.words[at % len(odd.words)] = word
    for _ in range(40):
        plausible(cabinet.beat((CLOSED, UNKNOWN)))


@given(st.lists(st.floats(-100, 200) | st.just(float("nan")), min_size=1, max_size=20))
def test_the_coldest_and_the_hottest_cell_are_never_lost(cells: list[float]) -> None:
    cell_c = np.array(cells)
    kept = np.array(Sensors(np.arange(len(cells)) * 4 // len(cells)).of(cell_c))
    if np.isnan(cell_c).all():
        assert np.isnan(kept).all()
        return
    assert (np.nanmin(kept), np.nanmax(kept)) == (np.nanmin(cell_c), np.nanmax(cell_c))


STATES: st.SearchStrategy[Ints] = st.lists(st.integers(-1, 2), min_size=1, max_size=5).map(
    lambda states: np.array(states, np.int64)
)


@given(STATES, st.integers(-1, 127), st.booleans(), st.floats(-500, 500))
def test_a_string_that_is_not_well_is_never_read_as_well(
    contactor: Ints, fault: int, earthed: bool, string_a: float
) -> None:
    strings = len(contactor)
    events, failure = events_of(
        np.full(strings, fault), contactor, np.full(strings, string_a), np.full(strings, earthed)
    )
    status, contacts = bits_of(contactor, np.ones(strings, np.bool_))
    for string in range(strings):
        state = contactor_of(int(status[string]), int(contacts[string]))
        assert state == contactor[string]
        heard = fault_of(int(events[string]), int(failure[string]), state)
        assert (heard != 0) == (fault > 0 or state == Contactor.UNKNOWN)
        assert heard & ~(OTHER_ALARM | 63) == 0


@given(st.integers(-1, 0x7FFFFFFF), st.integers(-1, 0xFFFF), st.sampled_from(list(Contactor)))
def test_any_event_bits_have_a_meaning(events: int, failure: int, contactor: Contactor) -> None:
    fault = fault_of(events, failure, contactor)
    assert fault == -1 if events == NEVER else 0 <= fault <= 127


@given(st.integers(BASE - 5, BASE + 500), st.lists(st.integers(0, 0xFFFF), max_size=5), st.integers(-1, 200))
def test_a_bank_survives_any_master(address: int, words: list[int], count: int) -> None:
    bank = BatteryBank(SMALL, RATINGS, writable=True)
    bank.show(view(SMALL), 1.0)
    scale = Block(802, ("A_SF",))
    bank.write(address, words)
    bank.wanted(2.0)
    found = bank.read(address, count)
    assert found is None or len(found) == count
    assert not isnan(scale.decode(bank.read(bank.map.bank_at + scale.first, 1) or (), {})[0])
