"""The waterfall of limits: its steps make the nameplate, its last is the rule that acts, lifting it allows no less."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.arbitration import RULES, Arbitration, arbitration
from ess_controller.core.step import first_state, step
from ess_controller.core.types import Order, Rule, Tuning
from tests.core.pictures import one, plant_tuning, running, tick, tuning, well
from tests.core.test_step_laws import orders, pictures, steps_s

CHARGE, DISCHARGE = 0, 1


def found(way: int, **changes: Any) -> Arbitration:
    """Of the bench's cabinet, shortly after."""
    controller, seen = running(), well(**({"grid_w": 40_000.0} | changes))
    decision = controller.last(1.2, seen)
    return arbitration(tuning(), controller.state, seen, decision)[way]


def losses(of: Arbitration) -> dict[Rule, float]:
    """Those that take anything, W."""
    return {rule: float(lost) for rule, lost in zip(RULES, of.lost_w[:, 0], strict=True) if lost > 0.0}


def test_each_rule_takes_of_what_milder_ones_leave() -> None:
    told = found(CHARGE, grid_w=70_000.0)  # a contract of 80 kW
    assert RULES[told.acting[0]] == Rule.GRID_CONTRACT
    assert told.nameplate_w[0] == 50_000.0
    taken = losses(told)
    assert list(taken) == [Rule.MODULE_SOH, Rule.GRID_CONTRACT]
    assert taken[Rule.GRID_CONTRACT] == pytest.approx(told.next_w[0] - 10_000.0)
    assert sum(taken.values()) == pytest.approx(40_000.0)
    assert RULES[told.next_by[0]] == Rule.MODULE_SOH


@pytest.mark.parametrize(
    ("way", "changes", "rule"),
    [
        (DISCHARGE, {"cell_v": one(well().cell_v, 37, 2.95)}, Rule.CELL_VOLTAGE),
        (DISCHARGE, {"module_c": one(well().module_c, 12, 49.0)}, Rule.CELL_TEMPERATURE),
        (DISCHARGE, {"cell_v": one(well().cell_v, 37, np.nan)}, Rule.COMMUNICATION),
        (DISCHARGE, {"grid_w": 1_000.0}, Rule.GRID_EXPORT),
        (CHARGE, {"pcs_local": np.array([True])}, Rule.PCS),
    ],
)
def test_the_rule_that_acts_is_the_last_step(way: int, changes: dict[str, Any], rule: Rule) -> None:
    told = found(way, **changes)
    assert RULES[told.acting[0]] == rule
    assert losses(told)[rule] > 0.0


def test_what_a_string_is_built_for_is_named_where_no_curve_says_less() -> None:
    told = found(DISCHARGE, grid_w=70_000.0)
    assert losses(told) == {Rule.STRING_CURRENT: pytest.approx(438.5)}


@pytest.mark.parametrize("tuned", [tuning(), plant_tuning()], ids=["bench", "plant"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_steps_and_what_may_flow_make_the_nameplate(tuned: Tuning, data: st.DataObject) -> None:
    dt_s = data.draw(steps_s)
    state = first_state(tuned) if data.draw(st.booleans()) else running(dt_s, tuned).state
    with np.errstate(all="ignore"):
        for number in range(data.draw(st.integers(1, 3))):
            seen, order = data.draw(pictures(tuned)), data.draw(orders)
            state, decision = step(tuned, state, seen, order, tick(1000.0 + number, dt_s))
            bound = decision.cabinet_bound
            for told, allowed_w, by in zip(
                arbitration(tuned, state, seen, decision),
                (bound.charge, bound.discharge),
                (bound.charge_by, bound.discharge_by),
                strict=True,
            ):
                assert (told.lost_w >= 0.0).all()
                assert [int(RULES[row]) for row in told.acting] == by.tolist()
                assert (told.word_w >= allowed_w).all()
                assert (told.next_w >= np.minimum(allowed_w, told.nameplate_w)).all()
                may_w = np.minimum(allowed_w, told.nameplate_w)
                np.testing.assert_allclose(told.lost_w.sum(axis=0) + may_w, told.nameplate_w, rtol=1e-9, atol=1e-6)


def test_an_operator_at_rest_takes_all() -> None:
    controller, seen = running(), well(grid_w=40_000.0)
    decision = controller.beat(seen, Order(run=False))
    charge, _ = arbitration(tuning(), controller.state, seen, decision)
    assert charge.lost_w.sum() == 50_000.0
    assert {RULES[charge.acting[0]], RULES[charge.next_by[0]]} == {Rule.CONTACTORS, Rule.OPERATOR}
