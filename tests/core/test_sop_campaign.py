"""A small sample of `tests.core.sop_campaign`: what is published for ten seconds is kept by every true cell."""

from functools import cache

import pytest

from tests.core.sop_campaign import Asked, campaign, row


@cache
def sample() -> list[list[Asked]]:
    """Six strings, a quarter of an hour, after an hour of history."""
    return campaign(6, 0.25, 5, settles_s=3600.0)


@pytest.mark.parametrize("way", [0, 1])
def test_a_pulse_at_the_published_power_keeps_true_cells_inside_and_most_of_what_is_possible(way: int) -> None:
    told = row(sample()[0][way])
    assert told["states"] >= 90
    assert told["inside %"] == 100.0
    assert told["85 % of power in %"] >= 90.0


@pytest.mark.parametrize("way", [0, 1])
def test_what_is_published_for_minutes_leads_no_cell_far_outside(way: int) -> None:
    assert row(sample()[2][way])["worst mV"] < 20.0
