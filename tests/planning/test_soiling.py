"""Panels that lose a little each day until they are cleaned, and strings that fail: how soon the forecast knows."""

import numpy as np
import pytest

from firmware_bridge.records import Floats
from tests.planning.test_pv_forecast import DAY, ahead, roof, sky_of

DAYS, AT = 84, 70  # the day of a cleaning, or of a string's failure


def under_sky(seed: int) -> tuple[Floats, Floats]:
    """[step] a clear sky's W, and what comes through a sky that is clear or broken, day by day."""
    rng = np.random.default_rng(seed)
    clear, _ = roof(DAYS)
    count = len(clear) // DAY
    broken = rng.uniform(0.2, 1.0, (count, 1)) * rng.uniform(0.4, 1.0, (count, DAY))
    share = np.where(rng.random((count, 1)) < 0.5, rng.uniform(0.96, 1.0, (count, 1)), broken)
    return clear, clear * share.ravel()


def off_by(roof_share: Floats, days: range, known: bool) -> float:
    """What a change of the roof, as a share of clean by day, makes the forecasts of those days too high by, share."""
    made = meant = 0.0
    for seed in range(2):
        clear, clean_w = under_sky(seed)
        pv_w = clean_w * np.repeat(roof_share, DAY)
        for day in days:
            sky = sky_of(clear) if known else None
            made += ahead(pv_w, day * DAY, sky).sum()
            meant += ahead(clean_w, day * DAY, sky).sum() * roof_share[day]
    return made / meant - 1.0


DAY_NUMBER = np.arange(DAYS + 4)
DIRTY = 1.0 - 0.004 * np.where(DAY_NUMBER < AT, DAY_NUMBER - 20, DAY_NUMBER - AT).clip(0)  # 0.4 % a day without rain
WASHED = np.where(DAY_NUMBER < AT, 0.9, 1.0)
LOST = np.where(DAY_NUMBER < AT, 1.0, 2.0 / 3.0)


@pytest.mark.parametrize(
    ("roof_share", "days", "most", "known"),
    [
        (DIRTY, range(45, 70, 6), 0.03, False),  # 4 % is what a mean of 20 such days lags behind
        (DIRTY, range(72, 76), 0.07, False),  # 20 % came back at once
        (WASHED, range(76, 82, 2), 0.02, False),
        (LOST, range(72, 74), 0.25, True),  # half too high on the first day; half of the days are clear
        (LOST, range(76, 82, 2), 0.03, True),
    ],
)
def test_the_forecast_follows_dirt_a_cleaning_and_a_lost_string(
    roof_share: Floats, days: range, most: float, known: bool
) -> None:
    assert abs(off_by(roof_share, days, known)) < most


def test_a_string_is_not_known_to_be_lost_before_it_is() -> None:
    assert off_by(LOST, range(AT, AT + 1), known=True) == pytest.approx(0.5, abs=0.01)
