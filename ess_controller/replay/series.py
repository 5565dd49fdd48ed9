"""The replay as a table in a file: one row a second of plant time, CSV, or Parquet where pyarrow is installed."""

import csv
from importlib import import_module
from math import isnan
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from ess_controller.daemon import Beat
from ess_controller.errors import BadInputError
from ess_controller.replay.moments import Moment
from firmware_bridge.records import Layout

EVERY_S = 1.0


class Series:
    """A tee that writes rows as they come, so that memory does not grow; at the end Parquet, where pyarrow is."""

    def __init__(self, folder: Path, layout: Layout, every_s: float = EVERY_S) -> None:
        self._folder, self._every_s, self._next_s = folder, every_s, -np.inf
        self._names = [
            "time",
            "t_s",
            *(f"{name}.set_w" for name in layout.cabinet_names),
            *(
                f"{name}.{what}"
                for what in ("mode", "contactor", "string_a", "string_v", "bus_v")
                for name in layout.string_names
            ),
            *(f"{name}.c_max" for name in layout.module_names),
            *(layout.cell_name(cell) for cell in range(layout.cells)),
        ]
        self._last_s = -np.inf
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
            self._file = (folder / "series.csv").open("w", newline="", encoding="utf-8")
        except OSError as trouble:
            raise BadInputError(f"--out {folder}: cannot be written: {trouble.strerror or trouble}") from None
        self._rows = csv.writer(self._file)
        self._rows.writerow(self._names)

    def __call__(self, moment: Moment, beat: Beat) -> None:
        """Write a row when one is due."""
        t_s = beat.tick.t_s
        if self._last_s <= t_s < self._next_s:
            return
        self._next_s, self._last_s = t_s + self._every_s - 1e-6, t_s
        seen = beat.seen
        row: list[Any] = [beat.tick.utc.isoformat(timespec="milliseconds"), round(t_s, 3)]
        numbers = (
            beat.commands.pcs_w,
            beat.state.mode,
            seen.string_contactor,
            seen.string_a,
            seen.string_v,
            seen.string_bus_v,
            seen.module_hot_c,
            seen.cell_v,
        )
        for values in numbers:
            row += ["" if isnan(value) else round(value, 6) for value in values.tolist()]
        try:
            self._rows.writerow(row)
        except OSError as trouble:
            raise BadInputError(f"--out {self._folder}: cannot be written: {trouble.strerror or trouble}") from None

    def close(self) -> Path:
        """Finish; returns the file."""
        path = self._folder / "series.csv"
        try:
            self._file.close()
        except OSError as trouble:
            raise BadInputError(f"{path}: cannot be written: {trouble.strerror or trouble}") from None
        try:
            tables, parquet = import_module("pyarrow.csv"), import_module("pyarrow.parquet")
        except ImportError:
            return path
        whole = path.with_suffix(".parquet")
        parquet.write_table(tables.read_csv(path), whole)
        path.unlink()
        return whole
