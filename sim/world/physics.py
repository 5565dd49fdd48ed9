"""One step of everything: cells, strings, bus, inverters, heat, the meter's sum. States in, states out."""

from dataclasses import dataclass, fields

import numpy as np

from firmware_bridge.records import Bools, Contactor, Floats, Ints, Layout, PlantSpec
from sim.world.ageing import Seeded
from sim.world.cells import Cells, CellState, discharge, source, warmed
from sim.world.climate import Air, act
from sim.world.inverter import InverterState, control
from sim.world.pack import Wear, Wiring, solve, switch
from sim.world.premises import Surroundings
from sim.world.scenario import Scenario
from sim.world.solar import generate
from sim.world.thermal import HeatPaths, Warmth, warm

_OPEN = int(Contactor.OPEN)


@dataclass(frozen=True, slots=True, eq=False)
class Nature:
    """What never changes in a run."""

    scenario: Scenario
    layout: Layout
    cells: Cells
    link_ohm: Floats  # [module]
    wiring: Wiring
    paths: HeatPaths
    pv_rated_w: Floats  # [pv]
    still_air: Air

    @classmethod
    def of(cls, plant: PlantSpec, scenario: Scenario, seeded: Seeded) -> "Nature":
        """The iron of a site."""
        layout = plant.layout
        wiring = Wiring.of(layout, scenario.pack, seeded.link_ohm)
        return cls(
            scenario,
            layout,
            seeded.cells,
            seeded.link_ohm,
            wiring,
            HeatPaths.of(layout, scenario),
            np.array([pv.rated_w for pv in plant.pvs], np.float64),
            Air.still(layout.cabinets),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """What the devices are told, and what is wrong with them, during one step."""

    contactor: Ints  # [string] wanted
    cut: Bools  # [string] the hard-wired chain has cut the coil supply: open, whatever is wanted
    bleed: Bools  # [cell]
    set_w: Floats  # [cabinet]
    run: Bools  # [cabinet]
    welded: Bools  # [string]
    stuck_open: Bools  # [string]
    tripped: Bools  # [cabinet]
    short_a: Floats  # [cell] what soft shorts drain beside self-discharge
    pv_limit_w: Floats  # [pv] inf: uncurtailed
    climate: Ints  # [cabinet] Climate bits of what truly runs


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
    pv_w: Floats  # [pv] AC
    aux_w: float  # fans, chillers and heaters of all cabinets
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
    load_j: float = 0.0  # of the premises, without the cabinets' own
    sun_j: float = 0.0  # what all panels could have given
    pv_j: float = 0.0  # generated
    curtailed_j: float = 0.0  # the difference
    aux_j: float = 0.0  # electrical, of fans, chillers and heaters
    climate_heat_j: float = 0.0  # let into the cabinets' air by heaters, less what chillers took out


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
        np.zeros(layout.pvs),
        0.0,
        nothing,
        np.zeros(layout.cabinets, np.bool_),
        around.load_w - around.roof_w,
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
    wanted = np.where(orders.cut, _OPEN, orders.contactor)
    contactor = switch(now.contactor, wanted, orders.welded, orders.stuck_open, now.string_a, gap_a, wear)
    inverter, ac_w, want_w = control(
        scenario.inverter, now.inverter, orders.set_w, orders.run, now.bus_v, orders.tripped | now.collapsed, dt_s
    )
    bus = solve(wiring, contactor, emf_v, ohm, now.bus_v, want_w, dt_s)
    pcs_w = np.where(bus.collapsed, 0.0, ac_w + (bus.dc_w - want_w))

    cell_a = bus.string_a[layout.cell_string] + bleed_a
    cell_v, cells, flows = discharge(nature.cells, now.cells, seen, cell_a, dt_s, orders.short_a)
    bleed_w, square_a = bleed_a * flows.terminal_v, bus.string_a * bus.string_a
    air = act(scenario.climate, orders.climate) if np.count_nonzero(orders.climate) else nature.still_air
    warmth = _warmth(nature, now.warmth, flows.heat_w, bleed_w, square_a, air, around.ambient_c, dt_s)
    pv_w = generate(scenario.solar, nature.pv_rated_w, now.pv_w, around.sun_w, orders.pv_limit_w, dt_s)
    aux_w = sum(air.aux_w.tolist())
    grid_w = around.load_w + aux_w - around.roof_w - sum(pv_w.tolist()) - sum(pcs_w.tolist())

    _add(totals, nature, bus.dc_w, square_a, cell_a, flows.terminal_v, flows.heat_w, bleed_w, dt_s)
    _add_ac(totals, around, pcs_w, pv_w, air, aux_w, grid_w, dt_s)
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
        pv_w,
        aux_w,
        bus.dc_w,
        bus.collapsed,
        grid_w,
        around,
    )


def _warmth(
    nature: Nature,
    now: Warmth,
    heat_w: Floats,
    bleed_w: Floats,
    square_a: Floats,
    air: Air,
    ambient_c: float,
    dt_s: float,
) -> Warmth:
    """Heat made in cells and bleed resistors [cell], in conductors by their string's current squared, and let in."""
    layout, pack = nature.layout, nature.scenario.pack
    cell_w = heat_w + (square_a * pack.busbar_ohm)[layout.cell_string]
    module_w = np.add.reduceat(bleed_w, layout.first_cell) + square_a[layout.module_string] * nature.link_ohm
    cable_w = np.add.reduceat(square_a * pack.cable_ohm, layout.first_string)
    return warm(nature.paths, now, cell_w, module_w, cable_w + air.heat_w, ambient_c, dt_s, air.exchange)


def _add(
    totals: Totals,
    nature: Nature,
    dc_w: Floats,
    square_a: Floats,
    cell_a: Floats,
    terminal_v: Floats,
    heat_w: Floats,
    bleed_w: Floats,
    dt_s: float,
) -> None:
    """What flows on the DC side."""
    totals.terminal_j += float(cell_a @ terminal_v) * dt_s
    totals.cell_heat_j += float(np.add.reduce(heat_w)) * dt_s
    totals.bleed_j += float(np.add.reduce(bleed_w)) * dt_s
    totals.conductor_j += float(square_a @ nature.wiring.string_ohm) * dt_s
    totals.dc_j += sum(dc_w.tolist()) * dt_s


def _add_ac(
    totals: Totals,
    around: Surroundings,
    pcs_w: Floats,
    pv_w: Floats,
    air: Air,
    aux_w: float,
    grid_w: float,
    dt_s: float,
) -> None:
    """What flows on the AC side; generation follows the sun of the same step."""
    sun_w, made_w = around.pv_w, around.roof_w + sum(pv_w.tolist())
    totals.load_j += around.load_w * dt_s
    totals.sun_j += sun_w * dt_s
    totals.pv_j += made_w * dt_s
    totals.curtailed_j += (sun_w - made_w) * dt_s
    totals.aux_j += aux_w * dt_s
    totals.climate_heat_j += sum(air.heat_w.tolist()) * dt_s
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
