"""The numbers of a plan's linear programme: what each kW costs in each step, and how far each may go."""

from dataclasses import dataclass

import highspy
import numpy as np

from ess_controller.planning.given.problem import Battery, Prices, Series, hours, outflow_w, sends_at_w
from ess_controller.planning.lp.layout import Layout, tapers_of
from ess_controller.planning.lp.plan import Plan
from firmware_bridge.records import Floats

INFINITY = highspy.kHighsInf
# What a kWh beyond the site's import limit counts, in times of the dearest kWh of the horizon (of a CNY at least): the
# guard gives all that is stored before it lets one pass, so no saving may pay for one. On no bill.
BEYOND_TIMES = 10.0


@dataclass(frozen=True, slots=True)
class Ends:
    """What a plan begins and ends with, beside the battery's SOC."""

    peak_so_far_w: float = 0.0  # of the month that the series begins in
    value_cny_per_kwh: float = 0.0  # of what is stored at the end


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What a programme is filled with. The export rule is that of the first group."""

    groups: tuple[Battery, ...]
    series: Series
    prices: Prices
    ends: Ends

    @property
    def export_cny_per_kwh(self) -> Floats:
        """[step] what leaves earns; curtailed sun earns nothing."""
        return np.where(self.outflow_kw > 0.0, self.prices.export_cny_per_kwh, 0.0)

    @property
    def outflow_kw(self) -> Floats:
        """[step] most that may flow into the grid."""
        return outflow_w(self.groups[0], self.prices) / 1000.0

    @property
    def import_kw(self) -> Floats:
        """[step] most that can flow in at once: what is needed, and every inverter charging."""
        return np.maximum(self.series.net_w, 0.0) / 1000.0 + sum(each.charge_w for each in self.groups) / 1000.0

    @property
    def export_kw(self) -> Floats:
        """[step] most that can leave, to the grid or by curtailing."""
        surplus = np.maximum(-self.series.net_w, 0.0) / 1000.0
        given = sum(each.discharge_w for each in self.groups) / 1000.0
        return np.maximum(surplus, np.minimum(surplus + given, sends_at_w(self.groups[0], self.prices) / 1000.0))

    @property
    def spilled_kw(self) -> Floats:
        """[step] most sun that may be curtailed: what may not flow out."""
        return np.maximum(self.export_kw - self.outflow_kw, 0.0)

    def leaving_kw(self, meter_kw: Floats, store_kw: Floats) -> Floats:
        """[step] what leaves by the meter, and by curtailing as the balance tells. `meter_kw` imports, then exports
        [step], `store_kw` [group, charge or discharge, step]."""
        imports, exports = meter_kw.reshape(2, -1)
        rest = imports - exports + (store_kw[:, 1] - store_kw[:, 0]).sum(axis=0) - self.series.net_w / 1000.0
        return np.where(self.spilled_kw > 0.0, exports + np.maximum(rest, 0.0), exports)

    @property
    def unmet_kw(self) -> Floats:
        """[step] what load and sun alone take beyond the site's import limit."""
        return np.maximum(self.series.net_w - self.groups[0].import_w, 0.0) / 1000.0

    @property
    def beyond_cny_per_kwh(self) -> float:
        """What a kWh beyond the site's import limit counts."""
        return BEYOND_TIMES * max(float(self.prices.import_cny_per_kwh.max()), 1.0)

    def weighed_cny(self, plan: Plan) -> float:
        """What a plan comes to as a programme counts it: bill, wear, import beyond the limit; less what is left."""
        left = zip(self.groups, plan.group_soc[:, -1].tolist(), strict=True)
        left_cny = self.ends.value_cny_per_kwh * sum(each.energy_wh * soc for each, soc in left) / 1000.0
        return float(plan.costs.bill + plan.costs.wear + self.beyond_cny(plan.grid_w) - left_cny)

    def beyond_cny(self, grid_w: Floats) -> float:
        """What import [step] beyond the site's limit counts."""
        beyond_w = np.maximum(grid_w - self.groups[0].import_w, 0.0)
        return self.beyond_cny_per_kwh * float(beyond_w.sum()) * hours(self.series) / 1000.0


@dataclass(frozen=True, slots=True)
class Depth:
    """Where a group's wear grows dearer, and by how much."""

    cny_per_kwh: float
    above_kwh: float  # of a full store, what is drawn before that depth is reached
    left_kwh: float  # of that, what there is at the begin: at rest, the next discharge begins at depth 0


def depths_of(groups: tuple[Battery, ...]) -> list[Depth]:
    """[depth] in the layout's order."""
    found = []
    for battery in groups:
        floor, held_kwh = battery.floor_kwh, battery.soc_start * battery.energy_wh / 1000.0
        for share, cny_per_kwh in battery.wear.rises:
            above_kwh = share * (battery.ceiling_kwh - floor)
            found.append(Depth(cny_per_kwh, above_kwh, min(held_kwh - floor, above_kwh)))
    return found


def costs(layout: Layout, problem: Problem) -> Floats:
    """[column] CNY per kW or kWh."""
    n, step_h = layout.steps, layout.step_h
    cost = np.zeros(layout.columns)
    cost[:n] = problem.prices.import_cny_per_kwh * step_h
    cost[n : 2 * n] = -problem.export_cny_per_kwh * step_h
    if layout.pieces:
        for month, pieces in enumerate(layout.peak(cost)):
            pieces[:] = (0.0, *problem.prices.demand_of(month).cny_per_kw)
    store = layout.store(cost)
    for group, battery in enumerate(problem.groups):
        given = battery.wear.cny_per_kwh[0] / battery.discharge_efficiency + battery.wear_cny_per_kwh
        store[group, 1] = given * step_h
        if layout.dwells:
            layout.dwell(cost)[group] = battery.wear.dwell_cny_per_kwh_h * step_h
    store[:, 2, -1] = -problem.ends.value_cny_per_kwh
    for each, depth in zip(depths_of(problem.groups), layout.depth(cost), strict=True):
        depth[1] = each.cny_per_kwh
    layout.beyond(cost)[:] = problem.beyond_cny_per_kwh * step_h
    return cost


def constant(problem: Problem) -> float:
    """What the programme leaves out of its costs, CNY: the value of the energy below the floor, as a gain below 0."""
    return -problem.ends.value_cny_per_kwh * sum(each.floor_kwh for each in problem.groups)


def column_bounds(layout: Layout, problem: Problem) -> tuple[Floats, Floats]:
    """[column] least and most, kW or kWh."""
    n = layout.steps
    lower, upper = np.zeros(layout.columns), np.full(layout.columns, INFINITY)
    upper[:n], upper[n : 2 * n] = problem.import_kw, np.minimum(problem.export_kw, problem.outflow_kw)
    if layout.pieces:
        from_kw = np.array(problem.prices.demand.from_w) / 1000.0
        layout.peak(upper)[:, :-1] = np.diff(from_kw, prepend=0.0)
        so_far_kw = max(problem.ends.peak_so_far_w, 0.0) / 1000.0
        edges = np.array((0.0, *from_kw, INFINITY))
        layout.peak(lower)[0] = np.clip(so_far_kw - edges[:-1], 0.0, np.diff(edges))
    if layout.limited:  # charging never leads beyond it
        layout.beyond(upper)[:] = problem.unmet_kw
    store_lower, store_upper = layout.store(lower), layout.store(upper)
    for group, battery in enumerate(problem.groups):
        floor = battery.floor_kwh
        store_upper[group, 0] = battery.charge_w / 1000.0
        store_upper[group, 1] = battery.discharge_w / 1000.0
        store_upper[group, 2] = battery.ceiling_kwh - floor
        if battery.soc_end_min is not None:
            store_lower[group, 2, -1] = max(battery.soc_end_min * battery.energy_wh / 1000.0 - floor, 0.0)
    for each, depth in zip(depths_of(problem.groups), layout.depth(upper), strict=True):
        depth[0] = each.above_kwh
    return lower, upper


def row_bounds(layout: Layout, problem: Problem) -> tuple[Floats, Floats]:
    """[row] least and most. The balance leaves room for the sun that may be curtailed."""
    n = layout.steps
    lower, upper = np.zeros(layout.rows), np.zeros(layout.rows)
    lower[:n] = problem.series.net_w / 1000.0
    upper[:n] = lower[:n] + problem.spilled_kw
    lower[n : layout.store_rows_at] = -INFINITY
    for group, battery in enumerate(problem.groups):
        floor, row = battery.floor_kwh, layout.store_rows_at + group * n
        lower[row] = upper[row] = battery.soc_start * battery.energy_wh / 1000.0 - floor
        if layout.dwells:
            rows = layout.dwell_rows_at + group * n + np.arange(n)
            lower[rows] = -INFINITY
            upper[rows] = battery.wear.dwell_soc * battery.energy_wh / 1e3 - floor
    lower[layout.depth_rows_at : layout.dwell_rows_at] = -INFINITY
    for at, each in enumerate(depths_of(problem.groups)):
        upper[layout.depth_rows_at + at * n] = each.left_kwh
    if layout.limited:
        lower[layout.limit_rows_at : layout.taper_rows_at] = -INFINITY
        upper[layout.limit_rows_at : layout.taper_rows_at] = problem.groups[0].import_w / 1000.0
    lower[layout.taper_rows_at :] = -INFINITY
    for at, (group, _, piece) in enumerate(tapers_of(problem.groups, layout.step_h)):
        battery, row = problem.groups[group], layout.taper_rows_at + at * n
        upper[row : row + n] = piece.at_empty_kw + piece.slope * battery.floor_kwh
        stored_kwh = battery.soc_start * battery.energy_wh / 1e3 - battery.floor_kwh
        upper[row] += piece.slope * (1.0 - piece.theta) * stored_kwh
    return lower, upper
