"""An operator's limit of power: it holds whatever is wanted, the record of limits names it, and status tells it."""

import pytest

from ess_controller.core.types import Order
from ess_controller.doors.orders import Orders
from tests.core.pictures import tick
from tests.loop.story import Story

LIMIT_W = 4000.0


@pytest.mark.parametrize("wanted_w", [20_000.0, -20_000.0])
def test_no_more_flows_than_the_operator_allows_whichever_way(wanted_w: float) -> None:
    beats = Story(25.0, order=lambda _: Order(set_w=wanted_w, limit_w=LIMIT_W)).beats
    told_w = [float(beat.commands.pcs_w.sum()) for beat in beats]
    assert max(abs(w) for w in told_w) == pytest.approx(LIMIT_W)
    last = beats[-1]
    assert abs(last.decision.wanted_w) > LIMIT_W  # the set-point, or the peak guard that outranks it
    assert abs(last.commands.pcs_w.sum()) == pytest.approx(LIMIT_W)


def test_a_limit_of_nothing_leaves_contactors_closed_and_lets_nothing_flow() -> None:
    last = Story(20.0, order=lambda _: Order(set_w=8000.0, limit_w=0.0)).beats[-1]
    assert last.commands.pcs_w.sum() == 0.0
    assert last.decision.order.run


def test_status_tells_the_wish_in_force_and_how_long_it_still_holds() -> None:
    orders = Orders()
    assert orders.told(0.0) == {}
    orders.give(Order(limit_w=LIMIT_W), for_s=60.0)
    asked = {"run": True, "set_w": None, "limit_w": LIMIT_W}
    assert orders.told(100.0) == {"order": asked | {"left_s": 60.0}}  # no beat has seen it yet
    orders(tick(100.0))
    assert orders.told(130.0) == {"order": asked | {"left_s": 30.0}}
    assert orders.told(161.0) == {}
    orders.give(Order(run=False), for_s=60.0)
    orders.withdraw()
    assert orders.told(200.0) == {}
