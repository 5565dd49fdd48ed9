"""The bound: what a battery could have saved had the whole month been known, as a linear programme."""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array, eye_array, hstack, vstack

from ess_controller.planning.problem import Battery, Prices, Series, block_steps
from firmware_bridge.records import Floats


def perfect_powers(series: Series, prices: Prices, battery: Battery, start_wh: float, refill: float) -> Floats:
    """[step] power of the battery, discharging +, at least cost over one calendar month known in advance.

    Columns: charge, discharge, import, export, spilled sun, stored after each step, then the pieces of the peak.
    """
    n, h = len(series), series.step_s / 3600.0
    net = series.net_w
    demand = prices.demand
    pieces = len(demand.from_w)
    one, zero = eye_array(n), csr_array((n, n))
    below = coo_array((np.ones(n - 1), (np.arange(1, n), np.arange(n - 1))), shape=(n, n))
    none = csr_array((n, pieces))
    balance = hstack([one * -1.0, one, one, -1.0 * one, -1.0 * one, zero, none])
    stored = hstack([-battery.charge_efficiency * h * one, h / battery.discharge_efficiency * one, zero, zero, zero, one - below, none])
    first = np.zeros(n)
    first[0] = start_wh
    steps = block_steps(series, prices.block_s)
    blocks = -(-n // steps)
    mean = coo_array((np.full(n, 1.0 / steps), (np.arange(n) // steps, np.arange(n))), shape=(blocks, n))
    nothing = csr_array((blocks, n))
    limit = hstack([nothing, nothing, mean, nothing, nothing, nothing, csr_array(-np.ones((blocks, pieces)))])
    surplus = np.maximum(-net, 0.0)
    widths = np.diff((*demand.from_w, np.inf)) if pieces else np.zeros(0)
    sold = {"none": np.zeros(n), "pv_surplus": surplus, "any": np.full(n, np.inf)}[battery.export]
    upper = np.concatenate((
        np.full(n, battery.charge_w), np.full(n, battery.discharge_w), np.full(n, np.inf), sold, surplus,
        np.full(n, battery.soc_max * battery.energy_wh), widths,
    ))
    lower = np.zeros(len(upper))
    lower[5 * n : 6 * n] = battery.soc_min * battery.energy_wh
    per_wh = h / 1000.0
    cost = np.concatenate((
        np.zeros(n), np.full(n, battery.wear_cny_per_kwh * per_wh), prices.import_cny_per_kwh * per_wh,
        -prices.export_cny_per_kwh * per_wh, np.zeros(2 * n), np.array(demand.cny_per_kw) / 1000.0,
    ))
    cost[6 * n - 1] -= refill
    free = demand.from_w[0] if pieces else 0.0
    solved = linprog(
        cost,
        A_eq=vstack([balance, stored]), b_eq=np.concatenate((net, first)),
        A_ub=limit if pieces else None, b_ub=np.full(blocks, free) if pieces else None,
        bounds=np.stack((lower, upper), axis=1), method="highs",
    )
    return np.asarray(solved.x[n : 2 * n] - solved.x[:n])
