"""What was learnt of a module's cells goes with the module, over restarts and slots. A broken file is no record."""

import logging
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import cache
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core.gauge.anchors import solved_anew
from ess_controller.core.gauge.filter import LN_Q, RHO
from ess_controller.core.gauge.learnt import Learnt
from ess_controller.core.gauge.state import Gauge
from ess_controller.core.recall import NOTHING
from ess_controller.core.step import first_state
from ess_controller.core.types import State, Tuning
from ess_controller.daemon import Beat
from ess_controller.kept import sealed
from ess_controller.kept.cell_record import EVERY, CellRecord
from ess_controller.kept.memory import Memory, recall
from ess_controller.site import Site
from firmware_bridge.records import Contactor, Floats
from tests.core.pictures import START
from tests.loop.story import Story, site

DAY_S = 86_400.0


@cache
def bench() -> Site:
    """One string of ten modules, 94 cells."""
    return site()


def tuning(names: tuple[str, ...] | None = None) -> Tuning:
    """The bench's, with other module codes."""
    tuned = bench().tuning
    return tuned if names is None else replace(tuned, layout=replace(tuned.layout, module_names=names))


@cache
def some_beat() -> Beat:
    """A real one."""
    return Story(2.0, site=bench()).beats[-1]


def experienced(seed: int = 1) -> State:
    """A state whose gauge has learnt something else of every cell."""
    state, rng, cells = first_state(tuning()), np.random.default_rng(seed), tuning().layout.cells
    gauge = state.gauge
    mean, cov = gauge.belief.mean.copy(), gauge.belief.cov.copy()
    mean[LN_Q], mean[RHO] = rng.normal(0.0, 0.05, cells), rng.normal(0.0, 5e-5, cells)
    cov[LN_Q, LN_Q], cov[RHO, RHO] = rng.uniform(1e-4, 4e-4, cells), rng.uniform(1e-10, 2e-10, cells)
    line = rng.normal(0.0, 10.0, (3, cells))
    information = gauge.anchors.information + line[:, None] * line[None]
    evidence = np.einsum("ijn,jn->in", information, np.array([1.02, 0.03, -0.02])[:, None] * np.ones(cells))
    swung = replace(
        gauge.anchors,
        information=information,
        evidence=evidence,
        at_v=rng.uniform(3.4, 4.0, cells),
        swing_ah=rng.normal(0.0, 40.0, cells),
        swing_s=np.full(cells, 7200.0),
    )
    setup = tuning().cells
    anchors = solved_anew(setup.knobs.anchors, setup.kin, swung)
    told = rng.uniform(100.0, 400.0, gauge.ratio.shape)
    stiffness = replace(gauge.stiffness, told=told, both=told * rng.normal(1.0, 0.1, told.shape))
    belief = replace(gauge.belief, mean=mean, cov=cov)
    learnt = replace(gauge, belief=belief, anchors=anchors, stiffness=stiffness, zero_a=np.array([0.07]))
    return replace(state, gauge=learnt)


def beat_of(state: State, at_s: float = 0.0, contactor: Contactor = Contactor.OPEN) -> Beat:
    """A beat that ends in this state."""
    beat = some_beat()
    seen = replace(beat.seen, string_contactor=np.array([int(contactor)]))
    return replace(beat, state=state, seen=seen, tick=replace(beat.tick, utc=at(at_s)))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def record(path: Path, later_s: float = 0.0, tuned: Tuning | None = None) -> CellRecord:
    """Of a daemon that starts so much later."""
    return CellRecord(path, tuned or tuning(), at(later_s))


def after(path: Path, later_s: float, tuned: Tuning | None = None) -> Gauge:
    """What such a daemon begins with."""
    tuned = tuned or tuning()
    return first_state(tuned, record(path, later_s, tuned).added_to(NOTHING)).gauge


def learnt(gauge: Gauge, cells: slice = slice(None)) -> dict[str, Floats]:
    """By name."""
    told = Learnt.of(tuning().cells, gauge, np.ones(tuning().layout.cells, bool))
    return {each.name: getattr(told, each.name)[..., cells] for each in fields(Learnt)}


def assert_same(one: dict[str, Floats], other: dict[str, Floats]) -> None:
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cells.json"


# --- there and back -------------------------------------------------------------------------------------------------


def test_without_a_record_every_cell_begins_with_its_intake_test(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gauge, new = after(path, 0.0), first_state(tuning()).gauge
    assert_same(learnt(gauge), learnt(new))
    assert (gauge.capacity_ah == tuning().cell_ah).all()
    assert not caplog.records


def test_what_was_learnt_comes_back_after_a_clean_end(path: Path) -> None:
    state = experienced()
    record(path).keep(beat_of(state), last=True)
    gauge = after(path, 0.0)
    assert_same(learnt(gauge), learnt(state.gauge))
    for name in ("slide", "stretch", "bend_cov"):
        np.testing.assert_allclose(getattr(gauge.anchors, name), getattr(state.gauge.anchors, name))
    assert gauge.zero_a.tolist() == [0.07]
    np.testing.assert_allclose(gauge.capacity_ah, tuning().cell_ah * np.exp(state.gauge.belief.mean[LN_Q]))
    np.testing.assert_allclose(gauge.ratio, state.gauge.stiffness.ratio())
    assert (gauge.belief.cov == gauge.belief.cov.transpose(1, 0, 2)).all()


def test_doubts_grow_with_the_age_of_a_record_up_to_those_of_the_intake_test(path: Path) -> None:
    record(path).keep(beat_of(experienced()), last=True)
    new = first_state(tuning()).gauge.belief.cov
    young, old, ancient = (after(path, age_s).belief.cov for age_s in (0.0, 30 * DAY_S, 30_000 * DAY_S))
    for state in (LN_Q, RHO):
        assert (young[state, state] < old[state, state]).all()
        assert (old[state, state] < ancient[state, state]).all()
        assert (ancient[state, state] <= new[state, state] * (1 + 1e-9)).all()
    assert (old[LN_Q, LN_Q] < young[LN_Q, LN_Q] + 0.02**2).all()


def test_a_swing_goes_on_only_after_a_short_stop_with_open_contactors(path: Path) -> None:
    state = experienced()
    for contactor, last, later_s, goes_on in (
        (Contactor.OPEN, True, 60.0, True),
        (Contactor.OPEN, True, 3700.0, False),  # who knows what was done to the module
        (Contactor.OPEN, True, -60.0, False),  # the clock was set back
        (Contactor.CLOSED, True, 60.0, False),  # something has flowed that nobody counted
        (Contactor.OPEN, False, 60.0, False),  # it has run on, and was killed
    ):
        record(path).keep(beat_of(state, 0.0, contactor), last)
        anchors = after(path, later_s).anchors
        assert np.isnan(anchors.at_v).all() != goes_on
        if goes_on:
            assert (anchors.swing_ah == state.gauge.anchors.swing_ah).all()
            assert (anchors.swing_s == 7260.0).all()
        assert (anchors.slide != 0.0).all()  # what swings have taught is kept


def test_a_swing_is_gone_on_with_only_once_even_by_a_daemon_that_dies_at_once(path: Path) -> None:
    record(path).keep(beat_of(experienced()), last=True)
    second = record(path, 60.0)
    state = replace(experienced(), gauge=first_state(tuning(), second.added_to(NOTHING)).gauge)
    second.keep(beat_of(state, 60.1), last=False)
    assert np.isnan(after(path, 120.0).anchors.at_v).all()
    assert_same({"ln_q": learnt(after(path, 120.0))["ln_q"]}, {"ln_q": learnt(experienced().gauge)["ln_q"]})


def test_a_module_that_moves_takes_its_record_along_and_an_unknown_one_begins_with_the_intake_test(path: Path) -> None:
    state, names = experienced(), tuning().layout.module_names
    record(path).keep(beat_of(state), last=True)
    soh = tuning().module_soh.copy()
    soh[[0, 1]] = soh[[1, 0]]
    cell_ah = tuning().cell_ah.copy()
    cell_ah[:10], cell_ah[10:20] = tuning().cell_ah[10:20], tuning().cell_ah[:10]
    swapped = tuning((names[1], names[0], "NEW", *names[3:]))
    swapped = replace(swapped, module_soh=soh, cell_ah=cell_ah)
    gauge = after(path, 0.0, swapped)
    before = state.gauge.belief.mean[LN_Q]
    np.testing.assert_allclose(gauge.belief.mean[LN_Q, :10], before[10:20])
    np.testing.assert_allclose(gauge.belief.mean[LN_Q, 10:20], before[:10])
    assert (gauge.belief.mean[LN_Q, 20:30] == 0.0).all()
    np.testing.assert_allclose(gauge.belief.mean[LN_Q, 30:], before[30:])


def test_a_module_that_is_away_for_a_year_is_known_when_it_comes_back(path: Path) -> None:
    state, names = experienced(), tuning().layout.module_names
    record(path).keep(beat_of(state), last=True)
    without = tuning(("SPARE", *names[1:]))
    for day in range(3):
        kept = record(path, day * DAY_S, without)
        young = first_state(without, kept.added_to(NOTHING))
        kept.keep(beat_of(young, day * DAY_S), last=True)
    back = record(path, 3 * DAY_S).added_to(NOTHING)
    assert back.learnt_age_s[names[0]] == 3 * DAY_S  # not the age of the file
    assert back.learnt_age_s[names[1]] == DAY_S
    gauge = first_state(tuning(), back).gauge
    np.testing.assert_allclose(gauge.belief.mean[LN_Q, :10], state.gauge.belief.mean[LN_Q, :10])
    assert np.isnan(gauge.anchors.at_v[:10]).all()
    assert "SPARE" in back.learnt


@pytest.mark.parametrize(
    "other",
    [
        lambda own: own.of_cells(np.arange(9)),  # another number of cells
        lambda own: replace(own, intake_ah=own.intake_ah * 0.95),  # tested anew
        lambda own: replace(own, ln_q=own.ln_q + 2.0),
        lambda own: replace(own, ln_q_var=own.ln_q_var * 0.0),
        lambda own: replace(own, rho_ohm=own.rho_ohm + 1.0),
        lambda own: replace(own, rho_var=own.rho_var * nan),
        lambda own: replace(own, both=own.both * -1.0),
        lambda own: replace(own, told=own.told[:2]),
        lambda own: replace(own, information=own.information - 1e6),  # no longer positive
        lambda own: replace(own, evidence=own.evidence * inf),
    ],
)
def test_what_does_not_fit_the_module_is_not_believed_and_the_others_are(
    other: Callable[[Learnt], Learnt], caplog: pytest.LogCaptureFixture, path: Path
) -> None:
    state, code = experienced(), tuning().layout.module_names[0]
    record(path).keep(beat_of(state), last=True)
    recalled = record(path).added_to(NOTHING)
    spoilt = replace(recalled, learnt={**recalled.learnt, code: other(recalled.learnt[code])})
    gauge = first_state(tuning(), spoilt).gauge
    assert_same(learnt(gauge, slice(0, 10)), learnt(first_state(tuning()).gauge, slice(0, 10)))
    np.testing.assert_allclose(gauge.belief.mean[LN_Q, 10:], state.gauge.belief.mean[LN_Q, 10:])


def test_a_module_tested_anew_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(path).keep(beat_of(experienced()), last=True)
    cell_ah = tuning().cell_ah.copy()
    cell_ah[:10] *= 0.9
    record(path, 0.0, replace(tuning(), cell_ah=cell_ah))
    (told,) = caplog.records
    assert told.getMessage().startswith(tuning().layout.module_names[0])


def test_rests_that_bend_a_curve_out_of_shape_are_forgotten(path: Path) -> None:
    state = experienced()
    evidence = state.gauge.anchors.evidence.copy()
    evidence[1, 3] += 1e6
    anchors = replace(state.gauge.anchors, evidence=evidence)
    record(path).keep(beat_of(replace(state, gauge=replace(state.gauge, anchors=anchors))), last=True)
    kept = after(path, 0.0).anchors
    assert (kept.information[..., 3] == 0.0).all()
    assert abs(kept.slide[3]) < 0.05  # as the others are
    assert (kept.information[..., 2] == state.gauge.anchors.information[..., 2]).all()


# --- when it writes -------------------------------------------------------------------------------------------------


def test_it_is_written_at_the_start_every_half_hour_and_at_the_end(path: Path) -> None:
    kept, state, written = record(path), experienced(), []
    for at_s, last in ((0.0, False), (60.0, False), (1799.0, False), (1800.0, False), (1860.0, False), (1900.0, True)):
        path.unlink(missing_ok=True)
        kept.keep(beat_of(state, at_s), last)
        written.append(path.exists())
    assert written == [True, False, False, True, False, True]
    assert timedelta(seconds=1800) == EVERY


def test_the_daemon_keeps_both_files_from_one_thread(tmp_path: Path) -> None:
    kept = record(tmp_path / "cells.json")
    memory = Memory(tmp_path / "memory.json", tuning().layout, NOTHING, kept.keep)
    memory(beat_of(first_state(tuning())))
    memory(beat_of(experienced(), 30.0))  # not due
    memory.close()
    assert recall(tmp_path / "memory.json", at(30.0)).soc_age_s == 0.0
    assert_same(learnt(after(tmp_path / "cells.json", 30.0)), learnt(experienced().gauge))


def test_a_full_disk_is_told_once_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "gone"
    kept = record(folder / "cells.json")
    kept.keep(beat_of(experienced()), last=False)
    kept.keep(beat_of(experienced(), 60.0), last=False)
    assert len(caplog.records) == 1
    assert "cannot be written: No such file or directory" in caplog.text
    folder.mkdir()
    kept.keep(beat_of(experienced(), 120.0), last=False)
    assert (folder / "cells.json").exists()


# --- what is broken -------------------------------------------------------------------------------------------------


def assert_not_believed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = path.read_bytes()
    caplog.clear()
    assert not record(path).added_to(NOTHING).learnt
    (told,) = caplog.records
    assert told.levelno == logging.ERROR
    assert "is broken and kept as cells.json.broken" in told.getMessage()
    assert path.with_name("cells.json.broken").read_bytes() == data
    assert not path.exists()


def sound() -> dict[str, Any]:
    """A small record."""
    row, rows = [0.5, 0.5], [[0.5, 0.5]] * 3
    one_a_cell = ("intake_ah", "ln_q", "ln_q_var", "rho_ohm", "rho_var", "at_v", "swing_ah", "swing_s")
    module = {"utc": START.isoformat(), **dict.fromkeys(one_a_cell, row)}
    module |= dict.fromkeys(("both", "told", "information", "evidence"), rows)
    return {"modules": {"M0": module}, "zero_a": {"A1": 0.1}}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r.pop("zero_a"),
        lambda r: r.update(more=1),
        lambda r: r["modules"]["M0"].pop("ln_q"),
        lambda r: r["modules"]["M0"].update(utc="2026-06-01T04:00:00"),
        lambda r: r["modules"]["M0"].update(ln_q="0.5"),
        lambda r: r["modules"]["M0"].update(ln_q=["0.5", 0.5]),
        lambda r: r["modules"]["M0"].update(ln_q=[True, 0.5]),
        lambda r: r["modules"]["M0"].update(ln_q=[inf, 0.5]),
        lambda r: r["modules"]["M0"].update(both=[[0.5], [0.5, 0.5]]),
        lambda r: r["modules"].update(M1=None),
        lambda r: r["zero_a"].update(A1=nan),
        lambda r: r["zero_a"].update(A1="0.1"),
    ],
)
def test_absurd_values_are_not_believed_even_with_a_fitting_checksum(
    path: Path, spoil: Callable[[dict[str, Any]], None], caplog: pytest.LogCaptureFixture
) -> None:
    sealed.write(path, sealed.canonical(sound()))
    assert set(record(path).added_to(NOTHING).learnt) == {"M0"}
    spoilt = sound()
    spoil(spoilt)
    sealed.write(path, sealed.canonical(spoilt))
    assert_not_believed(path, caplog)


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"\xff", b"[" * 100_000, b'{"schema_version": 1}'], ids=repr)
def test_what_is_no_record_is_not_believed(path: Path, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(data)
    assert_not_believed(path, caplog)


@given(at_share=st.floats(0.0, 1.0, exclude_max=True), flip=st.integers(1, 255))
def test_no_flipped_byte_is_believed(tmp_path_factory: pytest.TempPathFactory, at_share: float, flip: int) -> None:
    path = tmp_path_factory.mktemp("record") / "cells.json"
    sealed.write(path, sealed.canonical(sound()))
    data = bytearray(path.read_bytes())
    data[int(at_share * len(data))] ^= flip
    path.write_bytes(data)
    kept = record(path).added_to(NOTHING)
    assert not kept.learnt or kept.learnt["M0"].ln_q.tolist() == [0.5, 0.5]  # a blank may be another blank


@pytest.mark.parametrize("zero_a", [nan, inf, 99.0])
def test_an_absurd_offset_is_none(zero_a: float) -> None:
    recalled = replace(NOTHING, zero_a={"A1": zero_a, "Z9": 0.1})
    assert first_state(tuning(), recalled).gauge.zero_a.tolist() == [0.0]
