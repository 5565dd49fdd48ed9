"""What the controller is told is what was done: a set-point shows on the next beat's meter, however long a beat is."""

from pathlib import Path

import numpy as np
import pytest

from ess_controller.core.types import Order
from ess_controller.daemon import Beat, run
from ess_controller.site import load
from firmware_bridge.records import Tick
from sim.bench import Bench
from sim.scenario_file import load as load_scenario
from tests.loop.story import NOON, Story, scenario, site

DEALER = Path(__file__).parents[2] / "sites/shenzhen-dealer"  # a gateway, an old inverter, two solar inverters
TURN_BEATS, FIRST = 8, 64  # up and running
MOST_W = 8000.0


@pytest.mark.parametrize("beat_s", [1.0, 10.0, 60.0, 180.0])
def test_what_is_told_in_a_beat_shows_on_the_meter_of_the_next(beat_s: float) -> None:
    def order(tick: Tick) -> Order:
        return Order(set_w=MOST_W if round(tick.t_s / beat_s) // TURN_BEATS % 2 else -MOST_W)

    free = site(peak_w=1e6, contract_w=1e6, export_w=1e6, feed_in_w=1e6)
    coarse = scenario().model_copy(update={"step_s": 10.0})
    story = Story(110 * beat_s, beat_s, site=free, scenario=coarse, order=order)
    told_w = story.set_w[FIRST:]
    grid_w = story.column(lambda beat: beat.seen.grid_w)[FIRST:]
    pcs_w = story.column(lambda beat: float(beat.seen.pcs_w[0]))[FIRST:]
    changed_w = np.diff(told_w)
    turns = np.flatnonzero(np.abs(changed_w) > MOST_W / 4.0)[:-1]  # told at k + 1 what was not told at k
    assert len(turns) >= 4
    there = np.diff(pcs_w)[turns + 1] / changed_w[turns]  # heard at k + 2
    on_the_meter = -np.diff(grid_w)[turns + 1] / changed_w[turns]
    assert there.min() > 0.6  # at 1 s it is a mean of the second in which the inverter gets there
    assert np.median(on_the_meter) > 0.6


def test_no_beat_of_a_minute_hears_an_older_reading_of_anything() -> None:
    dealer = load(DEALER, {})
    bench = Bench(dealer, load_scenario(DEALER).model_copy(update={"step_s": 10.0}), NOON, 60, 60.0)
    missed_w, ages_s, cells_s = [], [], []

    def compare(beat: Beat) -> None:
        seen, now = beat.seen, bench.world.now
        there = (seen.grid_w, *seen.pcs_w, *seen.pv_w), (now.grid_w, *now.pcs_w, *now.pv_w)
        missed_w.append(np.abs(np.subtract(*there)))
        ages_s.append([seen.grid_age_s, *seen.pcs_age_s, *seen.pv_age_s, *seen.io_age_s])
        cells_s.append(seen.cell_age_s.max())

    run(dealer.tuning, bench.plant, bench, lambda _: Order(), (), essential=(compare,))
    assert np.nanmax(np.array(missed_w)[10:]) < 1000.0  # gains of 0.5 % and noise: a minute's clouds are much more
    assert np.max(ages_s[30:]) == 0.0, ages_s[-1]
    # modules behind a gateway are asked in turn within 0.8 s, which a minute's beat is longer than: their voltages of
    # some minutes ago, beside the current of now, would look stuck
    assert max(cells_s[30:]) < dealer.period_s, cells_s[-1]
