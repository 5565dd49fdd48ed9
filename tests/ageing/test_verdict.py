"""Verdicts: each has its threshold and its words; a smaller SOH never makes one milder."""

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.ageing.verdict import Evidence, Verdict, judge
from ess_controller.site.health import HealthSettings
from tests.loop.story import site

found = site().health
assert found is not None
LINES: HealthSettings = found
WELL = Evidence(
    soh=(0.77, 0.78, 0.79),
    string_soh=0.79,
    resistance=1.22,
    resistance_sd=0.03,
    line_days=(1200.0, 2500.0, inf),
    knee=0.1,
    knee_cell=3,
    sped_up=1.1,
    leak_per_month=nan,
    leak_ma=nan,
    leak_cell=1,
)


def around(soh: float) -> tuple[float, float, float]:
    return soh - 0.01, soh, soh + 0.01


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({}, Verdict.KEEP, "nothing speaks against it"),
        ({"soh": around(0.64), "string_soh": 0.66}, Verdict.DERATE, "below derate_soh 0.65"),
        ({"resistance": 1.7}, Verdict.DERATE, "1.70 of a new cell's is above derate_resistance 1.6"),
        ({"soh": around(0.70)}, Verdict.REGROUP, "holds its string down: 0.090 SOH below"),
        ({"soh": around(0.59)}, Verdict.LIGHTER_DUTY, "below line_soh 0.6"),
        ({"line_days": (100.0, 200.0, inf)}, Verdict.LIGHTER_DUTY, "meets SOH 0.6 in 200 days (100 or much later)"),
        (
            {"knee": 0.97, "sped_up": 3.2},
            Verdict.LIGHTER_DUTY,
            "cell 3 fades 3.2 times as fast as it did: a knee (97%)",
        ),
        ({"leak_per_month": 0.02, "leak_ma": 4.7}, Verdict.LIGHTER_DUTY, "cell 1 loses 2.00% a month"),
        ({"leak_per_month": 0.2, "leak_ma": 47.0}, Verdict.RECYCLE, "beyond recycle_leak_per_month"),
        ({"soh": around(0.48)}, Verdict.RECYCLE, "surely below recycle_soh 0.5"),
        ({"resistance": 2.7}, Verdict.RECYCLE, "surely above recycle_resistance 2.5"),
    ],
)
def test_each_threshold_has_its_verdict_and_its_words(changes: dict[str, object], verdict: Verdict, words: str) -> None:
    judged = judge(replace(WELL, **changes), LINES)  # type: ignore[arg-type]
    assert judged.verdict == verdict
    assert words in judged.because[0]


def test_who_may_be_just_above_the_line_is_not_recycled() -> None:
    unsure = replace(WELL, soh=(0.44, 0.48, 0.52))
    assert judge(unsure, LINES).verdict == Verdict.LIGHTER_DUTY
    stiff = replace(WELL, resistance=2.6, resistance_sd=0.3)
    assert judge(stiff, LINES).verdict == Verdict.DERATE


def test_what_is_not_known_calls_for_nothing() -> None:
    nothing = Evidence((nan, nan, nan), nan, nan, nan, (nan, nan, nan), nan, 1, nan, nan, nan, 1)
    assert judge(nothing, LINES).verdict == Verdict.KEEP


share = st.floats(0.2, 1.0)


@given(share, share, share, st.floats(0.001, 0.1), st.floats(1.0, 3.0), st.floats(1.0, 4000.0), st.floats(0.0, 1.0))
def test_a_smaller_soh_never_makes_it_milder(
    one: float, other: float, middle: float, width: float, resistance: float, days: float, knee: float
) -> None:
    low, high = sorted((one, other))
    rest = replace(WELL, string_soh=middle, resistance=resistance, line_days=(days / 2, days, inf), knee=knee)
    worse, better = (judge(replace(rest, soh=(soh - width, soh, soh + width)), LINES) for soh in (low, high))
    assert worse.verdict >= better.verdict
    assert worse.because
