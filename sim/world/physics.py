"""One step of everything: cells, strings, bus, inverters, heat, the meter's sum. States in, states out."""

from dataclasses import dataclass, fields

import numpy as np

from firmware_bridge.records import Bools, Contactor, Floats, Ints, Layout, PlantSpec
from sim.world.ageing import Seeded
from sim.world.cells import Cells, CellState, discharge, source, warmed
from sim.world.inverter import InverterState, control
from sim.world.pack import Wear, Wiring, solve, switch
from sim.world.premises import Surroundings
from sim.world.scenario import Scenario
from sim.world.thermal import HeatPaths, Warmth, warm


@dataclass(frozen=True, slots=True, eq=False)
class Nature:
    """What never changes in a run."""

    scenario: Scenario
    layout: Layout
    cells: Cells
    link_ohm: Floats  # [module]
    wiring: Wiring
    paths: HeatPaths

    @classmethod
    def of(cls, plant: PlantSpec, scenario: Scenario, seeded: Seeded) -> "Nature":
        """The iron of a site."""
        layout = plant.layout
        wiring = Wiring.of(layout, scenario.pack, seeded.link_ohm)
        return cls(scenario, layout, seeded.cells, seeded.link_ohm, wiring, HeatPaths.of(layout, scenario))


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """What the devices are told, and what is wrong with them, during one step."""

    contactor: Ints  # [string] wanted
    bleed: Bools  # [cell]
    set_w: Floats  # [cabinet]
    run: Bools  # [cabinet]
    welded: Bools  # [string]
    stuck_open: Bools  # [string]
    tripped: Bools  # [cabinet]


@dataclass(frozen=True, slots=True, eq=False)
class Now:
    """The site at the end of a step; powers and currents are means over it."""

    cells: CellState
    warmth: Warmth
    inverter: InverterState
    contactor: Ints  # [string] actual
    cell_v: Floats  # [cell] at the terminals
    bleed_a: Floats  # [cell] through the bleed resistors
    string_a: Floats  # [string]
    string_v: Floats  # [string] battery side
    bus_v: Floats  # [cabinet]
    pcs_w: Floats  # [cabinet] AC
    dc_w: Floats  # [cabinet]
    collapsed: Bools  # [cabinet]
    grid_w: float
    around: Surroundings


@dataclass(slots=True)
class Totals:
    """Energies since the start, joules; what enters equals what leaves plus what is stored."""

    terminal_j: float = 0.0  # out of the cells' terminals
    cell_heat_j: float = 0.0  # made inside the cells
    bleed_j: float = 0.0  # burnt in bleed resistors
    conductor_j: float = 0.0  # burnt in busbars, links and cables
    dc_j: float = 0.0  # drawn by the inverters
    discharged_j: float = 0.0  # AC, all inverters, only where positive
    charged_j: float = 0.0  # AC, absolute
    imported_j: float = 0.0
    exported_j: float = 0.0


def at_rest(nature: Nature, seeded: Seeded, around: Surroundings) -> Now:
    """The site long switched off: contactors open, bus empty."""
    layout, warm_c = nature.layout, nature.scenario.start.temperature_c
    cells = CellState.rested(nature.cells, seeded.soc, np.full(layout.cells, warm_c))
    warmth = Warmth(
        cells.cell_c, np.full(layout.modules, warm_c), np.full(layout.cabinets, warm_c), np.zeros(layout.cabinets)
    )
    nothing, none = np.zeros(layout.cabinets), np.zeros(layout.strings)
    return Now(
        cells,
        warmth,
        InverterState.off(layout.cabinets),
        np.full(layout.strings, int(Contactor.OPEN)),
        cells.ocv_v,
        np.zeros(layout.cells),
        none,
        np.add.reduceat(cells.ocv_v, layout.first_cell_of_string),
        nothing,
        nothing,
        nothing,
        np.zeros(layout.cabinets, np.bool_),
        around.load_w - around.pv_w,
        around,
    )


def step(
    nature: Nature, now: Now, orders: Orders, around: Surroundings, wear: Wear, totals: Totals, dt_s: float
) -> Now:
    """The site `dt_s` later. `wear` and `totals` are added to."""
    layout, scenario, wiring = nature.layout, nature.scenario, nature.wiring
    bleed_a = np.where(orders.bleed, now.cell_v / scenario.cell.bleed_ohm, 0.0)
    seen = source(nature.cells, now.cells, dt_s)
    emf_v = np.add.reduceat(seen.emf_v - bleed_a * seen.ohm, layout.first_cell_of_string)
    ohm = np.add.reduceat(seen.ohm, layout.first_cell_of_string) + wiring.string_ohm
    gap_a = (now.string_v - now.bus_v[layout.string_cabinet]) / ohm
    contactor = switch(now.contactor, orders.contactor, orders.welded, orders.stuck_open, now.string_a, gap_a, wear)
    inverter, ac_w, want_w = control(
        scenario.inverter, now.inverter, orders.set_w, orders.run, now.bus_v, orders.tripped | now.collapsed, dt_s
    )
    bus = solve(wiring, contactor, emf_v, ohm, now.bus_v, want_w, dt_s)
    pcs_w = np.where(bus.collapsed, 0.0, ac_w + (bus.dc_w - want_w))

    cell_a = bus.string_a[layout.cell_string] + bleed_a
    cell_v, cells, flows = discharge(nature.cells, now.cells, seen, cell_a, dt_s)
    bleed_w = bleed_a * flows.terminal_v
    square_a = bus.string_a * bus.string_a
    busbar_w = square_a * scenario.pack.busbar_ohm
    module_w = np.add.reduceat(bleed_w, layout.first_cell) + square_a[layout.module_string] * nature.link_ohm
    cable_w = np.add.reduceat(square_a * scenario.pack.cable_ohm, layout.first_string)
    cell_w = flows.heat_w + busbar_w[layout.cell_string]
    warmth = warm(nature.paths, now.warmth, cell_w, module_w, cable_w, around.ambient_c, dt_s)
    grid_w = around.load_w - around.pv_w - sum(pcs_w.tolist())

    _add(totals, nature, bus.dc_w, square_a, cell_a, flows.terminal_v, flows.heat_w, bleed_w, pcs_w, grid_w, dt_s)
    string_v = np.add.reduceat(cell_v, layout.first_cell_of_string) - bus.string_a * wiring.inner_ohm
    return Now(
        warmed(nature.cells, cells, warmth.cell_c),
        warmth,
        inverter,
        contactor,
        cell_v,
        bleed_a,
        bus.string_a,
        string_v,
        bus.bus_v,
        pcs_w,
        bus.dc_w,
        bus.collapsed,
        grid_w,
        around,
    )


def _add(
    totals: Totals,
    nature: Nature,
    dc_w: Floats,
    square_a: Floats,
    cell_a: Floats,
    terminal_v: Floats,
    heat_w: Floats,
    bleed_w: Floats,
    pcs_w: Floats,
    grid_w: float,
    dt_s: float,
) -> None:
    totals.terminal_j += float(cell_a @ terminal_v) * dt_s
    totals.cell_heat_j += float(np.add.reduce(heat_w)) * dt_s
    totals.bleed_j += float(np.add.reduce(bleed_w)) * dt_s
    totals.conductor_j += float(square_a @ nature.wiring.string_ohm) * dt_s
    totals.dc_j += sum(dc_w.tolist()) * dt_s
    for w in pcs_w.tolist():
        if w > 0:
            totals.discharged_j += w * dt_s
        else:
            totals.charged_j -= w * dt_s
    totals.imported_j += max(grid_w, 0.0) * dt_s
    totals.exported_j += max(-grid_w, 0.0) * dt_s


def copied(totals: Totals) -> Totals:
    """A copy that stands still."""
    return Totals(*(getattr(totals, field.name) for field in fields(Totals)))
