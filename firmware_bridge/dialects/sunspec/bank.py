"""A SunSpec device's registers: several models in one map, 'SunS' to end mark, read and written by a master."""

from collections.abc import Mapping, Sequence
from math import ceil, isnan, log10

from firmware_bridge.dialects.sunspec.model import (
    Model,
    Point,
    decode_number,
    encode_number,
    encode_text,
    missing_words,
    scaled,
)
from firmware_bridge.dialects.sunspec.scan import END, MARK


class SunSpecBank:
    """Holds the map; the device behind it `put`s values, a master reads and writes.

    One writes on a thread while another reads: a point changes in one step, so nobody sees half of one.
    """

    def __init__(self, models: Sequence[Model], base: int = 40000) -> None:
        self.answering = True
        self.base = base
        self._words: list[int] = list(MARK)
        self._places: dict[int, int] = {}  # model id -> index of its ID register in _words
        self._models = {model.id: model for model in models}
        self._writable: dict[int, tuple[int, Point]] = {}  # index in _words -> model id and point
        for model in models:
            start = self._places[model.id] = len(self._words)
            for point in model.points.values():
                self._words += missing_words(point)
                if point.writable:
                    for index in range(start + point.offset, start + point.offset + point.size):
                        self._writable[index] = (model.id, point)
            self._words[start : start + 2] = model.id, model.length
        self._words += (END, 0)

    def address(self, model_id: int, name: str = "ID") -> int:
        """The register where this point begins."""
        return self.base + self._places[model_id] + self._models[model_id].points[name].offset

    def put(self, model_id: int, values: Mapping[str, float | str | None]) -> None:
        """Set points by name, in SI, one by one: a scale factor counts for what follows it; NaN = not implemented."""
        start, points = self._places[model_id], self._models[model_id].points
        for name, value in values.items():
            point = points[name]
            if value is None or isinstance(value, str):
                words = encode_text(value, point.size)
            else:
                words = encode_number(point.kind, value, self._scale_word(model_id, point))
            at = start + point.offset
            self._words[at : at + point.size] = words

    def get(self, model_id: int, name: str) -> float:
        """A point's number in SI; NaN where not implemented."""
        point = self._models[model_id].points[name]
        value = decode_number(point.kind, self._words, self._places[model_id] + point.offset)
        return scaled(value, self._scale_word(model_id, point))

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        """`count` registers from `address`; None where the map has none."""
        at = address - self.base
        if at < 0 or count < 1 or at + count > len(self._words):
            return None
        return tuple(self._words[at : at + count])

    def write(self, address: int, words: Sequence[int]) -> bool:
        """Set registers; all or nothing. False where any is read-only, half of a point, or no such choice."""
        at = address - self.base
        changed: list[tuple[int, Point]] = []
        index = at
        while index < at + len(words):
            model_id, point = self._writable.get(index, (0, None))
            if point is None or index != self._places[model_id] + point.offset:
                return False
            part = words[index - at : index - at + point.size]
            if len(part) < point.size or not _acceptable(point, part):
                return False
            changed.append((model_id, point))
            index += point.size
        if not changed:
            return False
        self._words[at : at + len(words)] = words
        for model_id, point in changed:
            self.written(model_id, point.name)
        return True

    def written(self, model_id: int, name: str) -> None:
        """Called after a master has written this point; a device with timers acts here."""

    def _scale_word(self, model_id: int, point: Point) -> int:
        if point.scale is None:
            return 0
        if isinstance(point.scale, int):
            return point.scale & 0xFFFF
        return self._words[self._places[model_id] + self._models[model_id].points[point.scale].offset]


def _acceptable(point: Point, words: Sequence[int]) -> bool:
    """Whether a device takes this value: an enum must be one of its choices, nothing may be "not implemented"."""
    value = decode_number(point.kind, words)
    if isnan(value):
        return False
    return not point.kind.startswith("enum") or int(value) in point.symbols


def scale_for(value: float, most: int) -> int:
    """The finest power of ten, not below one, with which `value` still fits in `most`; 0 for NaN, which is not told."""
    return max(0, ceil(log10(value / most))) if value > most else 0
