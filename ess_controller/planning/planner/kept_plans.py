"""Plans kept with all that they were made from: plans.sqlite in the daemon's home, so that each can be made again.

A row is a plan: when it was made, what was read from the meter book for it, the batteries, the month's peak, digests of
the tariff and of the program, and the digest of the plan's bytes. The first plan of a day has read the site's history
(some 8 000 blocks, a few hundred kB); those after it, the last day. With the first goes the clear sky that it knew, or
that it knew none: that is reckoned in a process of its own, which a loaded machine may fail. Kept are the youngest
KEEP_DAYS that have plans, so that a clock gone astray costs days and not the file, and no more than LARGEST_MB of them;
the oldest days go first. Bytes of plans themselves (2 MB each) are not kept: they follow
from the rest.
"""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.kept.sqlite_file import connected, is_broken, put_aside
from ess_controller.planning.forecasts.clear_sky import ClearSky
from ess_controller.planning.forecasts.weather import Weather
from ess_controller.planning.given.problem import Battery
from ess_controller.planning.given.wear import Wear
from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner.site_planner import SitePlanner
from ess_controller.planning.value.backward_pass import backward
from ess_controller.planning.value.slot import SitePlan, packed
from ess_controller.site import Site
from firmware_bridge.records import Floats

FILE = "plans.sqlite"
KEEP_DAYS, LARGEST_MB = 100, 64.0
ROOMS = ("given", "meter", "forecasts", "value", "planner")
_TOLD_IF_ANY = ("later",)  # of a tariff: plans that were kept before there was such a thing are as they were
_DATE = len("2026-01-01")  # at the begin of a key
_TABLE = """
CREATE TABLE IF NOT EXISTS plan (made TEXT PRIMARY KEY, begins INTEGER NOT NULL, block_count INTEGER NOT NULL,
    given TEXT NOT NULL, blocks BLOB NOT NULL);
"""
_FIELDS = tuple(field.name for field in fields(Block))
_FIELDS_FIRST = 9  # that a block had before `given` told how many: those after them are unknown


class Heard:
    """A meter book that remembers what was read from it."""

    def __init__(self, book: Callable[[int, int], list[Block]]) -> None:
        self._book = book
        self.blocks: list[Block] = []

    def __call__(self, first: int, end: int) -> list[Block]:
        """The blocks first..end-1 that are kept."""
        self.blocks = self._book(first, end)
        return self.blocks


@dataclass(frozen=True, slots=True)
class Kept:
    """A plan's inputs, and the digest of what was made from them."""

    made: datetime
    begins: bool  # the planner knew nothing from a plan before it
    blocks: tuple[Block, ...]
    groups: tuple[Battery, ...]
    weather: Weather | None  # what was forecast; kept where the planner began anew, as it does with each newer word
    month_peak_w: float
    history_days: float
    site_digest: str  # tariff, contract, billing block, time zone, expected load
    program_digest: str
    version: str
    plan_digest: str
    capacity_test: dict[str, Any] | None = None  # the planner's proposal of that day, as JSON
    clear_sky: ClearSky | None = None  # that it knew; kept where the planner began anew
    foreseen: bool = False  # as in `SitePlan`
    clear_sky_kept: bool = False  # whether that it knew none is told by it; not by programs before 2026-11-29

    def book(self, first: int, end: int) -> list[Block]:
        """As the meter book answered then."""
        return [block for block in self.blocks if first <= block.number < end]


def kept_of(
    site: Site, plan: SitePlan, heard: Heard, groups: tuple[Battery, ...], month_peak_w: float, planner: SitePlanner
) -> Kept:
    """What is to be kept of the plan that `planner` just made."""
    return Kept(
        plan.made,
        planner.begun,
        tuple(heard.blocks),
        groups,
        planner.weather if planner.begun else None,
        month_peak_w,
        plan.history_days,
        site_digest(site),
        program_digest(),
        version("ess-controller"),
        plan_digest(plan),
        foreseen=plan.foreseen,
        clear_sky=planner.clear_sky if planner.begun else None,
        clear_sky_kept=planner.begun,
    )


class KeptPlans:
    """An open plans.sqlite. Raises sqlite3.Error."""

    def __init__(self, path: Path, *, make: bool) -> None:
        self._db = connected(path, "rwc" if make else "ro")
        try:
            if make:
                self._db.executescript(_TABLE)
        except BaseException:
            self._db.close()
            raise

    def put(self, kept: Kept, largest_mb: float = LARGEST_MB) -> None:
        """Keep it, and let go of the oldest days that are too many."""
        given = {name: getattr(kept, name) for name in _GIVEN} | {"groups": [asdict(each) for each in kept.groups]}
        given["weather"] = None if kept.weather is None else kept.weather.row
        given |= {"clear_sky_kept": kept.clear_sky_kept, "block_fields": len(_FIELDS)}
        columns = np.array([block.row for block in kept.blocks], np.float64).reshape(-1, len(_FIELDS)).T
        numbers = columns.tobytes() + _sky_rows(kept.clear_sky).tobytes()
        row = (_key(kept.made), int(kept.begins), len(kept.blocks), json.dumps(given), zlib.compress(numbers))
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO plan VALUES (?, ?, ?, ?, ?)", row)
            self._trim(largest_mb)

    def at(self, utc: datetime) -> list[Kept]:
        """The plan in force then, last, after those before it back to where the planner began anew; else nothing."""
        last = self._db.execute("SELECT max(made) FROM plan WHERE made <= ?", (_key(utc),)).fetchone()[0]
        query = "SELECT max(made) FROM plan WHERE made <= ? AND begins"
        first = None if last is None else self._db.execute(query, (last,)).fetchone()[0]
        if first is None:
            return []
        rows = self._db.execute("SELECT * FROM plan WHERE made BETWEEN ? AND ? ORDER BY made", (first, last))
        return [_kept(*row) for row in rows]

    def last(self, utc: datetime) -> dict[str, Any] | None:
        """What is told of the newest plan made by then: `made` and what no plan is made from; None: there is none."""
        query = "SELECT made, given FROM plan WHERE made <= ? ORDER BY made DESC LIMIT 1"
        row = self._db.execute(query, (_key(utc),)).fetchone()
        if row is None:
            return None
        told: dict[str, Any] = json.loads(row[1])
        return {name: told.get(name) for name in _GIVEN} | {"made": datetime.fromisoformat(row[0])}

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _trim(self, largest_mb: float) -> None:
        """Whole days go: what follows a first plan is of no use without it."""
        sizes = self._db.execute("SELECT made, begins, length(blocks) + length(given) FROM plan ORDER BY made DESC")
        oldest, total, days = "", 0.0, set[str]()
        for made, begins, size in sizes:
            total += size / 1e6
            days.add(made[:_DATE])
            if total > largest_mb or len(days) > KEEP_DAYS:
                break
            oldest = made if begins or not oldest else oldest
        self._db.execute("DELETE FROM plan WHERE made < ?", (oldest,))


def keep(path: Path, kept: Kept) -> str:
    """Put it there; what is to be told, empty: nothing. A file that is broken is put aside and a new one begun.

    Raises sqlite3.Error where the disk does not take it.
    """
    try:
        _put(path, kept)
    except sqlite3.DatabaseError as trouble:
        aside = put_aside(path) if is_broken(trouble) else None
        if aside is None:
            raise
        _put(path, kept)
        return f"{path} is broken and kept as {aside.name} ({trouble}): plans made before can no longer be reopened"
    return ""


def _put(path: Path, kept: Kept) -> None:
    with closing(KeptPlans(path, make=True)) as plans:
        plans.put(kept)


_GIVEN = (
    "month_peak_w", "history_days", "site_digest", "program_digest", "version", "plan_digest", "capacity_test",
    "foreseen",
)  # fmt: skip


def _key(utc: datetime) -> str:
    return utc.astimezone(UTC).isoformat(timespec="microseconds")


def _kept(made: str, begins: int, count: int, given: str, blocks: bytes) -> Kept:
    told: dict[str, Any] = json.loads(given)
    numbers = np.frombuffer(zlib.decompress(blocks), np.float64)
    width = told.pop("block_fields", _FIELDS_FIRST)
    columns, sky = numbers[: width * count].reshape(width, count), numbers[width * count :]
    told["clear_sky"] = ClearSky(*sky.reshape(2, -1)) if len(sky) else None
    rows = (Block(int(number), *rest) for number, *rest in columns.T.tolist())
    groups = tuple(_battery(each) for each in told.pop("groups"))
    weather = told.pop("weather")
    told["weather"] = None if weather is None else Weather.of_row(weather)
    return Kept(made=datetime.fromisoformat(made), begins=bool(begins), blocks=tuple(rows), groups=groups, **told)


def _sky_rows(sky: ClearSky | None) -> Floats:
    return np.empty((2, 0)) if sky is None else np.stack((sky.pv_w, sky.horizontal_w_m2)).astype(np.float64)


def _battery(told: dict[str, Any]) -> Battery:
    worn = told.pop("wear")
    for name in ("charge_by_soc", "discharge_by_soc"):
        told[name] = tuple(tuple(corner) for corner in told.get(name, ()))
    return Battery(**told, wear=Wear(tuple(worn.pop("cny_per_kwh")), **worn))


def plan_digest(plan: SitePlan) -> str:
    """Of a plan's bytes, which hold every number of its value function; not what is told beside it."""
    return hashlib.sha256(packed(replace(plan, foreseen=False, roof=""))).hexdigest()


def site_digest(site: Site) -> str:
    """Of all of a site's file that a plan depends on, beside the batteries."""
    parts = [_plain(site.tariff), _plain(site.contract), site.tuning.dispatch.block_s, str(site.time_zone)]
    ahead_s = site.tuning.billing.likeliest_s  # told where it is something, as the owner's load is
    parts += [ahead_s] if ahead_s else []
    return _digest(parts if site.expected_load is None else [*parts, _plain(site.expected_load)])


@cache
def program_digest() -> str:
    """Of the code that plans, of numpy, and of which backward pass there is."""
    texts = [path.read_text(encoding="utf-8") for path in program_files()]
    return _digest([np.__version__, backward().__module__, *texts])


def program_files() -> list[Path]:
    """The rooms that a site's plan is made in, what makes its prices, and what the fast loop makes of it."""
    root = Path(__file__).parents[2]
    rooms = [each for room in ROOMS for each in sorted((root / "planning" / room).glob("*.py"))]
    return [*rooms, root / "site" / "tariff.py", root / "core" / "value.py"]


def _digest(parts: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """The same for equal values, whatever order sets have."""
    if is_dataclass(value) and not isinstance(value, type):
        told = [(field.name, getattr(value, field.name)) for field in fields(value)]
        return [_plain(each) for name, each in told if name not in _TOLD_IF_ANY or each]
    if isinstance(value, Mapping):
        return sorted([str(_plain(name)), _plain(each)] for name, each in value.items())
    if isinstance(value, frozenset | set):
        return sorted(str(each) for each in value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
