"""Fast-forward: the real daemon on the bench, days in minutes. Same site, scenario and seed give the same bits."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from ess_controller.core.types import Order
from ess_controller.daemon import Beat, Tee, run
from ess_controller.errors import BadInputError
from ess_controller.planned import Planned
from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner.inline import InlinePlanner
from ess_controller.prices import Priced
from ess_controller.site import Site
from ess_controller.tees import Totals
from firmware_bridge.records import Tick
from sim.bench import Bench
from sim.faults import Schedule
from sim.verdict import verdict
from sim.world import World
from sim.world.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Span:
    """What is simulated."""

    start: datetime
    days: float
    beat_s: float
    seed: int | None = None


class Digest:
    """SHA-256 over every command given: two runs with the same digest did the same."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def __call__(self, beat: Beat) -> None:
        """Add a beat."""
        self._hash.update(beat.commands.pcs_w.tobytes() + beat.commands.contactor.tobytes())

    def hex(self) -> str:
        """So far."""
        return self._hash.hexdigest()


class Series:
    """The run as a table, one row every `every_s` of plant time."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._next_s = every_s, 0.0
        self.columns: dict[str, list[Any]] = {}

    def __call__(self, beat: Beat) -> None:
        """Take a row when one is due."""
        if beat.tick.t_s < self._next_s:
            return
        self._next_s = beat.tick.t_s + self._every_s - 1e-6
        seen, now = beat.seen, beat.decision.estimate
        row = {
            "time": beat.tick.utc,
            "grid_w": seen.grid_w,
            "battery_w": float(seen.pcs_w.sum()),
            "pv_w": float(seen.pv_w.sum()),
            "set_w": float(beat.commands.pcs_w.sum()),
            "wanted_w": beat.decision.wanted_w,
            "charge_limit_w": float(beat.decision.cabinet_bound.charge.sum()),
            "discharge_limit_w": float(beat.decision.cabinet_bound.discharge.sum()),
            "soc": float(now.soc.mean()),
            "cell_v_min": float(np.fmin.reduce(seen.cell_v)),
            "cell_v_max": float(np.fmax.reduce(seen.cell_v)),
            "cell_c_max": float(np.fmax.reduce(seen.module_c.ravel())),
        }
        for name, value in row.items():
            self.columns.setdefault(name, []).append(value)

    def save(self, folder: Path, summary: dict[str, Any]) -> None:
        """series.parquet and summary.json in `folder`. BadInputError where it cannot be written."""
        import pyarrow as pa  # noqa: PLC0415  an extra, and slow to import
        from pyarrow import parquet  # noqa: PLC0415

        with told(folder):
            parquet.write_table(pa.table(self.columns), folder / "series.parquet")
            (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def make_ready(folder: Path, *, to_plot: bool = False) -> None:
    """Whatever is needed to save a run, before a long one: BadInputError when it would fail for want of it."""
    for library in ("pyarrow.parquet", "matplotlib.figure")[: 1 + to_plot]:
        try:
            import_module(library)
        except ImportError:
            missing = library.partition(".")[0]
            raise BadInputError(f"--out: {missing} is missing: install ess-controller[sim]") from None
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Trouble with writing there, as BadInputError."""
    try:
        yield
    except OSError as trouble:
        raise BadInputError(f"--out {folder}: cannot be written: {trouble.strerror or trouble}") from None


def nobody(beat: Beat, world: World) -> None:
    """Judges nothing."""


def simulate(
    site: Site,
    scenario: Scenario,
    span: Span,
    *,
    tees: tuple[Tee, ...] = (),
    order: Callable[[Tick], Order] = lambda _: Order(),
    schedule: Schedule | None = None,
    judge: Callable[[Beat, World], None] = nobody,
    known: Iterable[Block] = (),
) -> tuple[dict[str, Any], Bench]:
    """Run the daemon for the span; `judge` sees every beat beside the world as it is then. `known` is what the site's
    meter book holds before it begins.

    Returns the summary (keys of Totals, and `digest`) and the bench as it then is.
    """
    beats = max(1, round(span.days * 86_400 / span.beat_s))
    bench = Bench(site, scenario, span.start, beats, span.beat_s, span.seed)
    totals, digest = Totals(site.plant.layout), Digest()
    faults = schedule or Schedule()
    orders: Callable[[Tick], Order] = Priced(site, order)
    planner: InlinePlanner | None = None
    if site.tuning.dispatch.rule == "value":
        planner = InlinePlanner(site, known)
        orders = Planned(site, orders, planner.slot, planner.month_peak_w)

    def break_things(beat: Beat) -> None:
        for _ in faults.due(bench.world, beat.tick.t_s):
            pass

    def compare(beat: Beat) -> None:
        judge(beat, bench.world)

    run(
        site.tuning,
        bench.plant,
        bench,
        orders,
        (totals, digest, break_things, *((planner,) if planner else ()), *tees),
        essential=(compare,),
    )
    harm = verdict(bench.world, site.tuning.envelope)
    return totals.summary() | {"points_stored": 0, "beats_dropped": 0} | harm | {"digest": digest.hex()}, bench
