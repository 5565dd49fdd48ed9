"""The loop: read once, think once, write once; then let others look."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ess_controller.core.step import first_state, step
from ess_controller.core.types import Decision, Order, State, Tuning
from firmware_bridge.guard import guard
from firmware_bridge.plant import Heard, Plant
from firmware_bridge.records import Climate, Commands, Contactor, Ints, Measurements, Tick

log = logging.getLogger(__name__)

_HEATER = int(Climate.HEATER)


class Clock(Protocol):
    """Where beats come from."""

    @property
    def late_beats(self) -> int:
        """How many beats came too late or not at all."""

    def ticks(self) -> Iterator[Tick]:
        """One Tick a beat."""


@dataclass(frozen=True, slots=True, eq=False)
class Beat:
    """All there is to know of one beat; never changed after it is made."""

    tick: Tick
    heard: Heard
    seen: Measurements
    state: State
    decision: Decision
    commands: Commands  # after the guard
    trips: Ints  # [cabinet] what the guard changed
    late_beats: int


Tee = Callable[[Beat], None]


def run(
    tuning: Tuning,
    plant: Plant,
    clock: Clock,
    order: Callable[[Tick], Order],
    tees: Sequence[Tee],
    *,
    essential: Sequence[Tee] = (),
    first: State | None = None,
) -> None:
    """Control the plant until the clock stops, from the state `first` on (None: nothing is known).

    Raises only for a mistake of our own, in the beat or in an `essential` tee: one without which the daemon must not go
    on. Whoever calls has the last word, `stand_down`; the reversion timers of inverters and string boxes do the rest.
    """
    state = first_state(tuning) if first is None else first
    listeners = list(tees)
    for tick in clock.ticks():
        heard = plant.listen(tick)
        seen = plant.read(heard, tick)
        state, decision = step(tuning, state, seen, order(tick), tick)
        commands, trips = guard(tuning.envelope, tuning.layout, seen, decision.commands)
        state = replace(state, power_w=commands.pcs_w)  # ramps go on from what was truly told
        plant.write(commands, tick)
        beat = Beat(tick, heard, seen, state, decision, commands, trips, clock.late_beats)
        for tee in essential:
            tee(beat)
        tell(listeners, beat)


def stand_down(plant: Plant, tick: Tick, climate: Ints) -> None:
    """The last word: every inverter is told 0 W and to stop; nothing is said to contactors, which may be under load, so
    that their boxes' watchdogs open them. Nor to solar inverters, so that a limit outlasts a restart and runs out if
    there is none. Of what was last switched, climate [io], fans and chillers go on; a heater does not, as nobody
    measures any more. -1: nothing was."""
    layout = plant.layout
    commands = Commands(
        pcs_w=np.zeros(layout.cabinets),
        pcs_run=np.zeros(layout.cabinets, bool),
        contactor=np.full(layout.strings, int(Contactor.UNKNOWN)),
        bleed=np.zeros(layout.cells, bool),
        pv_limit_w=np.full(layout.pvs, np.nan),
        climate=np.where(climate < 0, -1, climate & ~_HEATER),
    )
    plant.write(commands, tick, at_once=True)


def tell(listeners: list[Tee], beat: Beat) -> None:
    """Show a beat to every tee. One that fails is told of once and left out; it never harms the beat."""
    for tee in tuple(listeners):
        try:
            tee(beat)
        except Exception:
            log.exception("%s failed and is left out", getattr(tee, "__qualname__", tee))
            listeners.remove(tee)
