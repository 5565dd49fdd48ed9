"""Panels that lose a little each day until rain or a cleaner comes: how far the sun's forecast lags behind."""

import numpy as np

from ess_controller.planning.pv_forecast import CLEAR_DAYS
from tests.planning.test_pv_forecast import DAY, LEADS, ahead, roof, sky_of

A_DAY, CLEANED, DAYS = 0.004, 70, 100  # 0.2 to 0.5 % a day are usual without rain


def test_the_forecast_lags_behind_soiling_and_cleaning_by_no_more_than_the_days_it_looks_back() -> None:
    clear, _ = roof(DAYS)
    day = np.arange(len(clear)) // DAY
    clouds = np.random.default_rng(1).uniform(0.65, 0.85, DAYS + 4)[day]
    pv_w = clear * clouds * (1.0 - A_DAY * np.where(day < CLEANED, day, day - CLEANED))

    def bias(days: range) -> float:
        errors = [ahead(pv_w, at * DAY, sky_of(clear)) - pv_w[at * DAY : at * DAY + LEADS] for at in days]
        return float(sum(each.sum() for each in errors) / sum(pv_w[at * DAY : at * DAY + LEADS].sum() for at in days))

    dirty, washed, later = (bias(days) for days in (range(45, 70, 2), range(72, 76), range(92, 100, 2)))
    behind = CLEAR_DAYS * A_DAY
    assert 0.0 < dirty < behind / 2.0  # a mean of those days is half as old as they are
    assert -behind < washed < 0.0  # less than it is; of the 28 % that the dirt took most is known in a few days
    assert 0.0 < later < behind / 2.0
