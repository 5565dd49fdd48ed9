"""A small sample of `tests.core.weak_cell_campaign`: a weak cell costs its string little more than it must."""

from functools import cache

import numpy as np
import pytest

from tests.core.weak_cell_campaign import Outcome, campaign, lines

pytestmark = pytest.mark.timeout(400)


@cache
def sample() -> Outcome:
    """Two strings, one of which has the weak cell on its intake sheet, for a cycle."""
    return campaign(2, 1, 5)


def test_no_true_cell_leaves_its_voltage_limits_whether_or_not_its_sheet_knows_it() -> None:
    assert (sample().rounds["over_v"] <= 0.0).all()
    assert (sample().rounds["over_soc"] < 0.03).all()
    assert (sample().rounds["under_soc"] < 0.03).all()


def test_most_of_what_the_weak_cell_allows_is_used_from_the_first_cycle_on() -> None:
    assert (sample().share >= 0.9).all()
    assert (sample().share < 1.05).all()


def test_what_was_learnt_of_the_weak_cell_is_told_and_nears_the_truth() -> None:
    off = np.abs(sample().rounds["capacity_off"])
    assert (off[:, -1] < 0.15).all()  # its sheet was 43 % off
    assert any("capacity within 2.5%" in line for line in lines(sample()))
