"""A recorded run, lived through again from its bytes: the same code gives exactly the commands that were given.

When this fails, behaviour has changed. If that was meant: `python -m tests.replay.record`, in the same commit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from ess_controller.core.step import first_state, step
from ess_controller.core.types import Decision, Mode, Order, State
from ess_controller.journal import Entry, read
from ess_controller.site import Site
from firmware_bridge.frames import Answer, Frames, Request, WireHealth
from firmware_bridge.guard import guard
from firmware_bridge.plant import Freshness, Plant
from firmware_bridge.records import Commands, Contactor, Ints
from tests.loop.story import site
from tests.replay.record import RECORDED, SILENT_FROM_S, SILENT_UNTIL_S

MOST_BYTES = 300_000
APPROVE = "behaviour has changed; if that was meant: python -m tests.replay.record, in the same commit"


@dataclass
class Nobody:
    """The far end of every wire: what is said is lost, and nothing comes but what the journal hands over."""

    health: WireHealth = field(default_factory=WireHealth)
    waiting: int = 0

    def close(self) -> None:
        """Nothing to close."""


class NobodyOnCan(Nobody):
    """On CAN."""

    def drain(self) -> Frames:
        """Nothing."""
        return Frames.join([])

    def send(self, frames: Frames) -> None:
        """Lost."""


class NobodyOnModbus(Nobody):
    """On Modbus."""

    def drain(self) -> list[Answer]:
        """Nothing."""
        return []

    def ask(self, requests: Sequence[Request]) -> None:
        """Lost."""


@dataclass(frozen=True)
class Lived:
    """One beat lived through again."""

    entry: Entry
    state: State
    decision: Decision
    commands: Commands
    trips: Ints


def replay(place: Site, entries: Iterator[Entry]) -> Iterator[Lived]:
    """Plant, core and guard on what was heard."""
    spec, tuned = place.plant, place.tuning
    plant = Plant(
        spec,
        Freshness(place.can_stale_s, place.register_stale_s),
        {name: NobodyOnCan() for name in spec.can_buses},
        {name: NobodyOnModbus() for name in spec.register_buses},
    )
    state = first_state(tuned)
    for entry in entries:
        seen = plant.read(entry.heard, entry.tick)
        state, decision = step(tuned, state, seen, Order(), entry.tick)
        commands, trips = guard(tuned.envelope, tuned.layout, seen, decision.commands)
        plant.write(commands, entry.tick)
        yield Lived(entry, state, decision, commands, trips)


@pytest.fixture(scope="module")
def lived() -> list[Lived]:
    """The whole recorded run."""
    return list(replay(site(), read(RECORDED)))


def test_the_recorded_bytes_lead_to_exactly_the_recorded_commands(lived: list[Lived]) -> None:
    for beat in lived:
        told = (beat.commands.pcs_w.tolist(), beat.commands.contactor.tolist(), beat.trips.tolist())
        recorded = (list(beat.entry.pcs_w), list(beat.entry.contactor), list(beat.entry.trips))
        assert told == recorded, f"at {beat.entry.tick.t_s:.1f} s: {APPROVE}"


def test_the_recorded_run_tells_the_story_that_it_was_recorded_for(lived: list[Lived]) -> None:
    t_s = np.array([beat.entry.tick.t_s for beat in lived])
    power_w = np.array([beat.commands.pcs_w[0] for beat in lived])
    contactor = np.array([beat.commands.contactor[0] for beat in lived])
    modes = [Mode(int(beat.state.mode[0])) for beat in lived]
    assert power_w[np.searchsorted(t_s, SILENT_FROM_S)] > 5000.0
    assert not power_w[(t_s > SILENT_FROM_S + 1.0) & (t_s < SILENT_UNTIL_S)].any()
    assert (contactor[(t_s > SILENT_FROM_S + 11.5) & (t_s < SILENT_UNTIL_S)] == Contactor.OPEN).all()
    assert Mode.FAULT in modes
    assert modes[-1] == Mode.RUN
    assert power_w[-1] > 1000.0
    assert not any(beat.trips.any() for beat in lived)


def test_the_recording_is_small_enough_to_keep() -> None:
    assert RECORDED.stat().st_size < MOST_BYTES
