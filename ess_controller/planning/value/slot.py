"""The plan as bytes: how the planner hands its value function to the daemon, whole or not at all.

plan.bin in the daemon's home: the line MAGIC, the SHA-256 of the rest in hex and a newline, one JSON line (what stands
in `SitePlan`, and name and shape of each array), then the arrays, little-endian float64, one after the other.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from math import isnan, prod
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.core.value import Store, Value
from ess_controller.kept import whole_file
from firmware_bridge.records import Floats

FILE = "plan.bin"
MAGIC = b"ESS plan 1\n"
EVERY_S = 1800.0  # of plant time: a new one so often
OLDEST = timedelta(hours=2)
LEAST_HISTORY_DAYS = 1.0  # a plan that has seen less of the site knows it worse than a rule
LARGEST = 64_000_000  # bytes
LONGEST_BLOCK_H = 24.0
FAR_H = 24.0 * 366.0 * 1000.0  # from 1970: no calendar goes further
_STORE = tuple(field.name for field in fields(Store) if field.name != "energy_wh")
_WORDS = ("foreseen", "roof", "ahead_s")  # of a plan, that stand in its file where there is something to say
_ARRAYS = ("buy_cny_per_wh", "sell_cny_per_wh", "states_w", "peak_w", "after_cny")


@dataclass(frozen=True, slots=True, eq=False)
class SitePlan:
    """What the planner found."""

    site: str
    made: datetime  # plant time of day
    value: Value  # its stages are billing blocks, numbered from 1970 by the meter's clock
    history_days: float  # of load and sun that it has learnt from
    capacity_test: dict[str, Any] | None = None  # the planner's proposal, as status shows it; nobody acts on it
    foreseen: bool = False  # what the owner expects of the load and a place says of the sun stands in for history
    roof: str = ""  # how much more or less it gives than it did, in words; empty: as much
    ahead_s: float = 0.0  # the meter's clock less ours

    @property
    def block_s(self) -> float:
        """Length of its stages."""
        return self.value.hours * 3600.0

    @property
    def until(self) -> datetime:
        """End of what it covers."""
        return self.begin_of(self.value.stages)

    def begin_of(self, stage: int) -> datetime:
        """When that stage begins, by our clock."""
        return datetime.fromtimestamp((self.value.origin + stage) * self.block_s - self.ahead_s, self.made.tzinfo)

    def stage_at(self, utc: datetime) -> int:
        """Number of the stage that a moment lies in; below 0 before the first."""
        return int((utc.timestamp() + self.ahead_s) // self.block_s) - self.value.origin

    def why_not(self, utc: datetime) -> str:
        """Why it is not to be followed now; empty: it is."""
        if unfit := why_unfit(self.made, self.history_days, utc, foreseen=self.foreseen):
            return unfit
        return "" if 0 <= self.stage_at(utc) < self.value.stages else "the plan does not cover this hour"


def why_unfit(made: datetime, history_days: float, utc: datetime, *, foreseen: bool) -> str:
    """Why a plan made then from so many days is not to be followed now; empty: nothing speaks against it."""
    if history_days < LEAST_HISTORY_DAYS and not foreseen:
        return f"the plan has seen {history_days:.1f} days of the site"
    age = utc - made
    return f"the plan is {age.total_seconds() / 3600.0:.1f} h old" if age > OLDEST else ""


def packed(plan: SitePlan) -> bytes:
    """The file's content."""
    value = plan.value
    arrays = {"energy_wh": value.store.energy_wh} | {name: getattr(value, name) for name in _ARRAYS}
    head = {
        "site": plan.site,
        "made": plan.made.isoformat(),
        "history_days": plan.history_days,
        "capacity_test": plan.capacity_test,
        **{name: told for name in _WORDS if (told := getattr(plan, name))},
        "origin": value.origin,
        "hours": value.hours,
        "store": {name: getattr(value.store, name) for name in _STORE},
        "arrays": [[name, list(array.shape)] for name, array in arrays.items()],
    }
    body = json.dumps(head).encode() + b"\n" + b"".join(array.astype("<f8").tobytes() for array in arrays.values())
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def opened(data: bytes, site: str) -> SitePlan:
    """The plan of a file's content. ValueError for anything that `packed` has not made, or made for another site."""
    if not data.startswith(MAGIC):
        raise ValueError("it is no plan, or one of another version")
    told, _, body = data[len(MAGIC) :].partition(b"\n")
    if told != hashlib.sha256(body).hexdigest().encode():
        raise ValueError("the checksum does not fit")
    try:
        return _of_body(body, site)
    except (LookupError, AttributeError, TypeError, ArithmeticError, RecursionError) as trouble:
        raise ValueError(f"it is written otherwise than this program reads it: {trouble!r}") from None


def _of_body(body: bytes, site: str) -> SitePlan:
    """What stands below the checksum. Raises whatever Python says of what is not there, or is something else."""
    line, _, numbers = body.partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    if head["site"] != site:
        raise ValueError(f"it is a plan of {head['site']}")
    arrays, at = {}, 0
    for name, shape in head["arrays"]:
        count = prod(shape)
        arrays[name] = np.frombuffer(numbers, "<f8", count, at).reshape(shape)
        at += 8 * count
    of_store: dict[str, Any] = {
        name: tuple(told) if isinstance(told, list) else told for name, told in head["store"].items()
    }
    store = Store(energy_wh=arrays.pop("energy_wh"), **of_store)
    value = Value(origin=head["origin"], store=store, hours=head["hours"], **arrays)
    words = {name: head[name] for name in _WORDS if name in head}
    made, test = datetime.fromisoformat(head["made"]), head.get("capacity_test")
    plan = SitePlan(site, made, value, head["history_days"], test, **words)
    _check_numbers(plan)
    _check_shapes(value)
    if made.tzinfo is None or not isinstance(plan.capacity_test, dict | None) or not isinstance(plan.roof, str):
        raise ValueError("it is written otherwise than this program reads it")
    return plan


def _check_numbers(plan: SitePlan) -> None:
    """A plan in which something is not a number steers nobody: the beat that asks it must not fail."""
    value = plan.value
    every: tuple[Floats, ...] = (value.store.energy_wh, *(getattr(value, name) for name in _ARRAYS))
    of_store = (getattr(value.store, name) for name in _STORE)
    told = [each for told in of_store for each in (told if isinstance(told, tuple) else (told,))]
    of_plan = plan.history_days, plan.ahead_s
    known = all(isinstance(each, int | float) and not isnan(each) for each in (*of_plan, value.hours, *told))
    if not known or not isinstance(value.origin, int) or not all(np.isfinite(array).all() for array in every):
        raise ValueError("some of its numbers are none")
    if not (0.0 < value.hours <= LONGEST_BLOCK_H and abs(value.origin * value.hours) + abs(plan.ahead_s) < FAR_H):
        raise ValueError(f"its blocks of {value.hours} h from number {value.origin} on are no time of day")


def _check_shapes(value: Value) -> None:
    """All arrays are of the same stages, states, levels and peaks."""
    stages, levels = len(value.buy_cny_per_wh), len(value.store.energy_wh)
    states, peaks = (array.shape[-1] for array in (value.states_w, value.peak_w))
    shapes = ((stages,), (stages,), (stages, states), (stages, peaks), (stages, states, levels, peaks))
    by_level = (len(value.store.charge_by_level), len(value.store.discharge_by_level))
    if tuple(getattr(value, name).shape for name in _ARRAYS) != shapes or not set(by_level) <= {0, levels}:
        raise ValueError("its tables do not fit together")
    if min(stages, states) < 1 or min(levels, peaks) < 2:
        raise ValueError("its tables are empty")


def write(path: Path, plan: SitePlan) -> None:
    """Put it in its place in one piece. Raises OSError."""
    whole_file.put(path, packed(plan))


def read(path: Path, site: str) -> SitePlan:
    """Raises OSError and ValueError."""
    with path.open("rb") as file:
        return opened(file.read(LARGEST), site)
