"""A cabinet's remote I/O on Modbus inputs and coils: E-stop, interlock, smoke, gas and door; fan, chiller, heater.

The contacts are observed here and never relied on: an E-stop or an open interlock opens the contactors by its own
wires, whether or not this device, its line or this program lives. What is heard explains, warns and asks for 0 W.

`IoMaster` is the controller's side, `IoBank` the device's side.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from firmware_bridge.dialects.remote_io_bank import IoBank, join_bits
from firmware_bridge.dialects.sunspec.model import Events
from firmware_bridge.frames import STALE, Answer, Request, Table
from firmware_bridge.records import Climate, Contact, IoChannel, IoSpec

__all__ = ["IoBank", "IoMaster", "IoPicture"]

REWRITE_S = 10.0  # coils are said again, for a device that has restarted without our noticing
SETTLE_S = 1.0  # a coil may take this long until it reads back as told; one that does not is told again
READ_BACK_STALE_S = 5.0  # coils not read for so long are not known
STREAK = 5  # so many answers in trouble, one after the other, are told
MOST_BITS = 2000  # in one read: MODBUS Application Protocol Specification V1.1b3, section 6.1

CONTACT_WORDS = {
    Contact.ESTOP: ("E-stop pressed", "E-stop released"),
    Contact.INTERLOCK: ("interlock (HVIL) open", "interlock (HVIL) closed"),
    Contact.SMOKE: ("smoke detected", "no smoke any more"),
    Contact.GAS: ("gas detected", "no gas any more"),
    Contact.DOOR: ("door open", "door closed"),
}
CLIMATE_WORDS = {Climate.FAN: "fan", Climate.CHILLER: "chiller", Climate.HEATER: "heater"}


@dataclass(frozen=True, slots=True)
class IoPicture:
    """What is known of one remote I/O device; -1 = not heard."""

    contact: int  # Contact bits: set where something is wrong
    climate: int  # Climate bits as the coils read back; a bit is set when all of its coils are on
    age_s: float  # since the inputs were last heard (the coils, where it has no inputs); inf when never


class _Channels:
    """The channels of one table, the reads that cover them and what the last ones said."""

    def __init__(self, table: Table, tag: str, channels: Sequence[IoChannel]) -> None:
        self.channels = tuple(channels)
        addresses = sorted({channel.address for channel in channels})
        self.reads = tuple(
            Request(first, last - first + 1, tag=tag, table=table) for first, last in _spans(addresses, MOST_BITS)
        )
        self._raw: dict[int, int] = {}
        self._heard_s = dict.fromkeys(self.reads, -inf)

    @property
    def heard_s(self) -> float:
        """When the last of them was heard at the latest; -inf while one never was."""
        return min(self._heard_s.values(), default=-inf)

    def hear(self, read: Request, bits: Sequence[int], heard_s: float) -> None:
        """Take the answer to one of `reads`."""
        self._raw.update(enumerate(bits, read.address))
        self._heard_s[read] = heard_s

    def any_of(self) -> int:
        """Bits of which at least one channel says so."""
        return join_bits(channel.bit for channel in self.channels if self._is_on(channel))

    def all_of(self) -> int:
        """Bits of which every channel says so."""
        return join_bits(c.bit for c in self.channels) & ~join_bits(c.bit for c in self.channels if not self._is_on(c))

    def astray(self, wanted: int) -> int:
        """Bits of which a channel is not as wanted."""
        return join_bits(c.bit for c in self.channels if self._is_on(c) != bool(c.bit & wanted))

    def _is_on(self, channel: IoChannel) -> bool:
        return bool(self._raw.get(channel.address, 0)) != channel.inverted


class IoMaster:
    """The controller's side of one remote I/O device. It never raises on what the device answers."""

    def __init__(self, spec: IoSpec) -> None:
        self._events = Events()
        self._inputs = _Channels("discrete", "inputs", spec.inputs)
        self._outputs = _Channels("coils", "outputs", spec.outputs)
        self._writes = _writes(spec.outputs)
        self._contact = 0  # as last told in words
        self._told: int | None = None  # Climate bits as last written
        self._told_s = -inf
        self._astray_s = inf  # since when coils read back otherwise than told
        self._failed = False  # a write since then was not carried out
        self._tables = {"inputs": self._inputs, "outputs": self._outputs}
        self._streak = dict.fromkeys(self._tables, 0)  # answers in trouble, one after the other

    def take_events(self) -> list[str]:
        """What changed since the last call, in words."""
        return self._events.take()

    def picture(self, now_s: float) -> IoPicture:
        """What is known now. Contacts stay as last heard and grow old, until the caller has them for unknown."""
        outputs_s = self._outputs.heard_s
        heard_s = self._inputs.heard_s if self._inputs.reads else outputs_s
        read_back = now_s - outputs_s <= READ_BACK_STALE_S
        return IoPicture(
            self._inputs.any_of() if heard_s > -inf else -1,
            self._outputs.all_of() if read_back else -1,
            now_s - heard_s,
        )

    # --- asking ---------------------------------------------------------------------------------------------------

    def ask(self, climate_bits: int, now_s: float) -> list[Request]:
        """What to write and read now. `climate_bits`: Climate bits wanted; below 0 nothing is wished and written."""
        return [*self._tell(climate_bits, now_s), *self._inputs.reads, *self._outputs.reads]

    def _tell(self, wanted: int, now_s: float) -> list[Request]:
        """Coils on every change, again every REWRITE_S, and where they do not read back as told."""
        if wanted < 0:
            return []
        wait_s = SETTLE_S if self._failed or self._astray() else REWRITE_S
        if wanted == self._told and now_s - self._told_s < wait_s:
            return []
        self._failed = False
        self._told, self._told_s = wanted, now_s
        return [
            Request(
                run[0].address,
                words=tuple([int(bool(channel.bit & wanted) != channel.inverted) for channel in run]),
                tag="write outputs",
                table="coils",
            )
            for run in self._writes
        ]

    def _astray(self) -> int:
        """Bits whose coils, read since the last write, are not as it told them."""
        if self._told is None or self._outputs.heard_s <= self._told_s:
            return 0
        return self._outputs.astray(self._told)

    # --- hearing --------------------------------------------------------------------------------------------------

    def hear(self, answers: Iterable[Answer], now_s: float) -> None:
        """Take the answers of this beat, in order. Each is as old as its `wire_s` says, at least: never from later."""
        for answer in answers:
            heard_s, request = min(answer.wire_s, now_s), answer.request
            if request.is_write:
                self._hear_write(answer.trouble)
                continue
            tag, channels = request.tag, self._tables.get(request.tag)
            if channels is None or request not in channels.reads:
                continue
            if answer.trouble or len(answer.words) != request.count or not {0, 1}.issuperset(answer.words):
                self._hear_trouble(tag, answer.trouble or "short or odd answer")
                continue
            self._hear_well(tag)
            channels.hear(request, answer.words, heard_s)
            if channels is self._inputs:
                self._tell_contacts()
            else:
                self._tell_outputs(heard_s)

    def _hear_write(self, trouble: str) -> None:
        """Trouble with a write is told only of a device whose coils are heard: silence is told of the reads."""
        self._failed |= bool(trouble)
        if not self._streak["outputs"] and not trouble.startswith(STALE):
            self._events.tell("write", f"remote I/O does not take its outputs: {trouble}" if trouble else "")

    def _hear_trouble(self, tag: str, trouble: str) -> None:
        self._streak[tag] += 1
        if self._streak[tag] >= STREAK and not trouble.startswith(STALE):  # never asked: that is told of its wire
            self._events.tell(tag, f"remote I/O does not tell its {tag}: {trouble}")

    def _hear_well(self, tag: str) -> None:
        self._streak[tag] = 0
        if self._events.last(tag):
            self._events.tell(tag, f"remote I/O tells its {tag} again")
            self._events.tell(tag, "")

    def _tell_contacts(self) -> None:
        """Each contact that changed; at the beginning each that says that something is wrong."""
        if self._inputs.heard_s == -inf:
            return
        now = self._inputs.any_of()
        for contact, (wrong, well) in CONTACT_WORDS.items():
            if (now ^ self._contact) & contact:
                self._events.tell(wrong, wrong if now & contact else well)
        self._contact = now

    def _tell_outputs(self, heard_s: float) -> None:
        """Coils that read back wrongly although they were told again; by name."""
        wrong = 0 if self._told is None else self._outputs.astray(self._told)
        self._astray_s = min(self._astray_s, heard_s) if wrong else inf
        if wrong and heard_s - self._astray_s <= 2 * SETTLE_S:
            return
        names = ", ".join([name for bit, name in CLIMATE_WORDS.items() if wrong & bit])
        self._events.tell("astray", f"remote I/O does not switch as told: {names}" if wrong else "")


def _spans(addresses: Sequence[int], most: int) -> list[tuple[int, int]]:
    """First and last address of as few spans as cover all, none longer than `most`. `addresses` rise."""
    spans: list[tuple[int, int]] = []
    for address in addresses:
        if spans and address - spans[-1][0] < most:
            spans[-1] = spans[-1][0], address
        else:
            spans.append((address, address))
    return spans


def _writes(outputs: Sequence[IoChannel]) -> list[list[IoChannel]]:
    """Runs of coils without a gap: a coil that is none of ours is never written."""
    ordered = sorted(outputs, key=lambda channel: channel.address)
    runs: list[list[IoChannel]] = [ordered[:1]] if ordered else []
    for before, channel in pairwise(ordered):
        if channel.address == before.address + 1:
            runs[-1].append(channel)
        else:
            runs.append([channel])
    return runs
