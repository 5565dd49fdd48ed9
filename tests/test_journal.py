"""The journal: every beat comes back as it was; what is torn or flipped is left out, never misread."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.step import first_state
from ess_controller.core.types import Order
from ess_controller.daemon import Beat
from ess_controller.replay.journal import MAGIC, Entry, Journal, pack, read, read_head, unpack
from ess_controller.replay.signals import signals_of
from ess_controller.replay.snapshot import Snapshot, state_out
from firmware_bridge.frames import Answer, Request
from firmware_bridge.plant import Heard
from tests.core.test_value_dispatch import value
from tests.loop.story import Story, site
from tests.small_disk import small_disk

PLENTY = 100_000_000


@cache
def beats() -> tuple[Beat, ...]:
    """Twelve seconds of the bench, bytes and all."""
    return tuple(Story(12.0).beats)


def write(folder: Path, some: tuple[Beat, ...], budget_bytes: int = PLENTY, file_bytes: int = PLENTY) -> Journal:
    """A journal of these beats, closed."""
    journal = Journal(folder, site().plant, budget_bytes, file_bytes)
    for beat in some:
        journal(beat)
    journal.close()
    return journal


def files(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob("*.journal"))


@cache
def recorded(tmp: Path) -> bytes:
    """One whole journal file."""
    write(tmp, beats())
    (file,) = files(tmp)
    return file.read_bytes()


def same(entry: Entry, beat: Beat) -> bool:
    """Whether a beat came back as it was."""
    mine, theirs = entry.heard.frames, beat.heard.frames
    return (
        entry.tick == beat.tick
        and all(np.array_equal(getattr(mine, f), getattr(theirs, f)) for f in ("id", "length", "data", "wire_s", "bus"))
        and entry.heard.answers == beat.heard.answers
        and entry.pcs_w == tuple(beat.commands.pcs_w)
        and entry.contactor == tuple(beat.commands.contactor)
        and entry.trips == tuple(beat.trips)
        and entry.order == beat.decision.order
        and entry.signals == signals_of(beat)
    )


def blocks(whole: bytes) -> list[int]:
    """How many beats each block of a journal file holds."""
    at, counts = whole.index(b"\n", len(MAGIC)) + 1, []
    while at < len(whole):
        (length,) = struct.unpack_from("<I", whole, at)
        counts.append(len(list(unpack(zlib.decompress(whole[at + 8 : at + 8 + length])))))
        at += 8 + length
    return counts


# --- there and back -------------------------------------------------------------------------------------------------


def test_every_beat_comes_back_as_it_was(tmp_path: Path) -> None:
    journal = write(tmp_path, beats())
    assert (journal.stored, journal.dropped) == (len(beats()), 0)
    (file,) = files(tmp_path)
    entries = list(read(file))
    assert len(entries) == len(beats())
    assert all(same(entry, beat) for entry, beat in zip(entries, beats(), strict=True))
    assert sum(len(entry.heard.frames) for entry in entries) > 5000


words = st.lists(st.integers(0, 65535), max_size=5).map(tuple)
requests = st.builds(Request, st.integers(0, 65535), st.integers(0, 125), words, st.text(max_size=5))
answers = st.builds(Answer, requests, words, st.text(max_size=10), st.floats(allow_nan=False))


@settings(max_examples=50)
@given(st.lists(answers, max_size=4), st.lists(st.floats(allow_nan=False), min_size=1, max_size=3))
def test_any_answer_and_any_power_survive_the_journal(some: list[Answer], power_w: list[float]) -> None:
    beat = beats()[0]
    strange = replace(
        beat,
        heard=Heard(beat.heard.frames, (tuple(some), ())),
        commands=replace(beat.commands, pcs_w=np.array(power_w)),
    )
    first, second = unpack(pack(strange) + pack(beat))
    assert same(first, strange)
    assert same(second, beat)


def test_what_the_operator_asked_for_comes_back(tmp_path: Path) -> None:
    beat = beats()[0]
    for order in (Order(), Order(run=False), Order(set_w=-12_345.6), Order(clear_latched=True), Order(limit_w=2e4)):
        (entry,) = unpack(pack(replace(beat, decision=replace(beat.decision, order=order))))
        assert entry.order == order


def test_a_plan_stays_out_of_the_journal_and_what_it_said_comes_back() -> None:
    beat = beats()[0]
    decision = replace(beat.decision, order=Order(price="dear", month_peak_w=9e3, value=value()), valued_w=-4e3)
    (entry,) = unpack(pack(replace(beat, decision=decision)))
    assert entry.order == Order(price="dear", month_peak_w=9e3, valued_w=-4e3)


def test_every_file_but_the_first_knows_the_moment_before_it(tmp_path: Path) -> None:
    write(tmp_path, beats(), file_bytes=30_000)
    first, *others = [read_head(file) for file in files(tmp_path)]
    assert others
    assert first.before is not None
    assert first.before.began
    for head, file in zip(others, files(tmp_path)[1:], strict=True):
        begins = next(read(file)).tick
        (before,) = [beat for beat in beats() if beat.tick.t_s == pytest.approx(begins.t_s - begins.dt_s)]
        assert head.before is not None
        assert not head.before.began
        assert head.before.state is not None
        back = head.before.restored(first_state(site().tuning))
        assert state_out(back) == state_out(before.state)
        assert head.before.pcs_w == tuple(before.commands.pcs_w)
        assert max(head.before.frames.wire_s) <= before.tick.wire_s


def test_what_the_fuel_gauge_knows_comes_back_bit_by_bit_whatever_it_is() -> None:
    first = first_state(site().tuning)
    assert np.isnan(first.gauge.soc).all()
    assert first.gauge.stiffness.last_s == -np.inf
    strange = replace(first, gauge=replace(first.gauge, zero_a=np.array([np.inf]), moved_s=np.nan))
    for state in (first, strange, beats()[-1].state):
        back = Snapshot.unpack(Snapshot(state_out(state)).pack()).restored(first)
        assert str(state_out(back)) == str(state_out(state))  # NaN is no equal of itself


def test_what_does_not_fit_the_site_or_is_not_told_is_the_fresh_one() -> None:
    first, known = first_state(site().tuning), state_out(beats()[-1].state)
    shorter = replace(beats()[-1].state.gauge, zero_a=np.zeros(2), quality=np.ones(3, np.int64), moved_s=7.0)
    gauge = Snapshot({**known, "gauge": state_out(replace(first, gauge=shorter))["gauge"]}).restored(first).gauge
    assert gauge.zero_a is first.gauge.zero_a
    assert gauge.quality is first.gauge.quality
    assert gauge.moved_s == 7.0
    assert np.array_equal(gauge.soc, shorter.soc)
    for odd in ({}, {"gauge": None}, {"gauge": [1.0]}, {"gauge": {"belief": 3, "zero_a": "x"}}):
        assert Snapshot(odd).restored(first).gauge.belief.mean is first.gauge.belief.mean


def test_a_journal_from_before_the_fuel_gauge_is_still_read() -> None:
    first = first_state(site().tuning)
    old = {"soc": [0.5] * 94, "soc_sd": [0.01] * 94, "power_w": [-700.0], "mode": [3], "latched": [[True]]}
    state = Snapshot.unpack(Snapshot(old).pack()).restored(first)
    assert (state.power_w[0], state.mode[0]) == (-700.0, 3)
    assert state.latched is first.latched
    assert state.gauge.belief.mean is first.gauge.belief.mean


# --- damage ---------------------------------------------------------------------------------------------------------


def test_what_a_power_cut_tore_off_is_left_out_and_the_rest_is_whole(tmp_path: Path) -> None:
    whole = recorded(tmp_path)
    torn = tmp_path / "torn"
    counts, block = set(), blocks(whole)[0]
    for length in (*range(len(whole) - 40, len(whole)), *np.linspace(len(MAGIC) + 1, len(whole) - 41, 60).astype(int)):
        torn.write_bytes(whole[:length])
        entries = list(read(torn))
        counts.add(len(entries))
        assert all(same(entry, beat) for entry, beat in zip(entries, beats(), strict=False))
    assert {0, block, 2 * block} <= counts
    assert max(counts) < len(beats())


@pytest.mark.parametrize(("beat_s", "block"), [(0.004, 50), (0.1, 11), (0.6, 3), (5.0, 2)])
def test_a_kill_loses_at_most_fifty_beats_and_a_second_of_wall_time(tmp_path: Path, beat_s: float, block: int) -> None:
    some = [replace(beat, tick=replace(beat.tick, wire_s=beat_s * n)) for n, beat in enumerate(beats())]
    write(tmp_path, tuple(some))
    (file,) = files(tmp_path)
    *full, _ = blocks(file.read_bytes())
    assert set(full) <= {block, block + 1}  # a sum of tenths
    assert max(full) <= 50


def test_a_flipped_bit_is_found_and_never_read_as_something_else(tmp_path: Path) -> None:
    whole = bytearray(recorded(tmp_path))
    start = whole.index(b"\n", len(MAGIC)) + 1  # behind the two head lines
    flipped = tmp_path / "flipped"
    rng = np.random.default_rng(3)
    for at in rng.integers(start, len(whole), 60):
        whole[at] ^= 1 << int(rng.integers(0, 8))
        flipped.write_bytes(whole)
        torn: list[int] = []
        entries = list(read(flipped, torn=torn.append))
        assert len(entries) < len(beats())
        assert start <= torn[0] <= at
        assert all(same(entry, beat) for entry, beat in zip(entries, beats(), strict=False))
        whole = bytearray(recorded(tmp_path))


def test_something_that_is_no_journal_is_told_by_its_path(tmp_path: Path) -> None:
    for content in (b"", b"hello\n", MAGIC[:-1], b"\xff" * 100):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(ValueError, match="other: not a journal"):
            list(read(tmp_path / "other"))


def test_a_journal_that_ends_right_after_its_head_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(MAGIC)
    assert list(read(tmp_path / "empty")) == []


# --- the disk -------------------------------------------------------------------------------------------------------


def test_files_are_cut_at_their_size_and_the_oldest_go_when_the_budget_is_spent(tmp_path: Path) -> None:
    budget = 150_000
    write(tmp_path, beats() * 8, budget, file_bytes=20_000)
    kept = files(tmp_path)
    assert len(kept) > 1
    assert sum(file.stat().st_size for file in kept) <= budget + 50_000  # and the one block that crossed the line
    newest = list(read(max(kept, key=lambda file: file.stat().st_mtime_ns)))
    assert newest[-1].tick == beats()[-1].tick


def test_a_small_budget_is_kept_even_below_the_usual_size_of_a_file(tmp_path: Path) -> None:
    write(tmp_path, beats() * 8, budget_bytes=200_000, file_bytes=16_000_000)
    assert sum(file.stat().st_size for file in files(tmp_path)) <= 250_000


def test_a_second_run_at_the_same_plant_time_writes_over_nothing(tmp_path: Path) -> None:
    write(tmp_path, beats()[:60])
    before = {file: file.read_bytes() for file in files(tmp_path)}
    write(tmp_path, beats()[:60])
    assert len(files(tmp_path)) == 2 * len(before)
    assert all(file.read_bytes() == content for file, content in before.items())


def test_a_full_disk_drops_and_counts_every_beat_and_harms_nobody(tmp_path: Path) -> None:
    beats()
    with small_disk(100_000):
        journal = write(tmp_path, beats() * 4)
    assert journal.dropped > 0
    assert journal.stored + journal.dropped == len(beats()) * 4
    assert sum(len(list(read(file))) for file in files(tmp_path)) == journal.stored


def test_a_full_disk_leaves_no_empty_files_and_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    beats()
    with small_disk(2_000):  # not even a first block
        journal = write(tmp_path, beats() * 4)
    assert files(tmp_path) == []
    assert (journal.stored, journal.dropped) == (0, len(beats()) * 4)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds, at most 20 s."""
    for _ in range(2000):
        if condition():
            return
        Event().wait(0.01)
    raise AssertionError("it never came to be")


def test_a_full_disk_is_tried_again_only_after_a_while(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.write_text("in the way")
    journal = Journal(folder, site().plant, PLENTY, retry_s=1000.0)
    for beat in beats()[:50]:
        journal(beat)
    wait_for(lambda: journal.dropped > 0)
    lost = journal.dropped
    folder.unlink()
    for beat in beats()[50:]:
        journal(beat)
    assert journal.dropped == lost  # it waits, and what comes meanwhile waits too
    journal.close()  # waits no longer
    assert (journal.stored, journal.dropped) == (len(beats()) - lost, lost)


def test_a_place_that_cannot_be_written_is_written_once_it_can_and_both_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = tmp_path / "journal"
    folder.write_text("in the way")
    journal = Journal(folder, site().plant, PLENTY, retry_s=0.01)
    for beat in beats()[:50]:
        journal(beat)
    wait_for(lambda: journal.dropped >= 30)  # whole blocks; the last beats wait for theirs to be full
    folder.unlink()
    for beat in beats()[50:110]:
        journal(beat)
    journal.close()
    assert 30 <= journal.dropped <= 50
    assert journal.stored == 110 - journal.dropped
    (file,) = files(folder)
    assert all(same(entry, beat) for entry, beat in zip(read(file), beats()[journal.dropped : 110], strict=True))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_beat_that_cannot_be_written_costs_its_block_and_not_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path, site().plant, PLENTY, retry_s=0.01)
    journal(replace(beats()[0], trips=np.array([object()])))  # nothing that JSON knows
    for beat in beats():
        journal(beat)
    journal.close()
    assert 0 < journal.dropped <= 50
    assert journal.stored + journal.dropped == len(beats()) + 1
    (file,) = files(tmp_path)
    assert len(list(read(file))) == journal.stored
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_files_are_numbered_on_so_that_the_oldest_go_first_even_after_the_clock_was_put_back(tmp_path: Path) -> None:
    tmp_path.joinpath("20260101T000000.000000.journal").write_bytes(b"of an older kind" * 5000)
    write(tmp_path, beats()[:60])
    back = [replace(beat, tick=replace(beat.tick, utc=beat.tick.utc - timedelta(days=400))) for beat in beats()]
    write(tmp_path, tuple(back[:60]))
    kept = [file for file in files(tmp_path) if file.name[8] == "-"]
    assert [int(file.name.partition("-")[0]) for file in kept] == [0, 1]
    assert next(read(kept[1])).tick.utc < next(read(kept[0])).tick.utc
    size = sum(file.stat().st_size for file in files(tmp_path))
    write(tmp_path, tuple(back[60:90]), budget_bytes=size - 10_000, file_bytes=20_000)
    assert not tmp_path.joinpath("20260101T000000.000000.journal").exists()  # named otherwise: older than all
    assert all(file.exists() for file in kept)


def test_a_disk_that_cannot_keep_up_costs_beats_but_no_memory_without_end(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = Journal(folder, site().plant, PLENTY)
    for _ in range(60):
        for beat in beats():
            journal(beat)
    assert journal.dropped > 0
    journal.close()
    assert journal.stored + journal.dropped == 60 * len(beats())
