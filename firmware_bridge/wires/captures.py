"""Opens a CAN capture, whatever wrote it, and gives its frames: what cannot be read is counted and named, never lost.

Read here: candump (`-L` and on the screen), Vector .asc and .blf, PEAK .trc, CANHacker and CARBUS .trc, the CSV of
python-can and of SavvyCAN/GVRET, PP2CAN text. What a file is, its content says and not its name. The readers are ours
(`capture_lines`, `capture_tables`, `capture_blf`): python-can's pass over what they do not understand without a word.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from stat import S_ISREG

import numpy as np

from firmware_bridge.frames import CAN_FRAME, NO_FRAMES, Frames
from firmware_bridge.wires.capture_blf import MAGIC as BLF_MAGIC
from firmware_bridge.wires.capture_blf import BlfReader
from firmware_bridge.wires.capture_lines import (
    CandumpLog,
    CandumpScreen,
    CarbusTrace,
    LineFormat,
    PeakTrace,
    Pp2Can,
    RefusedError,
    Row,
    SkippedError,
    VectorAsc,
)
from firmware_bridge.wires.capture_tables import YEAR_2100_S, GvretCsv, PythonCanCsv

FORMATS: tuple[type[LineFormat], ...] = (
    CandumpLog,
    CandumpScreen,
    VectorAsc,
    CarbusTrace,
    PeakTrace,
    PythonCanCsv,
    GvretCsv,
    Pp2Can,
)
READABLE = "a CAN capture: candump, Vector .asc or .blf, PEAK .trc, python-can or SavvyCAN .csv"
SNIFFED_LINES = 400  # understood, from which it is seen what wrote a file
SNIFFED_BYTES = 1 << 18
LONGEST_LINE = 1 << 16
SHOWN = 5  # refused lines that are told with their text; the others are counted
_TEXT = 70  # characters of a line that are shown
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CHUNK = 1 << 16  # frames gathered in lists before they become arrays


class CaptureError(ValueError):
    """A file that is no capture at all, or cannot be opened: file, line, and what was expected."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that holds no frame that could be believed."""

    line: int  # from 1; of a binary file the object's number
    text: str
    expected: str


@dataclass(slots=True)
class Tally:
    """What became of everything in a file: lines = frames + refused + skipped + silent."""

    lines: int = 0  # of a binary file its objects
    frames: int = 0
    refused: int = 0
    silent: int = 0  # headers, comments, events that are no frames
    skipped: Counter[str] = field(default_factory=Counter)  # "error frame", "CAN FD frame": not for these dialects
    repaired: Counter[str] = field(default_factory=Counter)  # what was damaged and is certain all the same
    first_refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # of the file as a whole: torn off, units

    def refuse(self, line: int, text: str, expected: str) -> None:
        """Count a line, and keep the first few for the report."""
        self.refused += 1
        if len(self.first_refused) < SHOWN:
            self.first_refused.append(Refusal(line, shown(text), expected))


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """A capture as read. A frame's `bus` is the index of its channel, its `wire_s` what the recorder wrote, in s."""

    path: Path
    kind: str  # "candump", "Vector ASC"
    frames: Frames  # in the order of their time
    channels: tuple[str, ...]
    tally: Tally

    @property
    def absolute(self) -> bool:
        """Whether times count from 1970 UTC, and not from the recorder's start."""
        return len(self.frames) > 0 and float(self.frames.wire_s[0]) > 1e8

    @property
    def troubles(self) -> list[str]:
        """What a reader of the report must know, one line each: file:line, the text, what was expected."""
        tally = self.tally
        told = [f"{self.path}: {note}" for note in tally.notes]
        told += [f"{self.path}: {count} repaired: {what}" for what, count in tally.repaired.items()]
        told += [f"{self.path}: {count} skipped: {what}" for what, count in tally.skipped.items()]
        told += [f"{self.path}:{one.line}: {one.text}: expected {one.expected}" for one in tally.first_refused]
        if tally.refused > len(tally.first_refused):
            told.append(f"{self.path}: {tally.refused - len(tally.first_refused)} more lines refused")
        return told


def shown(text: str) -> str:
    """A piece of a file for people: short, nothing but printable characters."""
    text = text.strip()
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:_TEXT])
    return text + "..." if len(text) == _TEXT else text or "an empty line"


def read_capture(path: Path) -> Capture:
    """All frames of a capture. Raises CaptureError when it is none, or when not a single frame can be believed."""
    try:
        if not S_ISREG(path.stat().st_mode):  # a pipe would be waited for, and is gone when it is read again
            raise CaptureError(f"{path}: cannot be read: expected a file, but this is a folder, a pipe or a device")
        with path.open("rb") as file:
            head = file.read(SNIFFED_BYTES)
        if head.startswith(BLF_MAGIC):
            return _finished(path, "Vector BLF", None, *_binary(path))
        encoding = "utf-16" if head.startswith(_UTF16) else "utf-8-sig"
        text = head.decode(encoding, errors="replace")
        if not _is_text(text, len(head)):
            raise CaptureError(f"{path}:1: expected {READABLE}")
        found = _sniffed(text)
        if found is None:
            first = next((line for line in text.splitlines() if line.strip()), "")
            raise CaptureError(f"{path}:1: {shown(first)}: expected {READABLE}")
        with path.open(encoding=encoding, errors="replace") as lines:
            return _finished(path, found.name, found, *_lines(lines, found))
    except OSError as trouble:
        raise CaptureError(f"{path}: cannot be read: {trouble.strerror or trouble}") from None


def _is_text(text: str, size: int) -> bool:
    """Lines of a bearable length, without NUL."""
    lines = text.replace("\r", "\n").split("\n")
    whole = lines if size < SNIFFED_BYTES else lines[:-1]
    return "\0" not in text and bool(whole) and max(map(len, lines)) < LONGEST_LINE


def _sniffed(text: str) -> LineFormat | None:
    """The format that makes most frames of the first lines; where none makes any, the one that knows most of them."""
    head = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    best, most = None, (0, 0)
    for kind in FORMATS:
        reader, frames, skipped = kind(), 0, 0
        for line in head:
            try:
                frames += reader.read(line) is not None
            except SkippedError:
                skipped += 1
            except RefusedError:
                continue
            if frames + skipped >= SNIFFED_LINES:
                break
        if (frames, skipped) > most:
            best, most = kind, (frames, skipped)
    return best() if best else None


def _lines(lines: Iterator[str], reader: LineFormat) -> tuple[Frames, tuple[str, ...], Tally]:
    tally, pile = Tally(), _Pile()
    for number, line in enumerate(lines, 1):
        tally.lines = number
        if len(line) > LONGEST_LINE:
            tally.refuse(number, line, f"a line of at most {LONGEST_LINE} characters")
            continue
        try:
            row = reader.read(line)
        except RefusedError as refused:
            tally.refuse(number, line, str(refused))
        except SkippedError as skipped:
            tally.skipped[str(skipped)] += 1
        else:
            if row is None:
                tally.silent += 1
            else:
                pile.add(row)
    tally.repaired.update(reader.repaired)
    return *pile.frames(), tally


def _binary(path: Path) -> tuple[Frames, tuple[str, ...], Tally]:
    """A .blf, as far as it is whole."""
    tally, pile = Tally(), _Pile()
    with path.open("rb") as file:
        try:
            reader = BlfReader(file, path.stat().st_size)
        except RefusedError as refused:
            raise CaptureError(f"{path}: expected {refused}, as of a Vector .blf") from None
        for kind, whole in reader.objects_of():
            try:
                row = reader.row(kind, whole)
            except RefusedError as refused:
                tally.refuse(reader.objects, f"object of type {kind}, {len(whole)} bytes", str(refused))
            except SkippedError as skipped:
                tally.skipped[str(skipped)] += 1
            else:
                if row is None:
                    tally.silent += 1
                else:
                    pile.add(row)
        tally.lines = reader.objects
        tally.notes += [reader.torn] if reader.torn else []
        tally.notes += [f"{reader.damaged} damaged stretches passed over"] if reader.damaged else []
    return *pile.frames(), tally


class _Pile:
    """Frames one by one into arrays."""

    def __init__(self) -> None:
        self.count = 0
        self._channels: dict[str, int] = {}
        self._parts: list[Frames] = []
        self._begin()

    def _begin(self) -> None:
        self._s: list[float] = []
        self._bus: list[int] = []
        self._id: list[int] = []
        self._data: list[bytes] = []

    def add(self, row: Row) -> None:
        """One more."""
        time_s, channel, can_id, data = row
        self.count += 1
        self._s.append(time_s)
        self._bus.append(self._channels.setdefault(channel, len(self._channels)))
        self._id.append(can_id)
        self._data.append(data)
        if len(self._s) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        packed = np.zeros(len(self._s), CAN_FRAME)
        packed["id"], packed["length"] = self._id, [len(data) for data in self._data]
        whole = b"".join([data.ljust(8, b"\0") for data in self._data])
        packed["data"] = np.frombuffer(whole, np.uint8).reshape(-1, 8)
        stamps, bus = np.array(self._s, np.float64), np.array(self._bus, np.int64)
        self._parts.append(Frames(packed["id"], packed["length"], packed["data"], stamps, bus))
        self._begin()

    def frames(self) -> tuple[Frames, tuple[str, ...]]:
        """All so far, and the names of the channels."""
        self._flush()
        whole = Frames.join(self._parts) if self.count else NO_FRAMES
        # one allocation each, as decoders look at eight bytes as one word
        solid = Frames(whole.id.copy(), whole.length.copy(), whole.data.copy(), whole.wire_s, whole.bus)
        return solid, tuple(self._channels)


def _finished(
    path: Path, kind: str, reader: LineFormat | None, frames: Frames, channels: tuple[str, ...], tally: Tally
) -> Capture:
    """In the order of time, in seconds; CaptureError when nothing is left."""
    if not len(frames):
        told = Capture(path, kind, frames, channels, tally).troubles
        raise CaptureError("\n".join([*told, f"{path}: expected at least one CAN data frame in this {kind}"]))
    tally.frames = len(frames)
    wire_s = frames.wire_s
    if reader is not None:
        try:
            scale, note = reader.seconds(wire_s, len(channels))
        except RefusedError as refused:
            raise CaptureError(f"{path}: expected {refused}") from None
        wire_s = wire_s * scale
        tally.notes += [note] if note else []
    if not isfinite(float(wire_s.sum())):
        raise CaptureError(f"{path}: expected time stamps that are numbers")
    farthest_s = float(wire_s[np.abs(wire_s).argmax()])
    if abs(farthest_s) > YEAR_2100_S:
        raise CaptureError(
            f"{path}: a time stamp of {farthest_s:.6g} s: expected seconds since 1970 or since the start"
        )
    if (back := int(np.count_nonzero(np.diff(wire_s) < 0.0))) > 0:
        tally.notes.append(f"{back} time stamps run backwards: sorted")
        order = wire_s.argsort(kind="stable")
        frames, wire_s = frames[order], wire_s[order]
    frames = Frames(frames.id, frames.length, frames.data, wire_s, frames.bus)
    return Capture(path, kind, frames, channels, tally)
