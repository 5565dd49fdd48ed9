"""Pictures of the bench site for tests of the core: everything well, unless a test says otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.core.types import Tuning
from ess_controller.site import load
from firmware_bridge.records import Contactor, Measurements, PcsState, Tick

BENCH = Path(__file__).parents[2] / "sites/bench"
START = datetime(2026, 6, 1, 4, tzinfo=UTC)


@cache
def tuning() -> Tuning:
    """The bench site's."""
    return load(BENCH, {}).tuning


def tick(t_s: float, dt_s: float = 0.1, speed: float = 1.0) -> Tick:
    """A beat at plant time t_s."""
    return Tick(t_s, dt_s, t_s / speed, START + timedelta(seconds=t_s))


def well(**changes: Any) -> Measurements:
    """The bench site at mid charge with closed contactors, idle, all heard."""
    layout = tuning().layout
    modules, strings, cabinets = layout.modules, layout.strings, layout.cabinets
    seen = Measurements(
        cell_v=np.full(layout.cells, 3.7),
        cell_age_s=np.zeros(layout.cells),
        cell_bleeding=np.zeros(layout.cells, bool),
        module_c=np.full((modules, 4), 25.0),
        module_board_c=np.full(modules, 27.0),
        module_error=np.zeros(modules, np.int64),
        module_age_s=np.zeros(modules),
        string_a=np.zeros(strings),
        string_v=np.full(strings, 3.7 * 94),
        string_bus_v=np.full(strings, 3.7 * 94),
        string_contactor=np.full(strings, int(Contactor.CLOSED)),
        string_fault=np.zeros(strings, np.int64),
        string_insulation_ohm=np.full(strings, 1e6),
        string_age_s=np.zeros(strings),
        pcs_w=np.zeros(cabinets),
        pcs_state=np.full(cabinets, int(PcsState.RUNNING)),
        pcs_charge_w=np.full(cabinets, 50_000.0),
        pcs_discharge_w=np.full(cabinets, 50_000.0),
        pcs_set_w=np.zeros(cabinets),
        pcs_armed=np.ones(cabinets, bool),
        pcs_local=np.zeros(cabinets, bool),
        pcs_age_s=np.zeros(cabinets),
        grid_w=20_000.0,
        grid_age_s=0.0,
    )
    return replace(seen, **changes)


def one(values: np.ndarray, at: int, value: float) -> np.ndarray:
    """A copy with one element changed."""
    changed = values.copy()
    changed.flat[at] = value
    return changed
