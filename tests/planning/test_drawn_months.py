"""Drawn months foretell themselves as well as they say: what proves how much can be had must not cheat."""

import numpy as np
import pytest

from firmware_bridge.records import Floats
from tests.planning.drawn_months import BestEstimate, Law, drawn, errors_in_sd
from tests.planning.value_campaign import DAY

DAYS, FIRST = 400, 7
STEPS = DAY * DAYS


@pytest.fixture(scope="module")
def law() -> Law:
    quarter = np.arange(STEPS + DAY)
    swing = np.sin(2.0 * np.pi * quarter / DAY)
    sd_w = 2000.0 + 1500.0 * swing
    return Law(1000.0 * swing, sd_w, np.where(quarter % DAY < 30, 0.3, 0.8), sd_w[:DAY])


@pytest.fixture(scope="module")
def error(law: Law) -> Floats:
    return errors_in_sd(law, drawn(law, np.random.default_rng(1)))


@pytest.fixture(scope="module")
def best(law: Law, error: Floats) -> BestEstimate:
    return BestEstimate(law, error, FIRST)


@pytest.fixture(scope="module")
def missed(law: Law, error: Floats, best: BestEstimate) -> Floats:
    """[origin, it and the next, lead] in standard deviations of what was foretold."""
    net_w = law.expected_w[:STEPS] + law.sd_w[:STEPS] * error

    def of(origin: int) -> Floats:
        ahead = best.at(FIRST + origin)
        return np.asarray((net_w[origin : origin + DAY] - ahead.net_w) / ahead.errors.spread_w)

    return np.array([(of(origin), of(origin + 1)) for origin in range(8, STEPS - DAY, 23)])


@pytest.mark.parametrize("lead", [0, 1, 4, 16, 64])
def test_errors_are_as_large_as_foretold(missed: Floats, lead: int) -> None:
    assert missed[:, 0, lead].std() == pytest.approx(1.0, abs=0.1)
    assert missed[:, 0, lead].mean() == pytest.approx(0.0, abs=0.15)


def test_what_was_seen_tells_nothing_more(missed: Floats) -> None:
    """Errors of the next quarter are new each time: whatever lasts was foretold."""
    assert abs(np.corrcoef(missed[:, 0, 0], missed[:, 1, 0])[0, 1]) < 0.1


def test_what_lasts_is_foretold(law: Law, best: BestEstimate) -> None:
    """Knowing what was seen, an hour ahead is surer than a day ahead."""
    ahead = best.at(FIRST + STEPS // 2)
    assert np.all(ahead.errors.spread_w[:4] < 0.9 * law.sd_w[STEPS // 2 : STEPS // 2 + 4])


def test_before_the_first_quarter_nothing_is_known(law: Law, best: BestEstimate) -> None:
    first = best.at(FIRST)
    assert first.net_w == pytest.approx(law.expected_w[:DAY])
    assert first.errors.spread_w == pytest.approx(law.sd_w[:DAY], rel=1e-6)


def test_a_law_has_the_memory_and_variance_it_says(error: Floats) -> None:
    assert error.std() == pytest.approx(1.0, abs=0.08)
    lasting = error[(np.arange(STEPS) % DAY >= 30)].reshape(DAYS, -1)
    assert np.mean(lasting[:, :-8] * lasting[:, 8:]) == pytest.approx(0.8 * 0.96**8, abs=0.12)
