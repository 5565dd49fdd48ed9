"""What must outlive a restart, in memory.json: cells found deeply discharged, faults that wait for an operator, when
contactors closed, how full each cell is.

All times are plant time of day (`Tick.utc`), and everything goes by names, as slots and places may change while nobody
runs. What has been learnt of the cells lies beside it, and changes slowly: `cell_record`.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from math import isfinite, nan
from pathlib import Path
from threading import Condition, Thread
from typing import Annotated, Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ess_controller.core.health import DIAGNOSES
from ess_controller.core.recall import LOST, NOTHING, Recalled
from ess_controller.core.types import State
from ess_controller.daemon import Beat
from ess_controller.kept import sealed
from firmware_bridge.records import Floats, Layout

log = logging.getLogger("ess")

FILE = "memory.json"
EVERY = timedelta(seconds=60.0)  # SOC is noted so often; `core.recall.UNCOUNTED_S` knows
RETRY_S = 5.0  # of wall time, when the disk is full
CLOSE_WITHIN_S = 10.0
FORGOTTEN = (
    "Deep discharges and faults that waited for an operator are forgotten: every string stays open until somebody has "
    "looked (ess order --clear)"
)

_Share = Annotated[float, Field(ge=0.0, le=1.0)]  # what is no number is refused by its bounds
_Shares = dict[str, tuple[_Share | None, ...]]


class _Note(BaseModel):
    """What stands in the file; anything else is not believed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    utc: AwareDatetime
    deep: tuple[tuple[str, Annotated[int, Field(ge=1, le=1000)]], ...]  # module code, cell from 1
    latched: tuple[tuple[str, str], ...]  # diagnosis, string
    closes: dict[str, tuple[AwareDatetime, ...]]  # string
    soc: _Shares  # module code: its cells; null = unknown
    soc_sd: _Shares


# --- reading ----------------------------------------------------------------------------------------------------------


def recall(path: Path, start: datetime) -> Recalled:
    """What the daemon before left at `path` for one whose plant time begins at `start`.

    No file: nothing, it is the first. A broken one, or one of another version, is told, kept aside as
    `memory.json.broken`, and nothing in it is believed but that there was something: all strings wait for an operator.
    """
    aside = path.with_name(path.name + ".broken")
    try:
        note = _read(path.read_bytes())
    except FileNotFoundError:
        if not aside.exists():
            return NOTHING
        log.error("%s is gone, and there was one: see %s. %s", path, aside.name, FORGOTTEN)
        return LOST  # killed before the new one was written
    except (OSError, ValueError, RecursionError) as trouble:
        with suppress(OSError):
            path.replace(aside)
        why = " ".join(str(trouble).split())[:200]
        log.error("%s is broken and kept as %s (%s). %s", path, aside.name, why, FORGOTTEN)
        return LOST
    return Recalled(
        deep=frozenset(note.deep),
        latched=frozenset(note.latched),
        closed_t_s={name: [(utc - start).total_seconds() for utc in closes] for name, closes in note.closes.items()},
        soc=_floats(note.soc),
        soc_sd=_floats(note.soc_sd),
        soc_age_s=(start - note.utc).total_seconds(),
    )


def _read(data: bytes) -> _Note:
    """Raises ValueError or RecursionError for anything that this file's writer has not written."""
    return _Note.model_validate_json(sealed.opened(data))


def _floats(shares: _Shares) -> dict[str, list[float]]:
    return {code: [nan if share is None else share for share in of_module] for code, of_module in shares.items()}


# --- writing ----------------------------------------------------------------------------------------------------------


class Memory:
    """Writes what must outlive a restart, from a thread of its own: when it changes, every EVERY, and at the end.

    What was recalled of modules and strings that this site does not have stays in the file: they may come back.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        recalled: Recalled = NOTHING,
        keep: Callable[[Beat, bool], None] = lambda _, __: None,
    ) -> None:
        """`keep` is shown every beat that is noted, from the same thread, and whether it is the last."""
        self._path, self._layout, self._keep = path, layout, keep
        self._absent_deep = {mark for mark in recalled.deep if mark[0] not in layout.module_names}
        self._absent_latched = {mark for mark in recalled.latched if mark[1] not in layout.string_names}
        self._noted: Beat | None = None  # the last that was handed to the thread
        self._latest: Beat | None = None
        self._turn = Condition()
        self._due: Beat | None = None  # this and the next are shared with the thread
        self._ending = False
        self._failing = False
        self._thread = Thread(target=self._work, name="memory", daemon=True)
        self._thread.start()

    def __call__(self, beat: Beat) -> None:
        """See whether there is something new."""
        self._latest = beat
        noted = self._noted
        if (
            noted is None
            or abs(beat.tick.utc - noted.tick.utc) >= EVERY  # or the time of day has been put right
            or not _alike(beat.state, noted.state)
        ):
            self._noted = beat
            self._hand_over(beat)

    def close(self) -> None:
        """Write the latest beat and end."""
        with self._turn:
            self._ending = True
        self._hand_over(self._latest)
        self._thread.join(CLOSE_WITHIN_S)

    def _hand_over(self, beat: Beat | None) -> None:
        with self._turn:  # the thread never writes while it holds this
            self._due = beat
            self._turn.notify()

    def _work(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._due is not None or self._ending)
                beat, self._due = self._due, None
            if beat is None:
                return
            try:
                write(self._path, self._memory(beat))
            except OSError as trouble:
                self._put_off(beat, trouble)
            else:
                if self._failing:
                    log.info("%s is written again", self._path)
                self._failing = False
            self._keep(beat, self._ending)

    def _put_off(self, beat: Beat, trouble: OSError) -> None:
        if not self._failing:
            log.error("%s: cannot be written: %s: a restart would forget faults", self._path, trouble.strerror)
        self._failing = True
        with self._turn:
            if self._ending:
                return
            self._turn.wait_for(lambda: self._ending, RETRY_S)
            self._due = self._due or beat

    def _memory(self, beat: Beat) -> dict[str, Any]:
        layout, state, tick = self._layout, beat.state, beat.tick
        cells = np.flatnonzero(state.deep).tolist()
        modules = layout.cell_module[cells].tolist()
        deep = {
            (layout.module_names[module], cell - int(layout.first_cell[module]) + 1)
            for cell, module in zip(cells, modules, strict=True)
        }
        rows = zip(*np.nonzero(state.latched), strict=True)
        latched = {(DIAGNOSES[row].name, layout.string_names[string]) for row, string in rows}
        closes = zip(layout.string_names, state.closed_t_s.tolist(), strict=True)
        return {
            "utc": tick.utc.isoformat(),
            "deep": sorted(deep | self._absent_deep),
            "latched": sorted(latched | self._absent_latched),
            "closes": {
                string: [(tick.utc + timedelta(seconds=t_s - tick.t_s)).isoformat() for t_s in when if isfinite(t_s)]
                for string, when in closes
            },
            "soc": self._by_module(beat.decision.estimate.soc),
            "soc_sd": self._by_module(beat.decision.estimate.soc_sd),
        }

    def _by_module(self, shares: Floats) -> dict[str, list[float | None]]:
        told = [round(share, 6) if isfinite(share) else None for share in shares.tolist()]
        starts = self._layout.first_cell.tolist()
        ends = [*starts[1:], len(told)]
        names = self._layout.module_names
        return {code: told[start:end] for code, start, end in zip(names, starts, ends, strict=True)}


def _alike(one: State, other: State) -> bool:
    """Whether both hold the same things that must not be forgotten."""
    return (
        np.array_equal(one.deep, other.deep)
        and np.array_equal(one.latched, other.latched)
        and np.array_equal(one.closed_t_s, other.closed_t_s)
    )


def write(path: Path, memory: dict[str, Any]) -> None:
    """Put the file in its place. Raises OSError."""
    sealed.write(path, sealed.canonical(memory))
