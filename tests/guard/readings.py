"""Raw readings of a small site for the guard: two cabinets, three strings, four modules, sound by themselves."""

from dataclasses import replace
from typing import Any

import numpy as np

from firmware_bridge.records import (
    CabinetSpec,
    Commands,
    Contactor,
    Envelope,
    Floats,
    Layout,
    Measurements,
    ModuleSpec,
    PcsState,
    PlantSpec,
    StringSpec,
)

CELLS = 8  # a module


def _string(name: str, modules: int) -> StringSpec:
    return StringSpec(
        name, "box", tuple(ModuleSpec(f"{name}{slot}", "can", slot, CELLS, 232.0, 0.8) for slot in range(modules))
    )


PLANT = PlantSpec(
    {},
    (CabinetSpec("A", "pcs A", (_string("A1", 2), _string("A2", 1))), CabinetSpec("B", "pcs B", (_string("B1", 1),))),
    "meter",
)
LAYOUT = Layout.of(PLANT)
ENVELOPE = Envelope(
    cell_v_min=2.5,
    cell_v_max=4.2,
    charge_c_min=0.0,
    cell_c_min=-20.0,
    cell_c_max=55.0,
    string_a_max=180.0,
    pcs_w_max=50_000.0,
)
LAST_CELL_OF_A1, FIRST_CELL_OF_A2, FIRST_CELL_OF_B1 = 15, 16, 24
A, B = 0, 1  # cabinets
A1, A2, B1 = 0, 1, 2  # strings


def sound(**changes: Any) -> Measurements:
    """Everything heard and inside the envelope, contactors closed."""
    cells, modules, strings, cabinets = LAYOUT.cells, LAYOUT.modules, LAYOUT.strings, LAYOUT.cabinets
    seen = Measurements(
        cell_v=np.full(cells, 3.7),
        cell_age_s=np.zeros(cells),
        cell_bleeding=np.zeros(cells, bool),
        module_c=np.full((modules, 4), 25.0),
        module_board_c=np.full(modules, 27.0),
        module_error=np.zeros(modules, np.int64),
        module_age_s=np.zeros(modules),
        string_a=np.zeros(strings),
        string_v=np.full(strings, 60.0),
        string_bus_v=np.full(strings, 60.0),
        string_contactor=np.full(strings, int(Contactor.CLOSED)),
        string_disabled=np.zeros(strings, bool),
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


def reading(field: str, value: float, *places: int) -> Measurements:
    """Sound but for one field at the places given (flat indices)."""
    values = getattr(sound(), field).copy()
    values.flat[list(places)] = value
    return sound(**{field: values})


def ask(power_w: float | tuple[float, float] = 0.0, **changes: Any) -> Commands:
    """Commands: the same power of both cabinets or each its own; contactors kept closed, nothing bled."""
    told = Commands(
        pcs_w=np.array(np.broadcast_to(power_w, LAYOUT.cabinets), np.float64),
        pcs_run=np.ones(LAYOUT.cabinets, bool),
        contactor=np.full(LAYOUT.strings, int(Contactor.CLOSED)),
        bleed=np.zeros(LAYOUT.cells, bool),
        bleed_s=4.0,
    )
    return replace(told, **changes)


def bled(*cells: int) -> Commands:
    """Commands to bleed some cells."""
    marks = np.zeros(LAYOUT.cells, bool)
    marks[list(cells)] = True
    return ask(bleed=marks)


def around(limit: float, whole: float) -> Floats:
    """Values dense at a limit (down to the next float) and sparse up to `whole` away on both sides."""
    near = np.array([0.0, 1e-9, 1e-6, 1e-3, 0.01, 0.1, 0.5, 1.0]) * whole
    exact = [np.nextafter(limit, -np.inf), limit, np.nextafter(limit, np.inf)]
    return np.unique(np.concatenate((limit - near, exact, limit + near)))
