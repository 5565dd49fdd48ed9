"""What the operator wants: one slot that expires by itself, and a clearing that is done once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ess_controller.core.types import Order
from ess_controller.doors.orders import AT_REST, LONGEST_S, Orders
from tests.core.pictures import tick

NOTHING = Order()
CHARGE = Order(set_w=-5000.0)


def test_without_an_order_the_site_follows_its_own_rule() -> None:
    assert Orders()(tick(1.0)) == NOTHING


def test_an_order_holds_from_the_first_beat_that_saw_it_for_as_long_as_was_asked() -> None:
    orders = Orders()
    orders.give(CHARGE, for_s=10.0)  # before any beat: a daemon's window opens before its loop runs
    at_s = 50_000.0
    assert orders(tick(at_s)) == CHARGE
    assert orders(tick(at_s + 10.0)) == CHARGE
    assert orders(tick(at_s + 10.1)) == NOTHING


def test_expiry_runs_on_wall_time_whatever_the_speed() -> None:
    orders = Orders()
    orders(tick(0.0, speed=60.0))
    orders.give(CHARGE, for_s=10.0)
    assert orders(tick(6.0, speed=60.0)) == CHARGE
    assert orders(tick(590.0, speed=60.0)) == CHARGE
    assert orders(tick(660.0, speed=60.0)) == NOTHING


def test_a_new_order_replaces_the_old_one_whole_and_its_time_starts_anew() -> None:
    orders = Orders()
    orders.give(CHARGE, for_s=10.0)
    assert orders(tick(0.0)) == CHARGE
    orders.give(Order(run=False), for_s=10.0)
    assert orders(tick(8.0)) == Order(run=False)
    assert orders(tick(17.0)) == Order(run=False)
    assert orders(tick(18.5)) == NOTHING


def test_the_same_order_given_again_is_prolonged() -> None:
    orders = Orders()
    for at_s in range(0, 100, 5):
        orders.give(CHARGE, for_s=6.0)
        assert orders(tick(float(at_s))) == CHARGE
        assert orders(tick(at_s + 4.9)) == CHARGE


def test_a_withdrawn_order_is_gone_at_once() -> None:
    orders = Orders()
    orders.give(CHARGE, for_s=100.0)
    orders(tick(0.0))
    orders.withdraw()
    assert orders(tick(0.1)) == NOTHING


def test_no_order_outlives_a_day() -> None:
    orders = Orders()
    orders.give(CHARGE, for_s=1e12)
    assert orders(tick(0.0)) == CHARGE
    assert orders(tick(LONGEST_S)) == CHARGE
    assert orders(tick(LONGEST_S + 1.0)) == NOTHING


def test_clearing_latched_faults_is_a_deed_done_in_one_beat() -> None:
    orders = Orders()
    orders.give(Order(clear_latched=True), for_s=60.0)
    assert orders(tick(0.0)).clear_latched
    assert orders(tick(0.1)) == NOTHING
    orders.give(Order(clear_latched=True), for_s=60.0)
    assert orders(tick(0.2)).clear_latched


def test_clearing_leaves_what_was_asked_before_as_it_is_and_its_time_too() -> None:
    orders = Orders()
    rest = Order(run=False)
    orders.give(rest, for_s=10.0)
    assert orders(tick(0.0)) == rest
    orders.give(Order(clear_latched=True), for_s=900.0)
    assert orders(tick(1.0)) == Order(run=False, clear_latched=True)
    assert orders(tick(1.1)) == rest
    assert orders(tick(10.0)) == rest
    assert orders(tick(10.1)) == NOTHING


def test_a_clearing_that_says_more_is_a_wish_as_well() -> None:
    orders = Orders()
    orders.give(Order(run=False, clear_latched=True), for_s=10.0)
    assert orders(tick(0.0)) == Order(run=False, clear_latched=True)
    assert orders(tick(0.1)) == Order(run=False)


def test_leaving_outranks_every_order() -> None:
    orders = Orders()
    orders.give(CHARGE, for_s=60.0)
    orders.leave()
    assert orders.leaving
    assert orders(tick(0.0)) == AT_REST
    orders.give(CHARGE, for_s=60.0)
    assert orders(tick(0.1)) == AT_REST


def test_orders_given_while_the_loop_runs_are_never_lost() -> None:
    """A clearing is being done just as somebody gives another order: the other order stands."""
    orders = Orders()
    with ThreadPoolExecutor(1) as pool:
        for number in range(300):
            wish = Order(set_w=float(number))
            orders.give(Order(clear_latched=True), for_s=60.0)
            given = pool.submit(orders.give, wish, 60.0)
            orders(tick(number * 0.1))
            given.result()
            assert orders(tick(number * 0.1 + 0.05)) == wish


@pytest.mark.parametrize("for_s", [0.0, 1e-9])
def test_the_shortest_order_still_holds_for_a_beat(for_s: float) -> None:
    orders = Orders()
    orders.give(CHARGE, for_s)
    assert orders(tick(3.0)) == CHARGE
    assert orders(tick(3.1)) == NOTHING
