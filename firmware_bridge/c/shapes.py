"""The sixteen-fold DBC of the module bus, folded to what firmware needs: messages by base id, payloads by content."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from firmware_bridge.dbc.model import Message, Signal

SLOTS = 16
PHEV = "_phev"  # ends the name of a payload that the large layout has otherwise
NOT_AVAILABLE = "not available"
_TRAILER = ("Counter", "Crc")
_NUMBERED = re.compile(r"([A-Za-z]+?)(\d+)([A-Za-z]*)$")
_SUFFIX = {("V", 0.001, 0.0): "_mv", ("s", 1.0, 0.0): "_s", ("", 1.0, 0.0): "", ("degC", 1.0, -40.0): "_code"}
"""What the name of a field says of its step, by unit, scale and offset of the signal."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a payload, or several alike in an array; raw as on the wire."""

    stem: str  # "cell_voltage"
    suffix: str  # "_mv", "_s", "_code" or nothing
    bits: int
    starts: tuple[int, ...]  # first bit of each
    unit: str
    offset: int  # real value = raw + offset, in steps of the suffix
    not_available: int | None

    @property
    def name(self) -> str:
        """As the struct's member is called."""
        return self.stem + self.suffix

    @property
    def bits_of_type(self) -> int:
        """How wide its C type is; 1 is bool."""
        return next(width for width in (1, 8, 16, 32) if self.bits <= width)


@dataclass(frozen=True, slots=True)
class Payload:
    """The content of one kind of frame: one C struct, one pack, one unpack."""

    name: str  # "cells"
    fields: tuple[Field, ...]
    from_module: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """One message of a layout: `base` is its id in slot 0."""

    name: str  # "cells04"
    base: int
    payload: str
    first_cell: int  # 1.. for cell frames, else 0
    cycle_ms: int
    from_module: bool
    ours: bool
    comment: str


@dataclass(frozen=True, slots=True)
class Bus:
    """Both layouts, folded: by name of message, and the payloads they share."""

    small: dict[str, Shape]
    large: dict[str, Shape]
    payloads: tuple[Payload, ...]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """All messages, those of the small layout first."""
        return (*self.small.values(), *self.large.values())

    @property
    def names(self) -> tuple[str, ...]:
        """All messages, those that share a payload side by side."""
        layouts = [self.small, self.large]
        order = {
            shape.name: (_first_base(shape.payload.removesuffix(PHEV), layouts), shape.base) for shape in self.shapes
        }
        return tuple(sorted(order, key=order.__getitem__))


def folded(small: Sequence[Message], large: Sequence[Message]) -> Bus:
    """ValueError where a slot differs from slot 0 or a trailer sits elsewhere: one codec would not fit all."""
    payloads: dict[str, Payload] = {}
    layouts = [_layout(messages, tag, payloads) for messages, tag in ((small, ""), (large, PHEV))]
    in_order = sorted(payloads, key=lambda name: _first_base(name, layouts))
    return Bus(layouts[0], layouts[1], tuple(payloads[name] for name in in_order))


def _first_base(payload: str, layouts: Sequence[dict[str, Shape]]) -> int:
    return min(shape.base for layout in layouts for shape in layout.values() if shape.payload == payload)


def trailer(messages: Sequence[Message]) -> tuple[int, int]:
    """First bits of counter and CRC, the same in every frame."""
    places = {tuple((s.start, s.bits) for s in message.signals if s.name in _TRAILER) for message in messages}
    if len(places) != 1:
        raise ValueError(f"counter and CRC are not at one place in all frames: {sorted(places)}")
    (counter, counter_bits), (crc, crc_bits) = next(iter(places))
    if (counter_bits, crc_bits) != (4, 8) or counter % 8 != 4 or crc % 8:
        raise ValueError(f"counter at bit {counter}, CRC at bit {crc}: expected a high nibble and a whole byte")
    return counter, crc


def _layout(messages: Sequence[Message], tag: str, payloads: dict[str, Payload]) -> dict[str, Shape]:
    first = [message for message in messages if message.name.startswith("M00_")]
    for slot in range(SLOTS):
        moved = [replace(m, can_id=m.can_id + slot, name=f"M{slot:02d}_{m.name[4:]}") for m in first]
        if [m for m in messages if m.name.startswith(f"M{slot:02d}_")] != moved:
            raise ValueError(f"the frames of slot {slot} are not those of slot 0 at ids {slot} higher")
    return {shape.name: shape for shape in (_shape(message, tag, payloads) for message in first)}


def _shape(message: Message, tag: str, payloads: dict[str, Payload]) -> Shape:
    plain = message.name[4:]
    name = _snake(plain)
    numbered = re.fullmatch(r"([a-z_]+?)(\d+)", name)
    payload = _payload(numbered[1] if numbered else name, message)
    known = payloads.setdefault(payload.name, payload)
    if not _fits(payload, known):
        payload = replace(payload, name=payload.name + tag)
        known = payloads.setdefault(payload.name, payload)
        if not _fits(payload, known):
            raise ValueError(f"{message.name}: a third layout of one message")
    return Shape(
        name,
        message.can_id,
        payload.name,
        int(numbered[2]) if numbered else 0,
        round(message.cycle_s * 1000),
        payload.from_module,
        message.ours,
        message.comment,
    )


def _fits(payload: Payload, known: Payload) -> bool:
    """Whether the fields are those known, or the first of each array (a last frame with fewer cells)."""
    if len(payload.fields) != len(known.fields):
        return False
    cut = [
        replace(all_of, starts=all_of.starts[: len(field.starts)])
        for field, all_of in zip(payload.fields, known.fields, strict=True)
    ]
    return tuple(cut) == payload.fields


def _payload(name: str, message: Message) -> Payload:
    fields: dict[str, Field] = {}
    for signal in message.signals:
        if signal.name in _TRAILER:
            continue
        field = _field(signal)
        before = fields.get(field.name)
        fields[field.name] = replace(before, starts=before.starts + field.starts) if before else field
    return Payload(name, tuple(fields.values()), message.sender == "Module")


def _field(signal: Signal) -> Field:
    found = _NUMBERED.fullmatch(signal.name)
    step = (signal.unit, signal.scale, signal.offset)
    if step not in _SUFFIX:
        raise ValueError(f"{signal.name}: no integer unit is known for unit, scale and offset {step}")
    missing = [value for value, words in signal.values.items() if words == NOT_AVAILABLE]
    return Field(
        _snake(found[1] + found[3] if found else signal.name),
        _SUFFIX[step],
        signal.bits,
        (signal.start,),
        signal.unit,
        round(signal.offset / signal.scale),
        missing[0] if missing else None,
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
