"""An inverter that runs for nothing empties the battery by its own losses: it is stopped, and started when needed."""

import numpy as np
import pytest

from ess_controller.core.types import Order
from tests.core.pictures import running, tuning, well

IDLE_W, STOP_S = tuning().dispatch.idle_w, tuning().dispatch.idle_stop_s


@pytest.mark.parametrize("dt_s", [0.5, 6.0])
def test_an_inverter_with_nothing_worth_its_losses_to_do_is_stopped_after_a_while(dt_s: float) -> None:
    controller, idle = running(dt_s), well(grid_w=IDLE_W - 1.0)
    controller.last(10.0, well())
    began_s = controller.t_s
    while controller.beat(idle).commands.pcs_run[0] and controller.t_s < began_s + 2 * STOP_S:
        pass
    assert STOP_S <= controller.t_s - began_s <= STOP_S + 2 * dt_s


def test_a_stopped_inverter_starts_in_the_beat_in_which_there_is_something_to_do_though_it_is_not_armed() -> None:
    controller = running(6.0)
    asleep = well(grid_w=0.0, pcs_armed=np.zeros(1, bool))
    assert not controller.last(STOP_S + 20.0, asleep).commands.pcs_run[0]
    decision = controller.beat(well(grid_w=5_000.0, pcs_armed=np.zeros(1, bool)))
    assert decision.commands.pcs_run[0]
    assert decision.commands.pcs_w[0] == 0.0  # not before it has proven that it falls back


def test_an_empty_battery_does_not_keep_its_inverter_running_for_a_load() -> None:
    controller = running(6.0)
    empty = well(cell_v=np.full(94, 2.85), string_v=np.full(1, 2.85 * 94), grid_w=20_000.0)
    assert not controller.last(STOP_S + 20.0, empty).commands.pcs_run[0]


def test_an_operator_s_set_point_wakes_it() -> None:
    controller = running(6.0)
    assert not controller.last(STOP_S + 20.0, well(grid_w=0.0)).commands.pcs_run[0]
    assert controller.beat(well(grid_w=0.0), Order(set_w=-3_000.0)).commands.pcs_run[0]
