"""Wires on which anything may arrive: real traffic, the same with bits flipped, old frames again, and pure noise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ess_controller.core.types import Mode, Tuning
from ess_controller.daemon import Beat
from ess_controller.site import Site
from firmware_bridge.frames import Answer, Frames, Request, WireHealth
from firmware_bridge.plant import Freshness, Plant, ids_on
from firmware_bridge.records import Climate, Contactor, CrcMode
from firmware_bridge.wires import CanWire, RegisterWire
from sim.bench import Bench

KEPT = 512  # real frames that may come again
BITS = ("coils", "discrete")
TROUBLES = ("", "", "", "no answer", "exception 2", "exception 4", "Modbus: unheard of")


@dataclass(frozen=True, slots=True)
class Mood:
    """How bad things are; shares are probabilities of each beat, frame or answer."""

    frames_a_beat: int = 200
    silent: float = 0.05  # beats in which nothing real is heard
    flipped: float = 0.1  # real frames with up to three bits flipped
    spoilt: float = 0.1  # real answers replaced by something else
    clear: float = 0.3  # beats without any noise, so that power is asked at all


class NoisyCan:
    """A CAN wire with a bad neighbour."""

    def __init__(self, wire: CanWire, ids: Sequence[int], mood: Mood, rng: np.random.Generator) -> None:
        self._wire, self._mood, self._rng = wire, mood, rng
        self._ids = np.array(ids, np.uint32)
        self._kept = Frames.join([])
        self.noise = 0

    @property
    def health(self) -> WireHealth:
        """Of the real wire."""
        return self._wire.health

    def send(self, frames: Frames) -> None:
        """What the daemon says arrives."""
        self._wire.send(frames)

    def close(self) -> None:
        """Close the real wire."""
        self._wire.close()

    def drain(self) -> Frames:
        """Whatever there is, in any order."""
        rng, mood, real = self._rng, self._mood, self._wire.drain()
        if rng.random() < mood.clear:
            self._kept = Frames.join([self._kept, real])[-KEPT:]
            return real
        now_s = float(real.wire_s[-1]) if len(real) else 0.0
        parts = [self._flipped(real), self._again(now_s), self._made_up(now_s)]
        if rng.random() < mood.silent:
            del parts[0]
        self._kept = Frames.join([self._kept, real])[-KEPT:]
        heard = Frames.join(parts)
        return heard[rng.permutation(len(heard))] if rng.random() < 0.5 else heard

    def _flipped(self, frames: Frames) -> Frames:
        rng, count = self._rng, len(frames)
        data = frames.data.copy()
        for row in np.flatnonzero(rng.random(count) < self._mood.flipped):
            for bit in rng.integers(0, 64, rng.integers(1, 4)):
                data[row, bit // 8] ^= 1 << (bit % 8)
        return replace(frames, data=data)

    def _again(self, now_s: float) -> Frames:
        if not len(self._kept):
            return self._kept
        old = self._kept[self._rng.integers(0, len(self._kept), 20)]
        return replace(old, wire_s=np.full(20, now_s))

    def _made_up(self, now_s: float) -> Frames:
        rng, count = self._rng, self._mood.frames_a_beat
        self.noise += count
        known = self._ids[rng.integers(0, len(self._ids), count)]
        ids = np.where(rng.random(count) < 0.9, known, rng.integers(0, 2**32, count)).astype(np.uint32)
        length = np.where(rng.random(count) < 0.9, 8, rng.integers(0, 9, count)).astype(np.uint8)
        data = rng.integers(0, 256, (count, 8)).astype(np.uint8)
        data[rng.random(count) < 0.05] = 0xFF
        data[np.arange(8) >= length[:, None]] = 0
        return Frames.make(ids, data, length, now_s)


class NoisyRegisters:
    """A Modbus device whose answers may be anyone's."""

    def __init__(self, wire: RegisterWire, mood: Mood, rng: np.random.Generator) -> None:
        self._wire, self._mood, self._rng = wire, mood, rng
        self.noise = 0

    @property
    def health(self) -> WireHealth:
        """Of the real wire."""
        return self._wire.health

    @property
    def waiting(self) -> int:
        """Now and then something seems to be on its way."""
        return int(self._rng.random() < 0.05)

    def ask(self, requests: Sequence[Request]) -> None:
        """Carried out by the real device."""
        self._wire.ask(requests)

    def close(self) -> None:
        """Close the real wire."""
        self._wire.close()

    def drain(self) -> list[Answer]:
        """Answers: right, wrong, short, long, twice, never, and to questions that nobody asked."""
        rng, answers = self._rng, self._wire.drain()
        if rng.random() < self._mood.clear:
            return answers
        heard: list[Answer] = []
        for answer in answers:
            heard += self._spoilt(answer) if rng.random() < self._mood.spoilt else [answer]
        if rng.random() < self._mood.spoilt:
            heard.append(self._spoilt(Answer(Request(int(rng.integers(0, 65536)), int(rng.integers(1, 126)))))[0])
        return heard

    def _spoilt(self, answer: Answer) -> list[Answer]:
        rng = self._rng
        self.noise += 1
        count = int(rng.integers(0, 126)) if rng.random() < 0.5 else len(answer.words)
        # of coils and inputs most are bits, and some what no bit can be
        most = 2 if answer.request.table in BITS and rng.random() < 0.8 else 65536
        words = tuple(int(word) for word in rng.integers(0, most, count))
        extreme = tuple(int(word) for word in rng.choice([0, 1, 0x7FFF, 0x8000, 0xFFFF], len(answer.words)))
        near = list(answer.words)
        if near:
            near[int(rng.integers(0, len(near)))] = int(rng.integers(0, most))
        other = Request(int(rng.integers(0, 65536)), count or 1, tag=answer.request.tag)
        choices: list[list[Answer]] = [
            [],
            [answer, answer],
            [replace(answer, words=words)],
            [replace(answer, words=extreme)],
            [replace(answer, words=tuple(near))],
            [replace(answer, words=answer.words[:-1])],
            [replace(answer, trouble=TROUBLES[int(rng.integers(0, len(TROUBLES)))])],
            [replace(answer, request=other, words=words)],
            [replace(answer, request=replace(answer.request, tag="anything"))],
        ]
        return choices[int(rng.integers(0, len(choices)))] or [replace(answer, words=(), trouble="no answer")]


class NoisyBench(Bench):
    """The bench with a bad neighbour on every wire."""

    def make_noise(self, mood: Mood, seed: int) -> None:
        """Put the noise between the wires and the plant."""
        rng, site, spec = np.random.default_rng(seed), self.site, self.site.plant
        self.noisy_can = {name: NoisyCan(self.can[name], sorted(ids_on(spec, name)), mood, rng) for name in self.can}
        self.noisy_registers = {name: NoisyRegisters(wire, mood, rng) for name, wire in self.registers.items()}
        freshness = Freshness(site.can_stale_s, site.register_stale_s)
        self.plant = Plant(spec, freshness, self.noisy_can, self.noisy_registers)

    @property
    def noise(self) -> int:
        """Frames and answers made up so far."""
        heard = sum(wire.noise for wire in self.noisy_can.values())
        return heard + sum(wire.noise for wire in self.noisy_registers.values())


def with_crc(site: Site, crc: CrcMode) -> Site:
    """The same site, its devices' CRCs checked in another way; `off` lets every random frame in."""
    cabinets = tuple(
        replace(
            cabinet,
            strings=tuple(
                replace(string, box_crc=crc, modules=tuple(replace(module, crc=crc) for module in string.modules))
                for string in cabinet.strings
            ),
        )
        for cabinet in site.plant.cabinets
    )
    return replace(site, plant=replace(site.plant, cabinets=cabinets))


def check(beat: Beat, tuning: Tuning) -> bool:
    """What must hold whatever was heard. Returns whether power was asked."""
    seen, told, layout = beat.seen, beat.commands, tuning.layout
    assert np.isfinite(told.pcs_w).all()
    assert (np.abs(told.pcs_w) <= tuning.envelope.pcs_w_max).all()
    bound = beat.decision.cabinet_bound
    assert ((told.pcs_w <= bound.discharge + 1e-6) & (told.pcs_w >= -bound.charge - 1e-6)).all()
    _check_contactors(beat, tuning)
    asked = told.pcs_w != 0.0
    if asked.any():
        on = asked[layout.string_cabinet] & (seen.string_contactor != Contactor.OPEN)
        assert not np.isnan(seen.cell_v[on[layout.cell_string]]).any()
        assert not np.isnan(seen.module_c[on[layout.module_string]]).all(axis=1).any()
        assert not np.isnan((seen.string_a + seen.string_v)[on]).any()
        assert not np.isnan(seen.pcs_w[asked]).any()
        assert seen.pcs_armed[asked].all()
        assert not seen.pcs_local[asked].any()
        assert not np.isnan(seen.grid_w)
    assert len(told.pv_limit_w) == layout.pvs
    assert (told.pv_limit_w >= 0.0).all()  # which no NaN is
    assert ((told.climate >= 0) & (told.climate <= sum(Climate))).all()
    assert (told.climate & (Climate.CHILLER | Climate.HEATER) < (Climate.CHILLER | Climate.HEATER)).all()
    return bool(asked.any())


def _check_contactors(beat: Beat, tuning: Tuning) -> None:
    """Nothing closes unseen or without precharge; onto a live bus only within the window of volts at the moment it is
    decided; and of a cabinet's strings one at a time."""
    seen, told, layout = beat.seen, beat.commands.contactor, tuning.layout
    assert set(told) <= {int(each) for each in Contactor}
    assert (seen.string_contactor[told == Contactor.CLOSED] >= Contactor.PRECHARGE).all()
    live = seen.string_contactor == Contactor.CLOSED
    closes = (told == Contactor.CLOSED) & (seen.string_contactor == Contactor.PRECHARGE) & (beat.state.mode_s == 0.0)
    for members in layout.strings_of_cabinet:
        here = list(members)
        assert np.count_nonzero((beat.state.mode == Mode.PRECHARGE)[here]) <= 1
        if live[here].any():
            gap_v = np.abs(seen.string_v - seen.string_bus_v)[here]
            assert (gap_v[closes[here]] <= tuning.mode.join_v).all()
