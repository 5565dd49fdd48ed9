"""The judge: what the controller believes of each cell beside what is true, on disk and in figures.

`truth.parquet` has a row a cell and moment, `truth.png` draws the errors over time; `sop.png` draws the power that was
told within the power that was possible.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.core.gauge.setup import resistance
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from firmware_bridge.records import Bools, Floats, Ints
from sim.fast import told
from sim.judge_figures import EDGES, Moment, Spread, weekly
from sim.judge_plot import draw
from sim.judge_sop import Powers, figures, powers
from sim.judge_sop_plot import draw as draw_powers
from sim.world import World

TABLE, PLOT, SOP_PLOT = "truth.parquet", "truth.png", "sop.png"
ROWS_A_GROUP = 100_000  # so much is held in memory
_TEN_S = HORIZONS_S.index(10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Truth and estimate of all cells, [cell] each."""

    soc_true: Floats
    soc: Floats
    soc_sd: Floats
    capacity_true_ah: Floats
    capacity_ah: Floats
    capacity_sd_ah: Floats
    r10_true_ohm: Floats
    r10_ohm: Floats
    quality: Ints
    balancing: Bools

    def moment(self, t_s: float, bled_ah: float) -> Moment:
        """In figures."""
        unknown = np.isnan(self.soc)
        off = (self.capacity_ah - self.capacity_true_ah) / self.capacity_true_ah
        known = np.clip(off[np.isfinite(off)], EDGES[0], EDGES[-1])
        no_sd = np.full(len(off), np.nan)
        return Moment(
            t_s=t_s,
            soc=Spread.of(self.soc - self.soc_true, self.soc_sd),
            capacity=Spread.of(off, self.capacity_sd_ah / self.capacity_true_ah),
            ohm=Spread.of(self.r10_ohm / self.r10_true_ohm - 1.0, no_sd),
            soc_sd=float(self.soc_sd[~unknown].mean()) if not unknown.all() else np.nan,
            capacity_counts=np.histogram(known, EDGES)[0].astype(np.float64),
            unknown=int(unknown.sum()),
            bled_ah=bled_ah,
        )


def compared(tuning: Tuning, beat: Beat, world: World) -> Compared:
    """What is believed in this beat, and what is true at its moment."""
    now, seen, truth = beat.decision.estimate, beat.seen, world.truth
    cell_c = (0.5 * (seen.module_cold_c + seen.module_hot_c))[tuning.layout.cell_module]
    unknown = np.isnan(now.soc)
    ohm = resistance(tuning.cells, beat.state.gauge.ratio, np.where(unknown, 0.5, now.soc), cell_c)[_TEN_S]
    return Compared(
        soc_true=truth.cell_soc,
        soc=now.soc,
        soc_sd=now.soc_sd,
        capacity_true_ah=truth.cell_capacity_ah,
        capacity_ah=now.capacity_ah,
        capacity_sd_ah=now.capacity_sd_ah,
        r10_true_ohm=truth.cell_resistance_ohm,
        r10_ohm=np.where(unknown, np.nan, ohm),
        quality=now.quality,
        balancing=truth.bleeding,
    )


class Judge:
    """Compares every `every_s` of plant time; a context, within which the table in `folder` is open."""

    def __init__(self, folder: Path, tuning: Tuning, every_s: float) -> None:
        from pyarrow import parquet  # noqa: PLC0415  an extra, and slow to import

        self._folder, self._tuning, self._every_s = folder, tuning, every_s
        self._next_s = 0.0
        self._names = [tuning.layout.cell_name(cell) for cell in range(tuning.layout.cells)]
        self.moments: list[Moment] = []
        self.powers: list[Powers] = []
        self._waiting: list[tuple[Any, Compared]] = []
        with told(folder):
            self._writer = parquet.ParquetWriter(folder / TABLE, _schema(), compression="zstd")

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *trouble: object) -> None:
        self._flush()
        self._writer.close()

    def __call__(self, beat: Beat, world: World) -> None:
        """Compare when it is due."""
        t_s = beat.tick.t_s
        if t_s < self._next_s:
            return
        self._next_s = (t_s // self._every_s + 1.0) * self._every_s - 1e-6
        cells = compared(self._tuning, beat, world)
        self.moments.append(cells.moment(t_s, float(world.truth.bled_ah.sum())))
        self.powers.append(powers(self._tuning, beat, world))
        self._waiting.append((beat.tick.utc, cells))
        if len(self._waiting) * len(self._names) >= ROWS_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        """Write what waits as one group of rows."""
        if not self._waiting:
            return
        import pyarrow as pa  # noqa: PLC0415

        schema, count, cells = _schema(), len(self._waiting), len(self._names)
        utc = np.repeat([np.datetime64(utc.replace(tzinfo=None), "us") for utc, _ in self._waiting], cells)
        index = pa.array(np.tile(np.arange(cells), count), pa.int32())
        columns: list[Any] = [utc, pa.DictionaryArray.from_arrays(index, pa.array(self._names))]
        columns += [np.concatenate([getattr(one, name) for _, one in self._waiting]) for name in schema.names[2:]]
        table = pa.table(dict(zip(schema.names, columns, strict=True))).cast(schema)
        with told(self._folder):
            self._writer.write_table(table)
        self._waiting = []

    def save(self) -> dict[str, Any]:
        """Draw the plots. Returns the keys that scripts rely on: over the last day, and the same after each whole week,
        in `weeks`; of the state of power a row a horizon and way, in `sop`."""
        with told(self._folder):
            draw(self.moments, self._folder / PLOT)
            draw_powers(self.powers, self._folder / SOP_PLOT)
        return weekly(self.moments) | figures(self.powers)


def _schema() -> Any:
    """Of the table. Single precision: 1e-7 of a value is finer than anything here is known."""
    import pyarrow as pa  # noqa: PLC0415

    numbers = "soc_true soc soc_sd capacity_true_ah capacity_ah capacity_sd_ah r10_true_ohm r10_ohm"
    return pa.schema(
        [("time", pa.timestamp("us", tz="UTC")), ("cell", pa.dictionary(pa.int32(), pa.string()))]
        + [(name, pa.float32()) for name in numbers.split()]
        + [("quality", pa.int32()), ("balancing", pa.bool_())]
    )
