"""Plays recorded beats to the daemon's own loop: wires that say what was said then, and take every word for nothing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain

import numpy as np

from ess_controller.core.step import first_state
from ess_controller.core.types import Order
from ess_controller.daemon import Beat, run
from ess_controller.replay.moments import Life, Moment
from ess_controller.replay.snapshot import Snapshot
from ess_controller.site import Site
from firmware_bridge.frames import NO_FRAMES, Answer, Frames, Request, Table, WireHealth
from firmware_bridge.plant import Freshness, Plant
from firmware_bridge.records import Commands, Contactor, PlantSpec, Tick

WARM_BEATS, WARM_BEAT_S = 150, 0.01
"""Before a run is lived through from its middle its devices are found again: more beats than any search takes, in less
time than a value needs to grow stale."""

Tee = Callable[[Moment, Beat], None]


@dataclass
class RecordedCan:
    """A CAN bus on which a recording speaks and nobody listens."""

    said: Frames = NO_FRAMES
    health: WireHealth = field(default_factory=lambda: WireHealth(up=True))

    def drain(self) -> Frames:
        """What was heard in this beat."""
        said, self.said = self.said, NO_FRAMES
        return said

    def send(self, frames: Frames) -> None:
        """Lost."""

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class RecordedRegisters:
    """A register device whose recorded answers come when they came then.

    Whether a question waited for its answer decides what a dialect asks next. So questions are counted: one is open
    until an answer is handed over, or, when the next beat brings more answers than are open, was answered between the
    two halves of this one.
    """

    health: WireHealth = field(default_factory=lambda: WireHealth(up=True))
    memory: dict[tuple[Table, int], int] = field(default_factory=dict)  # its registers, while it is being found again

    def __post_init__(self) -> None:
        self._answers: list[Answer] = []
        self._open = self._ahead = 0
        self._now_s = -np.inf
        self._living = True

    def hand(self, answers: Sequence[Answer], ahead: int) -> None:
        """What was heard in this beat, and how many answers the next one brings."""
        self._answers, self._ahead = list(answers), ahead

    def remember(self, answers: Sequence[Answer]) -> None:
        """Its registers as last read."""
        for answer in sorted(answers, key=lambda one: one.wire_s):
            asked = answer.request
            self.memory.update({(asked.table, asked.address + at): word for at, word in enumerate(answer.words)})

    def from_memory(self, now_s: float) -> None:
        """Answer from what was last known, and take what is written, until `lives`."""
        self._living, self._now_s = False, now_s

    def lives(self) -> None:
        """The recording speaks from now on."""
        self._living, self._answers, self._open = True, [], 0

    @property
    def waiting(self) -> int:
        """How many questions had no answer then."""
        return 0 if self._ahead > self._open else self._open

    def drain(self) -> list[Answer]:
        """What was heard in this beat."""
        answers, self._answers = self._answers, []
        self._open = max(self._open - len(answers), 0)
        return answers

    def ask(self, requests: Sequence[Request]) -> None:
        """Counted; answered at once where the device is only remembered."""
        self._open += len(requests)
        if not self._living:
            self._answers += [self._remembered(request) for request in requests]

    def _remembered(self, request: Request) -> Answer:
        places = [(request.table, request.address + at) for at in range(request.count or len(request.words))]
        if request.is_write:
            self.memory.update(zip(places, request.words, strict=False))
            return Answer(request, wire_s=self._now_s)
        if not all(place in self.memory for place in places):
            return Answer(request, (), "not in the recording", self._now_s)
        return Answer(request, tuple(self.memory[place] for place in places), "", self._now_s)

    def close(self) -> None:
        """Nothing to close."""


class Tape:
    """The daemon's clock and its operator: every recorded beat, with what was heard and asked for in it."""

    late_beats = 0

    def __init__(self, spec: PlantSpec, moments: Iterator[Moment]) -> None:
        self.can = {name: RecordedCan() for name in spec.can_buses}
        self.registers = {name: RecordedRegisters() for name in spec.register_buses}
        self._buses, self._devices = tuple(self.can.values()), tuple(self.registers.values())
        self._numbers = np.arange(len(self._buses))
        self._moments = moments
        self.moment: Moment  # of the present beat

    def ticks(self) -> Iterator[Tick]:
        """One a recorded beat."""
        for moment in self._moments:
            self.moment = moment
            self.speak(moment.heard.frames)
            for at, (device, answers) in enumerate(zip(self._devices, moment.heard.answers, strict=True)):
                device.hand(answers, moment.answers_ahead[at] if moment.answers_ahead else 0)
            yield moment.tick

    def order(self, tick: Tick) -> Order:
        """What was asked for in this beat."""
        return self.moment.order

    def speak(self, frames: Frames) -> None:
        """Put frames on their buses; they are in the order of the buses, as a plant hands them over."""
        if len(self._buses) == 1:
            self._buses[0].said = frames
            return
        ends = frames.bus.searchsorted(self._numbers, side="right").tolist()
        for wire, first, end in zip(self._buses, [0, *ends], ends, strict=False):
            wire.said = frames[first:end] if end > first else NO_FRAMES


def play(site: Site, lives: Iterable[Life], tee: Tee) -> int:
    """Live through every life, and show each beat to `tee`. Returns how many lives there were."""
    count = 0
    for count, life in enumerate(lives, 1):  # noqa: B007
        opening = next(life.moments)
        tape = Tape(site.plant, chain((opening,), life.moments))
        plant = Plant(site.plant, Freshness(site.can_stale_s, site.register_stale_s), tape.can, tape.registers)
        first = first_state(site.tuning)
        if life.before is not None:
            first = life.before.restored(first)
            if not life.before.began:
                _find_again(site, plant, tape, life.before, opening.tick)

        def show(beat: Beat, tape: Tape = tape) -> None:
            tee(tape.moment, beat)

        run(site.tuning, plant, tape, tape.order, (), essential=(show,), first=first)
    return count


def _find_again(site: Site, plant: Plant, tape: Tape, before: Snapshot, first: Tick) -> None:
    """Let the plant search and read its devices as they last were, just before `first`."""
    layout = site.plant.layout
    for device, answers in zip(tape.registers.values(), before.answers, strict=False):
        device.remember(answers)
    fits = len(before.pcs_w) == len(before.pcs_run) == layout.cabinets
    commands = Commands(
        pcs_w=np.array(before.pcs_w if fits else [0.0] * layout.cabinets),
        pcs_run=np.array(before.pcs_run if fits else [False] * layout.cabinets),
        contactor=np.full(layout.strings, int(Contactor.UNKNOWN)),
        bleed=np.zeros(layout.cells, bool),
        pv_limit_w=np.full(layout.pvs, np.inf),
        climate=np.zeros(layout.ios, np.int64),
    )
    began_s = first.wire_s - first.dt_s - WARM_BEATS * WARM_BEAT_S
    for beat in range(WARM_BEATS):
        now_s = began_s + (beat + 1) * WARM_BEAT_S
        tick = Tick(first.t_s, WARM_BEAT_S, now_s, first.utc - timedelta(seconds=first.wire_s - now_s))
        for device in tape.registers.values():
            device.from_memory(now_s)
        if beat == WARM_BEATS - 1:
            frames = before.frames
            tape.speak(frames[frames.bus.argsort(kind="stable")])
        plant.read(plant.listen(tick), tick)
        plant.write(commands, tick)
    for device in tape.registers.values():
        device.lives()
