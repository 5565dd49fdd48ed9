"""The plans of a backtest: how long each took, what the first of each day expected, and what is known beforehand."""

from dataclasses import replace
from typing import Literal, Protocol

import numpy as np

from ess_controller.clock import wall_s
from ess_controller.core.value import Moment
from ess_controller.planning.forecasts.day_ahead import Forecast, Forecasts
from ess_controller.planning.value.backward_pass import Value
from ess_controller.planning.value.path import path
from ess_controller.planning.value.replan import PlannedFor, Replanner
from firmware_bridge.records import Floats

Known = Literal["load", "pv", "peak"]


class Ahead(Protocol):
    """Whatever foretells load and sun."""

    def at(self, origin: int) -> Forecast:
        """Of the steps from `origin` on."""
        ...


class Foresight:
    """Forecasts that know some of what comes, to ask what not knowing it costs."""

    def __init__(self, forecasts: Forecasts, site: PlannedFor, known: frozenset[Known]) -> None:
        self._forecasts, self._site, self._known = forecasts, site, known

    def at(self, origin: int) -> Forecast:
        """The forecast with the true values in place of what is known; with both, nothing is in doubt."""
        made = self._forecasts.at(origin)
        load_w, pv_w = made.load_w.copy(), made.pv_w.copy()
        for name, ahead, true in (("load", load_w, self._site.load_w), ("pv", pv_w, self._site.pv_w)):
            if name in self._known:
                coming = true[origin : origin + len(ahead)]
                ahead[: len(coming)] = coming
        doubt = 1e-3 if {"load", "pv"} <= self._known else 1.0
        errors = made.errors
        errors = replace(
            errors,
            missed_w=errors.missed_w * doubt,
            seen_w=errors.seen_w * doubt,
            day_ahead_w=errors.day_ahead_w * doubt,
        )
        most_w = max(made.most_w, float(load_w.max(initial=0.0)))
        return replace(made, load_w=load_w, pv_w=pv_w, errors=errors, most_w=most_w)


class Timed(Replanner):
    """Keeps how long each re-plan took, and what the first of each day expected."""

    def __init__(self, site: PlannedFor, forecasts: Ahead) -> None:
        super().__init__(site, self._ahead)
        self._forecasts, self._days, self._net_ahead_w = forecasts, site.days, np.zeros(0)
        self.ms: list[float] = []
        self.expected: list[tuple[int, Floats, Floats]] = []  # first block, grid power, stored energy

    def _ahead(self, origin: int) -> Forecast:
        made = self._forecasts.at(origin)
        self._net_ahead_w = made.net_w
        return made

    def plan(self, origin: int, peak_w: float) -> Value:
        """As `Replanner.plan`, timed."""
        began_s = wall_s()
        value = super().plan(origin, peak_w)
        self.ms.append(1000.0 * (wall_s() - began_s))
        return value

    def note(self, value: Value, now: Moment) -> None:
        """A plan that was made, and how things stood then."""
        day = self._days.day
        if self.expected and day[self.expected[-1][0]] == day[value.origin]:
            return
        net_w = self._net_ahead_w[: value.stages]
        month = self._days.month[day[value.origin : value.origin + value.stages]]
        power_w, stored_wh = path(value, net_w, month, now.energy_wh, now.peak_w)
        self.expected.append((value.origin, net_w - power_w, stored_wh))
