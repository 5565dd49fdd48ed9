"""How far a price or a load would have to move before the plan decides otherwise: found by planning again.

Short plans are planned again from nothing. Longer ones, and those whose directions have to be searched for, are solved
again with their directions held in all other steps (`Again`). Which, goes by the number of steps alone: the same
question has the same answer on a busy machine.

A dearer price never makes a plan buy more in the hours that it holds for (of two plans, each the cheapest at its own
price, the one at the dearer price buys no more then). So what a plan buys falls with a price, and where it changes can
be found by halving.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ess_controller.planning.explain.again import Again
from ess_controller.planning.given.problem import Prices, Series
from ess_controller.planning.lp.filling import Problem
from ess_controller.planning.lp.plan import Plan
from ess_controller.planning.lp.solver import Planner
from firmware_bridge.records import Floats

Kind = Literal["import", "export"]
FINEST_CNY = 1e-4  # a kWh: a price is found so closely
TIED_CNY = 2e-4  # a change at so little is none: both plans cost the same
FINEST_SHARE = 0.002  # of the battery's power: a load is found so closely
OTHER_SHARE, OTHER_W = 0.005, 50.0  # of the battery's power: another decision
# Steps that are planned again from nothing some 130 times over within ten seconds; with directions to search for.
PLANNED_STEPS, SEARCHED_STEPS = 200, 48
WIDEST = 3.0  # times the dearest price, the highest load


@dataclass(frozen=True, slots=True)
class Change:
    """Where another decision begins."""

    at: float  # CNY per kWh, or W of load
    battery_w: float  # mean over the steps asked for, just beyond


@dataclass(frozen=True, slots=True)
class Range:
    """What a decision holds for; None: nothing that was tried changes it (`tried`)."""

    below: Change | None
    above: Change | None
    tried: tuple[float, float]  # least and most

    def tied(self, present: float) -> bool:
        """Whether it changes by next to nothing: several plans cost the same."""
        near = (abs(each.at - present) <= TIED_CNY for each in (self.below, self.above) if each is not None)
        return any(near)


class WhatIf:
    """Plans again with something else; the planner's programme stays warm."""

    def __init__(self, problem: Problem, plan: Plan, *, one_way: bool) -> None:
        """`one_way`: the programme would let power flow both ways at once."""
        self._groups, self._series, self._prices = problem.groups, problem.series, problem.prices
        self._ends, self._plan, self._planner = problem.ends, plan, Planner()
        short = len(problem.series) <= (SEARCHED_STEPS if one_way else PLANNED_STEPS)
        self._again_by = None if short else Again(problem, plan, one_way=one_way)
        power_w = sum(max(each.charge_w, each.discharge_w) for each in problem.groups)
        self._other_w, self._finest_w = max(OTHER_SHARE * power_w, OTHER_W), FINEST_SHARE * power_w

    @property
    def held(self) -> bool:
        """Whether the directions of all other steps are held."""
        return self._again_by is not None

    def now_w(self, first: int, end: int) -> float:
        """What the battery does over the steps first..end-1, mean."""
        return float(self._plan.battery_w[first:end].mean())

    def price(self, kind: Kind, first: int, end: int) -> Range:
        """Within which price of the steps first..end-1 the battery does what it does there."""
        column = self._prices.import_cny_per_kwh if kind == "import" else self._prices.export_cny_per_kwh
        present = float(column[first])
        dearest = float(np.abs(self._prices.import_cny_per_kwh).max())
        least, most = min(0.0, present - dearest if present <= 0.0 else 0.0), max(WIDEST * dearest, present)

        def power(price: float) -> float:
            moved = column.copy()
            moved[first:end] += price - present
            own = self._prices
            prices = (
                replace(own, import_cny_per_kwh=moved) if kind == "import" else replace(own, export_cny_per_kwh=moved)
            )
            return float(self._again(self._series, prices, first, end).mean())

        now = self.now_w(first, end)
        below, above = (self._edge(power, now, present, far, FINEST_CNY) for far in (least, most))
        return Range(below, above, (least, most))

    def load(self, step: int) -> tuple[float, Range]:
        """How much of a kW more of load in the step the battery gives, 0..1, and within which load that holds."""
        present = float(self._series.load_w[step])
        now = float(self._plan.battery_w[step])

        def power(load_w: float) -> float:
            moved = self._series.load_w.copy()
            moved[step] = load_w
            return float(self._again(replace(self._series, load_w=moved), self._prices, step, step + 1)[0])

        share = (power(present + 2.0 * self._finest_w) - now) / (2.0 * self._finest_w)
        most = present + WIDEST * max(float(self._series.load_w.max()), abs(now))

        def off_line(load_w: float) -> float:
            return power(load_w) - share * (load_w - present)

        below, above = (
            None if each is None else replace(each, battery_w=each.battery_w + share * (each.at - present))
            for each in (self._edge(off_line, now, present, far, self._finest_w) for far in (0.0, most))
        )
        return share, Range(below, above, (0.0, most))

    def without_demand_w(self, step: int) -> float:
        """What the battery would do in the step if no peak cost anything."""
        nothing = replace(self._prices.demand, cny_per_kw=(0.0,) * len(self._prices.demand.from_w))
        free = replace(self._prices, demand=nothing, demand_later=())
        return float(self._again(self._series, free, step, step + 1)[0])

    def _again(self, series: Series, prices: Prices, first: int, end: int) -> Floats:
        """What the battery then does in the steps first..end-1, W."""
        if self._again_by is not None:
            asked = Problem(self._groups, series, prices, self._ends)
            return self._again_by.battery_w(asked, first, end)[first:end]
        return self._planner.plan(self._groups, series, prices, ends=self._ends).battery_w[first:end]

    def _edge(
        self, power: Callable[[float], float], now: float, present: float, far: float, finest: float
    ) -> Change | None:
        """The nearest change on the way from `present` to `far`: first in widening steps, then by halving."""
        reach, held, beyond = 2.0 * finest, present, present
        while True:
            beyond = present + min(reach, abs(far - present)) * (1.0 if far > present else -1.0)
            found = power(beyond)
            if abs(found - now) > self._other_w:
                break
            if abs(beyond - far) < finest:
                return None
            held, reach = beyond, 4.0 * reach
        while abs(beyond - held) > finest:
            middle = (held + beyond) / 2.0
            there = power(middle)
            if abs(there - now) > self._other_w:
                beyond, found = middle, there
            else:
                held = middle
        return Change(beyond, found)
