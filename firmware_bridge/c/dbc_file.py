"""Reads the DBC files of this project back: what the C codec says is what the file says, not what a program meant."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from firmware_bridge.dbc.model import Message, Signal

_MESSAGE = re.compile(r"BO_ (\d+) (\w+): (\d+) (\w+)$")
_SIGNAL = re.compile(r' SG_ (\w+) : (\d+)\|(\d+)@1\+ \(([^,]+),([^)]+)\) \[[^\]]*\] "([^"]*)" (\w+)$')
_COMMENT = re.compile(r'CM_ BO_ (\d+) "([^"]*)";$')
_TITLE = re.compile(r'CM_ "([^"]*)";$')
_ATTRIBUTE = re.compile(r'BA_ "(\w+)" BO_ (\d+) (\d+);$')
_VALUES = re.compile(r"VAL_ (\d+) (\w+) (.*) ;$")
_VALUE = re.compile(r'(\d+) "([^"]*)"')
# what says nothing about a frame: versions, sections, and the declarations of the two attributes
_SKIPPED = ("VERSION ", "NS_", "BS_", "BA_DEF_ ", "BA_DEF_DEF_ ")


@dataclass(frozen=True, slots=True)
class DbcFile:
    """A DBC file as read: all its messages, in the order of the file."""

    title: str
    nodes: tuple[str, ...]
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class _Lines:
    """What the lines of each kind say; frames by id, signals by id and name."""

    title: str
    nodes: tuple[str, ...]
    heads: dict[int, tuple[str, int, str]]  # name, length, sender
    signals: dict[int, list[tuple[Signal, str]]]  # with the receiver
    comments: dict[int, str]
    attributes: dict[tuple[str, int], int]
    values: dict[tuple[int, str], dict[int, str]]


def read_dbc(text: str) -> DbcFile:
    """Messages of a DBC file that uses what ours use: little-endian unsigned signals, no multiplexing.

    ValueError, with line and text, for anything else: a line passed over would be a signal that the C codec lacks.
    """
    lines = _read(text)
    return DbcFile(lines.title, lines.nodes, tuple(_messages(lines)))


def _messages(lines: _Lines) -> Iterator[Message]:
    for can_id, (name, length, sender) in lines.heads.items():
        signals = lines.signals[can_id]
        yield Message(
            can_id,
            name,
            sender,
            signals[0][1],
            [_valued(signal, lines.values.get((can_id, signal.name), {})) for signal, _ in signals],
            lines.attributes.get(("GenMsgCycleTime", can_id), 0) / 1000.0,
            lines.comments.get(can_id, ""),
            ours=lines.attributes.get(("Origin", can_id), 0) == 1,
            length=length,
        )


def _valued(signal: Signal, values: dict[int, str]) -> Signal:
    return Signal(signal.name, signal.start, signal.bits, signal.unit, signal.scale, signal.offset, values)


def _read(text: str) -> _Lines:
    read = _Lines("", (), {}, defaultdict(list), {}, {}, {})
    title, current = "", -1
    nodes: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith(_SKIPPED):
            continue
        if line.startswith("BU_:"):
            nodes = tuple(line.split()[1:])
        elif found := _TITLE.match(line):
            title = found[1]
        elif found := _MESSAGE.match(line):
            current = int(found[1])
            read.heads[current] = (found[2], int(found[3]), found[4])
        elif not _read_detail(line, current, read):
            raise ValueError(f"line {number}: {line!r} is none of the DBC lines known here")
    return _Lines(title, nodes, read.heads, read.signals, read.comments, read.attributes, read.values)


def _read_detail(line: str, current: int, into: _Lines) -> bool:
    if found := _SIGNAL.match(line):
        name, start, bits, scale, offset, unit, receiver = found.groups()
        signal = Signal(name, int(start), int(bits), unit, float(scale), float(offset))
        into.signals[current].append((signal, receiver))
    elif found := _COMMENT.match(line):
        into.comments[int(found[1])] = found[2]
    elif found := _ATTRIBUTE.match(line):
        into.attributes[found[1], int(found[2])] = int(found[3])
    elif found := _VALUES.match(line):
        values = {int(value): words for value, words in _VALUE.findall(found[3])}
        into.values[int(found[1]), found[2]] = values
    else:
        return False
    return True
