"""The measurement behind the month's constants, on numbers worked by hand."""

import numpy as np
import pytest

from tests.planning.unforeseen import WEEK, _expected_w, _highest_w


def test_the_highest_of_days_to_come_is_taken_of_workdays_alone() -> None:
    least_w = np.arange(56, dtype=float)
    work = (np.arange(56) % WEEK < 5).astype(np.int64)
    assert _highest_w(least_w, work, 28) == 53.0  # the last two are days off


def test_a_drawing_from_past_days_expects_less_than_their_highest() -> None:
    """Of two kinds of day, half of them high: all of 28 draws are low once in 2 to the 28th."""
    work, least_w = np.ones(56, np.int64), np.tile([10.0, 20.0], 28)
    assert _expected_w(least_w, work, 28) == pytest.approx(20.0 - 10.0 * 0.5**28)
    least_w[:28] = 10.0
    least_w[27] = 20.0  # one of 28 days is high: none of 28 draws is with (27/28)^28
    assert _expected_w(least_w, work, 28) == pytest.approx(20.0 - 10.0 * (27 / 28) ** 28)
