"""What a test consists of: charge counted, rests, steps of current, its longest discharge; and whether it is one."""

from dataclasses import dataclass

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.intake.traces import Trace
from firmware_bridge.records import Floats, Ints

REST_C = 0.01  # a smaller current, in C, is none
SHORTEST_REST_S = 300.0  # a voltage that has rested for less says little of OCV
LAST_OF_REST = 0.1  # the share of a rest that is read, the mean of it
STEP_C = 0.1  # a larger change of current, in C, shows resistance
STEADY = 0.05  # and of it the current may move before the next


def dt_s(trace: Trace) -> Floats:
    """[sample] time since the sample before; 0 for the first."""
    return np.diff(trace.t_s, prepend=trace.t_s[:1])


def discharged_ah(trace: Trace) -> Floats:
    """[sample] charge drawn since the first sample."""
    return np.asarray(np.cumsum(trace.current_a * dt_s(trace)) / 3600.0)


def longest_discharge(trace: Trace) -> slice:
    """The samples between which most charge flowed out without any flowing back; one of rest before it included."""
    drawn_ah = discharged_ah(trace)
    falls = np.flatnonzero(np.diff(drawn_ah) < -1e-4 * float(np.ptp(drawn_ah)) / len(drawn_ah)) + 1
    edges = np.concatenate(([0], falls, [len(drawn_ah)]))
    ends = np.maximum(edges[1:] - 1, edges[:-1])
    best = int(np.argmax(drawn_ah[ends] - drawn_ah[edges[:-1]]))
    first, last = int(edges[best]), int(ends[best])
    flows = np.flatnonzero(trace.current_a[first : last + 1] > REST_C * (drawn_ah[last] - drawn_ah[first]))
    if not flows.size:
        raise BadInputError(
            f"{trace.source}: current_a: expected a discharge, with positive current; "
            f"{'it only charges: is its sign reversed?' if np.ptp(drawn_ah) > 0.0 else 'nothing flows'}"
        )
    return slice(max(first + int(flows[0]) - 1, 0), first + int(flows[-1]) + 1)


def check_sign(trace: Trace, capacity_ah: float) -> None:
    """Voltage must fall when a discharge begins and rise when it ends; else BadInputError."""
    di_a, dv = np.diff(trace.current_a), np.diff(trace.voltage_v)
    steps = np.abs(di_a) > STEP_C * capacity_ah
    wrong = float(np.mean(di_a[steps] * dv[steps] > 0.0)) if steps.any() else 0.0
    if wrong > 0.5:
        raise BadInputError(
            f"{trace.source}: current_a: expected positive when discharging, but voltage rises in {wrong:.0%} of "
            "the steps to a larger current: its sign is reversed"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Rests:
    """Long rests, in the order of the trace."""

    soc: Floats  # [rest]
    volts: Floats  # [rest] mean of its last tenth
    lasted_s: Floats  # [rest]
    after: Floats  # [rest] 1 after discharging, -1 after charging, 0 when nothing is known


def rests(trace: Trace, soc: Floats, capacity_ah: float) -> Rests:
    """All rests of a trace; `soc` [sample]."""
    still = np.abs(trace.current_a) < REST_C * capacity_ah
    edges = np.flatnonzero(np.diff(np.concatenate(([False], still, [False])).astype(int))).reshape(-1, 2)
    found = []
    for first, end in edges:
        since_s = trace.t_s[max(first - 1, 0)]
        lasted_s = float(trace.t_s[end - 1] - since_s)
        # One sample at the very start has rested before anything was recorded.
        if lasted_s < SHORTEST_REST_S and first > 0:
            continue
        late = slice(first, end) if first == 0 and lasted_s < SHORTEST_REST_S else _late(trace, first, end)
        after = float(np.sign(trace.current_a[first - 1])) if first > 0 else 0.0
        found.append((soc[end - 1], float(np.mean(trace.voltage_v[late])), lasted_s, after))
    return Rests(*np.array(found, np.float64).reshape(-1, 4).T)


def _late(trace: Trace, first: int, end: int) -> slice:
    """The last tenth of a rest."""
    until_s = trace.t_s[end - 1]
    from_s = until_s - LAST_OF_REST * (until_s - trace.t_s[max(first - 1, 0)])
    return slice(first + int(np.searchsorted(trace.t_s[first:end], from_s)), end)


def since_step_s(trace: Trace, capacity_ah: float) -> tuple[Floats, Ints]:
    """[sample] time since current last stepped, counted from just before the step; and where steps are."""
    steps = np.flatnonzero(np.abs(np.diff(trace.current_a)) > 0.5 * STEP_C * capacity_ah) + 1
    last = np.zeros(len(trace.t_s), np.int64)
    last[steps] = steps - 1
    return np.asarray(trace.t_s - trace.t_s[np.maximum.accumulate(last)]), steps


@dataclass(frozen=True, slots=True, eq=False)
class Pulses:
    """Resistance seen at steps of current, the fall of OCV not included."""

    soc: Floats  # [step] before it
    step_a: Floats  # [step] + towards discharge
    cell_c: Floats  # [step]
    ohm: Floats  # [horizon, step]; NaN where the current did not stay for so long or nobody looked


def pulses(trace: Trace, soc: Floats, open_v: Floats, capacity_ah: float, horizons_s: tuple[float, ...]) -> Pulses:
    """What each step has met after the horizons; `soc`, `open_v` [sample]: OCV there, hysteresis included."""
    seen_v = open_v - trace.voltage_v
    steps = np.flatnonzero(np.abs(np.diff(trace.current_a)) > STEP_C * capacity_ah)
    lulls = [int(k) for k in steps if _steady(trace, int(k), backwards_s=max(horizons_s))]
    ohm = np.array([[_after(trace, seen_v, k, horizon_s) for k in lulls] for horizon_s in horizons_s])
    at = np.array(lulls, np.int64)
    step_a = trace.current_a[at + 1] - trace.current_a[at]
    return Pulses(soc[at], step_a, trace.temperature_c[at], ohm.reshape(len(horizons_s), -1))


def _steady(trace: Trace, k: int, backwards_s: float) -> bool:
    """Whether current had been the same for that long before sample k."""
    first = int(np.searchsorted(trace.t_s, trace.t_s[k] - backwards_s))
    step_a = abs(trace.current_a[k + 1] - trace.current_a[k])
    return bool(np.ptp(trace.current_a[first : k + 1]) <= STEADY * step_a) and (
        trace.t_s[k] - trace.t_s[0] >= backwards_s or first == 0
    )


def _after(trace: Trace, seen_v: Floats, k: int, horizon_s: float) -> float:
    """Ohm at `horizon_s` after the step behind sample k, between the samples around it."""
    until_s = trace.t_s[k] + horizon_s
    end = int(np.searchsorted(trace.t_s, until_s - 1e-6)) + 1  # one beyond the first sample that is late enough
    step_a = trace.current_a[k + 1] - trace.current_a[k]
    late = end > len(trace.t_s) or trace.t_s[end - 1] - until_s > 0.5 * horizon_s
    if late or np.ptp(trace.current_a[k + 1 : end]) > STEADY * abs(step_a):
        return float("nan")
    inside_v = np.interp(until_s, trace.t_s[k + 1 : end], seen_v[k + 1 : end])
    return float((inside_v - seen_v[k]) / step_a)
