"""The journal of beats: every byte heard and every command given, so that any beat can be lived through again.

A file is the line MAGIC, one JSON line about the plant, then blocks: little-endian u32 length, u32 CRC-32, zlib data.
A block holds whole beats: u32 length of a JSON head, the head, u32 length of the frames, the frames (FRAME). What a
power cut tore off the end is found by the CRC and left out.

Files are named NUMBER-PLANT_TIME.journal. The number runs on from the files that are there, so that names are in order
even when the clock is put back.
"""

import json
import logging
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from io import FileIO
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

import numpy as np

from ess_controller.daemon import Beat
from firmware_bridge.frames import Answer, Frames, Request
from firmware_bridge.plant import Heard
from firmware_bridge.records import PlantSpec, Tick

log = logging.getLogger(__name__)

MAGIC = b"ESS journal 1\n"
FRAME = np.dtype([("id", "<u4"), ("length", "u1"), ("bus", "u1"), ("data", "u1", (8,)), ("wire_s", "<f8")])
_BLOCK = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_BEATS_A_BLOCK, _BLOCK_S = 50, 1.0  # at most so many beats, and so much wall time, are lost when the process is killed
RETRY_S = 30.0  # between two tries to write where it could not be written


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One recorded beat."""

    tick: Tick
    heard: Heard
    pcs_w: tuple[float, ...]
    contactor: tuple[int, ...]
    trips: tuple[int, ...]


def pack(beat: Beat) -> bytes:
    """One beat as bytes."""
    frames = beat.heard.frames
    rows = np.zeros(len(frames), FRAME)
    for field in ("id", "length", "bus", "data", "wire_s"):
        rows[field] = getattr(frames, field)
    tick = beat.tick
    head = json.dumps(
        {
            "tick": (tick.t_s, tick.dt_s, tick.wire_s, tick.utc.isoformat()),
            "answers": [[_answer_out(one) for one in device] for device in beat.heard.answers],
            "pcs_w": beat.commands.pcs_w.tolist(),
            "contactor": beat.commands.contactor.tolist(),
            "trips": beat.trips.tolist(),
        }
    ).encode()
    return _LENGTH.pack(len(head)) + head + _LENGTH.pack(rows.nbytes) + rows.tobytes()


def _answer_out(answer: Answer) -> list[Any]:
    asked = answer.request
    return [asked.address, asked.count, asked.words, asked.tag, answer.words, answer.trouble, answer.wire_s]


def _answer_in(row: list[Any]) -> Answer:
    address, count, asked, tag, words, trouble, wire_s = row
    return Answer(Request(address, count, tuple(asked), tag), tuple(words), trouble, wire_s)


def unpack(data: bytes) -> Iterator[Entry]:
    """The beats of one block."""
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        head = json.loads(data[at + 4 : at + 4 + length])
        at += 4 + length
        (length,) = _LENGTH.unpack_from(data, at)
        rows = np.frombuffer(data, FRAME, count=length // FRAME.itemsize, offset=at + 4)
        at += 4 + length
        t_s, dt_s, wire_s, utc = head["tick"]
        frames = Frames(
            rows["id"].copy(),
            rows["length"].copy(),
            rows["data"].copy(),
            rows["wire_s"].copy(),
            rows["bus"].astype(int),
        )
        answers = tuple(tuple(_answer_in(row) for row in device) for device in head["answers"])
        yield Entry(
            Tick(t_s, dt_s, wire_s, datetime.fromisoformat(utc)),
            Heard(frames, answers),
            tuple(head["pcs_w"]),
            tuple(head["contactor"]),
            tuple(head["trips"]),
        )


def read(path: Path) -> Iterator[Entry]:
    """Every whole beat of a journal file. Raises ValueError when it is no journal at all."""
    with path.open("rb") as file:
        if file.readline() != MAGIC:
            raise ValueError(f"{path}: not a journal: expected the first line {MAGIC.decode().strip()!r}")
        file.readline()
        while len(frame := file.read(_BLOCK.size)) == _BLOCK.size:
            length, crc = _BLOCK.unpack(frame)
            data = file.read(length)
            if len(data) < length or zlib.crc32(data) != crc:
                log.warning("%s: torn at byte %d: the beats before it are whole", path, file.tell() - len(data))
                return
            yield from unpack(zlib.decompress(data))


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
    ) -> None:
        self.stored = 0  # beats safely handed to the operating system
        self._overrun = 0  # not taken: counted by the beat's thread, and
        self._lost = 0  # taken and not stored: by the journal's
        self._folder, self._budget, self._file_bytes = folder, budget_bytes, min(file_bytes, budget_bytes // 4)
        self._retry_s = retry_s
        self._unwritten = 0  # beats taken from the queue and not yet stored
        self._well = True  # what was told last
        self._head = json.dumps(asdict(plant)).encode() + b"\n"
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
        try:
            with path.open("xb", buffering=0) as file:
                _put(file, MAGIC + self._head)
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
        _put(file, _BLOCK.pack(len(data), zlib.crc32(data)) + data)
        self.stored += len(beats)
        self._unwritten = 0
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
