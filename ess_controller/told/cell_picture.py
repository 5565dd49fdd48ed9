"""Every cell as it is now, module by module, in plain numbers: what the page's wall of cells shows."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat

SCHEMA_VERSION = 1


def every_cell(tuning: Tuning, beat: Beat) -> dict[str, Any]:
    """`strings`: name, cabinet and `modules`: place, code, c_min and c_max (its sensors, °C), soh at intake, and by
    cell v, soc, capacity_ah and bleeds. Unknown numbers are null. Keys may be added, none renamed."""
    layout = tuning.layout
    ends = [*layout.first_cell[1:].tolist(), layout.cells]
    strings: list[dict[str, Any]] = [
        {"name": name, "cabinet": layout.cabinet_names[int(layout.string_cabinet[number])], "modules": []}
        for number, name in enumerate(layout.string_names)
    ]
    seen, now = beat.seen, beat.decision.estimate
    for module, (first, end) in enumerate(zip(layout.first_cell.tolist(), ends, strict=True)):
        strings[int(layout.module_string[module])]["modules"].append(
            {
                "place": layout.module_place(module),
                "code": layout.module_names[module],
                "c_min": _numbers([seen.module_cold_c[module]], 1)[0],
                "c_max": _numbers([seen.module_hot_c[module]], 1)[0],
                "soh": _numbers([tuning.module_soh[module]], 4)[0],
                "v": _numbers(seen.cell_v[first:end], 4),
                "soc": _numbers(now.soc[first:end], 4),
                "capacity_ah": _numbers(now.capacity_ah[first:end], 2),
                "bleeds": [bool(each) for each in beat.commands.bleed[first:end]],
            }
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "utc": beat.tick.utc.isoformat(timespec="milliseconds"),
        "strings": strings,
    }


def _numbers(values: Iterable[float], digits: int) -> list[float | None]:
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]
