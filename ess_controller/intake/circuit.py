"""The circuit behind a pulse test: R0 and two RC pairs over SOC by non-negative least squares, hysteresis given.

Every combination on a grid of time constants and fading times is tried; for each the rest of the model is linear, and
comes from one table of products. Samples weigh by time over time since the last step of current: each decade of
time after a step counts the same, or hours of rest would drown the first seconds.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from ess_controller.core.cell_model import Circuit
from ess_controller.intake.curve import GRID, OpenCurve
from ess_controller.intake.sections import dt_s, since_step_s
from ess_controller.intake.traces import Trace
from firmware_bridge.records import Floats

HYSTERESIS_SHARE = 0.01  # of capacity: any from 0.5 to 3 % fits real cells about as well
FADES_S = (300.0, 600.0, 1200.0, 2400.0, 3600.0)
# A longer RC pair takes what is hysteresis. A pulse test does not tell them apart (2.7 mV at 60 s, 2.5 mV at 90 s);
# other currents do: SOC on 0..2.2 C drives of real 18650 cells is 1 % too low, right, 1 % too high with 30, 60, 90 s.
LONGEST_RC_S = 60.0
RC_RATIO = 1.25  # from one time constant of the grid to the next
APART = 4.0  # two pairs closer than this are one
KNOT = 0.1  # SOC from one knot to the next
SMOOTH = 0.05
TRUE_V, TRUE_SOC = 0.002, 0.005  # how true voltage and SOC of a test are
SHORTEST_WEIGHED_S = 1.0
ONE_RC_ABOVE_S = 2.0  # with samples further apart a fast pair cannot be told from R0
NO_FAST_RC_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """A pulse test with what is known of it before its circuit is."""

    trace: Trace
    soc: Floats  # [sample]
    factor: Floats  # [sample] resistance at its temperature over that at 25 C
    capacity_ah: float

    @property
    def identifies_s(self) -> float:
        """The shortest time constant that its samples tell from a resistor: what passes from a step to the sample."""
        _, steps = since_step_s(self.trace, self.capacity_ah)
        return float(np.median(dt_s(self.trace)[steps])) if steps.size else np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A circuit and how well it tells the test."""

    circuit: Circuit
    model_v: Floats  # [sample]


def settled(test: Test, fades_s: float) -> Floats:
    """[sample] how far hysteresis is settled, -1 (charged) .. 1 (discharged): as `core.gauge.filter` has it."""
    dt, flow = dt_s(test.trace), test.trace.current_a * dt_s(test.trace) / (3600.0 * test.capacity_ah)
    moved, fades = np.abs(flow) / HYSTERESIS_SHARE, dt / fades_s
    ends = np.sign(flow) * moved / (moved + fades + 1e-30)
    return _followed(ends, np.exp(-moved - fades), 0.0)


def fit(test: Test, curve: OpenCurve) -> Fitted:
    """The best circuit of all pairs of time constants and all fading times."""
    knots, rc_s = _knots(test.soc), _time_constants(test.identifies_s)
    columns = _columns(test, knots, rc_s)
    open_v = np.interp(test.soc, GRID, curve.open_v)
    lag_v = np.interp(test.soc, GRID, curve.lag_v)
    hysteresis = [settled(test, fades_s) for fades_s in (FADES_S if curve.lag_v.any() else FADES_S[:1])]
    drops = np.array([open_v - lag_v * s - test.trace.voltage_v for s in hysteresis])
    products = _Products.of(columns, drops, _weights(test, curve), len(knots))
    pairs = _pairs(rc_s, two=test.identifies_s <= ONE_RC_ABOVE_S)
    tried = [(products.solve(pair, fade), pair, fade) for pair in pairs for fade in range(len(drops))]
    (_, ohm), pair, fade = min(tried, key=lambda each: each[0][0])
    told_v = np.einsum("nbk,bk->n", columns[:, list(pair)], ohm)
    pair_s = tuple(float(rc_s[block - 1]) for block in pair[1:])
    if len(pair_s) == 1:  # the samples are too far apart to see a fast pair
        ohm, pair_s = np.insert(ohm, 1, 0.0, axis=0), (NO_FAST_RC_S, *pair_s)
    lag = np.interp(knots, GRID, curve.lag_v)
    circuit = Circuit(knots, ohm[0], ohm[1], ohm[2], (pair_s[0], pair_s[1]), lag, HYSTERESIS_SHARE, FADES_S[fade])
    return Fitted(circuit, open_v - lag_v * hysteresis[fade] - told_v)


def replayed(test: Test, curve: OpenCurve, circuit: Circuit) -> Floats:
    """[sample] voltage of a test by a circuit."""
    columns = _columns(test, circuit.soc, np.array(circuit.rc_s))
    told_v = np.einsum("nbk,bk->n", columns, np.array((circuit.r0_ohm, circuit.r1_ohm, circuit.r2_ohm)))
    lag_v = np.interp(test.soc, GRID, curve.lag_v) * settled(test, circuit.hysteresis_s)
    return np.asarray(np.interp(test.soc, GRID, curve.open_v) - lag_v - told_v)


def _knots(soc: Floats) -> Floats:
    """[knot] every 10 % between the ends of what the test visits."""
    low, high = float(np.min(soc)), float(np.max(soc))
    inner = np.arange(np.ceil((low + 0.3 * KNOT) / KNOT), np.floor((high - 0.3 * KNOT) / KNOT) + 1.0) * KNOT
    return np.concatenate(([low], inner, [high]))


def _time_constants(identifies_s: float) -> Floats:
    """[rc] that are tried."""
    shortest = max(1.0, min(identifies_s, 0.5 * LONGEST_RC_S))
    count = int(np.log(LONGEST_RC_S / shortest) / np.log(RC_RATIO)) + 1
    return np.asarray(np.geomspace(shortest, LONGEST_RC_S, count))


def _pairs(rc_s: Floats, *, two: bool) -> list[tuple[int, ...]]:
    """Blocks of columns that are tried together: R0 with one RC pair, or with two, the shorter first."""
    slow = range(1, len(rc_s) + 1)
    if not two:
        return [(0, k) for k in slow]
    return [(0, k, m) for m in slow for k in range(1, m) if rc_s[m - 1] >= APART * rc_s[k - 1]]


def _columns(test: Test, knots: Floats, rc_s: Floats) -> Floats:
    """[sample, 1 + rc, knot] volts that one ohm at each knot makes, as R0 and as each RC pair."""
    hats = np.array([np.interp(test.soc, knots, unit) for unit in np.eye(len(knots))]).T
    amps = hats * (test.trace.current_a * test.factor)[:, None]
    keep = np.exp(-dt_s(test.trace)[:, None, None] / rc_s[:, None])
    lagging = _followed(np.broadcast_to(amps[:, None, :], (len(amps), len(rc_s), len(knots))), keep, 0.0)
    return np.concatenate((amps[:, None, :], lagging), axis=1)


def _weights(test: Test, curve: OpenCurve) -> Floats:
    """[sample] of equal worth for each decade of time after a step; the less, the more a wrong SOC would show."""
    since_s, _ = since_step_s(test.trace, test.capacity_ah)
    slope_v = np.interp(test.soc, GRID, np.gradient(curve.open_v, GRID))
    variance = TRUE_V**2 + (TRUE_SOC * slope_v) ** 2
    return np.minimum(dt_s(test.trace), since_s) / np.maximum(since_s, SHORTEST_WEIGHED_S) * (TRUE_V**2 / variance)


@dataclass(frozen=True, slots=True, eq=False)
class _Products:
    """All products of columns and drops, weighted."""

    columns: Floats  # [block, knot, block, knot]
    drops: Floats  # [block, knot, fade]
    squares: Floats  # [fade]
    smooth: Floats  # [knot, knot]

    @classmethod
    def of(cls, columns: Floats, drops: Floats, weights: Floats, knots: int) -> "_Products":
        flat = columns.reshape(len(columns), -1)
        weighed = flat * weights[:, None]
        bends = (
            SMOOTH * np.sqrt(np.sum(weights * np.sum(columns[:, 0], axis=1) ** 2)) * np.diff(np.eye(knots), 2, axis=0)
        )
        blocks = columns.shape[1]
        return cls(
            (flat.T @ weighed).reshape(blocks, knots, blocks, knots),
            (weighed.T @ drops.T).reshape(blocks, knots, -1),
            np.asarray((drops**2) @ weights),
            bends.T @ bends,
        )

    def solve(self, blocks: tuple[int, ...], fade: int) -> tuple[float, Floats]:
        """Squared error and ohm [block, knot], of R0 and the RC pairs chosen; none negative."""
        chosen = list(blocks)
        knots = len(self.smooth)
        square = self.columns[chosen][:, :, chosen].reshape(len(chosen) * knots, -1)
        square = square + np.kron(np.eye(len(chosen)), self.smooth)
        square = square + 1e-9 * np.trace(square) * np.eye(len(square))
        root = np.linalg.cholesky(square)
        wanted = np.linalg.solve(root, self.drops[chosen, :, fade].ravel())
        ohm, rest = nnls(root.T, wanted)
        return float(self.squares[fade] - wanted @ wanted + rest**2), np.reshape(ohm, (len(chosen), knots))


def _followed(ends: Floats, keep: Floats, start: float) -> Floats:
    """[sample, ...] what moves towards `ends` and keeps the share `keep` of the distance in each step."""
    out = np.empty_like(ends)
    value = np.zeros(ends.shape[1:]) + start
    for k in range(len(ends)):
        value = ends[k] + (value - ends[k]) * keep[k]
        out[k] = value
    return out
