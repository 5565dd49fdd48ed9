"""A recorded test or drive of one cell: CSV (also .gz) with t_s,current_a,voltage_v,temperature_c[,soc_true].

Current is positive when discharging, and a sample is the mean since the sample before.
"""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.site.errors import Problem, shown
from firmware_bridge.records import Floats

NEEDED = ("t_s", "current_a", "voltage_v", "temperature_c")
TRUTH = "soc_true"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What was recorded of one cell."""

    t_s: Floats  # [sample] never falls; the same as the one before: a duplicate
    current_a: Floats  # [sample] mean since the sample before, + discharging
    voltage_v: Floats  # [sample]
    temperature_c: Floats  # [sample]
    soc_true: Floats | None  # [sample] 0..1, where somebody knew
    source: str  # the file, as people know it


def read_trace(path: Path, temperature_c: float | None = None, *, holes: bool = False) -> Trace:
    """Read a trace; raises BadInputError.

    `temperature_c` stands in where the file has none. With `holes`, values that are missing are NaN, as they are in the
    field.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError) as error:
        raise BadInputError(str(Problem(str(path), 0, "", "", f"a trace with a header: {error}"))) from None
    needed = NEEDED if temperature_c is None else NEEDED[:-1]
    missing = [name for name in needed if name not in header]
    if missing or not rows:
        expected = f"a header with {', '.join(needed)}, and samples"
        raise BadInputError(str(Problem(str(path), 1, ",".join(header), "", expected)))
    columns = {name: header.index(name) for name in (*NEEDED, TRUTH) if name in header}
    values = {name: np.empty(len(rows)) for name in columns}
    for line, row in enumerate(rows, 2):
        for name, column in columns.items():
            text = row[column].strip() if column < len(row) else ""
            try:
                values[name][line - 2] = float(text) if text or not holes else np.nan
            except ValueError:
                raise BadInputError(str(Problem(str(path), line, name, shown(text), "a number"))) from None
    if temperature_c is not None and "temperature_c" not in values:
        values["temperature_c"] = np.full(len(rows), temperature_c)
    return Trace(**{name: values[name] for name in NEEDED}, soc_true=values.get(TRUTH), source=path.name)
