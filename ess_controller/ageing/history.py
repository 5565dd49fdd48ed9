"""The record of how a module has aged: one day of it, and all its days as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np

from firmware_bridge.records import Bools, Floats


@dataclass(frozen=True, slots=True, eq=False)
class ModuleDay:
    """One module on one day of plant time. Totals count since the module's first day here, so that a day that is left
    out loses nothing. NaN: not known."""

    code: str
    day: date
    string: str
    nameplate_ah: float
    new_r10_ohm: float  # 10-s resistance of a new cell of this size at 25 C, half full
    seconds: float  # of plant time seen that day
    mean_c: float
    mean_soc: float
    throughput_ah: float  # total, both directions
    capacity_ah: Floats  # [cell] as believed last
    capacity_sd_ah: Floats  # [cell]
    r10_ohm: Floats  # [cell] 10-s resistance at 25 C, half full
    r10_sd_ohm: Floats  # [cell]
    bled_ah: Floats  # [cell] total burnt by balancing
    rest_s: float  # second of the day (plant time) of the last rest; NaN: there was none, as below
    rest_soc: Floats  # [cell] at that rest
    rest_soc_sd: Floats  # [cell]
    rest_bled_ah: Floats  # [cell] bled_ah then

    def plain(self) -> dict[str, Any]:
        """For a file: lists for arrays, null for NaN; without code and day, which are its key."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)[2:]}

    @classmethod
    def of(cls, code: str, day: date, plain: dict[str, Any]) -> "ModuleDay":
        """From `plain`. Raises KeyError, TypeError or ValueError for what it has not written."""
        values = {field.name: _value(plain[field.name]) for field in fields(cls)[2:]}
        cells = {len(value) for value in values.values() if isinstance(value, np.ndarray)}
        if len(cells) != 1 or not isinstance(values["string"], str):
            raise ValueError(f"{code}, {day}: expected numbers for each cell")
        return cls(code, day, **values)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value.tolist()]
    return None if np.isnan(value) else float(f"{value:.7g}")


def _value(plain: Any) -> Any:
    if isinstance(plain, str):
        return plain
    if isinstance(plain, list):
        return np.array([np.nan if each is None else float(each) for each in plain])
    return np.nan if plain is None else float(plain)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """All days of one module, in order."""

    code: str
    string: str  # where it sits now
    nameplate_ah: float
    new_r10_ohm: float
    day: Floats  # [day] number of the day (date.toordinal)
    mean_c: Floats  # [day]
    mean_soc: Floats  # [day]
    throughput_ah: Floats  # [day] total
    soh: Floats  # [day, cell] capacity over nameplate
    soh_sd: Floats  # [day, cell]
    r10_ohm: Floats  # [day, cell]
    r10_sd_ohm: Floats  # [day, cell]
    bled_ah: Floats  # [day, cell] total
    rest_day: Floats  # [day] time of its rest, in days, as `day`
    rest_soc: Floats  # [day, cell]
    rest_bled_ah: Floats  # [day, cell]
    strings: tuple[str, ...]  # [day] where it sat then

    @classmethod
    def of(cls, days: Sequence[ModuleDay]) -> "History":
        """Of a module's days, at least one. Days with another number of cells than the last are another module's."""
        last = max(days, key=lambda each: each.day)
        days = sorted(
            (each for each in days if len(each.capacity_ah) == len(last.capacity_ah)), key=lambda each: each.day
        )
        number = np.array([float(each.day.toordinal()) for each in days])
        return cls(
            code=last.code,
            string=last.string,
            nameplate_ah=last.nameplate_ah,
            new_r10_ohm=last.new_r10_ohm,
            day=number,
            mean_c=np.array([each.mean_c for each in days]),
            mean_soc=np.array([each.mean_soc for each in days]),
            throughput_ah=np.array([each.throughput_ah for each in days]),
            soh=np.array([each.capacity_ah for each in days]) / last.nameplate_ah,
            soh_sd=np.array([each.capacity_sd_ah for each in days]) / last.nameplate_ah,
            r10_ohm=np.array([each.r10_ohm for each in days]),
            r10_sd_ohm=np.array([each.r10_sd_ohm for each in days]),
            bled_ah=np.array([each.bled_ah for each in days]),
            rest_day=number + np.array([each.rest_s for each in days]) / 86_400.0,
            rest_soc=np.array([each.rest_soc for each in days]),
            rest_bled_ah=np.array([each.rest_bled_ah for each in days]),
            strings=tuple(each.string for each in days),
        )

    @property
    def cells(self) -> int:
        """How many cell groups it has."""
        return int(self.soh.shape[1])

    def until(self, day: float) -> "History":
        """The days up to and with `day`, at least one."""
        return self._some(self.day <= day)

    def since(self, day: float) -> "History":
        """The days from `day` on, at least one."""
        return self._some(self.day >= day)

    def _some(self, wanted: Bools) -> "History":
        by_day = ("code", "string", "nameplate_ah", "new_r10_ohm", "strings")
        kept = {field.name: getattr(self, field.name)[wanted] for field in fields(self) if field.name not in by_day}
        strings = tuple(name for name, keep in zip(self.strings, wanted, strict=True) if keep)
        return History(self.code, self.string, self.nameplate_ah, self.new_r10_ohm, strings=strings, **kept)
