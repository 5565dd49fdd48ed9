"""The bidirectional inverter (PCS) of each cabinet: states, start delay, ramp, losses. Reversion: in its registers."""

from dataclasses import dataclass

import numpy as np

from firmware_bridge.records import Bools, Floats, Ints, PcsState
from sim.world.scenario import Inverter

# numpy is ten times slower with an IntEnum
OFF, STANDBY, RUNNING, FAULT = (int(PcsState[name]) for name in ("OFF", "STANDBY", "RUNNING", "FAULT"))


@dataclass(frozen=True, slots=True, eq=False)
class InverterState:
    """Where each inverter is, [cabinet]."""

    state: Ints  # PcsState
    w: Floats  # AC power at the end of the step, + discharging
    starting_s: Floats  # how long it has been starting

    @classmethod
    def off(cls, cabinets: int) -> "InverterState":
        """Without DC voltage."""
        return cls(np.full(cabinets, OFF), np.zeros(cabinets), np.zeros(cabinets))


def control(
    spec: Inverter, now: InverterState, set_w: Floats, run: Bools, bus_v: Floats, trip: Bools, dt_s: float
) -> tuple[InverterState, Floats, Floats]:
    """One step: the new state, the mean AC power over it and the DC power wanted for that, [cabinet].

    `trip` forces FAULT, which is left only by being told to stop with the trip gone. Told to stop, it drops to 0 W at
    once (its bridge is blocked); told another power, it ramps. Outside the DC window it does not run.
    """
    dc_ok = (bus_v >= spec.dc_v_min) & (bus_v <= spec.dc_v_max)
    running = now.state == RUNNING
    fault = run & (trip | (running & ~dc_ok) | (now.state == FAULT))
    able = run & dc_ok & ~fault
    starting_s = (now.starting_s + dt_s) * able
    run_now = able & (running | (starting_s > spec.start_s))
    state = np.where(run_now, RUNNING, np.where(fault | trip, FAULT, np.where(dc_ok, STANDBY, OFF)))

    way_w = np.minimum(np.maximum(set_w, -spec.charge_w), spec.discharge_w) - now.w
    most_w = spec.ramp_w_per_s * dt_s
    moved_w = np.minimum(np.maximum(way_w, -most_w), most_w)
    end_w = (now.w + moved_w) * run_now
    mean_w = (end_w - moved_w * np.abs(moved_w) / (2 * most_w)) * run_now  # ramping, then level
    dc_w = (mean_w + loss_w(spec, mean_w)) * run_now
    return InverterState(state, end_w, starting_s), mean_w - spec.standby_w * ~run_now, dc_w


def loss_w(spec: Inverter, ac_w: Floats) -> Floats:
    """Losses of a running inverter at an AC power [cabinet]: no-load, proportional and quadratic parts."""
    rated_w = max(spec.charge_w, spec.discharge_w)
    size_w = np.abs(ac_w)
    return np.asarray(spec.no_load_w + (spec.loss_share + (spec.loss_square / rated_w) * size_w) * size_w)
