"""What a stored kWh and a higher month's peak are worth now by the plan: why the battery does what it does."""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.stock import stock
from ess_controller.core.types import Decision, State, Tuning
from ess_controller.core.value import Moment, Value, weighed

STEP_WH, STEP_W = 1000.0, 1000.0  # differences are taken over a kWh and a kW


@dataclass(frozen=True, slots=True)
class Worth:
    """Of the present billing block. Prices in CNY per Wh, of the peak in CNY per W."""

    buy_cny_per_wh: float
    sell_cny_per_wh: float
    stored_cny_per_wh: float  # what one more stored would save later
    peak_cny_per_w: float  # what a month's peak that is higher would cost, as expected now
    month_peak_w: float  # the month's highest billing window so far
    stored_wh: float  # above what must stay
    charge_efficiency: float
    discharge_efficiency: float
    wear_cny_per_wh: float  # of what is given

    @property
    def gives_above_cny_per_wh(self) -> float:
        """Energy is worth giving where it saves more than this, peak included."""
        return self.stored_cny_per_wh / self.discharge_efficiency + self.wear_cny_per_wh

    @property
    def takes_below_cny_per_wh(self) -> float:
        """Energy is worth taking where it costs less than this, peak included."""
        return self.stored_cny_per_wh * self.charge_efficiency

    def told(self) -> dict[str, float]:
        """In CNY per kWh and per kW."""
        per_wh = {
            "buy": self.buy_cny_per_wh,
            "sell": self.sell_cny_per_wh,
            "stored": self.stored_cny_per_wh,
            "gives_above": self.gives_above_cny_per_wh,
            "takes_below": self.takes_below_cny_per_wh,
        }
        return {f"{name}_cny_per_kwh": round(1000.0 * each, 4) for name, each in per_wh.items()} | {
            "peak_cny_per_kw": round(1000.0 * self.peak_cny_per_w, 3),
            "month_peak_w": round(self.month_peak_w, 1),
            "stored_wh": round(self.stored_wh, 1),
        }


def worth(tuning: Tuning, state: State, decision: Decision) -> Worth | None:
    """None where no plan covers the block, or the meter is not heard."""
    value, peak_w = decision.order.value, decision.order.month_peak_w
    net_w = decision.estimate.net_load_w
    if value is None or not np.isfinite(net_w):
        return None
    given_wh, _ = stock(tuning, decision.estimate, state.mode)
    store = value.store
    stored_wh = min(float(given_wh.sum()), float(store.energy_wh[-1] - store.energy_wh[0]))
    stored, peak = slopes(value, net_w, store.energy_wh[0] + stored_wh, peak_w)
    return Worth(
        float(value.buy_cny_per_wh[0]),
        float(value.sell_cny_per_wh[0]),
        stored,
        peak,
        peak_w,
        stored_wh,
        store.charge_efficiency,
        store.discharge_efficiency,
        store.wear_cny_per_wh,
    )


def slopes(value: Value, net_w: float, energy_wh: float, peak_w: float) -> tuple[float, float]:
    """What a Wh more in the store saves from the end of the first stage on, CNY, and what a W more of peak costs."""
    low, high = float(value.store.energy_wh[0]), float(value.store.energy_wh[-1])
    at_wh = min(max(energy_wh, low + STEP_WH / 2.0), max(high - STEP_WH / 2.0, low + STEP_WH / 2.0))

    def after(stored_wh: float, so_far_w: float) -> float:
        return float(weighed(value, 0, np.zeros(1), Moment(net_w, stored_wh, so_far_w))[1][0])

    saves = after(at_wh - STEP_WH / 2.0, peak_w) - after(at_wh + STEP_WH / 2.0, peak_w)
    reached_w = max(peak_w, net_w)
    costs = after(at_wh, reached_w + STEP_W) - after(at_wh, reached_w)
    return saves / STEP_WH, max(costs, 0.0) / STEP_W
