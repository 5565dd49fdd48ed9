"""The campaign's months begin where they say, with the days before them that were asked for, and no others."""

import numpy as np
import pytest

from tests.planning.value_campaign import DAY, SIMBENCH, month_series

pytestmark = pytest.mark.skipif(not SIMBENCH.exists(), reason="SimBench's profiles are not at hand: set ESS_DATA")


@pytest.mark.parametrize("month", [1, 7])  # the one has days of the year's end before it
def test_a_month_is_the_same_whatever_is_known_before_it(month: int) -> None:
    known, first = month_series("D", month)
    alone, begin = month_series("D", month, history=0)
    assert (first, begin, len(alone)) == (91 * DAY, 0, 31 * DAY)
    assert known.at(first) == alone.at(0)
    assert (alone.at(0).month, alone.at(0).day, alone.at(0).hour) == (month, 1, 0)
    np.testing.assert_array_equal(known.load_w[first:], alone.load_w)
    np.testing.assert_array_equal(known.pv_w[first:], alone.pv_w)


def test_days_before_the_year_begins_are_those_of_its_end_on_the_same_weekdays() -> None:
    known, first = month_series("D", 1, history=8)
    december, begin = month_series("D", 12)
    thursday = begin + 21 * DAY  # 22 December 2016 stands for 24 December 2015
    assert first == 8 * DAY
    assert known.at(0).weekday() == 3
    assert december.at(thursday).weekday() == 3
    np.testing.assert_array_equal(known.load_w[:DAY], december.load_w[thursday : thursday + DAY])
