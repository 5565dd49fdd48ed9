"""A recorded run, lived through again from its bytes: the same code gives exactly the commands that were given.

When this fails, behaviour has changed. If that was meant: `python -m tests.replay.record`, in the same commit.
"""

import numpy as np
import pytest

from ess_controller.core.types import Mode
from ess_controller.daemon import Beat
from ess_controller.replay.diff import Comparison, told
from ess_controller.replay.moments import Moment, journal_lives
from ess_controller.replay.player import play
from ess_controller.replay.signals import signals_of
from firmware_bridge.records import Contactor
from tests.loop.story import site
from tests.replay.record import RECORDED, SILENT_FROM_S, SILENT_UNTIL_S

MOST_BYTES = 400_000
APPROVE = "behaviour has changed; if that was meant: python -m tests.replay.record, in the same commit"

Lived = list[tuple[Moment, Beat]]


@pytest.fixture(scope="module")
def lived() -> Lived:
    """The whole recorded run."""
    place, beats = site(), []
    play(place, journal_lives([RECORDED], place.plant), lambda moment, beat: beats.append((moment, beat)))
    return beats


def test_the_recorded_bytes_lead_to_exactly_the_recorded_commands(lived: Lived) -> None:
    comparison = Comparison(site().plant.layout)
    for moment, beat in lived:
        assert moment.entry is not None
        comparison.add(beat.tick, moment.entry.signals, signals_of(beat))
    assert comparison.beats == len(lived) > 300
    assert {"pcs_w", "contactor", "trips"} <= comparison.compared
    assert not comparison.differences, "\n".join([APPROVE, *told(comparison, ("recorded", "now"))])


def test_the_recorded_run_tells_the_story_that_it_was_recorded_for(lived: Lived) -> None:
    beats = [beat for _, beat in lived]
    t_s = np.array([beat.tick.t_s for beat in beats])
    power_w = np.array([beat.commands.pcs_w[0] for beat in beats])
    contactor = np.array([beat.commands.contactor[0] for beat in beats])
    modes = [Mode(int(beat.state.mode[0])) for beat in beats]
    assert power_w[np.searchsorted(t_s, SILENT_FROM_S)] > 5000.0
    assert not power_w[(t_s > SILENT_FROM_S + 1.0) & (t_s < SILENT_UNTIL_S)].any()
    assert (contactor[(t_s > SILENT_FROM_S + 11.5) & (t_s < SILENT_UNTIL_S)] == Contactor.OPEN).all()
    assert Mode.FAULT in modes
    assert modes[-1] == Mode.RUN
    assert power_w[-1] > 1000.0
    assert not any(beat.trips.any() for beat in beats)


def test_the_recording_is_small_enough_to_keep() -> None:
    assert RECORDED.stat().st_size < MOST_BYTES
