"""SunSpec models: which register of an inverter or meter means what, and what a "not implemented" one looks like.

The model tables are the JSON files inside the pysunspec2 package (Apache-2.0, SunSpec Alliance); only the files are
read, its client is never imported. Words are 16-bit registers, big end first. A value that the device does not
implement, or whose scale factor it does not, is NaN, never a number.
"""

import json
import struct
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import isfinite, isnan, nan
from typing import Any

EVENTS_KEPT = 100
MISSING_SCALE = 0x8000  # sunssf "not implemented"
Words = Sequence[int]


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a model."""

    name: str  # `WSet`, in a group `PFWInj.PF`, in a repeating group `Prt.1.DCV`
    kind: str  # SunSpec type: int16, enum16, acc32, string ...
    offset: int  # registers from the model's ID register
    size: int  # registers
    scale: str | int | None  # name of the scale factor point, or the power of ten itself
    writable: bool
    symbols: Mapping[int, str]  # enum value or bit number -> name


@dataclass(frozen=True, slots=True)
class Model:
    """One SunSpec model laid out flat, ID and L included."""

    id: int
    points: Mapping[str, Point]
    length: int  # what its L register says: registers after ID and L


@lru_cache(maxsize=64)
def load_model(model_id: int, repeats: int = 1) -> Model:
    """The model's table, its repeating groups laid out `repeats` times.

    Raises FileNotFoundError for a model that pysunspec2 does not ship.
    """
    source = files("sunspec2") / "models" / "json" / f"model_{model_id}.json"
    points: dict[str, Point] = {}
    end = _lay_out(json.loads(source.read_text("utf-8"))["group"], "", 0, repeats, points)
    return Model(model_id, points, end - 2)


def _lay_out(group: Mapping[str, Any], prefix: str, offset: int, repeats: int, points: dict[str, Point]) -> int:
    """Append the group's points at `offset`; returns where the next group begins."""
    for point in group.get("points", ()):
        scale = point.get("sf")
        points[prefix + point["name"]] = Point(
            prefix + point["name"],
            point["type"],
            offset,
            point["size"],
            prefix + scale if isinstance(scale, str) and prefix + scale in points else scale,
            point.get("access") == "RW",
            {symbol["value"]: symbol["name"] for symbol in point.get("symbols", ())},
        )
        offset += point["size"]
    for inner in group.get("groups", ()):
        if inner.get("count", 1) == 1:
            offset = _lay_out(inner, f"{prefix}{inner['name']}.", offset, repeats, points)
            continue
        for number in range(1, repeats + 1):
            offset = _lay_out(inner, f"{prefix}{inner['name']}.{number}.", offset, repeats, points)
    return offset


# --- one value <-> words ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kind:
    """How many registers an integer type takes, which number means "not implemented", and what can be said."""

    registers: int
    signed: bool
    missing: int  # as unsigned
    least: int
    most: int


def _kinds() -> dict[str, _Kind]:
    """SunSpec Device Information Model Specification, table of types; bit fields with the top bit set are void."""
    kinds = {}
    for registers, bits in ((1, 16), (2, 32), (4, 64)):
        top, full = 1 << (bits - 1), (1 << bits) - 1
        kinds[f"int{bits}"] = _Kind(registers, True, top, 1 - top, top - 1)
        kinds[f"uint{bits}"] = kinds[f"enum{bits}"] = _Kind(registers, False, full, 0, full - 1)
        kinds[f"acc{bits}"] = _Kind(registers, False, 0, 0, full)
        kinds[f"bitfield{bits}"] = _Kind(registers, False, full, 0, top - 1)
    kinds["count"] = kinds["uint16"]
    kinds["sunssf"] = _Kind(1, True, 0x8000, -10, 10)
    kinds["ipaddr"] = _Kind(2, False, 0, 0, 0xFFFFFFFF)
    return kinds


_KINDS = _kinds()
SCALES: dict[int, tuple[float, float]] = {  # register -> multiply by, divide by (x 0.1 would not round right)
    exponent & 0xFFFF: (10.0 ** max(exponent, 0), 10.0 ** max(-exponent, 0)) for exponent in range(-10, 11)
}
NO_SCALE: tuple[float, float] = (nan, 1)  # not implemented or outside -10..10: the value is unusable
_FLOATS = {"float32": ">2H", "float64": ">4H"}


def decode_number(kind: str, words: Words, at: int = 0) -> float:
    """The number at `words[at:]`, unscaled; NaN when not implemented or not a number type."""
    if kind in _FLOATS:
        packed = struct.pack(_FLOATS[kind], *words[at : at + (2 if kind == "float32" else 4)])
        value: float = struct.unpack(">f" if kind == "float32" else ">d", packed)[0]
        return value if isfinite(value) else nan
    if kind not in _KINDS:
        return nan
    how, raw = _KINDS[kind], 0
    for word in words[at : at + how.registers]:
        raw = raw << 16 | word
    if raw == how.missing:
        return nan
    if how.signed and raw >> (16 * how.registers - 1):
        raw -= 1 << (16 * how.registers)
    return float(raw) if how.least <= raw <= how.most else nan


def scaled(value: float, scale_word: int) -> float:
    """`value` x 10^scale; NaN when the scale factor register is not implemented or outside -10..10."""
    times, over = SCALES.get(scale_word, NO_SCALE)
    return value * times / over


def encode_number(kind: str, value: float, scale_word: int = 0) -> tuple[int, ...]:
    """Words of `value`; clipped to what the type can say, "not implemented" for NaN or an unusable scale factor."""
    if kind in _FLOATS:
        return struct.unpack(_FLOATS[kind], struct.pack(">f" if kind == "float32" else ">d", value))
    how = _KINDS[kind]
    times, over = SCALES.get(scale_word, NO_SCALE)
    plain = value * over / times
    raw = how.missing if isnan(plain) else round(min(max(plain, how.least), how.most))
    return tuple(raw >> shift & 0xFFFF for shift in range(16 * how.registers - 16, -1, -16))


def encode_text(text: str | None, size: int) -> tuple[int, ...]:
    """Words of a string point of `size` registers, cut or padded with NUL."""
    raw = (text or "").encode("ascii", "replace")[: 2 * size].ljust(2 * size, b"\0")
    return struct.unpack(f">{size}H", raw)


def missing_words(point: Point) -> tuple[int, ...]:
    """What a device that does not implement this point answers."""
    if point.kind in _KINDS or point.kind in _FLOATS:
        return encode_number(point.kind, nan)
    return (0x8000,) if point.kind == "pad" else (0,) * point.size


class Events:
    """What changed, in words; the same thing about the same topic is told once. Untaken, the newest stay."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._new: deque[str] = deque(maxlen=EVENTS_KEPT)

    def tell(self, topic: str, text: str) -> None:
        """Tell `text` unless it is what was last told about this topic; an empty text forgets the topic."""
        if self._told.get(topic, "") != text:
            self._told[topic] = text
            if text:
                self._new.append(text)

    def last(self, topic: str) -> str:
        """What was last told about this topic."""
        return self._told.get(topic, "")

    def take(self) -> list[str]:
        """All that is new since the last call."""
        new = list(self._new)
        self._new.clear()
        return new


def names_of_bits(bits: int, symbols: Mapping[int, str]) -> Iterable[str]:
    """Names of the bits set in a bit field; a bit without a name by its number."""
    return (symbols.get(bit, f"bit {bit}") for bit in range(bits.bit_length()) if bits >> bit & 1)
