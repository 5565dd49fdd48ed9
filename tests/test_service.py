"""How the daemon ends: its last word to inverters is 0 W, to contactors nothing."""

import numpy as np

from ess_controller.clock import WallClock
from ess_controller.core.types import Order
from ess_controller.doors.orders import Orders
from ess_controller.service import Latest, Leaving, say_last_word
from firmware_bridge.records import Contactor
from sim.bench import exchange
from tests.core.pictures import tick
from tests.loop.story import Story


def test_after_a_mistake_the_inverter_is_at_0_w_long_before_its_timer_and_contactors_stay() -> None:
    story = Story(25.0, order=lambda _: Order(set_w=8000.0))
    world, bench = story.world, story.bench
    assert world.now.pcs_w[0] > 5000.0
    say_last_word(bench.plant, list(bench.registers.values()), bench.clock, story.beats[-1])
    for beat in range(1, 21):  # two seconds in which nobody controls the site
        exchange(world, bench._ends, tick(25.0 + beat / 10))
        assert world.now.contactor[0] == Contactor.CLOSED
    assert abs(world.now.pcs_w[0]) < 100.0


def test_the_latest_beat_is_the_one_that_is_shown() -> None:
    latest = Latest()
    assert latest.beat is None
    beats = Story(0.3).beats
    for beat in beats:
        latest(beat)
    assert latest.beat is beats[-1]


def test_the_clock_stops_when_all_lies_open_or_when_the_time_to_leave_is_up() -> None:
    orders, clock = Orders(), WallClock(0.001)
    leaving = Leaving(orders, clock)
    beats = Story(20.0, order=lambda tick: Order(run=tick.t_s < 15.0)).beats
    for beat in beats:
        if beat.tick.t_s >= 15.0:
            orders.leave()
        leaving(beat)
        open_ = np.all(beat.seen.string_contactor <= Contactor.OPEN)
        if stopped := next(clock.ticks(), None) is None:
            break
    assert stopped
    assert open_
    assert 15.0 < beat.tick.t_s < 20.0
