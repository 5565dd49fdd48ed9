"""The record of the cells, in cells.json: what has ever been learnt of each module's cells, by module code.

It goes with the module: to another slot, or into a drawer and back. Written when a daemon starts, every half hour of
plant time and at the end; at the start too, as a swing that was under way may be gone on with only once.
"""

import json
import logging
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ess_controller.core.gauge.learnt import Learnt
from ess_controller.core.gauge.sensors import Quality
from ess_controller.core.recall import NOTHING, Recalled, cells_of_modules, fitting
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.kept import sealed
from firmware_bridge.records import Contactor

log = logging.getLogger("ess")

FILE = "cells.json"
EVERY = timedelta(minutes=30.0)
_SPOILS = int(
    Quality.REVERSED | Quality.DOUBTFUL
)  # most cells of a module so: what is learnt of it is not written down

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Row = tuple[_Finite | None, ...]  # [cell]; null = unknown
_Rows = tuple[_Row, ...]


class _Module(BaseModel):
    """One module's cells; the fields of `Learnt`, each with the cell as its last axis."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    utc: AwareDatetime
    intake_ah: _Row
    ln_q: _Row
    ln_q_var: _Row
    rho_ohm: _Row
    rho_var: _Row
    both: _Rows
    told: _Rows
    information: _Rows
    evidence: _Rows
    at_v: _Row
    swing_ah: _Row
    swing_s: _Row

    def learnt(self) -> Learnt:
        """Raises ValueError where rows differ in length."""
        return Learnt(**{each.name: np.array(getattr(self, each.name), np.float64) for each in fields(Learnt)})


class _Record(BaseModel):
    """What stands in the file; anything else is not believed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    modules: dict[str, _Module]  # code
    zero_a: dict[str, _Finite]  # string: what its current sensor shows when nothing flows


Remembered = dict[str, tuple[datetime, Learnt]]
"""By module code: what has been learnt of its cells, and until when."""


def read(path: Path) -> Remembered:
    """What a record says, for whoever only looks. Raises OSError (FileNotFoundError where there is none), ValueError or
    RecursionError."""
    return {code: (module.utc, module.learnt()) for code, module in _opened(path).modules.items()}


class CellRecord:
    """Reads what was left at `path`, and keeps it up to date: `added_to` is the one, `keep` the other.

    What the file holds of modules and strings that this site does not have stays in it: they may come back.
    """

    def __init__(self, path: Path, tuning: Tuning, start: datetime) -> None:
        """`start` is when the daemon's plant time begins."""
        self._path, self._tuning = path, tuning
        self._start, self._record = start, _recall(path)
        _tell_strange(tuning, self.added_to(NOTHING))
        layout, record = tuning.layout, self._record
        self._absent = {
            code: sealed.canonical(module.model_dump(mode="json"))
            for code, module in record.modules.items()
            if code not in layout.module_names
        }
        self._good = {
            code: sealed.canonical(module.model_dump(mode="json"))
            for code, module in record.modules.items()
            if code in fitting(tuning, self.added_to(NOTHING))
        }
        self._absent_zero_a = {name: a for name, a in record.zero_a.items() if name not in layout.string_names}
        self._kept: datetime | None = None
        self._failing = False

    def added_to(self, recalled: Recalled) -> Recalled:
        """With what was left here."""
        modules = self._record.modules
        return replace(
            recalled,
            learnt={code: module.learnt() for code, module in modules.items()},
            learnt_age_s={code: (self._start - module.utc).total_seconds() for code, module in modules.items()},
            zero_a=self._record.zero_a,
        )

    def keep(self, beat: Beat, last: bool) -> None:
        """Write it where it is due. A disk that does not take it is told once, and tried again with the next beat."""
        utc = beat.tick.utc
        if not (last or self._kept is None or abs(utc - self._kept) >= EVERY):
            return
        try:
            sealed.write(self._path, self._text(beat, last))
        except OSError as trouble:
            if not self._failing:
                log.error("%s: cannot be written: %s: a restart would forget capacities", self._path, trouble.strerror)
            self._failing = True
        else:
            self._kept, self._failing = utc, False

    def _text(self, beat: Beat, last: bool) -> str:
        """In canonical form. Module by module: one long dump of a whole plant would hold up the beat."""
        layout = self._tuning.layout
        still = np.full(layout.strings, last) & (beat.seen.string_contactor == int(Contactor.OPEN))
        learnt = Learnt.of(self._tuning.cells, beat.state.gauge, still[layout.cell_string])
        utc = beat.tick.utc.isoformat()
        modules = dict(self._absent)
        spoilt = beat.state.gauge.quality & _SPOILS > 0
        for code, mine in cells_of_modules(layout):
            if 2 * np.count_nonzero(spoilt[mine]) <= len(mine):
                self._good[code] = sealed.canonical({"utc": utc} | _rows(learnt.of_cells(mine)))
        modules |= self._good
        zero_a = self._absent_zero_a | dict(zip(layout.string_names, beat.state.gauge.zero_a.tolist(), strict=True))
        inner = ",".join(f"{json.dumps(code)}:{modules[code]}" for code in sorted(modules))
        return f'{{"modules":{{{inner}}},"zero_a":{sealed.canonical(zero_a)}}}'


def _rows(learnt: Learnt) -> dict[str, Any]:
    """As JSON knows them: null where unknown."""
    told = {each.name: getattr(learnt, each.name) for each in fields(Learnt)}
    return {name: _nulled(values.tolist()) for name, values in told.items()}


def _nulled(values: Any) -> Any:
    if isinstance(values, list):
        return [_nulled(value) for value in values]
    return values if isfinite(values) else None


def _opened(path: Path) -> _Record:
    """Whole and of one length in every row, or ValueError."""
    record = _Record.model_validate_json(sealed.opened(path.read_bytes()))
    for module in record.modules.values():
        module.learnt()
    return record


def _recall(path: Path) -> _Record:
    """What was left. No file: nothing. A broken one is told, kept aside, and nothing in it is believed."""
    try:
        record = _opened(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError) as trouble:
        aside = path.with_name(path.name + ".broken")
        with suppress(OSError):
            path.replace(aside)
        why = " ".join(str(trouble).split())[:200]
        log.error("%s is broken and kept as %s (%s): capacities begin with the intake test", path, aside.name, why)
    else:
        return record
    return _Record(modules={}, zero_a={})


def _tell_strange(tuning: Tuning, recalled: Recalled) -> None:
    known = fitting(tuning, recalled)
    for code in tuning.layout.module_names:
        if code in recalled.learnt and code not in known:
            log.warning("%s: its record is of other cells or another intake test: it begins with the intake test", code)
