"""What outlives a restart comes back by name: deep cells, faults that wait, closes, SOC. A broken file is no memory."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.gauge.filter import SOC
from ess_controller.core.health import DIAGNOSES
from ess_controller.core.recall import LOST, NOTHING, Recalled
from ess_controller.core.step import first_state, step
from ess_controller.core.types import Mode, Order, Rule, State
from ess_controller.daemon import Beat
from ess_controller.kept.memory import Memory, recall, write
from firmware_bridge.records import Contactor, Floats
from tests.core.pictures import START, Controller, one, plant_tuning, tick, tuning, well
from tests.loop.story import Story

INSULATION = [row.name for row in DIAGNOSES].index("insulation low")
DEEP_CELL = 13  # M02's fourth on the bench


@cache
def some_beat() -> Beat:
    """A real one, with SOC known."""
    return Story(4.0).beats[-1]


def beat_of(state: State, at_s: float = 0.0) -> Beat:
    """A beat that ends in this state."""
    beat, gauge = some_beat(), state.gauge
    estimate = replace(beat.decision.estimate, soc=gauge.soc, soc_sd=gauge.soc_sd)
    return replace(beat, state=state, tick=tick(at_s), decision=replace(beat.decision, estimate=estimate))


def as_full(state: State, soc: Floats, soc_sd: Floats) -> State:
    """The same with this SOC [cell]."""
    mean = state.gauge.belief.mean.copy()
    mean[SOC] = soc
    return replace(state, gauge=replace(state.gauge, belief=replace(state.gauge.belief, mean=mean), soc_sd=soc_sd))


def kept(path: Path, state: State, at_s: float = 0.0, recalled: Recalled = NOTHING, lived_s: float = 0.0) -> None:
    """What a daemon writes that ends in this state, at this time of day; its own time began `lived_s` before."""
    memory = Memory(path, tuning().layout, recalled)
    beat = beat_of(state, at_s)
    memory(replace(beat, tick=replace(beat.tick, t_s=lived_s or at_s)))
    memory.close()


def known(soc: Floats | float = 0.5, **changes: Any) -> State:
    """All cells at half charge, and something else."""
    cells = tuning().layout.cells
    state = replace(first_state(tuning()), **changes)
    return as_full(state, np.full(cells, soc), np.full(cells, 0.01))


def after(path: Path, later_s: float) -> State:
    """What a daemon knows that starts so much later."""
    return first_state(tuning(), recall(path, START + timedelta(seconds=later_s)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.json"


# --- there and back -------------------------------------------------------------------------------------------------


def test_without_a_file_nothing_is_known_and_nothing_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert recall(path, START) == NOTHING
    assert not caplog.records


def test_knowing_nothing_is_the_state_of_a_daemon_without_a_past() -> None:
    before, now = first_state(tuning()), first_state(tuning(), NOTHING)
    assert np.isnan(now.gauge.soc).all()
    assert not now.deep.any()
    assert not now.latched.any()
    assert (now.closed_t_s == -inf).all()
    assert (before.gauge.soc_sd == now.gauge.soc_sd).all()


def test_a_deep_cell_is_still_deep_after_a_restart_until_an_operator_clears_it_and_stays_cleared(path: Path) -> None:
    kept(path, known(deep=one(np.zeros(94, bool), DEEP_CELL, True)))
    controller = Controller(tuning())
    controller.state = after(path, 5.0)
    decision = controller.last(5.0, well())
    assert list(np.flatnonzero(controller.state.deep)) == [DEEP_CELL]
    assert decision.cabinet_bound.charge[0] == 0.0
    assert decision.cabinet_bound.charge_by[0] == Rule.DEEP_DISCHARGE
    assert decision.cabinet_bound.discharge[0] > 0.0

    controller.beat(well(), Order(clear_latched=True))
    kept(path, controller.state, 10.0)
    assert not after(path, 15.0).deep.any()


def test_a_fault_that_waits_for_an_operator_holds_the_string_open_after_a_restart_until_it_is_cleared(
    path: Path,
) -> None:
    latched = np.zeros((len(DIAGNOSES), 1), bool)
    latched[INSULATION] = True
    kept(path, known(latched=latched))
    controller = Controller(tuning())
    controller.state = after(path, 5.0)
    for _ in range(100):
        controller.obeyed(well())
    assert controller.mode() is Mode.FAULT
    assert controller.state.latched[INSULATION, 0]

    controller.obeyed(well(), Order(clear_latched=True))
    assert not controller.state.latched.any()
    kept(path, controller.state, 20.0)
    assert not after(path, 25.0).latched.any()


def test_closes_count_across_restarts_for_an_hour(path: Path) -> None:
    kept(path, known(closed_t_s=np.array([[-inf, 100.0, 700.0]])), 1000.0)
    assert after(path, 1010.0).closed_t_s.tolist() == [[-inf, -910.0, -310.0]]
    assert after(path, 3710.0).closed_t_s.tolist() == [[-inf, -inf, -3010.0]]
    assert after(path, 5000.0).closed_t_s.tolist() == [[-inf, -inf, -inf]]
    assert after(path, 650.0).closed_t_s.tolist() == [[-inf, -inf, -550.0]]  # the clock was set back: one is to come


def test_a_daemon_that_crashes_again_and_again_closes_no_more_often_than_one_that_lives(path: Path) -> None:
    closed, now_s = [], 0.0
    for _ in range(8):
        controller = Controller(tuning())
        controller.state = after(path, now_s)
        told = [controller.obeyed(well()).commands.contactor[0] for _ in range(60)]
        closed.append(Contactor.PRECHARGE in told)
        now_s += controller.t_s
        kept(path, controller.state, now_s, lived_s=controller.t_s)
    assert closed == [True] * 3 + [False] * 5


def test_a_young_soc_comes_back_a_little_less_sure_and_an_old_one_does_not(path: Path) -> None:
    kept(path, known())
    soon, late = after(path, 10.0), after(path, 3000.0)
    for state in (soon, late):
        assert (state.gauge.soc == 0.5).all()
        assert (state.gauge.soc_sd > 0.01).all()
    assert (late.gauge.soc_sd > soon.gauge.soc_sd).all()
    assert (late.gauge.soc_sd < 0.05).all()
    for gone in (after(path, 3601.0), after(path, -1.0)):  # too old; from the future
        assert np.isnan(gone.gauge.soc).all()
        assert (gone.gauge.soc_sd == tuning().estimate.start_sd).all()


def test_an_unknown_soc_stays_unknown(path: Path) -> None:
    kept(path, known(soc=one(np.full(94, 0.5), 7, nan)))
    state = after(path, 10.0)
    assert list(np.flatnonzero(np.isnan(state.gauge.soc))) == [7]
    assert state.gauge.soc_sd[7] == tuning().estimate.start_sd


def test_what_is_known_goes_with_the_module_when_it_changes_its_slot() -> None:
    layout = tuning().layout
    names = (layout.module_names[1], layout.module_names[0], *layout.module_names[2:])
    moved = replace(tuning(), layout=replace(layout, module_names=names))
    told = Recalled(
        deep=frozenset({(layout.module_names[0], 3)}),
        soc={layout.module_names[0]: [0.3] * 10},
        soc_sd={layout.module_names[0]: [0.01] * 10},
        soc_age_s=1.0,
    )
    assert list(np.flatnonzero(first_state(tuning(), told).deep)) == [2]
    state = first_state(moved, told)
    assert list(np.flatnonzero(state.deep)) == [12]
    assert list(np.flatnonzero(state.gauge.soc == 0.3)) == list(range(10, 20))


def test_of_modules_and_strings_that_are_not_here_nothing_is_believed_but_what_waits_is_kept(path: Path) -> None:
    absent = Recalled(
        deep=frozenset({("ELSEWHERE", 3), (tuning().layout.module_names[0], 99)}),
        latched=frozenset({("insulation low", "Z9"), ("no such diagnosis", "A1"), ("module errors", "A1")}),
        closed_t_s={"Z9": [-5.0]},
        soc={"ELSEWHERE": [0.5], tuning().layout.module_names[0]: [0.5] * 9},
        soc_sd={"ELSEWHERE": [0.5], tuning().layout.module_names[0]: [0.5] * 9},
        soc_age_s=1.0,
    )
    state = first_state(tuning(), absent)
    assert not state.deep.any()
    assert not state.latched.any()
    assert (state.closed_t_s == -inf).all()
    assert np.isnan(state.gauge.soc).all()
    kept(path, state, recalled=absent)
    again = recall(path, START)
    assert ("ELSEWHERE", 3) in again.deep
    assert ("insulation low", "Z9") in again.latched


@given(st.data())
@settings(max_examples=40)
def test_whatever_is_noted_comes_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    layout = plant_tuning().layout
    shares = st.lists(st.floats(0.0, 1.0), min_size=layout.cells, max_size=layout.cells).map(np.array)
    knows = replace(
        first_state(plant_tuning()),
        deep=np.array(data.draw(st.lists(st.booleans(), min_size=layout.cells, max_size=layout.cells))),
        latched=np.array([[row.latched] * 4 for row in DIAGNOSES]) & data.draw(st.booleans()),
        closed_t_s=np.sort(np.array(data.draw(st.lists(st.floats(-900, 0), min_size=12, max_size=12))).reshape(4, 3)),
    )
    knows = as_full(knows, data.draw(shares), data.draw(shares) / 2)
    path = tmp_path_factory.mktemp("memory") / "memory.json"
    memory = Memory(path, layout)
    memory(beat_of(knows))
    memory.close()
    state = first_state(plant_tuning(), recall(path, START))
    assert (state.deep == knows.deep).all()
    assert (state.latched == knows.latched).all()
    assert state.closed_t_s == pytest.approx(knows.closed_t_s, abs=1e-5)
    assert state.gauge.soc == pytest.approx(knows.gauge.soc, abs=1e-6)
    assert state.gauge.soc_sd == pytest.approx(knows.gauge.soc_sd, abs=1e-6)


# --- when it writes -------------------------------------------------------------------------------------------------


def test_it_writes_what_changes_at_once_and_else_once_a_minute(path: Path) -> None:
    memory, written = Memory(path, tuning().layout), []

    def note(state: State, at_s: float) -> None:
        memory(beat_of(state, at_s))
        with memory._turn:  # whatever was handed over is taken by the thread, sooner or later
            written.append(memory._noted is not None and memory._noted.tick.t_s == at_s)

    note(known(), 0.0)
    note(known(0.4), 59.9)
    note(known(0.4), 60.0)
    note(known(deep=one(np.zeros(94, bool), 3, True)), 60.1)
    note(known(), 60.2)
    note(known(closed_t_s=np.array([[-inf, -inf, 60.3]])), 60.3)
    note(known(closed_t_s=np.array([[-inf, -inf, 60.3]])), -600.0)  # the time of day has been put right
    assert written == [True, False, True, True, True, True, True]
    memory(beat_of(known(0.3), 70.0))
    memory.close()
    assert after(path, 70.0).gauge.soc.tolist() == [0.3] * 94  # a clean end notes the last beat


def test_a_full_disk_is_told_once_and_the_beat_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gone = tmp_path / "gone"
    memory = Memory(gone / "memory.json", tuning().layout)
    for at_s in (0.0, 60.0, 120.0):
        memory(beat_of(known(), at_s))
    memory.close()
    assert not memory._thread.is_alive()
    assert len(caplog.records) == 1
    assert "cannot be written: No such file or directory" in caplog.text


def test_a_memory_without_a_beat_leaves_the_old_one_alone(path: Path) -> None:
    kept(path, known(deep=one(np.zeros(94, bool), 3, True)))
    Memory(path, tuning().layout).close()
    assert after(path, 1.0).deep[3]


# --- what is broken -------------------------------------------------------------------------------------------------


def note() -> dict[str, Any]:
    """A sound memory."""
    return {
        "utc": START.isoformat(),
        "deep": [["BMW-IX3-02041", 3]],
        "latched": [["insulation low", "A1"]],
        "closes": {"A1": [START.isoformat()]},
        "soc": {"BMW-IX3-02041": [0.5, None]},
        "soc_sd": {"BMW-IX3-02041": [0.01, 0.01]},
    }


def assert_not_believed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    data = path.read_bytes()
    assert recall(path, START) == LOST
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "is broken and kept as memory.json.broken" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert not path.exists()
    assert path.with_name("memory.json.broken").read_bytes() == data


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m.update(utc="yesterday"),
        lambda m: m.update(utc="2026-06-01T04:00:00"),
        lambda m: m.update(utc=None),
        lambda m: m.pop("deep"),
        lambda m: m.update(more=1),
        lambda m: m.update(deep=[["A", 0]]),
        lambda m: m.update(deep=[["A", 1e9]]),
        lambda m: m.update(deep=[["A", "3"]]),
        lambda m: m.update(deep=[[3, 3]]),
        lambda m: m.update(deep="BMW"),
        lambda m: m.update(latched=[["A"]]),
        lambda m: m.update(latched={"A": True}),
        lambda m: m.update(closes={"A1": ["noon"]}),
        lambda m: m.update(closes=[START.isoformat()]),
        lambda m: m.update(soc={"A": [1.5]}),
        lambda m: m.update(soc={"A": [nan]}),
        lambda m: m.update(soc={"A": ["0.5"]}),
        lambda m: m.update(soc={"A": [True]}),
        lambda m: m.update(soc_sd={"A": [-0.1]}),
        lambda m: m.update(soc_sd={"A": [inf]}),
    ],
)
def test_absurd_values_are_not_believed_even_with_a_fitting_checksum(
    path: Path, spoil: Callable[[dict[str, Any]], None], caplog: pytest.LogCaptureFixture
) -> None:
    write(path, note())
    assert recall(path, START).deep == {("BMW-IX3-02041", 3)}
    memory = note()
    spoil(memory)
    write(path, memory)
    assert_not_believed(path, caplog)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b"{}", b'"memory"', b"\xff\xfe", b"[" * 100_000, b'{"schema_version": 1}', b"1" * 9000],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_memory_is_not_believed(path: Path, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(data)
    assert_not_believed(path, caplog)


def test_the_memory_of_another_version_is_not_believed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, note())
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    assert_not_believed(path, caplog)


@given(at=st.floats(0.0, 1.0, exclude_max=True), flip=st.integers(1, 255))
def test_no_flipped_byte_is_believed(tmp_path_factory: pytest.TempPathFactory, at: float, flip: int) -> None:
    path = tmp_path_factory.mktemp("memory") / "memory.json"
    write(path, note())
    sound, data = recall(path, START), bytearray(path.read_bytes())
    data[int(at * len(data))] ^= flip
    path.write_bytes(data)
    assert recall(path, START) in (LOST, sound)  # a blank may be another blank


@given(st.binary(max_size=400))
def test_no_bytes_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("memory") / "memory.json"
    path.write_bytes(data)
    assert recall(path, START) == LOST


def test_a_folder_in_its_place_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir()
    assert recall(path, START) == LOST
    assert "is broken" in caplog.text


def test_the_core_takes_whatever_is_recalled() -> None:
    state = first_state(tuning(), Recalled(closed_t_s={"A1": [nan, inf, -inf, 5.0, -5.0, *([-1.0] * 10)]}))
    assert state.closed_t_s.tolist() == [[-1.0, -1.0, -1.0]]
    after_one, _ = step(tuning(), state, well(), Order(), tick(0.1))
    assert after_one.closed_t_s.tolist() == [[-1.0, -1.0, -1.0]]
