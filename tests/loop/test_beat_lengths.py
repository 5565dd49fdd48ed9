"""What a battery gives does not hang on how often its daemon looks: one evening by beats of seconds and of a minute."""

from datetime import timedelta

import pytest

from ess_controller.core.types import Order
from ess_controller.daemon import Beat
from ess_controller.planned import Planned
from ess_controller.planning.planner.inline import InlinePlanner
from sim.world import World
from tests.loop.story import NOON, Story, scenario
from tests.planning.test_inline import priced
from tests.planning.test_site_planner import block

EVENING = NOON + timedelta(hours=7.5)  # 19:30: dear, and the premises draw 5 kW: a beat's worth is far below a start's
CLOSED_S, SECONDS = 1200.0, 3300.0  # strings close, beat by beat, before it is counted


def covered(beat_s: float) -> float:
    """Share of an evening's load that a battery gives which was nearly full and asleep."""
    number = int(EVENING.timestamp() // 900)
    planner = InlinePlanner(priced(), [block(each) for each in range(number - 96 * 7, number)])
    orders = Planned(priced(), lambda _: Order(), planner.slot, planner.month_peak_w)
    meter: list[tuple[float, float]] = []

    def happens(beat: Beat, world: World) -> None:
        planner(beat)
        if beat.tick.t_s >= CLOSED_S:
            meter.append((world.totals.discharged_j, world.totals.imported_j))

    started = scenario(start={"soc": 0.85})
    story = Story(SECONDS, beat_s, EVENING, site=priced(), scenario=started, order=orders, happens=happens)
    assert {beat.decision.wanted_by for beat in story.beats if beat.tick.t_s >= CLOSED_S} == {"value of the plan"}
    given_j, imported_j = (end - begin for begin, end in zip(meter[0], meter[-1], strict=True))
    return given_j / (given_j + imported_j)


@pytest.mark.parametrize(("beat_s", "least"), [(60.0, 0.9), (10.0, 0.98), (2.0, 0.98)])
def test_an_evening_is_covered_by_beats_of_any_length(beat_s: float, least: float) -> None:
    """By beats of a minute what is given follows the load a beat late."""
    assert covered(beat_s) > least
