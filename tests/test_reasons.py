"""Every bound says where it stands, on which number it rests and what would lift it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ess_controller.core.limits import CABINET_RULES, STRING_RULES, string_rules
from ess_controller.core.types import Order, Rule
from ess_controller.told.reasons import _OF_CABINET, _OF_STRING, Reason, why
from firmware_bridge.records import Contactor, Measurements
from tests.core.pictures import one, running, tuning, well

NAN = np.nan
V, C = well().cell_v, well().module_c
OPEN = np.array([int(Contactor.OPEN)])


def reason(way: str, seen: Measurements, order: Order | None = None) -> Reason:
    """Of the bench's cabinet, shortly after."""
    decision = running().last(1.2, seen, order or Order())
    return why(tuning(), seen, decision, 0, way)


@pytest.mark.parametrize(
    ("way", "changes", "at", "rests_on", "lifted_by"),
    [
        ("charge", {"cell_v": one(V, 37, 4.145)}, "A1/M04/C08", "4.145 V, at 10 s with 3 A 4.15 V", "is emptier"),
        ("discharge", {"cell_v": one(V, 37, 2.95)}, "A1/M04/C08", "2.950 V, nothing beyond 2.90 V", "rises above"),
        ("discharge", {"module_c": one(C, 12, 49.0)}, "A1/M04 BMW-IX3-02152", "hottest sensor 49.0 C", "cools below"),
        ("charge", {"module_c": one(C, 12, 4.0)}, "A1/M04 BMW-IX3-02152", "coldest sensor 4.0 C", "warms above 15 C"),
        ("charge", {"cell_v": one(V, 37, NAN)}, "A1/M04/C08", "its voltage not heard", "is heard again"),
        ("charge", {}, "A1/M09", "SOH 0.66", "a younger module"),
        ("charge", {"grid_w": 79_000.0}, "A", "battery 79.0 kW, import up to 80 kW", "the site takes less"),
        ("discharge", {"grid_w": 1_000.0}, "A", "site without battery 1.0 kW", "the site takes more"),
        ("discharge", {"grid_w": NAN}, "A", "the meter is not heard", "the site takes more"),
        ("charge", {"pcs_local": np.array([True])}, "A", "its inverter is silent", "its inverter obeys"),
        ("charge", {"string_contactor": OPEN}, "A", "no string is closed", "a string is closed"),
    ],
)  # fmt: skip
def test_a_bound_says_where_on_which_number_and_what_lifts_it(
    way: str, changes: dict[str, Any], at: str, rests_on: str, lifted_by: str
) -> None:
    told = reason(way, well(**({"grid_w": 40_000.0} | changes)))
    assert told.at.startswith(at)
    assert rests_on in told.rests_on
    assert told.lifted_by.startswith(lifted_by)


def test_a_cell_weaker_than_its_sheet_is_named_with_what_was_learnt_of_it() -> None:
    seen = well(grid_w=40_000.0)
    decision = running().last(1.2, seen)
    ah, sd_ah = (one(tuning().cell_ah * share, 37, 232.0 * number) for share, number in ((1.0, 0.40), (0.0, 0.02)))
    now = replace(decision.estimate, capacity_ah=ah, capacity_sd_ah=sd_ah)
    controller = running()
    table = string_rules(tuning(), seen, now, controller.state.deep, np.ones(1, bool))
    told = why(tuning(), seen, replace(decision, estimate=now, rules=table), 0, "charge")
    assert told.at == "A1/M04/C08 BMW-IX3-02152"
    assert told.rests_on == "SOH 0.40 learnt, give or take 0.02; its module 0.66, at intake 0.69"
    assert told.lifted_by == "a younger module takes its place, or deep swings between rests show more capacity"


def test_every_rule_has_its_words() -> None:
    assert set(_OF_STRING) == set(STRING_RULES)
    assert set(_OF_CABINET) == {*CABINET_RULES, Rule.CONTACTORS}
