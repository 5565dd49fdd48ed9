"""What is known of each module: by what a daemon has learnt of its cells (cells.json), else by its intake test."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from ess_controller.core import recall
from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.core.gauge.learnt import Learnt
from ess_controller.core.gauge.setup import resistance
from ess_controller.core.recall import NOTHING, cells_of_modules
from ess_controller.kept.cell_record import FILE, Remembered, read
from ess_controller.site import Site
from firmware_bridge.records import Floats

INTAKE = "intake test"
_TEN = HORIZONS_S.index(10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """One module's cells."""

    code: str
    string: str  # where it sits; "": on the shelf
    nameplate_ah: float  # NaN: unknown
    capacity_ah: Floats  # [cell]
    capacity_sd_ah: Floats  # [cell]
    r10_ohm: Floats  # [cell] 10-s resistance at 25 C, half full; NaN: unknown
    r10_sd_ohm: Floats  # [cell]
    source: str  # INTAKE, or `learnt until 2026-07-11`
    learnt: bool

    @property
    def smallest(self) -> int:
        """Which cell is, from 0."""
        return int(np.argmin(self.capacity_ah))


def remembered(home: Path) -> tuple[Remembered, tuple[str, ...]]:
    """The record of cells in a daemon's home, by module code, and what is to be said of it. Nothing is changed."""
    path = home / FILE
    try:
        found = read(path)
    except FileNotFoundError:
        return {}, (f"{path}: is not there: capacities are those of the intake tests",)
    except (OSError, ValueError, RecursionError) as trouble:
        why = " ".join(str(trouble).split())[:120]
        return {}, (f"{path}: cannot be believed ({why}): capacities are those of the intake tests",)
    return found, ()


def in_site(site: Site, record: Remembered) -> list[Known]:
    """The modules of a site in service, in its order; a record of other cells or of another intake test is not
    believed, and one that is no surer than the intake test is none."""
    tuning = site.tuning
    recalled = replace(
        NOTHING,
        learnt={code: each for code, (_, each) in record.items()},
        learnt_age_s=dict.fromkeys(record, 0.0),
    )
    gauge, fits = recall.gauge(tuning, recalled), recall.fitting(tuning, recalled)
    r10 = resistance(tuning.cells, gauge.ratio, 0.5, 25.0)[_TEN]
    r10_sd = r10 * gauge.stiffness.sd(tuning.cells.knobs.stiffness)[_TEN]
    sure = gauge.capacity_sd_ah < 0.95 * tuning.cells.capacity_ah * tuning.estimate.capacity_sd
    found = []
    for at, (code, mine) in enumerate(cells_of_modules(tuning.layout)):
        learnt = code in fits and bool(sure[mine].all())
        found.append(
            Known(
                code=code,
                string=tuning.layout.string_names[int(tuning.layout.module_string[at])],
                nameplate_ah=float(tuning.module_nameplate_ah[at]),
                capacity_ah=gauge.capacity_ah[mine],
                capacity_sd_ah=gauge.capacity_sd_ah[mine],
                r10_ohm=r10[mine],
                r10_sd_ohm=r10_sd[mine],
                source=_until(record[code][0]) if learnt else INTAKE,
                learnt=learnt,
            )
        )
    return found


def on_shelf(site: Site, record: Remembered) -> list[Known]:
    """Modules that a daemon here has once known and that no string of this site has now, in service or not."""
    knobs, here = site.tuning.cells.knobs, site.origins
    return [
        _shelved(code, utc, learnt, knobs.capacity_floor_sd)
        for code, (utc, learnt) in sorted(record.items())
        if code not in here
    ]


def _shelved(code: str, utc: datetime, learnt: Learnt, floor_sd: float) -> Known:
    capacity_ah = learnt.intake_ah * np.exp(learnt.ln_q)
    unknown = np.full(len(capacity_ah), np.nan)
    return Known(
        code=code,
        string="",
        nameplate_ah=np.nan,
        capacity_ah=capacity_ah,
        capacity_sd_ah=capacity_ah * np.sqrt(learnt.ln_q_var + floor_sd**2),
        r10_ohm=unknown,
        r10_sd_ohm=unknown,
        source=_until(utc),
        learnt=True,
    )


def _until(utc: datetime) -> str:
    return f"learnt until {utc.date().isoformat()}"


def sources(by_code: Mapping[str, str]) -> list[str]:
    """Which source each module's capacity has, a line a source; `by_code`: of each module."""
    by_source: dict[str, list[str]] = {}
    for code, source in by_code.items():
        by_source.setdefault(source, []).append(code)
    if len(by_source) == 1:
        return [f"capacities of all {len(by_code)} modules: {next(iter(by_source))}"]
    return [f"capacities {source}: {', '.join(codes)}" for source, codes in sorted(by_source.items())]
