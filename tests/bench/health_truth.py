"""What `ess health` says of a simulated site beside what is true: `python -m tests.bench.health_truth SITE DIR`.

DIR is what `ess simulate SITE --truth --out DIR` has written. The simulator's cells do not fade within a run, so
forecasts are not judged here: see `tests.bench.forecasts`.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from ess_controller.ageing.report import answer, assess
from ess_controller.ageing.store import FILE, Store
from ess_controller.site import Site, load
from firmware_bridge.records import Floats


def true_soh(site: Site, folder: Path) -> Floats:
    """[cell] over nameplate, at the end."""
    table = parquet.read_table(folder / "truth.parquet", columns=["capacity_true_ah"])
    ah = np.asarray(table["capacity_true_ah"][-site.plant.layout.cells :].to_numpy(), np.float64)
    return np.asarray(ah / site.tuning.module_nameplate_ah[site.plant.layout.cell_module])


def told(site: Site, folder: Path) -> dict[str, Any]:
    """The answer of `ess health`."""
    assert site.health is not None
    store = Store(folder / FILE, make=False)
    histories = store.histories()
    store.close()
    return answer(site.name, assess(histories, site.health), site.health)


def judged(rows: list[dict[str, Any]], true: Floats) -> dict[str, float]:
    """Of intervals of 80 % and their middles."""
    low, middle, high = (np.array([row["soh"][key] for row in rows]) for key in ("low", "middle", "high"))
    return {
        "count": len(rows),
        "error_mean": float((middle - true).mean()),
        "error_rms": float(np.sqrt(((middle - true) ** 2).mean())),
        "within_80": float(((low <= true) & (true <= high)).mean()),
        "width_80": float((high - low).mean()),
    }


def main(site_path: Path, folder: Path) -> None:
    site = load(site_path, {})
    layout, true, said = site.plant.layout, true_soh(site, folder), told(site, folder)
    modules = {each["code"]: each for each in said["modules"]}
    in_order = [modules[code] for code in layout.module_names]
    strings = {each["name"]: each for each in said["strings"]}
    least = np.minimum.reduceat(true, layout.first_cell)
    for name, rows, truth in (
        ("cell", [cell for each in in_order for cell in each["cells"]], true),
        ("module", in_order, least),
        ("string", [strings[each] for each in layout.string_names], np.minimum.reduceat(least, layout.first_module)),
    ):
        print(name, {key: round(value, 4) for key, value in judged(rows, truth).items()})  # noqa: T201
    smallest = [int(each["smallest_cell"]) for each in in_order]
    truly = [int(part.argmin()) + 1 for part in np.split(true, layout.first_cell[1:])]
    named = sum(a == b for a, b in zip(smallest, truly, strict=True))
    print(f"smallest cell named rightly: {named} of {len(truly)}")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
