"""How a checked table becomes a frozen record: fields named as its keys, numbers as floats, lists as frozen arrays."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel

from ess_controller.core.cell_model import Curve
from firmware_bridge.records import Floats


class Frozen(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __init__(self, *values: Any, **named: Any) -> None: ...


Record = TypeVar("Record", bound=Frozen)


def record(kind: type[Record], table: BaseModel) -> Record:
    """The record whose fields are named as the keys of `table`: whole numbers as floats, pairs as curves."""
    values: dict[str, Any] = {field.name: _plain(getattr(table, field.name), field.type) for field in fields(kind)}
    return kind(**values)


def floats(kind: type[Record], table: BaseModel) -> Record:
    """The record of floats whose fields are named as the keys of `table`."""
    return kind(*(float(getattr(table, field.name)) for field in fields(kind)))


def _plain(value: object, kind: object) -> object:
    if isinstance(value, tuple):
        return curve(*zip(*value, strict=True))
    return float(value) if kind is float and isinstance(value, int) else value


def curve(x: Sequence[float], y: Sequence[float]) -> Curve:
    """Of a file's lists, x ascending."""
    return Curve(frozen(x), frozen(y))


def frozen(values: ArrayLike) -> Floats:
    """The numbers as an array that nobody can change."""
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array
