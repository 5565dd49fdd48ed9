"""The journal of beats: every byte heard and every command given, so that any beat can be lived through again.

A file is the line MAGIC, one JSON line (the plant, the names behind the numbers, the moment before: `replay.snapshot`),
then blocks: little-endian u32 length, u32 CRC-32, zlib data. A block holds whole beats: u32 length of a JSON head, the
head, u32 length of the frames, the frames (FRAME). What a power cut tore off the end is found by the CRC and left out.
Files of the first kind (MAGIC_1) hold the plant only and, of each beat, power, contactors and trips; they are read too.

Files are named NUMBER-PLANT_TIME.journal. The number runs on from the files that are there, so that names are in order
even when the clock is put back.
"""

import json
import logging
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from io import BufferedReader, FileIO
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

import numpy as np

from ess_controller.core.types import Order, State
from ess_controller.daemon import Beat
from ess_controller.replay.signals import Signals, Translator, signals_of, vocabulary
from ess_controller.replay.snapshot import FRAME, Snapshot, WireMemory, answer_in, answer_out, frames_of, rows_of
from firmware_bridge.plant import Heard
from firmware_bridge.records import PlantSpec, Tick

log = logging.getLogger(__name__)

ANY_MAGIC = b"ESS journal "  # how a file of any kind begins
MAGIC_1 = ANY_MAGIC + b"1\n"
MAGIC = ANY_MAGIC + b"2\n"
BLOCK = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_BEATS_A_BLOCK, _BLOCK_S = 50, 1.0  # at most so many beats, and so much wall time, are lost when the process is killed
_LONGEST_HEAD = 64_000_000
_NO_ORDER = Order()
_ORDER_FIELDS = tuple(one.name for one in fields(Order) if one.name != "value")  # a plan is too long for every beat
RETRY_S = 30.0  # between two tries to write where it could not be written


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One recorded beat."""

    tick: Tick
    heard: Heard
    pcs_w: tuple[float, ...]
    contactor: tuple[int, ...]
    trips: tuple[int, ...]
    order: Order | None = None  # what the operator asked for; None: the file does not say
    signals: Signals = field(default_factory=dict)  # all that was told, and why, as far as the file says


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What stands before the beats of a file."""

    version: int
    plant: dict[str, Any] = field(default_factory=dict)  # PlantSpec as JSON
    translator: Translator | None = None
    before: Snapshot | None = None  # None: not known


def pack(beat: Beat) -> bytes:
    """One beat as bytes."""
    order = replace(beat.decision.order, value=None, valued_w=beat.decision.valued_w)
    return packed(beat.tick, beat.heard, signals_of(beat), order)


def packed(tick: Tick, heard: Heard, told: Signals, order: Order) -> bytes:
    """What makes a beat, as bytes."""
    rows = rows_of(heard.frames)
    head: dict[str, Any] = {
        "tick": (tick.t_s, tick.dt_s, tick.wire_s, tick.utc.isoformat()),
        "answers": [[answer_out(one) for one in device] for device in heard.answers],
        "told": told,
    }
    if order != _NO_ORDER:
        head["order"] = {name: getattr(order, name) for name in _ORDER_FIELDS}
    text = json.dumps(head).encode()
    return _LENGTH.pack(len(text)) + text + _LENGTH.pack(rows.nbytes) + rows.tobytes()


def unpack(data: bytes, head: Head | None = None) -> Iterator[Entry]:
    """The beats of one block."""
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        told = json.loads(data[at + 4 : at + 4 + length])
        at += 4 + length
        (length,) = _LENGTH.unpack_from(data, at)
        rows = np.frombuffer(data, FRAME, count=length // FRAME.itemsize, offset=at + 4)
        at += 4 + length
        t_s, dt_s, wire_s, utc = told["tick"]
        answers = tuple(tuple(answer_in(row) for row in device) for device in told["answers"])
        yield _entry(Tick(t_s, dt_s, wire_s, datetime.fromisoformat(utc)), Heard(frames_of(rows), answers), told, head)


def _entry(tick: Tick, heard: Heard, told: dict[str, Any], head: Head | None) -> Entry:
    if "told" not in told:  # of the first kind
        signals = {name: tuple(told[name]) for name in ("pcs_w", "contactor", "trips")}
        return Entry(tick, heard, signals["pcs_w"], signals["contactor"], signals["trips"], None, signals)
    signals = {name: tuple(values) for name, values in told["told"].items()}
    if head is not None and head.translator is not None:
        signals = dict(head.translator(signals))
    known = told.get("order", {})
    order = Order(**{name: value for name, value in known.items() if name in _ORDER_FIELDS})
    return Entry(tick, heard, signals["pcs_w"], signals["contactor"], signals["trips"], order, signals)


def _head(line: bytes, version: int) -> Head:
    """A head that is torn says nothing: the beats behind it speak for themselves."""
    try:
        whole = json.loads(line)
        if version == 1:
            return Head(1, whole)
        return Head(2, whole["plant"], Translator.of(whole["names"]), Snapshot.unpack(whole["before"]))
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return Head(version)


def read_head(path: Path) -> Head:
    """What stands before the beats. Raises ValueError when it is no journal at all."""
    with path.open("rb") as file:
        return _opened(file, path)


def _opened(file: BufferedReader, path: Path) -> Head:
    magic = file.readline(len(MAGIC))
    if magic not in (MAGIC_1, MAGIC):
        newer = "; this one is of a newer kind" if magic.startswith(ANY_MAGIC) else ""
        raise ValueError(f"{path}: not a journal: expected the first line {MAGIC.decode().strip()!r}{newer}")
    return _head(file.readline(_LONGEST_HEAD), 1 if magic == MAGIC_1 else 2)


def read(
    path: Path, passed: Callable[[int], None] = lambda _: None, torn: Callable[[int], None] = lambda _: None
) -> Iterator[Entry]:
    """Every whole beat of a journal file; `passed` is told how many bytes lie behind, `torn` at which byte it ends
    early. Raises ValueError when it is no journal at all."""
    with path.open("rb") as file:
        head = _opened(file, path)
        whole = file.tell()
        while frame := file.read(BLOCK.size):
            length, crc = BLOCK.unpack(frame) if len(frame) == BLOCK.size else (0, -1)
            data = file.read(length)
            if len(data) < length or zlib.crc32(data) != crc:
                torn(whole)
                return
            yield from unpack(zlib.decompress(data), head)
            whole = file.tell()
            passed(whole)


class Journal:
    """Writes beats from a thread of its own, so that a slow disk never holds up a beat; what it cannot take it drops
    and counts. Oldest files go when the folder holds more than `budget_bytes`."""

    def __init__(
        self,
        folder: Path,
        plant: PlantSpec,
        budget_bytes: int,
        file_bytes: int = 16_000_000,
        retry_s: float = RETRY_S,
        first: State | None = None,
    ) -> None:
        """`first` is the state that the daemon starts with, where it recalls one."""
        self.stored = 0  # beats safely handed to the operating system
        self._overrun = 0  # not taken: counted by the beat's thread, and
        self._lost = 0  # taken and not stored: by the journal's
        self._folder, self._budget, self._file_bytes = folder, budget_bytes, min(file_bytes, budget_bytes // 4)
        self._retry_s = retry_s
        self._unwritten = 0  # beats taken from the queue and not yet stored
        self._well = True  # what was told last
        self._plant, self._first = plant, first
        self._last: Beat | None = None  # this and the next belong to the journal's thread
        self._wires = WireMemory()
        self._queue: SimpleQueue[Beat] = SimpleQueue()
        self._ending = Event()
        self._thread = Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def __call__(self, beat: Beat) -> None:
        """Take a beat, or drop and count it when the disk has fallen too far behind."""
        if self._queue.qsize() > 20 * _BEATS_A_BLOCK:
            self._overrun += 1
        else:
            self._queue.put(beat)

    @property
    def dropped(self) -> int:
        """Beats that are in no file."""
        return self._overrun + self._lost

    def close(self) -> None:
        """Write what is waiting."""
        self._ending.set()
        self._thread.join(timeout=10.0)

    def _work(self) -> None:
        while not self._ending.is_set() or not self._queue.empty():
            try:
                self._one_file()
            except OSError as trouble:
                self._failed(str(trouble))
            except Exception as trouble:
                if self._well:
                    log.exception("journal: a mistake of our own")
                self._failed(repr(trouble))

    def _failed(self, why: str) -> None:
        """Beats in hand are lost; the next try is later, for a full disk does not empty itself within a beat."""
        self._lost += self._unwritten
        self._unwritten = 0
        if self._well:
            log.warning("journal: %s: beats are dropped until it can be written again", why)
        self._well = False
        self._ending.wait(self._retry_s)

    def _one_file(self) -> None:
        first = self._block()
        if not first:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path, whole = self._new_path(first[0]), False
        head: dict[str, Any] = {"plant": asdict(self._plant), "names": vocabulary()}
        head["before"] = self._wires.snapshot(self._last, self._first).pack()
        try:
            with path.open("xb", buffering=0) as file:
                _put(file, MAGIC + json.dumps(head).encode() + b"\n")
                self._write_block(file, first)
                whole = True
                while file.tell() < self._file_bytes and (beats := self._block()):
                    self._write_block(file, beats)
        finally:
            if not whole:
                path.unlink(missing_ok=True)

    def _new_path(self, beat: Beat) -> Path:
        """Makes room for one more file and names it."""
        files = sorted(self._folder.glob("*.journal"), key=_number)
        size = sum(file.stat().st_size for file in files)
        number = _number(files[-1]) + 1 if files else 0
        while files and size > self._budget - self._file_bytes:
            size -= files[0].stat().st_size
            files.pop(0).unlink()
        return self._folder / f"{number:08d}-{beat.tick.utc:%Y%m%dT%H%M%S}.journal"

    def _write_block(self, file: FileIO, beats: list[Beat]) -> None:
        data = zlib.compress(b"".join(map(pack, beats)), level=1)
        _put(file, BLOCK.pack(len(data), zlib.crc32(data)) + data)
        self.stored += len(beats)
        self._unwritten = 0
        for beat in beats:
            self._wires.hear(beat.heard)
        self._last = beats[-1]
        if not self._well:
            log.info("journal: is written again; %d beats of this run are in no file", self.dropped)
        self._well = True

    def _block(self) -> list[Beat]:
        """The next beats; empty only at the end."""
        beats: list[Beat] = []
        while len(beats) < _BEATS_A_BLOCK and (not beats or beats[-1].tick.wire_s - beats[0].tick.wire_s < _BLOCK_S):
            try:
                beats.append(self._queue.get(timeout=0.2))
            except Empty:
                if self._ending.is_set():
                    break
        self._unwritten = len(beats)
        return beats


def _put(file: FileIO, data: bytes) -> None:
    """All of it: a nearly full disk takes a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _number(path: Path) -> int:
    """The running number in a file's name; what is named otherwise is older than all."""
    number = path.name.partition("-")[0]
    return int(number) if number.isascii() and number.isdecimal() else -1
