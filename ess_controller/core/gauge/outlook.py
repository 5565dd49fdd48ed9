"""State of power: the voltage each cell will have after so many seconds of a constant current, solved for the current.

    V(t+h) = V - R(h) I + R(0) I_now + sum_i U_i (1 - exp(-h / tau_i)) - fall(I h / 3600 Q)

V is the voltage measured now, freed of noise, so that whatever the model has wrong at this moment cancels; R(h) = R0 +
sum_i R_i (1 - exp(-h / tau_i)), all resistances scaled by what the gauge has measured over that horizon (`stiffness`:
of the whole drop, so the filter's rho is in it). fall() is what the open-circuit voltage loses on the way and what
hysteresis adds, read from the curve where the cell will be: near empty it falls faster than its tangent says. After
G. L. Plett, J. Power Sources 134 (2004) 252-292, part 3, with the RC pairs kept.

What is not known stands on the safe side: the voltage's sensor and the RC pairs as millivolts kept from the limit, the
resistance as a share of the room that is left, the SOC where fall and R(h) are read. It is worked out when the gauge
looks; a second is short against the shortest horizon, and the bound on the present voltage acts in every beat.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S, KNOTS
from ess_controller.core.gauge.filter import OUTSIDE, RHO, SOC, U1, U2, Place, ocv
from ess_controller.core.gauge.look import shape_of
from ess_controller.core.gauge.setup import Setup
from ess_controller.core.gauge.state import Gauge
from firmware_bridge.records import Floats

# How many standard deviations of what is not known are kept; `tests.core.sop_campaign` says what that holds and costs.
VOLTAGE_SIGMAS = 2.5
OHM_SIGMAS = 1.0
SOC_SIGMAS = 0.5
MODEL_SHARE = 0.03  # of R(h): the circuit's shape over SOC and temperature, beside what was measured of it
BEYOND_SHARE = 0.10  # the same over horizons longer than any that is watched
NOISE_V = 0.006  # a reading may be off by noise so far, and no further
NOISE_SD_V = 0.002  # its standard deviation
NOISE_S = 10.0  # over which it is averaged, and two looks at least
LEAST_RATIO = 0.75  # of the table's resistance, whatever was measured
ROUNDS = 3  # of current and fall: an odd number ends on the safe side of a curve that falls ever faster
LEAST_A = 1.0  # where fall over current is worked out
_WAYS: Floats = np.array((-1.0, 1.0))[:, None, None]  # charging, discharging


@dataclass(frozen=True, slots=True)
class Window:
    """Where cells shall stay, and what no string carries more than."""

    cell_v_min: float
    cell_v_max: float
    rated_a: float


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """How much current each cell lets its string carry for so long; NaN where its voltage is not known."""

    horizon_s: Floats  # [horizon] rising; the first is the one that acts
    charge_a: Floats  # [horizon, cell] below zero: it must be discharged
    discharge_a: Floats  # [horizon, cell]
    ohm: Floats  # [horizon, cell] R(h) now
    end_ohm: Floats  # [2, horizon, cell] R(h) and fall over current, where charging and discharging lead
    off_v: Floats  # [cell] what the model's voltage is off by, without noise


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What instruments say of each cell."""

    cell_v: Floats  # [cell]
    cell_a: Floats  # [cell] of its string
    cell_c: Floats  # [cell]
    dt_s: float  # since the look before


def look_ahead(
    setup: Setup, gauge: Gauge, window: Window, sight: Sight, before: Floats | float, horizons_s: Floats
) -> Outlook:
    """The outlook of all cells; `before` [cell]: off_v of the outlook before, NaN where there is none.

    A cell of unknown SOC counts as half full, one of unknown temperature as the coldest of the cell file: nothing flows
    for other reasons.
    """
    cell, mean = setup.cell, gauge.belief.mean
    soc = np.where(np.isnan(mean[SOC]), 0.5, mean[SOC])
    c = np.where(np.isnan(sight.cell_c), cell.resistance_by_c.x[0], sight.cell_c)
    factor, place = setup.ohm_factor * cell.resistance_by_c(c), Place.of(soc)
    ratio, sure = _measured(setup, gauge, horizons_s)
    rises = -np.expm1(-horizons_s / np.array(cell.circuit.rc_s)[:, None])[:, :, None]  # [pair, horizon, 1]
    r0, r1, r2 = cell.tables.ohm
    table = r0 + rises[0] * r1 + rises[1] * r2  # [horizon, knot]

    lag_v, r0_ohm = place.of_table(cell.tables.hysteresis_v), factor * place.of_table(r0)
    sunk_v = lag_v * gauge.belief.hysteresis + (r0_ohm + mean[RHO]) * sight.cell_a + mean[U1] + mean[U2]
    model_v = ocv(cell.tables, shape_of(gauge.anchors), soc)[0] - sunk_v
    off_v = _without_noise(sight.cell_v - model_v, before, sight.dt_s)
    now_v = model_v + off_v
    cov, new = gauge.belief.cov, _newest(sight.dt_s)
    noise_var = NOISE_SD_V**2 * new / (2.0 - new)  # what the mean leaves of it
    slack_v = VOLTAGE_SIGMAS * np.sqrt(setup.knobs.sensor_sd_v**2 + noise_var + cov[U1, U1] + cov[U2, U2])
    room_v = np.array((window.cell_v_max - slack_v - now_v, now_v - (window.cell_v_min + slack_v)))[:, None]
    room_v = np.minimum(room_v, room_v * sure)  # beyond the limit all counts
    # what the present current does, and has done, is in the voltage already: it ends or goes on
    back_v = ratio * (r0_ohm * sight.cell_a + rises[0] * mean[U1] + rises[1] * mean[U2])
    start = _Start(soc, lag_v, factor * ratio, table, horizons_s, room_v + _WAYS * back_v)
    a, end_ohm = _solved(setup, gauge, window.rated_a, start)
    return Outlook(horizons_s, a[0], a[1], start.factor * _of_tables(table, place), end_ohm, off_v)


@dataclass(frozen=True, slots=True, eq=False)
class _Start:
    """What the rounds start from."""

    soc: Floats  # [cell]
    lag_v: Floats  # [cell] hysteresis when settled
    factor: Floats  # [horizon, cell] of the table's resistance
    table: Floats  # [horizon, knot] R(h) over SOC, new and at 25 C
    horizon_s: Floats  # [horizon]
    drop_v: Floats  # [way, horizon, cell] that a current may make each way


def _solved(setup: Setup, gauge: Gauge, rated_a: float, start: _Start) -> tuple[Floats, Floats]:
    """Current and what it meets [way, horizon, cell]: current gives the place, the place resistance and fall."""
    tables, share, shape = setup.cell.tables, setup.cell.circuit.hysteresis_share, shape_of(gauge.anchors)
    edge = start.soc - _WAYS * (SOC_SIGMAS * gauge.soc_sd)  # [way, 1, cell]
    edge_v = ocv(tables, shape, edge)[0]
    lag_v = start.lag_v * (1.0 - _WAYS * gauge.belief.hysteresis)
    soc_per_a = start.horizon_s[:, None] / (3600.0 * gauge.capacity_ah)
    near_a: Floats = np.full((2, *start.factor.shape), rated_a)
    a = end_ohm = near_a
    for _ in range(ROUNDS):
        moved = near_a * soc_per_a
        end = np.minimum(np.maximum(edge - _WAYS * moved, -OUTSIDE), 1.0 + OUTSIDE)
        fall_v = _WAYS * (edge_v - ocv(tables, shape, end)[0]) - lag_v * np.expm1(-moved / share)
        end_ohm = start.factor * _of_tables(start.table, Place.of(end)) + fall_v / near_a
        a = start.drop_v / end_ohm
        near_a = np.where(np.isnan(a), rated_a, np.minimum(np.maximum(a, LEAST_A), rated_a))
    return a, end_ohm


def _measured(setup: Setup, gauge: Gauge, horizons_s: Floats) -> tuple[Floats, Floats]:
    """Resistance over the table's, and the share of a room that its doubt leaves [horizon, cell].

    Each horizon takes the nearest that is watched, and beyond the longest of them the greatest of all: in the cold RC
    pairs are slower than the cell file's, so that much of them is yet to come.
    """
    watched_s = np.array(HORIZONS_S)
    nearest = np.abs(np.log(watched_s / horizons_s[:, None])).argmin(axis=1)
    beyond = (horizons_s > watched_s[-1])[:, None]
    ratio = np.where(beyond, gauge.ratio.max(axis=0), gauge.ratio[nearest])
    sd = gauge.stiffness.sd(setup.knobs.stiffness)[nearest]
    doubt = np.hypot(sd, np.where(beyond, BEYOND_SHARE, MODEL_SHARE))
    return np.maximum(ratio, LEAST_RATIO), 1.0 / (1.0 + OHM_SIGMAS * doubt)


def _without_noise(off_v: Floats, before: Floats | float, dt_s: float) -> Floats:
    """A slow mean of what a model's voltage is off by [cell], never further from the reading than noise can be."""
    mean_v = before + (off_v - before) * _newest(dt_s)
    kept_v = np.minimum(np.maximum(mean_v, off_v - NOISE_V), off_v + NOISE_V)
    return np.where(np.isnan(before), off_v, kept_v)


def _newest(dt_s: float) -> float:
    """Share of the newest reading in that mean: long beats average too, or current follows noise to the limit and over
    it, beat after beat."""
    return dt_s / (NOISE_S + dt_s)


def _of_tables(table: Floats, place: Place) -> Floats:
    """[..., horizon, cell] each horizon's own table [horizon, knot]; place [cell] or [..., horizon, cell]."""
    here = place.knot + (np.arange(len(table)) * KNOTS)[:, None]
    low = table.take(here)
    share = np.minimum(np.maximum(place.rest, 0.0), 1.0)
    return np.asarray(low + (table.take(here + 1) - low) * share)
