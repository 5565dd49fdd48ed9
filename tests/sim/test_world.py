"""The whole site through bytes: what the controller's half of the dialects hears is the truth, within the sensors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.frames import NO_FRAMES, Frames
from firmware_bridge.records import Contactor, Floats, PcsState
from sim.world import World, thermal
from sim.world.can_devices import OUTBOX_BATCHES
from sim.world.cells import CellState, stored_j
from sim.world.physics import Now
from tests.sim.sites import NOON, QUIET, Console, Want, console, plant, running, scenario

CLOSED_AT_REST = Want(Contactor.CLOSED)
NOISY = World(plant(), scenario(), NOON)


# --- measuring -----------------------------------------------------------------------------------------------------


def test_the_master_sees_what_is_true_within_sensor_errors() -> None:
    bench = console()
    seen = bench.start(20000.0)
    true = bench.world.truth
    assert seen.cells.cell_v == pytest.approx(true.cell_v, abs=0.005 + 5 * 0.0012 + 0.0005)
    assert np.std(seen.cells.cell_v - true.cell_v) < 0.004
    probed_c = true.cell_c.reshape(-1)[:10]
    assert seen.cells.module_c[0] == pytest.approx(np.full(4, probed_c.mean()), abs=3.0)
    assert seen.boxes.string_a == pytest.approx(true.string_a, rel=0.012, abs=0.4)
    assert seen.boxes.string_v == pytest.approx(true.string_v, rel=0.005)
    assert seen.boxes.string_bus_v == pytest.approx(true.bus_v, rel=0.005)
    assert seen.boxes.contactor.tolist() == [Contactor.CLOSED]
    assert seen.boxes.insulation_ohm == pytest.approx(2e6, rel=0.12)
    assert seen.pcs[0].w == pytest.approx(20000.0, rel=0.03)
    assert seen.pcs[0].state is PcsState.RUNNING
    assert (seen.pcs[0].charge_w, seen.pcs[0].discharge_w) == (50000.0, 50000.0)
    assert seen.meter.w == pytest.approx(true.grid_w, rel=0.01, abs=100.0)
    assert np.all(seen.cells.cell_age_s < 0.2)


def test_the_meter_sums_load_sun_and_battery() -> None:
    bench = console(sensors=QUIET)
    bench.start(20000.0)
    true = bench.world.truth
    assert true.grid_w == pytest.approx(true.load_w - true.pv_w - true.pcs_w.sum())


@pytest.mark.parametrize("speed", [1.0, 60.0])
@pytest.mark.parametrize("beat_s", [0.1, 0.037])
def test_counting_the_current_samples_counts_the_charge_at_any_speed(speed: float, beat_s: float) -> None:
    bench = console(speed=speed, sensors=QUIET, start={"soc": 0.7})
    bench.start(0.0)
    start = bench.world.truth.cell_soc * bench.world.truth.cell_capacity_ah
    counted_as = 0.0
    for beat in range(400):
        seen = bench.beat(running(30000.0 if beat % 100 < 60 else -20000.0), beat_s)
        counted_as += float(seen.string_a[0]) * beat_s * speed
    gone_as = (start - bench.world.truth.cell_soc * bench.world.truth.cell_capacity_ah) * 3600
    assert counted_as == pytest.approx(float(np.median(gone_as)), rel=1e-3 if beat_s == 0.1 else 5e-3)


# --- contactors and bus -------------------------------------------------------------------------------------------


def test_precharge_brings_the_bus_up_and_closing_is_gentle() -> None:
    bench = console()
    bench.beats(20, Want(Contactor.PRECHARGE))
    true = bench.world.truth
    assert true.bus_v == pytest.approx(true.string_v, abs=2.0)
    bench.beats(5, CLOSED_AT_REST)
    assert bench.world.truth.inrush_a[0] < 30
    assert bench.world.truth.contactor.tolist() == [Contactor.CLOSED]


def test_parallel_strings_equalise_at_zero_power() -> None:
    bench = console(plant(2), speed=20.0, start={"soc_sd": 0.0}, ageing={"spread": 0.0})
    bench.world.now = _with_soc(bench.world, np.r_[np.full(94, 0.55), np.full(94, 0.50)])
    bench.beats(10, Want(Contactor.PRECHARGE))
    first = bench.beats(3, CLOSED_AT_REST).string_a
    assert first[0] > 20
    assert first.sum() == pytest.approx(0.0, abs=1.0)
    last = bench.beats(600, CLOSED_AT_REST).string_a
    assert abs(last[0]) < 0.6 * first[0]
    apart = bench.world.truth.cell_soc[:94].mean() - bench.world.truth.cell_soc[94:].mean()
    assert apart < 0.04


def _with_soc(world: World, soc: Floats) -> Now:
    cells = CellState.rested(world.nature.cells, soc, world.now.cells.cell_c)
    string_v = np.add.reduceat(cells.ocv_v, world.plant.layout.first_cell_of_string)
    return replace(world.now, cells=cells, cell_v=cells.ocv_v, string_v=string_v)


def test_a_string_box_that_hears_nothing_opens_after_the_inverter_has_let_go() -> None:
    bench = console(speed=5.0)
    bench.start(30000.0)
    seen = bench.beats(120, None)
    assert seen.boxes.contactor.tolist() == [Contactor.CLOSED]
    seen = bench.beats(60, None)
    true = bench.world.truth
    assert seen.boxes.contactor.tolist() == [Contactor.OPEN]
    assert true.opened_under_load.tolist() == [0]
    assert true.pcs_w[0] <= 0.0


def test_opening_under_load_is_known_to_the_world() -> None:
    bench = console()
    bench.start(30000.0)
    bench.beats(2, Want(Contactor.OPEN, 30000.0, True))
    true = bench.world.truth
    assert true.opened_under_load.tolist() == [1]
    assert true.opened_under_load_a[0] == pytest.approx(89, abs=4)
    assert bench.beats(3, Want(Contactor.OPEN, 30000.0, True)).pcs[0].state is PcsState.FAULT


# --- inverter -----------------------------------------------------------------------------------------------------


def test_the_inverter_ramps_to_its_set_point_and_reverts_when_nobody_speaks() -> None:
    bench = console()
    bench.start(0.0)
    bench.beats(9, running(40000.0))
    assert 10000 < bench.world.truth.pcs_w[0] < 25000
    bench.beats(15, running(40000.0))
    assert bench.world.truth.pcs_w[0] == pytest.approx(40000.0)
    bench.beats(70, None)
    assert bench.world.truth.pcs_w[0] == pytest.approx(40000.0)
    bench.beats(80, None)
    assert bench.world.truth.pcs_w[0] == pytest.approx(0.0, abs=1.0)


# --- bleeding -----------------------------------------------------------------------------------------------------


def test_bleeding_takes_its_ampere_hours_from_the_right_cells_and_shows() -> None:
    bench = console(speed=60.0, sensors=QUIET, cell={"leak_per_month": 0.0})
    bleed = np.zeros(94, np.bool_)
    bleed[[3, 40, 93]] = True
    bench.beats(10, Want())
    start = bench.world.truth.cell_soc * bench.world.truth.cell_capacity_ah
    seen = bench.beats(300, Want(bleed=bleed))
    true = bench.world.truth
    gone_ah = start - true.cell_soc * true.cell_capacity_ah
    assert gone_ah[bleed] == pytest.approx(np.full(3, 0.05), rel=0.08)  # half an hour at 100 mA
    assert gone_ah[~bleed] == pytest.approx(np.zeros(91), abs=1e-12)
    assert true.bled_ah == pytest.approx(gone_ah, abs=1e-9)
    assert seen.cells.cell_bleeding.tolist() == bleed.tolist()
    assert (true.cell_v - seen.cells.cell_v)[bleed] == pytest.approx(np.full(3, 0.02), abs=0.002)
    assert seen.cells.module_board_c[0] > seen.cells.module_board_c[1] + 1.0


def test_bleeding_stops_by_itself_when_nobody_asks_again() -> None:
    bench = console()
    bench.beats(30, Want(bleed=np.ones(94, np.bool_), bleed_s=2.0))
    assert bench.world.truth.bleeding.all()
    bench.beats(30, None)
    assert not bench.world.truth.bleeding.any()


# --- laws ---------------------------------------------------------------------------------------------------------


def test_energy_is_conserved_from_the_grid_side_to_the_last_joule_of_heat() -> None:
    bench = console(plant(2), speed=10.0)
    bench.start(0.0)
    world = bench.world
    nature, totals = world.nature, world.totals
    stored0, warm0 = stored_j(nature.cells, world.now.cells).sum(), thermal.stored_j(nature.paths, world.now.warmth)
    lost0 = world.now.warmth.lost_j.sum()
    before = (totals.terminal_j, totals.cell_heat_j, totals.conductor_j, totals.bleed_j)
    for beat in range(300):
        bench.beat(Want(Contactor.CLOSED, 40000.0 if beat % 100 < 50 else -40000.0, True, np.arange(188) % 9 == 0))
    now = world.now
    terminal_j, heat_j, conductor_j, bleed_j = np.subtract(
        (totals.terminal_j, totals.cell_heat_j, totals.conductor_j, totals.bleed_j), before
    )
    moved_j = 300 * 40000.0
    assert terminal_j + heat_j + stored_j(nature.cells, now.cells).sum() - stored0 == pytest.approx(
        0, abs=1e-6 * moved_j
    )
    warmed_j = thermal.stored_j(nature.paths, now.warmth) - warm0 + now.warmth.lost_j.sum() - lost0
    assert warmed_j == pytest.approx(heat_j + conductor_j + bleed_j, abs=1e-6 * moved_j)


def test_the_terminals_deliver_what_inverter_conductors_bleeders_and_bus_take() -> None:
    bench = console(speed=10.0, pack={"bus_bleed_ohm": 1e12})
    bench.start(30000.0)
    totals = bench.world.totals
    before = (totals.terminal_j, totals.dc_j, totals.conductor_j, totals.bleed_j)
    bench.beats(300, running(30000.0))
    terminal_j, dc_j, conductor_j, bleed_j = np.subtract(
        (totals.terminal_j, totals.dc_j, totals.conductor_j, totals.bleed_j), before
    )
    assert terminal_j == pytest.approx(dc_j + conductor_j + bleed_j, rel=2e-5)


def test_the_same_seed_and_calls_give_the_same_bits() -> None:
    def bits(seed: int) -> bytes:
        bench = Console(World(plant(), scenario(), NOON, seed=seed), 10.0)
        seen = bench.start(20000.0)
        true = bench.world.truth
        return true.cell_soc.tobytes() + true.cell_v.tobytes() + seen.cells.cell_v.tobytes()

    assert bits(4) == bits(4)
    assert bits(4) != bits(5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(min_size=8, max_size=8)), min_size=1, max_size=40),
    st.integers(0, 2**16 - 1),
    st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=4),
    st.floats(0.001, 30.0),
)
def test_no_bytes_on_any_bus_disturb_the_physics(
    said: list[tuple[int, bytes]], address: int, words: list[int], pause_s: float
) -> None:
    world = NOISY
    frames = Frames.make([can_id for can_id, _ in said], np.frombuffer(b"".join(raw for _, raw in said), np.uint8))
    t_s = world.t_s
    for bus in world.can_buses:
        world.hear(bus, frames, t_s)
    for bank in world.banks.values():
        bank.write(address, tuple(words))
        bank.read(address, len(words))
    world.advance(t_s + pause_s, t_s + pause_s)
    true = world.truth
    for bus in world.can_buses:
        world.can_frames(bus, t_s + pause_s)
    assert np.isfinite(true.cell_v).all()
    assert true.contactor.tolist() == [Contactor.OPEN]
    assert np.abs(true.pcs_w).max() <= 50000.0


def test_going_back_in_time_does_nothing() -> None:
    world = World(plant(), scenario(), NOON)
    world.advance(10.0, 10.0)
    world.advance(5.0, 5.0)
    assert world.t_s == 10.0


def test_what_waits_for_a_bus_that_nobody_drains_is_bounded() -> None:
    bench = console(plant(2))
    world = bench.world
    for beat in range(1, 200):
        world.advance(beat * 0.1, beat * 0.1)
        world.can_frames("A1-box", beat * 0.1)
    waiting = world.can_frames("A2-box", 19.9)
    assert 0 < len(waiting) <= OUTBOX_BATCHES * 40
    assert len(world.can_frames("A2-box", 19.9)) == 0


def test_a_bus_without_can_devices_is_silent() -> None:
    world = console().world
    world.hear("meter", NO_FRAMES, 0.0)
    assert len(world.can_frames("meter", 1.0)) == 0
    assert sorted(world.banks) == ["meter", "pcs0"]
