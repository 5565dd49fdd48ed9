"""How full is each cell: charge counted from the string current, corrected by voltage once the string has rested."""

import numpy as np

from ess_controller.core.types import Estimate, State, Tuning
from firmware_bridge.records import Bools, Contactor, Floats, Measurements, PcsState, Tick

_OPEN, _PCS_FAULT = int(Contactor.OPEN), int(PcsState.FAULT)


def estimate(tuning: Tuning, state: State, seen: Measurements, tick: Tick) -> tuple[Estimate, Floats]:
    """Look at one picture.

    Returns the Estimate and rest_s [string], the plant time each string has been at rest. A cell whose voltage is
    unknown or that is being bled is only counted, never corrected.
    """
    knobs, string = tuning.estimate, tuning.layout.cell_string
    flowing_a = np.where(seen.string_contactor == _OPEN, 0.0, seen.string_a)
    rest_s = (state.rest_s + tick.dt_s) * (np.abs(flowing_a) < knobs.rest_a)  # NaN is not rest
    believable = np.abs(flowing_a) <= 2 * tuning.envelope.string_a_max  # more would have blown the fuse; NaN is not
    counted_a = np.where(believable, flowing_a, 0.0)

    soc = state.soc - (counted_a * (tick.dt_s / 3600))[string] / tuning.cell_ah
    soc_sd = state.soc_sd + knobs.drift_per_hour * (tick.dt_s / 3600)
    unknown, rested = np.isnan(soc), rest_s >= knobs.rest_s
    if rested.any() or unknown.any():
        rested = rested[string]
        read = (rested | unknown) & ~np.isnan(seen.cell_v) & ~seen.cell_bleeding
        relaxed_v = seen.cell_v + counted_a[string] * cell_ohm(tuning, seen, knobs.rest_s)
        soc = np.where(read, np.interp(relaxed_v, tuning.cell.ocv.y, tuning.cell.ocv.x), soc)
        soc_sd = np.where(read, np.where(rested, knobs.rest_sd, knobs.start_sd), soc_sd)

    ohm = cell_ohm(tuning, seen, max(tuning.limits.horizon_s, 2 * tick.dt_s))
    net_load_w = float(seen.grid_w + np.where(obeying(seen), seen.pcs_w, 0.0).sum())
    return Estimate(np.minimum(np.maximum(soc, 0.0), 1.0), np.minimum(soc_sd, 0.5), ohm, net_load_w), rest_s


def obeying(seen: Measurements) -> Bools:
    """[cabinet] whose inverter does what it is told: heard, remote, sound, and proven to fall back to 0 W.

    Only these can serve a load. What another one still does until its own timer ends it is in what the meter shows, and
    nobody takes its place before.
    """
    does: Bools = seen.pcs_armed & ~seen.pcs_local & (seen.pcs_state != _PCS_FAULT) & ~np.isnan(seen.pcs_w)
    return does


def cell_ohm(tuning: Tuning, seen: Measurements, horizon_s: float) -> Floats:
    """Resistance [cell] that a current step meets after `horizon_s`, by the module's size, age and coldest sensor.

    A module that tells no temperature counts as the coldest of the cell file.
    """
    cell = tuning.cell
    coldest_c = np.where(np.isnan(seen.module_cold_c), cell.resistance_by_c.x[0], seen.module_cold_c)
    new_ohm = np.interp(horizon_s, cell.resistance.x, cell.resistance.y)
    return (cell.resistance_by_c(coldest_c) * tuning.module_ohm_factor * new_ohm)[tuning.layout.cell_module]
