"""A string at power on the bench and what befalls it, for tests that tell by the truth what came of it."""

from collections.abc import Callable, Iterator
from random import Random

import numpy as np

from ess_controller.core.health import DIAGNOSES
from ess_controller.core.types import Mode, Order
from ess_controller.daemon import Beat
from firmware_bridge.records import Tick
from sim.campaign.stage import Stage, busy_time
from sim.verdict import verdict
from sim.world.devices import Faults
from tests.loop.story import scenario, site

UP_S = 30.0
CLEAR = Order(clear_latched=True)
INRUSH_A = 100.0  # closed without precharge it is thousands


class Mishap:
    """One string at power, what befalls it, and every beat of the daemon since then."""

    def __init__(self, script: "Callable[[Mishap], Iterator[Tick]]", beat_s: float, seed: int = 5) -> None:
        place, world = site(), scenario()
        start = busy_time(world, seed, Random(seed), 100.0 * beat_s / 0.1)
        self.stage = Stage(place, world, start, seed, beat_s)
        self.beats: list[Beat] = []

        def story() -> Iterator[Tick]:
            yield from self.up()
            yield from self.wait(2.0)  # up its ramp
            self.beats.clear()
            self.struck_s = self.stage.wire_s
            yield from script(self)

        self.stage.live(story(), (self.beats.append,))
        self.harm = verdict(self.stage.world, place.tuning.envelope)
        assert self.harm["cells_outside_limits"] == 0
        assert self.harm["inrush_a_max"] < INRUSH_A
        assert not any(beat.trips.any() for beat in self.beats)

    @property
    def faults(self) -> Faults:
        """What is broken."""
        return self.stage.world.faults

    def up(self) -> Iterator[Tick]:
        """Until power flows."""
        yield from self.stage.until(lambda: self.stage.at_power, UP_S)
        assert self.stage.at_power

    def wait(self, seconds: float) -> Iterator[Tick]:
        """So much wire time."""
        yield from self.stage.for_s(seconds)

    def clear(self) -> Iterator[Tick]:
        """An operator has looked."""
        self.stage.order = CLEAR
        yield from self.stage.for_s(0.1)
        self.stage.order = Order()

    @property
    def mode(self) -> Mode:
        """The string's, now."""
        return Mode(int(self.beats[-1].state.mode[0]))

    @property
    def modes(self) -> list[Mode]:
        """One after the other."""
        found = [Mode(int(beat.state.mode[0])) for beat in self.beats]
        return [mode for mode, before in zip(found, [None, *found], strict=False) if mode != before]

    @property
    def told(self) -> set[str]:
        """Every diagnosis that was told."""
        rows = {int(row) for beat in self.beats for row in np.flatnonzero(beat.decision.active.any(axis=1))}
        return {DIAGNOSES[row].name for row in rows}

    @property
    def always_closed(self) -> bool:
        """By the truth."""
        return self.stage.always_closed(self.struck_s, self.stage.wire_s)
