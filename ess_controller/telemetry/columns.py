"""How a field of the table of points is written down: its name, unit, type, meaning, and where it comes from."""

from collections.abc import Callable, Mapping

import numpy as np

from ess_controller.telemetry.line_protocol import Column, Field
from ess_controller.telemetry.moment import Moment
from firmware_bridge.records import Floats, Ints

Getter = Callable[[Moment], Column]


def one(value: float) -> Floats:
    """[1] a value of the whole site."""
    return np.array([value], np.float64)


def total(values: Floats) -> Floats:
    """[1] the sum; NaN where there is nothing to sum or one is not known."""
    return one(float(values.sum()) if len(values) else np.nan)


def words(values: Ints, told: Mapping[int, str]) -> Column:
    """[row] numbers as words."""
    return [told.get(value, "unknown") for value in values.tolist()]


def number(name: str, unit: str, digits: int, says: str, get: Getter) -> Field[Moment]:
    """A float with so many digits."""
    return Field(name, unit, "float", says, get, digits)


def count(name: str, says: str, get: Getter) -> Field[Moment]:
    """A whole number."""
    return Field(name, "", "int", says, get)


def text(name: str, says: str, get: Getter) -> Field[Moment]:
    """Words."""
    return Field(name, "", "text", says, get)


def sop(of: str, says: str) -> tuple[Field[Moment], ...]:
    """State of power of each horizon, both ways; `of`: which bound of `sop.Sop`. Too dear for every second."""
    return tuple(
        Field(
            f"{way}_{name}_w",
            "W",
            "float",
            f"{says}, {name.replace('_', ' ')}",
            lambda m, at=at, way=way: getattr(getattr(m.sop[at], of), way),  # type: ignore[misc]
            in_bursts=False,
        )
        for at, name in enumerate(("10_s", "30_s", "continuous"))
        for way in ("charge", "discharge")
    )
