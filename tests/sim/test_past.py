"""What a site's meter saw before the start: the premises' own load and sun, in whole blocks, up to the start."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ess_controller.errors import BadInputError
from ess_controller.site import Site
from ess_controller.site import load as load_site
from sim.past import past
from sim.scenario_file import load
from sim.world.premises import place
from tests.sim.sites import BENCH

START = datetime(2026, 6, 3, 2, 20, tzinfo=UTC)  # a Wednesday, 10:20, five minutes into a block
DEALER = BENCH.parent / "shenzhen-dealer"
BLOCK_S = 900.0


def dealer(feed_in_w: float = 0.0) -> Site:
    found = load_site(DEALER, {})
    return replace(found, tuning=replace(found.tuning, dispatch=replace(found.tuning.dispatch, feed_in_w=feed_in_w)))


def test_it_ends_with_the_last_block_that_was_over_and_has_no_gap() -> None:
    blocks = past(dealer(), load(DEALER), START, 2.0)
    end = int(START.timestamp() // BLOCK_S)
    assert [each.number for each in blocks] == list(range(end - 2 * 96, end))
    assert all((each.load_heard, each.pv_heard, each.grid_heard) == (1.0, 1.0, 1.0) for each in blocks)
    assert past(dealer(), load(DEALER), START, 0.0) == []


def test_it_is_what_the_premises_play() -> None:
    site, scenario = dealer(), load(DEALER)
    there = place(scenario.premises, scenario.seed, site.plant.layout.pv_names)
    for block in past(site, scenario, START, 0.5):
        begin = datetime.fromtimestamp(block.number * BLOCK_S, UTC)
        played = [there.at(begin + timedelta(seconds=at + 5.0)) for at in range(0, 900, 10)]
        load_w = float(np.mean([each.load_w for each in played]))
        assert block.load_w == pytest.approx(load_w, rel=0.08, abs=1500.0)  # chargers come and go between its samples
        assert block.load_w - block.pv_w == pytest.approx(block.import_w - block.export_w)
    assert past(site, scenario, START, 0.5, seed=7)[10].load_w != past(site, scenario, START, 0.5)[10].load_w


def test_where_nothing_may_flow_out_nothing_did() -> None:
    held, free = (past(dealer(feed_in_w=each), load(DEALER), START, 4.0) for each in (0.0, np.inf))
    assert max(each.export_w for each in held) == 0.0
    assert max(each.export_w for each in free) > 5_000.0
    assert sum(each.pv_w for each in held) < sum(each.pv_w for each in free)
    lost_w = np.array([(each.pv_w - other.pv_w, other.pv_held) for each, other in zip(free, held, strict=True)])
    assert ((lost_w[:, 0] > 0.0) == (lost_w[:, 1] > 0.0)).all()
    assert any(each.held_back for each in held)
    assert not any(each.pv_held for each in free)


def test_the_highest_window_that_slides_is_no_lower_than_its_block_and_no_higher_than_the_load() -> None:
    blocks = past(dealer(), load(DEALER), START, 2.0)
    assert all(each.peak_w >= each.import_w - 1e-6 for each in blocks)
    assert any(each.peak_w > each.import_w + 500.0 for each in blocks)
    assert max(each.peak_w for each in blocks) < 1.1 * max(each.load_w for each in blocks)


def test_the_world_of_another_site_is_refused_in_words() -> None:
    with pytest.raises(BadInputError, match=r"^shenzhen-dealer: world.toml: premises.sun: "):
        past(dealer(), load(BENCH.parent / "shenyang-plant"), START, 1.0)
