import numpy as np
import pytest

from firmware_bridge.records import Bools, Contactor
from sim.world.ageing import seeded
from sim.world.pack import Wear
from sim.world.physics import Nature, Now, Orders, Totals, at_rest, step
from sim.world.premises import Surroundings
from tests.sim.sites import plant, scenario

SITE, SCENARIO = plant(2), scenario(start={"soc": 0.7})
SEEDED = seeded(SITE, SCENARIO, np.random.default_rng(11))
NATURE = Nature.of(SITE, SCENARIO, SEEDED)
AROUND = Surroundings(load_w=12000.0, roof_w=3000.0, sun_w=np.zeros(0), ambient_c=20.0)
BLEED = np.arange(188) % 17 == 0


def orders(contactor: Contactor, set_w: float, bleed: Bools = BLEED) -> Orders:
    none, cabinet = np.zeros(2, np.bool_), np.zeros(1, np.bool_)
    return Orders(
        contactor=np.full(2, int(contactor)),
        cut=none,
        bleed=bleed,
        set_w=np.array([set_w]),
        run=np.array([True]),
        welded=none,
        stuck_open=none,
        tripped=cabinet,
        short_a=np.zeros(188),
        pv_limit_w=np.zeros(0),
        climate=np.zeros(1, np.int64),
    )


def run(now: Now, told: Orders, seconds: float, dt_s: float) -> tuple[Now, Totals]:
    totals = Totals()
    for _ in range(round(seconds / dt_s)):
        now = step(NATURE, now, told, AROUND, Wear.none(2), totals, dt_s)
    return now, totals


def started() -> Now:
    now, _ = run(at_rest(NATURE, SEEDED, AROUND), orders(Contactor.PRECHARGE, 0.0), 3.0, 0.1)
    return run(now, orders(Contactor.CLOSED, 0.0), 120.0, 0.1)[0]


@pytest.mark.parametrize("set_w", [40000.0, -40000.0])
def test_ten_minutes_come_out_the_same_in_steps_of_a_tenth_a_second_and_six(set_w: float) -> None:
    begin, told = started(), orders(Contactor.CLOSED, set_w)
    (fine, fine_j), (second, _), (coarse, coarse_j) = (run(begin, told, 600.0, dt_s) for dt_s in (0.1, 1.0, 6.0))
    assert second.cell_v == pytest.approx(fine.cell_v, abs=2e-5)
    assert coarse.cell_v == pytest.approx(fine.cell_v, abs=5e-4)
    assert coarse.cells.soc == pytest.approx(fine.cells.soc, abs=2e-5)
    assert coarse.warmth.cell_c == pytest.approx(fine.warmth.cell_c, abs=0.05)
    assert coarse.string_a == pytest.approx(fine.string_a, abs=0.05)
    assert coarse_j.discharged_j == pytest.approx(fine_j.discharged_j, rel=1e-9)
    assert coarse_j.charged_j == pytest.approx(fine_j.charged_j, rel=1e-9)


def test_the_grid_gives_what_load_sun_and_battery_leave_over() -> None:
    now, _ = run(started(), orders(Contactor.CLOSED, 5000.0), 10.0, 1.0)
    assert now.grid_w == pytest.approx(12000.0 - 3000.0 - 5000.0)
    now, _ = run(started(), orders(Contactor.CLOSED, -5000.0), 10.0, 1.0)
    assert now.grid_w == pytest.approx(12000.0 - 3000.0 + 5000.0)


def test_half_an_hour_at_full_power_warms_the_cells_and_no_string_loses_the_bus() -> None:
    now, totals = run(started(), orders(Contactor.CLOSED, 50000.0), 1800.0, 6.0)
    assert 23 < now.warmth.cell_c.max() < 45
    assert totals.cell_heat_j > 0
    assert now.string_v == pytest.approx(now.bus_v[0], abs=1.0)


def test_the_round_trip_of_a_used_string_is_between_85_and_95_percent() -> None:
    begin = started()
    down, out = run(begin, orders(Contactor.CLOSED, 20000.0, BLEED & False), 3600.0, 6.0)
    back, come = down, Totals()
    while back.cells.soc.mean() < begin.cells.soc.mean():
        back, part = run(back, orders(Contactor.CLOSED, -20000.0, BLEED & False), 10.0, 1.0)
        come.charged_j += part.charged_j
    assert 0.85 < out.discharged_j / come.charged_j < 0.95
