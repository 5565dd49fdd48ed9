"""What is really so, for judging the controller by: nothing of this crosses a wire."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from firmware_bridge.records import Bools, Floats, Ints
from sim.world.pack import Wear
from sim.world.physics import Nature, Now, Orders, Totals, copied


@dataclass(slots=True)
class Extremes:
    """Lowest and highest true values since the start."""

    cell_v_min: Floats  # [cell]
    cell_v_max: Floats  # [cell]
    cell_c_min: Floats  # [cell]
    cell_c_max: Floats  # [cell]
    bled_as: Floats  # [cell] charge burnt
    grid_w_max: float

    @classmethod
    def of(cls, now: Now) -> "Extremes":
        """At the start."""
        cell_v, cell_c = now.cell_v, now.cells.cell_c
        return cls(cell_v.copy(), cell_v.copy(), cell_c.copy(), cell_c.copy(), np.zeros(len(cell_v)), now.grid_w)

    def add(self, now: Now, dt_s: float) -> None:
        """After a step."""
        np.minimum(self.cell_v_min, now.cell_v, out=self.cell_v_min)
        np.maximum(self.cell_v_max, now.cell_v, out=self.cell_v_max)
        np.minimum(self.cell_c_min, now.cells.cell_c, out=self.cell_c_min)
        np.maximum(self.cell_c_max, now.cells.cell_c, out=self.cell_c_max)
        self.bled_as += now.bleed_a * dt_s
        self.grid_w_max = max(self.grid_w_max, now.grid_w)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The site as it is at one moment, and what it has been through. Copies: it stands still."""

    t_s: float
    utc: datetime
    cell_soc: Floats  # [cell]
    cell_capacity_ah: Floats  # [cell]
    cell_resistance_ohm: Floats  # [cell] 10 s, at its present SOC and temperature
    cell_ocv_v: Floats  # [cell]
    cell_v: Floats  # [cell]
    cell_c: Floats  # [cell]
    bleeding: Bools  # [cell]
    bled_ah: Floats  # [cell] since the start
    module_c: Floats  # [module] frame
    air_c: Floats  # [cabinet]
    ambient_c: float
    string_a: Floats  # [string] + discharging
    string_v: Floats  # [string]
    bus_v: Floats  # [cabinet]
    contactor: Ints  # [string]
    pcs_w: Floats  # [cabinet] AC, + discharging
    pcs_state: Ints  # [cabinet] PcsState
    load_w: float  # of the premises, without the cabinets' own
    sun_w: float  # what all panels could give
    pv_w: float  # what they give
    aux_w: float  # fans, chillers and heaters of the cabinets
    climate: Ints  # [cabinet] Climate bits of what truly runs
    grid_w: float  # + importing
    energy_in_kwh: float  # charged, AC side of all inverters
    energy_out_kwh: float  # discharged
    import_kwh: float
    export_kwh: float
    load_kwh: float
    pv_kwh: float
    curtailed_kwh: float  # what the sun could have given besides
    aux_kwh: float
    grid_w_max: float
    cell_v_min: Floats  # [cell] since the start, and so the next three
    cell_v_max: Floats
    cell_c_min: Floats
    cell_c_max: Floats
    closes: Ints  # [string] contactor cycles
    opened_under_load: Ints  # [string] how often above 5 A
    opened_under_load_a: Floats  # [string] the worst
    inrush_a: Floats  # [string] the worst current at closing


def truth(
    nature: Nature, now: Now, orders: Orders, extremes: Extremes, totals: Totals, wear: Wear, t_s: float, utc: datetime
) -> Truth:
    """Gather it."""
    energy = copied(totals)
    return Truth(
        t_s=t_s,
        utc=utc,
        cell_soc=now.cells.soc,
        cell_capacity_ah=nature.cells.capacity_ah,
        cell_resistance_ohm=nature.cells.resistance_ohm(10.0, now.cells.factor),
        cell_ocv_v=now.cells.ocv_v,
        cell_v=now.cell_v,
        cell_c=now.cells.cell_c,
        bleeding=orders.bleed,
        bled_ah=extremes.bled_as / 3600,
        module_c=now.warmth.module_c,
        air_c=now.warmth.air_c,
        ambient_c=now.around.ambient_c,
        string_a=now.string_a,
        string_v=now.string_v,
        bus_v=now.bus_v,
        contactor=now.contactor,
        pcs_w=now.pcs_w,
        pcs_state=now.inverter.state,
        load_w=now.around.load_w,
        sun_w=now.around.pv_w,
        pv_w=now.around.roof_w + float(now.pv_w.sum()),
        aux_w=now.aux_w,
        climate=orders.climate,
        grid_w=now.grid_w,
        energy_in_kwh=energy.charged_j / 3.6e6,
        energy_out_kwh=energy.discharged_j / 3.6e6,
        import_kwh=energy.imported_j / 3.6e6,
        export_kwh=energy.exported_j / 3.6e6,
        load_kwh=energy.load_j / 3.6e6,
        pv_kwh=energy.pv_j / 3.6e6,
        curtailed_kwh=energy.curtailed_j / 3.6e6,
        aux_kwh=energy.aux_j / 3.6e6,
        grid_w_max=extremes.grid_w_max,
        cell_v_min=extremes.cell_v_min.copy(),
        cell_v_max=extremes.cell_v_max.copy(),
        cell_c_min=extremes.cell_c_min.copy(),
        cell_c_max=extremes.cell_c_max.copy(),
        closes=wear.closes.copy(),
        opened_under_load=wear.opened_under_load.copy(),
        opened_under_load_a=wear.opened_under_load_a.copy(),
        inrush_a=wear.inrush_a.copy(),
    )
