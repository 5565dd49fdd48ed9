"""One run of `ess estimate`: read the files, check what was told, run the estimator, judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.intake.estimate import Track, run, setup_of
from ess_controller.intake.plain import plain
from ess_controller.intake.traces import read_trace
from ess_controller.intake.verdict import troubles
from ess_controller.site.cell_file import load_cell
from ess_controller.site.errors import Problem
from ess_controller.terminal.progress import Bar
from firmware_bridge.records import Floats

LARGEST_AH = 5000.0  # as in cell files


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for."""

    files: tuple[Path, ...]
    cell: Path
    capacity_ah: float | None  # None: the cell file's nameplate
    temperature_c: float | None  # of traces that have none
    soc: float | None  # at the first sample; None: by its voltage
    compare: bool  # with the plain filter
    show: bool  # a progress bar


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What came out."""

    tracks: Sequence[Track]
    plain: Sequence[Floats] | None  # SOC [step] of each track by the plain filter
    troubles: Sequence[str]


def carry_out(job: Job) -> Result:
    """Raises BadInputError for files and numbers that cannot be used."""
    _check("--capacity-ah", job.capacity_ah, 0.001, LARGEST_AH)
    _check("--soc0", job.soc, 0.0, 1.0)
    _check("--temperature-c", job.temperature_c, -40.0, 80.0)
    cell = load_cell(job.cell)
    traces = [read_trace(path, job.temperature_c, holes=True) for path in job.files]
    told_ah = job.capacity_ah or cell.nameplate_ah
    told_soc = np.nan if job.soc is None else job.soc
    done = 0
    with Bar(sum(len(trace.t_s) for trace in traces), show=job.show) as bar:

        def moves_on(samples: int) -> None:
            nonlocal done
            done += samples
            bar(done)

        tracks = run(setup_of(cell, told_ah), traces, told_soc, moves_on)
    for track in tracks:
        if not np.isfinite(track.soc).any():
            expected = "voltages, but not one could be believed"
            raise BadInputError(str(Problem(track.trace.source, 0, "voltage_v", "", expected)))
    beside = plain(cell, told_ah, tracks, told_soc) if job.compare else None
    return Result(tracks, beside, troubles(tracks, told_ah, cell.name))


def _check(option: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise BadInputError(str(Problem(option, 0, str(value), "", f"a number from {low:g} to {high:g}")))
