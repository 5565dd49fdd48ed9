"""What is believed of each cell: how full, how large, how stiff; from the string's current and the cells' voltages."""

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.core.gauge.look import Readings, look
from ess_controller.core.gauge.state import Gauge
from ess_controller.core.types import Estimate, State, Tuning
from firmware_bridge.records import Bools, Contactor, Floats, Measurements, PcsState, Tick

_OPEN, _PCS_FAULT = int(Contactor.OPEN), int(PcsState.FAULT)


def estimate(tuning: Tuning, state: State, seen: Measurements, tick: Tick) -> tuple[Estimate, Gauge, Floats]:
    """Look at one picture.

    Returns the Estimate, the fuel gauge, and rest_s [string], the plant time each string has been at rest. A cell whose
    voltage is unknown or that is being bled is only counted, never corrected.
    """
    knobs = tuning.estimate
    is_open = seen.string_contactor == _OPEN
    flowing_a = np.where(is_open, 0.0, seen.string_a)
    rest_s = (state.rest_s + tick.dt_s) * (np.abs(flowing_a) < knobs.rest_a)  # NaN is not rest
    # more would have blown the fuse: the sensor is broken
    believable = np.abs(seen.string_a) <= 2 * tuning.envelope.string_a_max
    readings = Readings(
        string_a=np.where(believable, seen.string_a, np.nan),
        open=is_open,
        resting=rest_s >= knobs.rest_s,
        cell_v=seen.cell_v,
        bled=seen.cell_bleeding,
        cell_c=(0.5 * (seen.module_cold_c + seen.module_hot_c))[tuning.layout.cell_module],
    )
    gauge = look(tuning.cells, state.gauge, readings, tick.t_s, tick.dt_s)
    net_load_w = float(seen.grid_w + np.where(obeying(seen), seen.pcs_w, 0.0).sum())
    now = Estimate(
        soc=gauge.soc,
        soc_sd=gauge.soc_sd,
        capacity_ah=gauge.capacity_ah,
        capacity_sd_ah=gauge.capacity_sd_ah,
        quality=gauge.quality,
        cell_ohm=cell_ohm(tuning, gauge, seen, max(tuning.limits.horizon_s, 2 * tick.dt_s)),
        net_load_w=net_load_w,
    )
    return now, gauge, rest_s


def obeying(seen: Measurements) -> Bools:
    """[cabinet] whose inverter does what it is told: heard, remote, sound, and proven to fall back to 0 W.

    Only these can serve a load. What another one still does until its own timer ends it is in what the meter shows, and
    nobody takes its place before.
    """
    does: Bools = seen.pcs_armed & ~seen.pcs_local & (seen.pcs_state != _PCS_FAULT) & ~np.isnan(seen.pcs_w)
    return does


def cell_ohm(tuning: Tuning, gauge: Gauge, seen: Measurements, horizon_s: float) -> Floats:
    """Resistance [cell] that a current step meets after `horizon_s`: by the module's size, age and coldest sensor, and
    by what each cell has shown over the nearest horizon that is watched, never less than three quarters of the table.

    A module that tells no temperature counts as the coldest of the cell file.
    """
    cell = tuning.cell
    coldest_c = np.where(np.isnan(seen.module_cold_c), cell.resistance_by_c.x[0], seen.module_cold_c)
    by_module = cell.resistance_by_c(coldest_c) * (tuning.module_ohm_factor * cell.ohm(horizon_s))
    nearest = int(np.abs(np.log(np.array(HORIZONS_S) / horizon_s)).argmin())
    return np.asarray(by_module[tuning.layout.cell_module] * np.maximum(gauge.ratio[nearest], 0.75))
