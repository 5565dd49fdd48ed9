"""EMHASS's `Optimization` on problems that come in as JSON; run by the Python of an environment that has it.

Stdin: {"series": {...}, "battery": {...}, "demand_cny_per_kw": ..., "begin": DAY, "steps": N, "turns": K, "gap": G},
where `series` has N + K values each of load_w, pv_w, import_cny_per_kwh and export_cny_per_kwh. Stdout: the time of the
first solve and of K re-solves, each one step later with the same object, as its naive MPC does; and grid power of the
first and the last.

Its limits are on the battery's side: power is converted, so that both programmes have the same. What is not named here
is EMHASS's default.
"""

import importlib
import json
import logging
import sys
import time  # noqa: TID251  runs where our clock is not installed
from pathlib import Path
from typing import Any


def optimization(asked: dict[str, Any], defaults: dict[str, Any]) -> Any:
    """EMHASS's object for the problem."""
    pandas = importlib.import_module("pandas")
    emhass = importlib.import_module("emhass.optimization")
    battery, series = asked["battery"], asked["series"]
    most_w = max(series["load_w"]) + max(series["pv_w"]) + battery["charge_w"] + battery["discharge_w"]
    optim = {
        **defaults,
        "number_of_deferrable_loads": 0,
        "set_use_battery": True,
        "set_use_pv": True,
        "set_nodischarge_to_grid": True,
        "lp_solver_mip_rel_gap": asked["gap"],
        "lp_solver_timeout": 120,
        "num_threads": 1,
        "capacity_cost_per_kw": asked["demand_cny_per_kw"],
        "delta_forecast_daily": pandas.Timedelta(asked["steps"] * 15, "min"),
    }
    plant = {
        **defaults,
        "maximum_power_from_grid": most_w,
        "maximum_power_to_grid": most_w,
        "battery_charge_power_max": battery["charge_w"] * battery["charge_efficiency"],
        "battery_discharge_power_max": battery["discharge_w"] / battery["discharge_efficiency"],
        "battery_charge_efficiency": battery["charge_efficiency"],
        "battery_discharge_efficiency": battery["discharge_efficiency"],
        "battery_nominal_energy_capacity": battery["energy_wh"],
        "battery_minimum_state_of_charge": battery["soc_min"],
        "battery_maximum_state_of_charge": battery["soc_max"],
        "battery_target_state_of_charge": battery["soc_start"],
    }
    hass = {
        **defaults,
        "optimization_time_step": pandas.Timedelta(15, "min"),
        "time_zone": importlib.import_module("zoneinfo").ZoneInfo("Asia/Shanghai"),
        "sensor_power_photovoltaics": "pv",
        "sensor_power_load_no_var_loads": "load",
    }
    logger = logging.getLogger("emhass")
    logger.setLevel(logging.ERROR)
    folder = Path(str(emhass.__file__)).parent
    return emhass.Optimization(
        hass, optim, plant, "import", "export", "profit", {"data_path": folder, "root_path": folder}, logger
    )


def main() -> None:
    asked = json.load(sys.stdin)
    numpy, pandas = importlib.import_module("numpy"), importlib.import_module("pandas")
    folder = Path(str(importlib.import_module("emhass").__file__)).parent
    defaults = json.loads((folder / "data/config_defaults.json").read_text())
    solver = optimization(asked, defaults)
    taken_ms, grids = [], []
    start, end = asked["battery"]["soc_start"], asked["battery"]["soc_end_min"]
    names = ("load_w", "pv_w", "import_cny_per_kwh", "export_cny_per_kwh")
    columns = [numpy.array(asked["series"][name]) for name in names]
    index = pandas.date_range(asked["begin"], periods=len(columns[0]), freq="15min", tz="Asia/Shanghai")
    for turn in range(asked["turns"] + 1):
        load, pv, imports, exports = (column[turn : turn + asked["steps"]] for column in columns)
        frame = pandas.DataFrame(
            {"load": load, "pv": pv, "import": imports, "export": exports}, index=index[turn : turn + asked["steps"]]
        )
        began = time.perf_counter()
        found = solver.perform_optimization(frame, pv, load, imports, exports, soc_init=start, soc_final=end)
        taken_ms.append(1000.0 * (time.perf_counter() - began))
        if turn in (0, asked["turns"]):
            grids.append(found["P_grid"].tolist())
    version = importlib.import_module("importlib.metadata").version("emhass")
    json.dump({"version": version, "taken_ms": taken_ms, "grid_w": grids}, sys.stdout)


if __name__ == "__main__":
    main()
