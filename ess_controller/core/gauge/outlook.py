"""State of power: the voltage each cell will have after so many seconds of a constant current, solved for the current.

    V(t+h) = V - R(h) I + R(0) I_now + sum_i U_i (1 - exp(-h / tau_i)) - fall(I h / 3600 Q)

V is the voltage measured now, freed of noise, so that whatever the model has wrong at this moment cancels; R(h) = R0 +
sum_i R_i (1 - exp(-h / tau_i)), all resistances scaled by what the gauge has measured over that horizon (`stiffness`:
of the whole drop, so the filter's rho is in it). fall() is what the open-circuit voltage loses on the way and what
hysteresis adds, read from the curve where the cell will be: near empty it falls faster than its tangent says. After
G. L. Plett, J. Power Sources 134 (2004) 252-292, part 3, with the RC pairs kept.

What is not known is kept from the limit. A cell's sensor is off by its tolerance and no more, but by so much as likely
as by nothing; what has no such end (noise, RC pairs, resistance) is kept SIGMAS wide, and its squares add:

    room - y = tolerance + SIGMAS sqrt(noise^2 + RC^2 + (doubt y)^2),    y: how far voltage may move from now

The SOC where fall and R(h) are read stands on the safe side. It is worked out when the gauge looks; a second is short
against the shortest horizon, and the bound on the present voltage acts in every beat.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S, KNOTS
from ess_controller.core.gauge.filter import OUTSIDE, RHO, SOC, U1, U2, Place, ocv
from ess_controller.core.gauge.look import shape_of
from ess_controller.core.gauge.setup import Setup
from ess_controller.core.gauge.state import Gauge
from firmware_bridge.records import Bools, Floats

# How many standard deviations of what is not known are kept; `tests.core.sop_campaign` says what that holds and costs.
SIGMAS = 2.0  # an even error and a normal one of 1 mV (2 mV) pass their 5 mV and 2 sigma once in 1 200 (600) times
SOC_SIGMAS = 0.5
EVEN = 3.0**0.5  # a tolerance over its standard deviation, where an error may lie anywhere within alike
MODEL_SHARE = 0.03  # of R(h): the circuit's shape over SOC and temperature, beside what was measured of it
BEYOND_SHARE = 0.10  # the same over horizons longer than any that is watched
NOISE_V = 0.006  # a reading may be off by noise so far, and no further
NOISE_SD_V = 0.002  # its standard deviation
NOISE_S = 30.0  # over which it is averaged at most
MOST_DOUBT = 0.9  # of a movement, in all: more would leave nothing to solve
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
    model_v: Floats  # [cell] what the model says the voltage is now
    off_v: Floats  # [cell] what that is off by, without noise
    off_sd_v: Floats  # [cell] standard deviation of it, but for the sensor's own offset


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What instruments say of each cell."""

    cell_v: Floats  # [cell]
    cell_a: Floats  # [cell] of its string
    cell_c: Floats  # [cell]
    bled: Bools  # [cell] its sense wire drops voltage: not believed
    dt_s: float  # since the look before


def look_ahead(
    setup: Setup, gauge: Gauge, window: Window, sight: Sight, before: Outlook | None, horizons_s: Floats
) -> Outlook:
    """The outlook of all cells over `horizons_s` [horizon]; `before`: the one before, if any.

    A cell of unknown SOC counts as half full, one of unknown temperature as the coldest of the cell file: nothing flows
    for other reasons.
    """
    cell, mean = setup.cell, gauge.belief.mean
    soc = np.where(np.isnan(mean[SOC]), 0.5, mean[SOC])
    c = np.where(np.isnan(sight.cell_c), cell.resistance_by_c.x[0], sight.cell_c)
    factor, place = setup.ohm_factor * cell.resistance_by_c(c), Place.of(soc)
    ratio, doubt = _measured(setup, gauge, horizons_s)
    rises = -np.expm1(-horizons_s / np.array(cell.circuit.rc_s)[:, None])[:, :, None]  # [pair, horizon, 1]
    r0, r1, r2 = cell.tables.ohm
    table = r0 + rises[0] * r1 + rises[1] * r2  # [horizon, knot]

    lag_v, r0_ohm = place.of_table(cell.tables.hysteresis_v), factor * place.of_table(r0)
    sunk_v = lag_v * gauge.belief.hysteresis + (r0_ohm + mean[RHO]) * sight.cell_a + mean[U1] + mean[U2]
    model_v = ocv(cell.tables, shape_of(gauge.anchors), soc)[0] - sunk_v
    off_v, off_sd_v = _without_noise(setup, gauge, sight, model_v, before)
    now_v, tolerance_v = model_v + off_v, EVEN * setup.knobs.sensor_sd_v
    room_v = np.array((window.cell_v_max - now_v, now_v - window.cell_v_min))[:, None] - tolerance_v
    # what the present current does, and has done, is in the voltage already: it ends or goes on
    back_v = ratio * (r0_ohm * sight.cell_a + rises[0] * mean[U1] + rises[1] * mean[U2])
    moves_v = _sure(room_v, _now_sd(setup, gauge, off_sd_v, rises), doubt)
    start = _Start(soc, lag_v, factor * ratio, table, horizons_s, moves_v + _WAYS * back_v)
    a, end_ohm = _solved(setup, gauge, window.rated_a, start)
    return Outlook(horizons_s, a[0], a[1], start.factor * _of_tables(table, place), end_ohm, model_v, off_v, off_sd_v)


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
    """Resistance over the table's, and the standard deviation of that as a share of it [horizon, cell].

    Each horizon takes the nearest that is watched, and beyond the longest of them the greatest of all: in the cold RC
    pairs are slower than the cell file's, so that much of them is yet to come.
    """
    watched_s = np.array(HORIZONS_S)
    nearest = np.abs(np.log(watched_s / horizons_s[:, None])).argmin(axis=1)
    beyond = (horizons_s > watched_s[-1])[:, None]
    ratio = np.where(beyond, gauge.ratio.max(axis=0), gauge.ratio[nearest])
    sd = gauge.stiffness.sd(setup.knobs.stiffness)[nearest]
    doubt = np.hypot(sd, np.where(beyond, BEYOND_SHARE, MODEL_SHARE))
    return np.maximum(ratio, LEAST_RATIO), doubt


def _now_sd(setup: Setup, gauge: Gauge, off_sd_v: Floats, rises: Floats) -> Floats:
    """Standard deviation [horizon, cell] of what a voltage is now, with what RC pairs will do to it of themselves.

    The filter's variance of a pair is of what each step brings anew; but in the cold and near empty pairs are slower
    than the cell file says, so that all they hold may be off by a share.
    """
    mean, cov, share = gauge.belief.mean, gauge.belief.cov, setup.knobs.stiffness.model_share
    pair_var = np.array([cov[pair, pair] + (share * mean[pair]) ** 2 for pair in (U1, U2)])
    return np.asarray(np.sqrt(off_sd_v**2 + (rises**2 * pair_var[:, None]).sum(axis=0)))


def _sure(room_v: Floats, now_sd_v: Floats, doubt: Floats) -> Floats:
    """How far a voltage may move [way, horizon, cell], such that with what is not known it stays within `room_v`:
    room - y = SIGMAS sqrt(now^2 + (doubt y)^2), solved for y."""
    share = np.minimum(SIGMAS * doubt, MOST_DOUBT)
    rest = 1.0 - share * share
    return np.asarray((room_v - np.sqrt((share * room_v) ** 2 + rest * (SIGMAS * now_sd_v) ** 2)) / rest)


def _without_noise(
    setup: Setup, gauge: Gauge, sight: Sight, model_v: Floats, before: Outlook | None
) -> tuple[Floats, Floats]:
    """What a model's voltage is off by, and its standard deviation [cell]: a Kalman filter of a single state.

    The model may be off by a share of all that moves, always to one side: a cell that moves is followed, one that
    stands is averaged, but never further from the reading than noise can be. A bled cell's reading tells nothing. Long
    beats average too, or current follows noise to the limit and over it, beat after beat.
    """
    off_v = sight.cell_v - model_v
    bled = sight.bled & ~np.isnan(off_v)
    first_v, first_sd_v = np.where(bled, 0.0, off_v), np.where(bled, setup.knobs.filter.bias_v, NOISE_SD_V)
    if before is None:
        return first_v, first_sd_v
    relaxed = -np.expm1(-sight.dt_s / np.array(setup.cell.circuit.rc_s))
    pairs_v = np.abs(gauge.belief.mean[U1]) * relaxed[0] + np.abs(gauge.belief.mean[U2]) * relaxed[1]
    moved_v = np.abs(model_v - before.model_v) + pairs_v
    doubt_v = before.off_sd_v + setup.knobs.stiffness.model_share * moved_v
    newest = sight.dt_s / (NOISE_S + sight.dt_s)
    share = np.maximum(doubt_v**2 / (doubt_v**2 + NOISE_SD_V**2), newest)
    mean_v = before.off_v + (off_v - before.off_v) * share
    near_v = np.minimum(np.maximum(mean_v, off_v - NOISE_V), off_v + NOISE_V)
    sd_v = np.where(near_v == mean_v, np.hypot((1.0 - share) * doubt_v, share * NOISE_SD_V), NOISE_SD_V)
    kept_v, kept_sd_v = np.where(bled, before.off_v, near_v), np.where(bled, doubt_v, sd_v)
    anew = np.isnan(before.off_v + doubt_v)
    return np.where(anew, first_v, kept_v), np.where(anew, first_sd_v, kept_sd_v)


def _of_tables(table: Floats, place: Place) -> Floats:
    """[..., horizon, cell] each horizon's own table [horizon, knot]; place [cell] or [..., horizon, cell]."""
    here = place.knot + (np.arange(len(table)) * KNOTS)[:, None]
    low = table.take(here)
    share = np.minimum(np.maximum(place.rest, 0.0), 1.0)
    return np.asarray(low + (table.take(here + 1) - low) * share)
