import numpy as np
import pytest

from sim.world.thermal import HeatPaths, Warmth, stored_j, warm
from tests.sim.sites import plant, scenario

LAYOUT = plant(2).layout
PATHS = HeatPaths.of(LAYOUT, scenario())
COOL = Warmth(np.full(188, 20.0), np.full(20, 20.0), np.full(1, 20.0), np.zeros(1))


def heated(cell_w: float, seconds: float, dt_s: float) -> Warmth:
    now = COOL
    for _ in range(round(seconds / dt_s)):
        now = warm(PATHS, now, np.full(188, cell_w), np.full(20, 2.0), np.full(1, 30.0), 20.0, dt_s)
    return now


@pytest.mark.parametrize("dt_s", [0.1, 1.0, 6.0])
def test_every_joule_of_heat_is_stored_or_has_left(dt_s: float) -> None:
    now = heated(5.0, 600.0, dt_s)
    made_j = (188 * 5.0 + 20 * 2.0 + 30.0) * 600.0
    assert stored_j(PATHS, now) - stored_j(PATHS, COOL) + now.lost_j.sum() == pytest.approx(made_j, rel=1e-9)


def test_temperatures_do_not_depend_on_the_step() -> None:
    fine, coarse = heated(5.0, 1800.0, 0.1), heated(5.0, 1800.0, 1.0)
    assert coarse.cell_c == pytest.approx(fine.cell_c, abs=0.01)


def test_in_the_end_all_heat_flows_through_to_the_ambient() -> None:
    now = heated(2.0, 400000.0, 10.0)
    heat_w = 188 * 2.0 + 20 * 2.0 + 30.0
    assert now.air_c[0] == pytest.approx(20.0 + heat_w / 120.0, rel=1e-3)
    ten = 10 * 2.0 + 2.0  # a module of ten cells
    assert now.module_c[0] == pytest.approx(now.air_c[0] + ten / 8.0, rel=1e-3)
    assert now.cell_c[0] == pytest.approx(now.module_c[0] + 2.0 / 4.0, rel=1e-3)
