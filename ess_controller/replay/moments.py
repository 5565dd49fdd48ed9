"""Journals and CAN captures as lives: stretches of beats that follow each other without a break."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, groupby, pairwise
from math import ceil, floor
from operator import itemgetter
from pathlib import Path

import numpy as np

from ess_controller.core.types import Order
from ess_controller.errors import BadInputError
from ess_controller.replay.journal import ANY_MAGIC, Entry, Head, read, read_head
from ess_controller.replay.snapshot import Snapshot
from firmware_bridge.frames import Frames
from firmware_bridge.plant import Heard
from firmware_bridge.records import PlantSpec, Tick

LONGEST_BEATS = 100_000_000  # over a hundred days: nobody waits for more
LONGEST_SILENCE_S = 600.0  # of a whole capture that is lived through: long before its end all that may happen has
FIRST_UTC = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One recorded beat. `answers_ahead` [register device]: how many answers the next beat brings."""

    tick: Tick
    heard: Heard
    order: Order
    entry: Entry | None  # what was told then; None: a capture, in which nothing was
    answers_ahead: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """Beats that follow each other, and what was before the first of them."""

    before: Snapshot | None  # None: not known
    moments: Iterator[Moment]


# --- journals ---------------------------------------------------------------------------------------------------------


def journal_files(paths: Sequence[Path]) -> list[Path]:
    """The journals meant: files as given, folders as all that they hold, in the order of their numbers."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.journal")) if path.is_dir() else [path]
        if not inside:
            raise BadInputError(f"{path}: expected *.journal files, but the folder holds none")
        found += inside
    return found


def is_journal(path: Path) -> bool:
    """Whether a file begins as a journal does."""
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(ANY_MAGIC)) == ANY_MAGIC
    except OSError:
        return False


def last_file_before(files: Sequence[Path], when: Callable[[Tick], bool]) -> list[Path]:
    """The files without those that need not be lived through to reach the first beat that `when` holds for: a file
    that knows the moment before it can be begun with."""
    start = 0
    for number, path in enumerate(files):
        with suppress(OSError, ValueError):
            first = next(read(path), None)
            if first is not None and read_head(path).before is not None and not when(first.tick):
                start = number
    return list(files[start:])


def journal_lives(
    files: Sequence[Path],
    plant: PlantSpec,
    passed: Callable[[int], None] = lambda _: None,
    torn: Callable[[Path, int], None] = lambda _, __: None,
) -> Iterator[Life]:
    """Every run in the files; `passed` is told how many bytes of them lie behind, `torn` which ends early and where.
    BadInputError for a file that is none, or of a site with other wires."""
    for _, group in groupby(_numbered(files, plant, passed, torn), key=itemgetter(0)):
        yield _life(group)


def _life(beats: Iterator[tuple[int, Snapshot | None, Entry]]) -> Life:
    _, before, first = next(beats)
    return Life(before, _moments(first, map(itemgetter(2), beats)))


def _numbered(
    files: Sequence[Path], plant: PlantSpec, passed: Callable[[int], None], torn: Callable[[Path, int], None]
) -> Iterator[tuple[int, Snapshot | None, Entry]]:
    """Each beat with the number of its life, and what was before the first of its file."""
    life, last, behind = -1, None, 0
    for path in files:
        try:
            head = read_head(path)
            _check_wiring(path, head, plant)
            before = head.before
            entries = read(path, lambda at, behind=behind: passed(behind + at), partial(torn, path))  # type: ignore[misc]
            for count, entry in enumerate(entries):
                if last is None or _breaks(last, entry, before if count == 0 else None):
                    life += 1
                yield life, before if count == 0 else None, entry
                last = entry
            behind += path.stat().st_size
        except OSError as trouble:
            raise BadInputError(f"{path}: cannot be read: {trouble.strerror or trouble}") from None
        except ValueError as trouble:
            raise BadInputError(str(trouble)) from None


def _breaks(last: Entry, entry: Entry, before: Snapshot | None) -> bool:
    """Whether a beat does not follow from the one read before it: another run, or beats that are in no file."""
    if entry.tick.t_s <= last.tick.t_s or (before is not None and before.began):
        return True
    missing_s = entry.tick.t_s - entry.tick.dt_s - last.tick.t_s
    return missing_s > 0.5 * last.tick.dt_s and before is not None


def _moments(first: Entry, rest: Iterator[Entry]) -> Iterator[Moment]:
    for entry, following in pairwise(chain((first,), rest, (None,))):
        assert entry is not None
        ahead = () if following is None else tuple(map(len, following.heard.answers))
        yield Moment(entry.tick, entry.heard, entry.order or Order(), entry, ahead)


def _check_wiring(path: Path, head: Head, plant: PlantSpec) -> None:
    """A journal's frames and answers mean nothing on other wires."""
    if not head.plant:
        return
    theirs, ours = _wiring(head.plant), _wiring_of(plant)
    for what, there, here in zip(("cabinets", "strings", "modules on their buses"), theirs, ours, strict=True):
        if there != here:
            raise BadInputError(
                f"{path}: recorded at a site with other {what}: {len(there)} there, {len(here)} in --site"
                + ("" if len(there) != len(here) else ", wired otherwise")
            )


def _wiring(plant: dict[str, object]) -> tuple[list[object], ...]:
    """[cabinet], [string], [module] of a journal's head, as far as replay depends on it."""
    cabinets: list[object] = []
    strings: list[object] = []
    modules: list[object] = []
    try:
        for cabinet in plant["cabinets"]:  # type: ignore[attr-defined]
            io = cabinet.get("io") or {}
            cabinets.append((cabinet["pcs_bus"], cabinet.get("battery_bus", ""), io.get("bus", "")))
            for string in cabinet["strings"]:
                strings.append(string["box_bus"])
                modules += [(module["bus"], module["slot"], module["cells"]) for module in string["modules"]]
    except (KeyError, TypeError, AttributeError):
        return [], [], []
    return cabinets, strings, modules


def _wiring_of(plant: PlantSpec) -> tuple[list[object], ...]:
    """The same of a site."""
    return (
        [(cabinet.pcs_bus, cabinet.battery_bus, cabinet.io.bus if cabinet.io else "") for cabinet in plant.cabinets],
        [string.box_bus for string in plant.strings],
        [(module.bus, module.slot, module.cells) for module in plant.modules],
    )


# --- captures ---------------------------------------------------------------------------------------------------------


def silences(frames: Frames) -> list[int]:
    """The frames, in the order of time, before which nothing at all was heard for too long to be lived through."""
    return (np.flatnonzero(np.diff(frames.wire_s) > LONGEST_SILENCE_S) + 1).tolist()


def capture_lives(frames: Frames, plant: PlantSpec, period_s: float, *, absolute: bool) -> Iterator[Life]:
    """A capture at a site's beat, begun anew after each of its silences. `frames` in the order of time, their `bus`
    that of the site.

    Plant time begins with the first frame; UTC is the recorder's where its times are absolute, else 1970.
    """
    start_s = float(frames.wire_s[0])
    stamps = frames.wire_s - start_s
    utc = datetime.fromtimestamp(start_s, UTC) if absolute else FIRST_UTC
    edges = [0, *silences(frames), len(frames)]
    spans = [(floor(float(stamps[first]) / period_s), first, end) for first, end in pairwise(edges)]
    ends = [floor((float(stamps[end - 1]) + LONGEST_SILENCE_S) / period_s) for end in edges[1:-1]]
    ends.append(ceil(float(stamps[-1]) / period_s))
    counts = [last - beat + 1 for (beat, _, _), last in zip(spans, ends, strict=True)]
    if sum(counts) > LONGEST_BEATS:
        raise BadInputError(
            f"time stamps from {start_s:.0f} s to {float(frames.wire_s[-1]):.0f} s: expected a capture of at most "
            f"{LONGEST_BEATS * period_s / 86_400:.0f} days"
        )
    for (beat, first, end), count in zip(spans, counts, strict=True):
        part = frames[first:end]
        own = Frames(part.id, part.length, part.data, stamps[first:end], part.bus)
        yield Life(None, _beats(own, plant, period_s, utc, range(beat, beat + count)))


def _beats(frames: Frames, plant: PlantSpec, period_s: float, utc: datetime, beats: range) -> Iterator[Moment]:
    """`frames` on plant time, which is 0 s at `utc`."""
    stamps = frames.wire_s
    nothing = tuple(() for _ in plant.register_buses)
    order, first = Order(), 0
    for beat in beats:
        t_s = beat * period_s
        end = int(stamps.searchsorted(t_s, side="right"))
        part = frames[first:end]
        heard = Frames(part.id, part.length, part.data, stamps[first:end], part.bus)
        heard = heard[heard.bus.argsort(kind="stable")]  # as a plant hands them over: bus by bus
        tick = Tick(t_s, period_s if beat > beats.start else 0.0, t_s, utc + timedelta(seconds=t_s))
        yield Moment(tick, Heard(heard, nothing), order, None)
        first = end
