"""What a journal file must know of the time before it, so that a run can be lived through from its middle.

Two things: what the controller remembered (State), and what the wires had said so far: the last frame of every CAN id
and the last answer to every question. From those a fresh plant finds its devices again, as it would on living wires.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np

from ess_controller.core.types import State
from ess_controller.daemon import Beat
from firmware_bridge.frames import NO_FRAMES, Answer, Frames, Request
from firmware_bridge.plant import Heard
from firmware_bridge.records import Floats

FRAME = np.dtype([("id", "<u4"), ("length", "u1"), ("bus", "u1"), ("data", "u1", (8,)), ("wire_s", "<f8")])
MOST_QUESTIONS = 500  # of one device: a strange one leads its search through ever new registers
_SFF_IDS = 0x800
_NEVER = -np.inf


def rows_of(frames: Frames) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Frames as FRAME records."""
    rows = np.zeros(len(frames), FRAME)
    for name in ("id", "length", "bus", "data", "wire_s"):
        rows[name] = getattr(frames, name)
    return rows


def frames_of(rows: np.ndarray[tuple[int], np.dtype[np.void]]) -> Frames:
    """FRAME records as frames."""
    return Frames(
        rows["id"].copy(),
        rows["length"].copy(),
        rows["data"].copy(),
        rows["wire_s"].copy(),
        rows["bus"].astype(np.int64),
    )


def answer_out(answer: Answer) -> list[Any]:
    """An answer and its question as JSON."""
    asked = answer.request
    return [
        asked.address,
        asked.count,
        asked.words,
        asked.tag,
        answer.words,
        answer.trouble,
        answer.wire_s,
        asked.table,
    ]


def answer_in(row: list[Any]) -> Answer:
    """The same back; journals of the first kind know holding registers only."""
    address, count, asked, tag, words, trouble, wire_s, *table = row
    request = Request(address, count, tuple(asked), tag, table[0] if table else "holding")
    return Answer(request, tuple(words), trouble, wire_s)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The moment before a file's first beat."""

    state: Mapping[str, Any] | None = None  # fields of State; None: not known, or nothing was before
    frames: Frames = NO_FRAMES  # the last of every id
    answers: tuple[tuple[Answer, ...], ...] = ()  # [register device] the last to every question
    pcs_w: tuple[float, ...] = ()  # as last told
    pcs_run: tuple[bool, ...] = ()
    began: bool = False  # the daemon had just started: there was nothing before

    def restored(self, first: State) -> State:
        """The State, as far as it fits a site and a version whose fresh one is `first`."""
        state: State = _record(self.state or {}, first)
        return state

    def pack(self) -> str:
        """As one word of text."""
        whole = {
            "state": self.state,
            "frames": b64encode(rows_of(self.frames).tobytes()).decode(),
            "answers": [[answer_out(one) for one in device] for device in self.answers],
            "pcs_w": self.pcs_w,
            "pcs_run": self.pcs_run,
            "began": self.began,
        }
        return b64encode(zlib.compress(json.dumps(whole).encode(), level=6)).decode()

    @classmethod
    def unpack(cls, text: str) -> "Snapshot":
        """Raises ValueError (or zlib.error, KeyError, TypeError) for what `pack` has not written."""
        whole = json.loads(zlib.decompress(b64decode(text)))
        return cls(
            whole["state"],
            frames_of(np.frombuffer(b64decode(whole["frames"]), FRAME)),
            tuple(tuple(answer_in(row) for row in device) for device in whole["answers"]),
            tuple(whole["pcs_w"]),
            tuple(whole["pcs_run"]),
            whole["began"],
        )


def state_out(state: State) -> dict[str, Any]:
    """Every number, as JSON knows it, in records within records."""
    return _told(state)


def _told(record: Any) -> dict[str, Any]:
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    return {name: _one_told(value) for name, value in values.items()}


def _one_told(value: Any) -> Any:
    """An array as its bytes: exact, NaN and infinity included, and no work for a beat that waits meanwhile."""
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "shape": value.shape, "bytes": b64encode(value.tobytes()).decode()}
    return _told(value) if is_dataclass(value) else value


def _record(told: Mapping[str, Any], fresh: Any) -> Any:
    """The fresh record with every recorded value that fits."""
    values = {each.name: getattr(fresh, each.name) for each in fields(fresh)}
    return replace(fresh, **{name: _fitting(told.get(name), value) for name, value in values.items()})


def _fitting(told: Any, fresh: Any) -> Any:
    """The recorded value where it has the fresh one's shape; else the fresh one."""
    if is_dataclass(fresh):
        return _record(told, fresh) if isinstance(told, dict) else fresh
    if isinstance(fresh, np.ndarray):
        found = _array(told, fresh.dtype)
        return found if found is not None and found.shape == fresh.shape else fresh
    fits = isinstance(fresh, int | float) and isinstance(told, int | float)
    return type(fresh)(told) if fits else fresh


def _array(told: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any] | None:
    """None where there is none; journals before the fuel gauge told arrays as lists."""
    if isinstance(told, list):
        return np.array(told, dtype)
    if not isinstance(told, dict):
        return None
    data = np.frombuffer(b64decode(told["bytes"]), np.dtype(told["dtype"]))
    return data.reshape(told["shape"]).astype(dtype)


@dataclass
class WireMemory:
    """Keeps the last word of everybody, beat by beat. Cheap: it runs beside the daemon, in the journal's thread."""

    answers: list[dict[tuple[Any, ...], Answer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rows = np.zeros(0, FRAME)  # [bus and id]
        self._heard_s: Floats = np.zeros(0)

    def hear(self, heard: Heard) -> None:
        """Take in a beat."""
        frames = heard.frames
        if len(frames):
            place = frames.bus * _SFF_IDS + np.minimum(frames.id, _SFF_IDS - 1)  # foreign long ids share a place
            if (most := int(place.max()) + 1) > len(self._rows):
                grown = np.zeros(most - len(self._rows), FRAME)
                self._rows = np.concatenate([self._rows, grown])
                self._heard_s = np.concatenate([self._heard_s, np.full(len(grown), _NEVER)])
            self._rows[place] = rows_of(frames)
            self._heard_s[place] = frames.wire_s
        while len(self.answers) < len(heard.answers):
            self.answers.append({})
        for known, device in zip(self.answers, heard.answers, strict=False):
            for answer in device:
                asked = answer.request
                if answer.trouble or asked.is_write:
                    continue
                known[asked.table, asked.address, asked.count, asked.tag] = answer
                if len(known) > MOST_QUESTIONS:
                    del known[next(iter(known))]

    def snapshot(self, before: Beat | None, first: State | None) -> Snapshot:
        """The moment after the beat `before`; None: the daemon has just started, with the state `first`."""
        if before is None:
            return Snapshot(None if first is None else state_out(first), began=True)
        rows = self._rows[self._heard_s > _NEVER]
        return Snapshot(
            state_out(before.state),
            frames_of(rows[rows["wire_s"].argsort(kind="stable")]),
            tuple(tuple(known.values()) for known in self.answers),
            tuple(before.commands.pcs_w.tolist()),
            tuple(before.commands.pcs_run.tolist()),
        )
