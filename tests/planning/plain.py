"""The same problem in the plainest words for scipy: one matrix, dense, written without a look at ours."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from ess_controller.planning.given.problem import Battery, Prices, Series
from firmware_bridge.records import Floats


@dataclass(frozen=True)
class Plain:
    """min cost @ x, equal @ x = to, less @ x <= than, low <= x <= high.

    x: import, export, charge, discharge, SOC, each [step], and the peak.
    """

    cost: Floats
    equal: Floats
    to: Floats
    less: Floats
    than: Floats
    low: Floats
    high: Floats
    steps: int


def plain(battery: Battery, series: Series, prices: Prices) -> Plain:
    """In W and SOC, one month, one step a block, demand from 0 W on or none."""
    n, hour = len(series), series.step_s / 3600.0
    imports, exports, charge, discharge, soc = (slice(at * n, (at + 1) * n) for at in range(5))
    eye, peak = np.eye(n), 5 * n
    cost = np.zeros(5 * n + 1)
    cost[imports] = prices.import_cny_per_kwh * hour / 1000.0
    cost[exports] = 0.0 if battery.export == "none" else -prices.export_cny_per_kwh * hour / 1000.0
    cost[discharge] = battery.wear_cny_per_kwh * hour / 1000.0
    cost[peak] = sum(prices.demand.cny_per_kw) / 1000.0
    equal, to = np.zeros((2 * n, 5 * n + 1)), np.zeros(2 * n)
    equal[:n, imports], equal[:n, exports], equal[:n, charge], equal[:n, discharge] = eye, -eye, -eye, eye
    to[:n] = series.load_w - series.pv_w
    equal[n:, soc] = (eye - np.eye(n, k=-1)) * battery.energy_wh
    equal[n:, charge] = -eye * battery.charge_efficiency * hour
    equal[n:, discharge] = eye / battery.discharge_efficiency * hour
    to[n] = battery.soc_start * battery.energy_wh
    less = np.zeros((n, 5 * n + 1))
    less[:, imports], less[:, peak] = eye, -1.0
    low, high = np.zeros(5 * n + 1), np.full(5 * n + 1, np.inf)
    surplus = np.maximum(series.pv_w - series.load_w, 0.0)
    high[imports] = series.load_w + battery.charge_w
    high[exports] = surplus + (battery.discharge_w if battery.export == "any" else 0.0)
    high[charge], high[discharge] = battery.charge_w, battery.discharge_w
    low[soc], high[soc] = battery.soc_min, battery.soc_max
    if battery.soc_end_min is not None:
        low[5 * n - 1] = max(battery.soc_end_min, battery.soc_min)
    return Plain(cost, equal, to, less, np.zeros(n), low, high, n)


def least_cny_jointly(groups: tuple[Battery, ...], series: Series, prices: Prices) -> float:
    """Of the linear programme of several stores behind one meter."""
    return least_cny(jointly(groups, series, prices))


def jointly(groups: tuple[Battery, ...], series: Series, prices: Prices) -> Plain:
    """The linear programme of several stores behind one meter: each one's matrix, one below the other. Columns: import,
    export [step], peak, then of each store charge, discharge and energy [step]."""
    parts = [plain(group, series, prices) for group in groups]
    n, first = len(series), parts[0]
    meter = np.r_[0 : 2 * n, 5 * n]  # import, export, peak: once for all
    own = np.arange(2 * n, 5 * n)
    width = len(meter) + len(own) * len(parts)
    equal, to = (
        np.zeros((n * (1 + len(parts)), width)),
        np.concatenate([first.to[:n], *(part.to[n:] for part in parts)]),
    )
    less = np.zeros((n, width))
    equal[:n, : len(meter)], less[:, : len(meter)] = first.equal[:n, meter], first.less[:, meter]
    for at, part in enumerate(parts):
        columns = slice(len(meter) + at * len(own), len(meter) + (at + 1) * len(own))
        equal[:n, columns] = part.equal[:n, own]
        equal[(at + 1) * n : (at + 2) * n, columns] = part.equal[n:, own]
    cost, low, high = (
        np.concatenate([getattr(first, name)[meter], *(getattr(part, name)[own] for part in parts)])
        for name in ("cost", "low", "high")
    )
    high[:n] += sum(group.charge_w for group in groups[1:])
    high[n : 2 * n] += sum(group.discharge_w for group in groups[1:] if groups[0].export == "any")
    return Plain(cost, equal, to, less, first.than, low, high, n)


def least_cny_by_slices(groups: tuple[Battery, ...], series: Series, prices: Prices) -> float:
    """Of the linear programme with one store for each slice of depth (Xu et al. 2018), in kW and kWh; no demand.

    x: import, export, each [step]; then of each slice charge, discharge, energy, each [step].
    """
    n, hour, net_kw = len(series), series.step_s / 3600.0, series.net_w / 1000.0
    slices = [(group, at) for group in groups for at in range(len(group.wear.cny_per_kwh))]
    width = 2 * n + 3 * n * len(slices)
    cost, low, high = np.zeros(width), np.zeros(width), np.full(width, np.inf)
    cost[:n], cost[n : 2 * n] = prices.import_cny_per_kwh * hour, -prices.export_cny_per_kwh * hour
    high[n : 2 * n] = np.maximum(-net_kw, 0.0)
    balance, kept, eye = np.zeros((n, width)), np.zeros((n * len(slices), width)), np.eye(n)
    balance[:, :n], balance[:, n : 2 * n] = eye, -eye
    held, powers, ends = np.zeros(n * len(slices)), np.zeros((2 * n * len(groups), width)), []
    for number, (group, at) in enumerate(slices):
        charge, discharge, energy = (
            slice(2 * n + (3 * number + k) * n, 2 * n + (3 * number + k + 1) * n) for k in range(3)
        )
        rows = slice(number * n, (number + 1) * n)
        balance[:, charge], balance[:, discharge] = -eye, eye
        kept[rows, energy] = eye - np.eye(n, k=-1)
        kept[rows, charge], kept[rows, discharge] = (
            -eye * group.charge_efficiency * hour,
            eye / group.discharge_efficiency * hour,
        )
        floor_kwh = group.soc_min * group.energy_wh / 1000.0
        slice_kwh = (group.soc_max - group.soc_min) * group.energy_wh / 1000.0 / len(group.wear.cny_per_kwh)
        held[number * n] = np.clip(
            group.soc_start * group.energy_wh / 1000.0 - floor_kwh - at * slice_kwh, 0.0, slice_kwh
        )
        high[energy] = slice_kwh
        cost[discharge] = (group.wear.cny_per_kwh[at] / group.discharge_efficiency + group.wear_cny_per_kwh) * hour
        first = 2 * n * groups.index(group)
        powers[first : first + n, charge], powers[first + n : first + 2 * n, discharge] = eye, eye
    most = np.concatenate([np.repeat([group.charge_w, group.discharge_w], n) / 1000.0 for group in groups])
    for group in groups:
        end = np.zeros(width)
        for number, (other, _) in enumerate(slices):
            end[2 * n + (3 * number + 3) * n - 1] = -1.0 if other is group else 0.0
        ends.append(end)
    least = [((group.soc_end_min or 0.0) - group.soc_min) * group.energy_wh / 1000.0 for group in groups]
    less, than = np.vstack([powers, *ends]), np.append(most, [-max(kwh, 0.0) for kwh in least])
    equal, to = np.vstack([balance, kept]), np.append(net_kw, held)
    return least_cny(Plain(cost, equal, to, less, than, low, high, n))


def least_cny(problem: Plain) -> float:
    """Of the linear programme."""
    bounds = np.column_stack([problem.low, problem.high])
    found = linprog(problem.cost, problem.less, problem.than, problem.equal, problem.to, bounds)
    assert found.success, found.message
    return float(found.fun)


def least_cny_one_way(problem: Plain, stores: int = 0) -> float:
    """With a binary for the meter and one for each battery in each step: never both ways at once. `stores` in a
    programme of `jointly`; 0: one, in that of `plain`."""
    n, columns = problem.steps, len(problem.cost)
    firsts = [0, *(2 * n + 1 + 3 * n * store for store in range(stores))] if stores else [0, 2 * n]
    binaries = len(firsts) * n
    ways, most = np.zeros((2 * binaries, columns + binaries)), np.zeros(2 * binaries)
    for pair, first in enumerate(firsts):
        for way in range(2):
            rows = slice((2 * pair + way) * n, (2 * pair + way + 1) * n)
            flow = slice(first + way * n, first + (way + 1) * n)
            top = problem.high[flow]
            ways[rows, flow] = np.eye(n)
            ways[rows, columns + pair * n : columns + (pair + 1) * n] = np.diag(top if way else -top)
            most[rows] = top if way else 0.0
    found = milp(
        np.concatenate([problem.cost, np.zeros(binaries)]),
        constraints=[
            LinearConstraint(np.hstack([problem.equal, np.zeros((len(problem.to), binaries))]), problem.to, problem.to),
            LinearConstraint(np.hstack([problem.less, np.zeros((len(problem.than), binaries))]), -np.inf, problem.than),
            LinearConstraint(ways, -np.inf, most),
        ],
        bounds=Bounds(np.append(problem.low, np.zeros(binaries)), np.append(problem.high, np.ones(binaries))),
        integrality=np.append(np.zeros(columns), np.ones(binaries)),
        options={"mip_rel_gap": 1e-5, "time_limit": 60.0},
    )
    assert found.success, found.message
    return float(found.fun)
