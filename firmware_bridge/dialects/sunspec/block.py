"""A run of SunSpec registers that is read in one go, and how its words become numbers."""

from collections.abc import Callable, Mapping, Sequence
from math import nan

from firmware_bridge.dialects.sunspec.model import (
    MISSING_SCALE,
    NO_SCALE,
    SCALES,
    Model,
    Point,
    Words,
    decode_number,
    load_model,
)

_EXPONENT = {exponent & 0xFFFF: float(exponent) for exponent in range(-10, 11)}  # register -> power of ten


class Block:
    """The run of registers that holds some points of a model: what to read, and how to take the numbers out."""

    def __init__(self, model_id: int, names: Sequence[str], *, header: bool = False, scale: bool = True) -> None:
        """`header` begins the run at ID and L, to notice a changed map; `scale=False` leaves numbers unscaled."""
        model = load_model(model_id)
        points = [model.points[name] for name in names]
        self.first = 0 if header else min(point.offset for point in points)
        self.count = max(point.offset + point.size for point in points) - self.first
        if self.count > 125:
            raise ValueError(f"model {model_id}: {self.count} registers do not fit one Modbus read (125)")
        self._empty = (nan,) * len(points)
        self._columns = tuple(
            (_fetcher(point.kind), point.offset - self.first, *self._scale_of(model, point, scale)) for point in points
        )

    def _scale_of(self, model: Model, point: Point, scale: bool) -> tuple[int | None, str]:
        """Where the scale factor is in this run (None: not scaled), or by which name the caller hands it in (-1)."""
        if not scale or point.scale is None:
            return None, ""
        if isinstance(point.scale, int):
            raise ValueError(f"model {model.id}: fixed scale factor of {point.name}")
        place = model.points[point.scale].offset - self.first
        return (place, "") if 0 <= place < self.count else (-1, point.scale)

    def decode(self, words: Words, scales: Mapping[str, int]) -> tuple[float, ...]:
        """The numbers in the order of the names; all NaN for an answer of the wrong length.

        `scales` has the registers of scale factors that lie outside this run; one that is not there is unusable.
        """
        if len(words) != self.count:
            return self._empty
        numbers = []
        for fetch, at, scale_at, scale_name in self._columns:
            value = fetch(words, at)
            if scale_at is not None:
                word = words[scale_at] if scale_at >= 0 else scales.get(scale_name, MISSING_SCALE)
                times, over = SCALES.get(word, NO_SCALE)
                value = value * times / over
            numbers.append(value)
        return tuple(numbers)


def _fetcher(kind: str) -> Callable[[Words, int], float]:
    """`decode_number` for one type; the common ones without its detours."""
    return _FETCHERS.get(kind, lambda words, at: decode_number(kind, words, at))


def _int16(words: Words, at: int) -> float:
    word = words[at]
    return nan if word == 0x8000 else float(word - 0x10000 if word > 0x8000 else word)


def _uint16(words: Words, at: int) -> float:
    word = words[at]
    return nan if word == 0xFFFF else float(word)


def _int32(words: Words, at: int) -> float:
    word = words[at] << 16 | words[at + 1]
    return nan if word == 0x80000000 else float(word - 0x100000000 if word > 0x80000000 else word)


def _uint32(words: Words, at: int) -> float:
    word = words[at] << 16 | words[at + 1]
    return nan if word == 0xFFFFFFFF else float(word)


def _bitfield32(words: Words, at: int) -> float:
    word = words[at] << 16 | words[at + 1]
    return nan if word > 0x7FFFFFFF else float(word)


def _sunssf(words: Words, at: int) -> float:
    return _EXPONENT.get(words[at], nan)


_FETCHERS = {
    "int16": _int16,
    "uint16": _uint16,
    "enum16": _uint16,
    "int32": _int32,
    "uint32": _uint32,
    "bitfield32": _bitfield32,
    "sunssf": _sunssf,
}
