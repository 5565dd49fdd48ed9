"""What is believed of each cell: how full, how large, how stiff; from the string's current and the cells' voltages."""

import numpy as np

from ess_controller.core.gauge.look import look
from ess_controller.core.gauge.outlook import Outlook, Sight, look_ahead
from ess_controller.core.gauge.setup import Readings
from ess_controller.core.gauge.state import Gauge
from ess_controller.core.types import Estimate, State, Tuning
from firmware_bridge.records import Bools, Contactor, Floats, Layout, Measurements, PcsState, Tick

LONGER_S = (30.0, 300.0)  # told beside the horizon that acts: half a minute, and continuously
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
    # a beat after the look, so that no beat does both; unless every beat looks
    looked = (gauge if tick.dt_s >= tuning.cells.knobs.every_s else state.gauge).moved_s == 0.0
    net_load_w = float(seen.grid_w + np.where(obeying(seen), seen.pcs_w, 0.0).sum())
    now = Estimate(
        soc=gauge.soc,
        soc_sd=gauge.soc_sd,
        soc_apart_sd=gauge.soc_apart_sd,
        capacity_ah=gauge.capacity_ah,
        capacity_sd_ah=gauge.capacity_sd_ah,
        capacity_apart_sd_ah=gauge.capacity_apart_sd_ah,
        quality=gauge.quality,
        outlook=outlook(tuning, gauge, readings, state.outlook, tick.dt_s) if looked else state.outlook,
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


def outlook(tuning: Tuning, gauge: Gauge, readings: Readings, before: Outlook | None, dt_s: float) -> Outlook:
    """What currents will do to each cell within 10 s, 30 s and continuously; no horizon is shorter than two beats.

    `before`: the outlook before, as old as the gauge's last look.
    """
    horizons_s = np.maximum((tuning.limits.horizon_s, *LONGER_S), max(tuning.limits.horizon_s, 2.0 * dt_s))
    looked_s = max(dt_s, tuning.cells.knobs.every_s)
    cell_a = readings.string_a[tuning.layout.cell_string]
    sight = Sight(readings.cell_v, cell_a, readings.cell_c, readings.bled, looked_s)
    return look_ahead(tuning.cells, gauge, tuning.window, sight, before, horizons_s)


def nothing_seen(layout: Layout) -> Readings:
    """What instruments say before they are read."""
    strings, cells = np.full(layout.strings, np.nan), np.full(layout.cells, np.nan)
    return Readings(strings, strings > 0.0, strings > 0.0, cells, cells > 0.0, cells)
