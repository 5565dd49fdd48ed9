"""The whole loop on the bench, bytes and all: it comes up, follows, holds the peak, obeys, and harms nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import islice

import numpy as np
import pytest

from ess_controller.core.types import Mode, Order
from ess_controller.daemon import Beat, run
from ess_controller.doors.orders import Orders
from ess_controller.tees import Totals
from firmware_bridge.guard import Trip
from firmware_bridge.records import Contactor, Tick
from sim.bench import Bench
from sim.verdict import verdict
from sim.world import World
from tests.loop.story import NOON, Story, scenario, site

OPEN, PRECHARGE, CLOSED = Contactor.OPEN, Contactor.PRECHARGE, Contactor.CLOSED


@cache
def started(beat_s: float) -> Story:
    """The first beats of a day."""
    return Story(120 * beat_s if beat_s > 1.0 else 40.0, beat_s)


@cache
def hour() -> Story:
    """An hour of a winter noon at three seconds a beat."""
    return Story(3600.0, 3.0)


@pytest.mark.parametrize("beat_s", [0.1, 6.0])
def test_a_string_comes_up_through_precharge_within_fifty_beats(beat_s: float) -> None:
    story = started(beat_s)
    modes = story.modes
    assert modes.index(Mode.RUN) < 50
    changes = [mode for mode, before in zip(modes, [None, *modes], strict=False) if mode != before]
    assert changes == [Mode.OFF, Mode.PRECHARGE, Mode.RUN]
    seen = [int(beat.seen.string_contactor[0]) for beat in story.beats]
    assert seen == sorted(seen)  # open, precharge, closed, and never back
    assert set(seen) == {OPEN, PRECHARGE, CLOSED}
    assert story.world.truth.closes[0] == 1
    assert not story.trips.any()


@pytest.mark.parametrize("beat_s", [0.1, 6.0])
def test_no_power_is_asked_before_the_contactors_are_closed(beat_s: float) -> None:
    for beat in started(beat_s).beats:
        if beat.seen.string_contactor[0] != CLOSED:
            assert beat.commands.pcs_w[0] == 0.0


@pytest.mark.parametrize("beat_s", [0.1, 6.0])
def test_self_consumption_holds_the_grid_near_zero(beat_s: float) -> None:
    story = started(beat_s)
    running = [beat for beat in story.beats if abs(beat.seen.pcs_w[0]) > 1000.0][30:]
    grid_w = np.array([beat.seen.grid_w for beat in running])
    free = [abs(beat.commands.pcs_w[0]) < 0.95 * beat.decision.cabinet_bound.discharge[0] for beat in running]
    assert len(running) > 50
    assert np.median(np.abs(grid_w)) < 300.0 if beat_s < 1.0 else 1500.0
    assert np.mean(np.abs(grid_w)) < 3000.0, free


def test_an_hour_leaves_every_cell_inside_its_limits_and_welds_nothing() -> None:
    story = hour()
    harm = verdict(story.world, story.site.tuning.envelope)
    assert harm["cells_outside_limits"] == 0
    assert harm["opened_under_load"] == 0
    assert story.world.truth.closes[0] == 1
    assert not story.trips.any()
    assert set(story.modes[100:]) == {Mode.RUN}


def test_the_energy_counted_is_the_energy_that_flowed_as_far_as_meters_go() -> None:
    story = hour()
    totals = Totals(story.site.plant.layout)
    for beat in story.beats:
        totals(beat)
    counted, truth = totals.summary(), story.world.truth
    assert truth.energy_out_kwh > 5.0
    assert counted["energy_out_kwh"] == pytest.approx(truth.energy_out_kwh, rel=0.02, abs=0.05)
    assert counted["energy_in_kwh"] == pytest.approx(truth.energy_in_kwh, rel=0.05, abs=0.1)


def test_the_charge_counted_is_the_charge_that_flowed() -> None:
    story = hour()
    before, after = (
        (gauge.anchors.swing_ah + gauge.moved_as / 3600).mean()
        for gauge in (story.beats[100].state.gauge, story.beats[-1].state.gauge)
    )
    flowed_as = sum(
        float(beat.seen.string_a[0] - beat.state.gauge.zero_a[0]) * beat.tick.dt_s for beat in story.beats[101:]
    )
    assert after - before == pytest.approx(flowed_as / 3600, rel=1e-6)


def test_soc_stays_within_a_few_percent_of_the_truth() -> None:
    story = hour()
    error = story.beats[-1].state.gauge.soc - story.world.truth.cell_soc
    assert np.sqrt(np.mean(error**2)) < 0.03
    assert np.abs(error).max() < 0.08  # a first voltage, read with an unknown history and another cell's curve
    within = np.abs(error) <= 2.0 * story.beats[-1].state.gauge.soc_sd
    assert within.mean() > 0.9


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    first, again, other = (Story(12.0, seed=seed).digest.hex() for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_the_peak_guard_holds_every_billing_block_while_an_operator_charges() -> None:
    """Busy hour, no sun; someone asks to charge at 30 kW all the time; the month's peak is 30 kW."""
    start = datetime(2026, 1, 15, 1, 58, tzinfo=UTC)  # 09:58 at the site
    blocks: dict[int, list[float]] = {}

    def bill(beat: Beat, world: World) -> None:
        blocks.setdefault(int((beat.tick.utc.timestamp() - 2.5) // 900), []).append(max(world.now.grid_w, 0.0))

    sunless = scenario(premises={"pv_wp": 0.0}, start={"soc": 0.6})
    greedy = Story(3720.0, 5.0, start, scenario=sunless, order=lambda _: Order(set_w=-30_000.0), happens=bill)
    means_w = [float(np.mean(values)) for values in blocks.values() if len(values) == 180]
    assert len(means_w) >= 4
    assert max(means_w) <= 30_000.0 * 1.01, means_w  # the meter itself is 0.2 % wrong
    assert max(means_w) > 27_000.0  # what is allowed is used
    assert "peak guard" in {beat.decision.wanted_by for beat in greedy.beats}


def test_without_the_peak_guard_the_same_operator_would_have_exceeded_the_peak() -> None:
    start = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
    sunless = scenario(premises={"pv_wp": 0.0}, start={"soc": 0.6})
    story = Story(
        900.0,
        5.0,
        start,
        site=site(peak_w=np.inf),
        scenario=sunless,
        order=lambda _: Order(set_w=-30_000.0),
    )
    assert np.mean(story.column(lambda beat: beat.seen.grid_w)[100:]) > 35_000.0


def test_an_operators_set_point_is_followed_and_expires_by_itself() -> None:
    orders = Orders()

    def ask(tick: Tick) -> Order:
        if tick.t_s == pytest.approx(15.0):
            orders.give(Order(set_w=4000.0), for_s=10.0)
        return orders(tick)

    story = Story(40.0, site=site(peak_w=np.inf), order=ask)
    t_s, pcs_w = story.t_s, story.column(lambda beat: float(beat.seen.pcs_w[0]))
    during = (t_s > 18.0) & (t_s < 24.9)
    assert np.abs(pcs_w[during] - 4000.0).max() < 150.0
    by = [beat.decision.wanted_by for beat in story.beats]
    assert {name for name, at_s in zip(by, t_s, strict=True) if at_s > 25.2} == {"self-consumption"}
    assert pcs_w[-1] > 10_000.0


def test_asked_to_rest_a_string_opens_without_load_and_comes_back_when_asked() -> None:
    def rest(tick: Tick) -> Order:
        return Order(run=not 15.0 <= tick.t_s < 30.0)

    story = Story(60.0, order=rest)
    t_s, open_ = story.t_s, story.column(lambda beat: float(beat.seen.string_contactor[0])) == OPEN
    assert not open_[(t_s > 8.0) & (t_s < 15.0)].any()
    assert not story.set_w[(t_s >= 15.05) & (t_s < 30.0)].any()
    assert open_[(t_s > 19.0) & (t_s < 30.0)].all()
    assert story.world.truth.opened_under_load[0] == 0
    assert story.modes[-1] == Mode.RUN
    assert story.world.truth.closes[0] == 2


def test_a_string_too_cold_to_charge_starts_and_discharges() -> None:
    story = Story(30.0, scenario=scenario(start={"temperature_c": -4.0}))
    assert story.modes[-1] == Mode.RUN
    assert story.set_w[-1] > 500.0
    assert not (story.set_w < 0.0).any()
    assert not story.trips.any()


def test_contactors_that_fell_open_by_themselves_are_not_slammed_shut_onto_an_empty_bus_but_precharged_anew() -> None:
    """The string box restarts under load; half a second later it could close again."""

    def restart(beat: Beat, world: World) -> None:
        (world.faults.stuck_open.add if 15.0 <= beat.tick.t_s < 15.5 else world.faults.stuck_open.discard)(0)

    story = Story(30.0, happens=restart)
    after = [beat for beat in story.beats if beat.tick.t_s >= 15.2]
    feedback = [int(beat.seen.string_contactor[0]) for beat in after]
    assert list(dict.fromkeys(feedback)) == [OPEN, PRECHARGE, CLOSED]
    for beat in after[: feedback.index(CLOSED)]:
        assert beat.commands.pcs_w[0] == 0.0
        assert beat.commands.contactor[0] != CLOSED or beat.seen.string_contactor[0] == PRECHARGE
    assert feedback.index(PRECHARGE) >= 20  # nothing closes until all has been well for two seconds
    assert story.world.truth.closes[0] == 2
    assert story.world.truth.inrush_a.max() < 100.0
    assert story.modes[-1] == Mode.RUN
    assert not story.beats[-1].state.latched.any()  # nothing that an operator had to look at
    assert story.set_w[-1] > 10_000.0


def test_a_ramp_goes_on_from_what_the_guard_let_pass() -> None:
    """An inverter smaller than the site file says: asked for more beat by beat, it would leap once it may."""
    found = site()
    small = replace(found, tuning=replace(found.tuning, envelope=replace(found.tuning.envelope, pcs_w_max=3000.0)))
    story = Story(20.0, site=small)
    asked_w = story.column(lambda beat: float(beat.decision.commands.pcs_w[0]))
    assert story.set_w[-1] == 3000.0
    assert story.trips[-1] == Trip.COMMAND
    assert asked_w.max() <= 4000.0  # a tenth of a second of 10 kW/s
    assert list(story.column(lambda beat: float(beat.state.power_w[0]))) == list(story.set_w)


def test_a_fourth_close_within_the_hour_is_refused() -> None:
    story = Story(240.0, 1.0, order=lambda tick: Order(run=tick.t_s % 40.0 < 25.0))
    assert story.world.truth.closes[0] == 3
    assert set(story.modes[150:]) <= {Mode.OFF}


@dataclass
class Shift:
    """Some of a bench's beats: one daemon's working life."""

    beats: Iterator[Tick]
    count: int
    late_beats: int = 0

    def ticks(self) -> Iterator[Tick]:
        """So many."""
        return islice(self.beats, self.count)


def test_a_daemon_that_starts_under_load_adopts_the_closed_contactors_and_goes_on() -> None:
    bench = Bench(site(), scenario(), NOON, 300)
    ticks = bench.ticks()
    seen: list[Beat] = []
    for count in (200, 100):  # the second daemon knows nothing of the first
        run(bench.site.tuning, bench.plant, Shift(ticks, count), lambda _: Order(), [seen.append])
    assert abs(seen[199].seen.string_a[0]) > 30.0
    assert [Mode(int(beat.state.mode[0])) for beat in seen[200:]] == [Mode.RUN] * 100
    assert seen[-1].commands.pcs_w[0] > 10_000.0
    assert bench.world.truth.closes[0] == 1
    assert bench.world.truth.opened_under_load[0] == 0
