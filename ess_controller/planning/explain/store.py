"""Of one store in one step of a plan: what a kWh in it is worth, which hours set that, what holds it back, and where
its energy comes from and goes to.
"""

from typing import Any

import numpy as np

from ess_controller.planning.explain.shadows import NOTHING_KW, ShadowProgramme, Shadows
from ess_controller.planning.given.problem import hours
from ess_controller.planning.given.taper import Way, pieces
from ess_controller.planning.lp.filling import Problem
from ess_controller.planning.lp.plan import Plan
from firmware_bridge.records import Bools, Floats

RESTS_W = 1.0
WORTH_NOTHING = 1e-6  # CNY per kWh
AT_END = 1e-3  # of a store's window: so near to its end it is full, or empty


def both_ways(shadow: float, less: float, more: float) -> dict[str, float]:
    """A shadow price, and those of one kWh less and one more, which differ where plans tie."""
    return {"shadow": shadow, "one_less": less, "one_more": more}


def of_group(problem: Problem, programme: ShadowProgramme, plan: Plan, group: int, step: int) -> dict[str, Any]:
    """What one store does, what a kWh in it is worth, what holds it back, and where its energy comes from or goes."""
    shadows, battery = programme.shadows, problem.groups[group]
    power_w = float(plan.group_w[group, step])
    power_w = 0.0 if abs(power_w) < RESTS_W else power_w
    worth = float(shadows.stored[group, step])
    limits, level = _limits(problem, shadows, plan, group, step), _level(problem, plan, group)
    limit = max(limits, key=lambda name: limits[name], default=None)
    return {
        "battery_w": power_w,
        "soc_after": float(plan.group_soc[group, step]),
        "stored_cny_per_kwh": both_ways(worth, *programme.worth_stored(group, step)),
        "wear_cny_per_kwh": float(shadows.wear[group, step]),
        "charge_efficiency": battery.charge_efficiency,
        "discharge_efficiency": battery.discharge_efficiency,
        "is_full": bool(level[step] > 1.0 - AT_END),
        "is_empty": bool(level[step] < AT_END),
        "limit": limit,
        "limit_cny_per_kwh": None if limit is None else limits[limit],
        "set_by": _setters(problem, shadows, group, step),
        "charged_at": _flows(problem, plan, shadows, group, _since_empty(problem, plan, group, step), step + 1, -1.0),
        "given_at": _flows(problem, plan, shadows, group, step, _until_empty(problem, plan, group, step), 1.0),
        "had_at_begin": _since_empty(problem, plan, group, step) == 0,
    }


def _limits(problem: Problem, shadows: Shadows, plan: Plan, group: int, step: int) -> dict[str, float]:
    """Limits that the plan's store is at, with what a kWh more of each would save, CNY; those worth nothing are none.

    A shadow price alone does not tell: it also tells of a direction that is barred, and of other plans as cheap.
    """
    battery, power_w = problem.groups[group], float(plan.group_w[group, step])
    gives, takes = power_w > RESTS_W, power_w < -RESTS_W
    most_w = battery.discharge_w if gives else battery.charge_w
    way: Way = "discharge" if gives else "charge"
    soc, level = plan.group_soc[group], _level(problem, plan, group)
    held_kwh = float(soc[step - 1] if step else battery.soc_start) * battery.energy_wh / 1000.0
    bounds, step_h = pieces(battery, way, hours(problem.series)), hours(problem.series)
    tapered_w = [1000.0 * each.most_kw(held_kwh, step_h) for each in bounds]
    least = battery.soc_end_min
    at_end = step + 1 == len(problem.series) and least is not None and bool(soc[step] < least + AT_END)
    grid_w, empty = float(plan.grid_w[step]), bool(level[step] < AT_END)
    at_power = float((shadows.discharge_limit if gives else shadows.charge_limit)[group, step])
    worth = float(shadows.empty[group, step])
    found = {
        "power": ((gives or takes) and abs(power_w) > most_w - RESTS_W, at_power),
        "taper": (
            (gives or takes) and abs(power_w) > min(tapered_w, default=np.inf) - RESTS_W,
            float(shadows.taper[group, step]),
        ),
        "full": (bool(level[step] > 1.0 - AT_END), float(shadows.full[group, step])),
        "empty": (empty, worth),
        "end": (at_end and not empty, worth),
        "outflow": (-grid_w > 1000.0 * problem.outflow_kw[step] - RESTS_W, float(shadows.outflow_limit[step])),
        "import": (grid_w > battery.import_w - RESTS_W, float(shadows.import_limit[step])),
    }
    return {name: cny for name, (reached, cny) in found.items() if reached and cny > WORTH_NOTHING}


def _setters(problem: Problem, shadows: Shadows, group: int, step: int) -> list[dict[str, Any]]:
    """Hours whose price sets what a stored kWh is worth: where the store could as well do a little more or less,
    between the last and the next time that it is full or empty. Hours at which the meter stands still set no price.
    """
    worth, n, battery = shadows.stored[group], len(problem.series), problem.groups[group]
    other = np.flatnonzero(np.abs(worth - worth[step]) > 1e-6)
    before, after = other[other < step], other[other > step]
    first, end = (int(before[-1]) + 1 if len(before) else 0), (int(after[0]) if len(after) else n)
    inside = (np.arange(n) >= first) & (np.arange(n) < end)
    grid_kw = problem.series.net_w / 1000.0 + (shadows.charge - shadows.discharge).sum(axis=0)
    moves = inside & (np.abs(grid_kw) > NOTHING_KW)
    found = []
    to_charge = shadows.load / battery.charge_efficiency
    to_give = (shadows.load - shadows.wear[group]) * battery.discharge_efficiency
    for kind, flow, most_w, even in (
        ("charged", shadows.charge[group], battery.charge_w, to_charge),
        ("given", shadows.discharge[group], battery.discharge_w, to_give),
    ):
        free = (flow > NOTHING_KW) & (flow < most_w / 1000.0 - NOTHING_KW) & (shadows.taper[group] < WORTH_NOTHING)
        found += _spans(problem, shadows, moves & (free | (np.abs(even - worth[step]) < 1e-6)), kind)
    if end == n and abs(worth[-1] - problem.ends.value_cny_per_kwh) < 1e-6:
        found.append({"kind": "end", "cny_per_kwh": problem.ends.value_cny_per_kwh})
    elif end == n and shadows.empty[group, -1] > WORTH_NOTHING:
        found.append({"kind": "end demanded", "cny_per_kwh": float(worth[-1])})
    return found


def _spans(problem: Problem, shadows: Shadows, chosen: Bools, kind: str) -> list[dict[str, Any]]:
    """Runs of chosen steps with the same worth of a kWh."""
    found: list[dict[str, Any]] = []
    for at in np.flatnonzero(chosen).tolist():
        cny = float(shadows.load[at])
        if found and found[-1]["steps"][1] == at and abs(found[-1]["cny_per_kwh"] - cny) < 1e-6:
            found[-1]["steps"][1] = at + 1
        else:
            peak = float(shadows.peak[at])
            found.append({"kind": kind, "steps": [at, at + 1], "cny_per_kwh": cny, "peak_cny_per_kwh": peak})
    for each in found:
        first, end = each["steps"]
        each |= {"from": problem.series.at(first).isoformat(), "to": problem.series.at(end).isoformat()}
    return found


def _flows(
    problem: Problem, plan: Plan, shadows: Shadows, group: int, first: int, end: int, sign: float
) -> list[dict[str, Any]]:
    """Runs of steps first..end-1 in which the plan's store charges (sign -1) or gives (+1), with their energy."""
    chosen = np.zeros(len(problem.series), np.bool_)
    chosen[first:end] = sign * plan.group_w[group, first:end] > RESTS_W
    spans = _spans(problem, shadows, chosen, "charged" if sign < 0.0 else "given")
    for each in spans:
        part = slice(*each["steps"])
        each["kwh"] = float(np.abs(plan.group_w[group, part]).sum()) * hours(problem.series) / 1000.0
    return spans


def _since_empty(problem: Problem, plan: Plan, group: int, step: int) -> int:
    """First step after the store was last empty before the end of `step`; 0: it was not."""
    level = _level(problem, plan, group)
    empty = np.flatnonzero(level[:step] < AT_END)
    return int(empty[-1]) + 1 if len(empty) else 0


def _until_empty(problem: Problem, plan: Plan, group: int, step: int) -> int:
    """The step after the one in which the store is next empty; the end, if it is not."""
    level = _level(problem, plan, group)
    empty = np.flatnonzero(level[step:] < AT_END)
    return step + int(empty[0]) + 1 if len(empty) else len(level)


def _level(problem: Problem, plan: Plan, group: int) -> Floats:
    """[step] how full of its window the store is at each end."""
    battery = problem.groups[group]
    window_kwh = max(battery.ceiling_kwh - battery.floor_kwh, 1e-9)
    return np.asarray((plan.group_soc[group] * battery.energy_wh / 1000.0 - battery.floor_kwh) / window_kwh)
