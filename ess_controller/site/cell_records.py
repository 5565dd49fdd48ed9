"""From a checked cell file to the cell that the controller reckons with, and to how it ages."""

import numpy as np

from ess_controller.core.cell_model import KNOTS, CellModel, Circuit
from ess_controller.core.wear import CellAgeing
from ess_controller.site.cell_tables import CellFile
from ess_controller.site.freezing import curve, frozen


def cell_model(cell: CellFile) -> CellModel:
    """The cell type of a file in which nothing is wrong."""
    ohm, lag, knots = cell.resistance, cell.hysteresis, np.linspace(0.0, 1.0, KNOTS)
    r0_ohm, r1_ohm, r2_ohm = (frozen(np.interp(knots, ohm.soc, row)) for row in (ohm.r0_ohm, ohm.r1_ohm, ohm.r2_ohm))
    first_s, second_s = sorted(ohm.rc_s)
    circuit = Circuit(
        frozen(knots),
        r0_ohm,
        r1_ohm,
        r2_ohm,
        (float(first_s), float(second_s)),
        frozen(np.interp(knots, lag.soc, lag.v)),
        float(lag.share),
        float(lag.fades_s),
    )
    return CellModel(
        name=cell.name,
        ocv=curve(cell.ocv.soc, cell.ocv.v),
        circuit=circuit,
        resistance_by_c=curve(ohm.by_temperature_c, ohm.temperature_factor),
        resistance_by_soh=curve(ohm.by_soh, ohm.soh_factor),
        nameplate_ah=float(cell.nameplate_ah),
    )


def ageing_of(cell: CellFile) -> CellAgeing | None:
    """How the cell ages, if its file says so."""
    table = cell.ageing
    if table is None:
        return None
    lists = (table.depth, table.per_cycle, table.soc, table.per_year)
    depth, per_cycle, soc, per_year = (tuple(map(float, each)) for each in lists)
    return CellAgeing(depth, per_cycle, soc, per_year, float(table.cycle_j_per_mol), float(table.rest_j_per_mol))
