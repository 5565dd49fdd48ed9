"""Clocks: beats at deadlines, late beats counted once, plant time apart from wall time, and counted beats."""

import signal
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from threading import Event, Thread, main_thread
from types import FrameType

import pytest

from ess_controller.clock import CountedClock, WallClock, cpu_s, wall_s
from firmware_bridge.records import Tick

START = datetime(2026, 6, 1, tzinfo=UTC)


def spend(seconds: float) -> None:
    """A beat that takes its time: waits for something that does not come."""
    Event().wait(seconds)


def beats(clock: WallClock, count: int, busy_s: float = 0.0) -> list[Tick]:
    """So many beats, each taking `busy_s`."""
    taken: list[Tick] = []
    for tick in islice(clock.ticks(), count):
        taken.append(tick)
        spend(busy_s)
    return taken


def test_ticks_tell_plant_time_wall_time_and_time_of_day_that_belong_together() -> None:
    speed = 60.0
    ticks = beats(WallClock(0.005, speed, START), 20)
    assert ticks[0].dt_s == pytest.approx(0.005 * speed, rel=2.0)
    for tick in ticks:
        assert tick.utc == START + timedelta(seconds=tick.t_s)
    for before, tick in pairwise(ticks):
        assert tick.wire_s > before.wire_s
        assert tick.dt_s == pytest.approx(tick.t_s - before.t_s)
        assert tick.t_s - before.t_s == pytest.approx((tick.wire_s - before.wire_s) * speed)


def test_the_time_of_day_is_the_machines_own_and_follows_it_when_it_is_put_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = WallClock(0.005)
    ticks = clock.ticks()
    first = next(ticks)
    assert abs((datetime.now(UTC) - first.utc).total_seconds()) < 60.0
    monkeypatch.setattr("ess_controller.clock.utc_now", lambda: START)  # somebody puts the clock right
    after = next(ticks)
    assert after.utc == START
    assert after.t_s - first.t_s == pytest.approx(after.wire_s - first.wire_s)  # control has not noticed
    assert 0.0 < after.dt_s < 60.0


def test_plant_time_that_is_not_the_machines_own_does_not_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, given = WallClock(0.005, speed=2.0), WallClock(0.005, start=START)
    for clock in (fast, given):
        ticks = clock.ticks()
        next(ticks)
        monkeypatch.setattr("ess_controller.clock.utc_now", lambda: START - timedelta(days=1))
        tick = next(ticks)
        assert tick.utc == clock.start + timedelta(seconds=tick.t_s)


def test_no_beat_comes_before_its_deadline() -> None:
    ticks = beats(WallClock(0.01), 15)
    for number, tick in enumerate(ticks):
        assert tick.wire_s - ticks[0].wire_s >= number * 0.01 - 1e-3


def test_a_loop_that_cannot_keep_up_counts_its_late_beats_and_does_not_run_after_them() -> None:
    clock = WallClock(0.01)
    ticks = beats(clock, 5, busy_s=0.035)
    # A beat that takes three and a half periods costs three or more: none of them is made up for.
    assert clock.late_beats >= 4 * 2
    for before, tick in pairwise(ticks):
        assert tick.dt_s >= 0.03
        assert tick.dt_s == pytest.approx(tick.wire_s - before.wire_s)


def test_one_long_beat_is_late_once_and_not_made_up_for_in_a_burst() -> None:
    clock = WallClock(0.02)
    ticks = clock.ticks()
    next(ticks)
    spend(0.13)
    late = next(ticks)
    assert clock.late_beats >= 5
    assert late.dt_s >= 0.12
    for _ in range(5):
        assert next(ticks).dt_s >= 0.0099  # the next deadline of the grid, half a beat away at least: no burst


def test_a_stopped_clock_makes_no_further_beat_even_from_another_thread() -> None:
    clock = WallClock(30.0)
    taken: list[Tick] = []
    thread = Thread(target=lambda: taken.extend(clock.ticks()))
    thread.start()
    clock.stop()
    thread.join(timeout=20.0)
    assert not thread.is_alive()
    assert len(taken) <= 1


def test_a_signal_at_any_moment_stops_the_clock_and_never_blocks() -> None:
    """A handler that takes a lock which the waiting loop holds would wait for ever."""
    clock = WallClock(30.0)
    told = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told, clock
        told += 1
        clock.stop()

    before = signal.signal(signal.SIGUSR1, stop)
    ended = Event()

    def storm() -> None:
        while not ended.wait(0.0002):
            signal.pthread_kill(main_thread().ident or 0, signal.SIGUSR1)

    thread = Thread(target=storm)
    thread.start()
    try:
        for _ in range(300):
            clock = WallClock(0.002)
            assert len(list(clock.ticks())) < 1000
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert told > 100


def test_a_clock_stopped_before_it_started_makes_none() -> None:
    clock = WallClock(0.01)
    clock.stop()
    assert list(clock.ticks()) == []


def test_counted_beats_are_exact_and_never_late() -> None:
    clock = CountedClock(0.1, 6.0, START, 4)
    ticks = []
    for tick in clock.ticks():
        assert clock.monotonic_s() == clock.realtime_s() == tick.wire_s
        ticks.append(tick)
    assert [tick.t_s for tick in ticks] == [6.0, 12.0, 18.0, 24.0]
    assert [tick.dt_s for tick in ticks] == [6.0] * 4
    assert [tick.wire_s for tick in ticks] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert ticks[-1].utc == START + timedelta(seconds=24)
    assert clock.late_beats == 0


def test_counted_beats_do_not_drift_over_a_month() -> None:
    clock = CountedClock(0.1, 0.1, START, 30 * 864_000)
    (last,) = islice(clock.ticks(), 99_999, 100_000)
    assert last.t_s == pytest.approx(10_000.0, abs=1e-9)


def test_a_counted_clock_stops_when_told() -> None:
    clock = CountedClock(0.1, 0.1, START, 1000)
    for number, _ in enumerate(clock.ticks(), 1):
        if number == 3:
            clock.stop()
    assert number == 3


def test_cpu_time_and_wall_time_only_go_forward() -> None:
    assert 0.0 <= cpu_s() <= cpu_s()
    assert wall_s() <= wall_s()
