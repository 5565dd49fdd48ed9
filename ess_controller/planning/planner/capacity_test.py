"""When to test a module's capacity: the cheapest hours for a full swing between two rests; proposed, not done.

A capacity is learnt from the charge between two rests (`core.gauge.anchors`). So a test is: to one end of the window,
rest, all the way to the other end, rest; upwards (empty to full) or downwards, whichever is cheaper.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import ceil
from typing import Any

import numpy as np

from ess_controller.ageing.known_modules import Known
from ess_controller.core.value import Moment, Store, flows_out_w, paid_per_h, store_flow_w
from ess_controller.errors import BadInputError
from ess_controller.planning.given.problem import Battery, Prices, Series, hours
from ess_controller.planning.value.backward_pass import Value, backward, decide
from ess_controller.planning.value.problem import Steps, store_of
from firmware_bridge.records import Floats

DOUBTFUL_SHARE = 0.05  # half an 80 % interval over the capacity; an intake test alone (5 % sd) has 0.064
TO_80 = 1.2816  # standard deviations: half an 80 % interval of a Gaussian
LONGEST_H = 24.0  # a swing that takes longer is none
WAYS = {"empty to full": (0.0, 1.0), "full to empty": (1.0, 0.0)}  # shares of the window, one after the other


@dataclass(frozen=True, slots=True)
class Doubt:
    """The module whose capacity is known worst."""

    module: str
    string: str
    half_share: float  # half of its smallest cell's 80 % interval, over its capacity
    source: str


@dataclass(frozen=True, slots=True)
class CapacityTest:
    """A proposal. The window begins with the way to the first end and ends with the second rest."""

    module: str
    begin: datetime
    swing: datetime  # the first rest is over, and the swing begins
    end: datetime
    way: str  # of WAYS
    cost_cny: float  # more than the best that could be done instead
    why: str

    def told(self) -> dict[str, Any]:
        """As JSON: `module`, `window`, `way`, `cost_cny`, `why`."""
        times = {key: getattr(self, key).isoformat(timespec="minutes") for key in ("begin", "swing", "end")}
        rest = {key: value for key, value in asdict(self).items() if key not in times}
        return rest | {"window": times, "cost_cny": round(self.cost_cny, 2)}


def most_doubtful(known: Sequence[Known]) -> Doubt | None:
    """The module in most doubt by its smallest cell; None where none is beyond DOUBTFUL_SHARE."""
    worst = None
    for each in known:
        at = each.smallest
        share = TO_80 * float(each.capacity_sd_ah[at] / each.capacity_ah[at])
        if share > DOUBTFUL_SHARE and (worst is None or share > worst.half_share):
            worst = Doubt(each.code, each.string, share, each.source)
    return worst


def place(
    doubt: Doubt,
    battery: Battery,
    series: Series,
    prices: Prices,
    refill_cny_per_wh: float,
    rest_s: float,
    peak_w: float = 0.0,
) -> CapacityTest:
    """The cheapest window within a series of expected load and sun. BadInputError where none fits.

    `battery` is the module's cabinet; the others are taken to do nothing. What a window costs is against the best that
    could be done for sure from its begin on, with what is then stored. Charging brings the import above neither
    the month's peak so far, `peak_w`, nor what the load makes of it anyway; discharging exports nothing that may not
    flow out.
    """
    # without a taper: how a test reaches the very ends of its window is not what tells one hour from another
    tester = replace(
        battery,
        import_w=min(battery.import_w, max(peak_w, float(series.net_w.max()))),
        charge_by_soc=(),
        discharge_by_soc=(),
    )
    best = _best(tester, series, prices, refill_cny_per_wh)
    alone_cny = np.append(0.0, np.cumsum([_cny(tester, series, prices, step, 0.0) for step in range(len(series))]))
    held_wh, rest, found = _path(best, tester, series), ceil(rest_s / series.step_s), []
    for first, start_wh in enumerate(held_wh):
        for way, ends in WAYS.items():
            swung = _swing(tester, best.store, series, prices, start_wh, first, rest, ends)
            if swung is not None:
                cost_cny, left_wh, swing, end = swung
                cost_cny += float(alone_cny[end] - alone_cny[first])
                cost_cny += _ahead(best, end, left_wh) - _ahead(best, first, start_wh)
                found.append((cost_cny, first, swing, end, way))
    if not found:
        raise BadInputError(f"capacity test of {doubt.module}: no window of the coming days lets a full swing pass")
    cost_cny, first, swing, end, way = min(found)
    why = (
        f"{doubt.module} in {doubt.string} is known to {100.0 * doubt.half_share:.1f} % only ({doubt.source}); "
        f"{way} within these hours costs least"
    )
    return CapacityTest(doubt.module, series.at(first), series.at(swing), series.at(end), way, cost_cny, why)


def _best(battery: Battery, series: Series, prices: Prices, refill_cny_per_wh: float) -> Value:
    """What it costs at least from each step on, the last one's end included, were load and sun sure."""
    store, net_w = store_of(battery), series.net_w
    buy, sell = prices.import_cny_per_kwh / 1000.0, prices.export_cny_per_kwh / 1000.0
    above_w = np.array([1.0, 2.0]) * (float(np.abs(net_w).max()) + battery.charge_w + 1.0)  # no import reaches a peak
    last = np.tile(-refill_cny_per_wh * store.energy_wh[:, None], (1, 1, 2))
    steps = Steps(hours(series), net_w[:, None], buy, sell, np.ones((1, 1)))
    costs = backward()(store, steps, above_w, last)
    return Value(0, store, hours(series), buy, sell, steps.net_w, np.tile(above_w, (len(net_w), 1)), costs)


def _ahead(best: Value, step: int, held_wh: float) -> float:
    """From the begin of a step on."""
    return float(np.interp(held_wh, best.store.energy_wh, best.after_cny[step, 0, :, 0]))


def _path(best: Value, battery: Battery, series: Series) -> list[float]:
    """[step] what is stored at its begin, if the best is done."""
    after = replace(best, after_cny=best.after_cny[1:])
    found = [battery.soc_start * battery.energy_wh]
    for step, net_w in enumerate(series.net_w[:-1].tolist()):
        power_w = decide(after, step, Moment(net_w, found[-1], float(best.peak_w[0, 0])))
        found.append(found[-1] - store_flow_w(battery, power_w) * best.hours)
    return found


def _swing(
    battery: Battery,
    store: Store,
    series: Series,
    prices: Prices,
    start_wh: float,
    first: int,
    rest: int,
    ends: tuple[float, float],
) -> tuple[float, float, int, int] | None:
    """Cost above that of doing nothing, wear included, what is then stored, begin of the swing and end of all; None:
    no fit. `store` has the prices of wear that the best is found by."""
    low, high, step_h = battery.soc_min * battery.energy_wh, battery.soc_max * battery.energy_wh, hours(series)
    cost_cny, held_wh, at, swing = 0.0, start_wh, first, first
    for goal in ends:
        swing, goal_wh = at, low + goal * (high - low)
        for step in range(at, min(at + round(LONGEST_H / step_h), len(series))):
            if abs(held_wh - goal_wh) < 1e-6 * battery.energy_wh:
                break
            may_give_w = float(store.may_give_w(series.net_w[step], prices.export_cny_per_kwh[step]))
            power_w = _toward(battery, series, step, held_wh, goal_wh, may_give_w)
            cost_cny += _cny(battery, series, prices, step, power_w) - _cny(battery, series, prices, step, 0.0)
            cost_cny += (store.wear_cny_per_wh * max(power_w, 0.0) + _dwell_cny_per_h(store, held_wh)) * step_h
            held_wh -= store_flow_w(battery, power_w) * step_h
            at = step + 1
        if abs(held_wh - goal_wh) > 1e-6 * battery.energy_wh:
            return None
        cost_cny += _dwell_cny_per_h(store, held_wh) * step_h * rest
        at += rest
    return (cost_cny, held_wh, swing, at) if at <= len(series) else None


def _dwell_cny_per_h(store: Store, held_wh: float) -> float:
    return store.dwell_cny_per_wh_h * max(held_wh - store.dwell_wh, 0.0)


def _toward(battery: Battery, series: Series, step: int, held_wh: float, goal_wh: float, may_give_w: float) -> float:
    """Power towards what is to be stored, as far as battery and site let it, W."""
    net_w, step_h = float(series.net_w[step]), hours(series)
    if goal_wh > held_wh:
        room_w = max(battery.import_w - net_w, 0.0)
        return -min(battery.charge_w, room_w, (goal_wh - held_wh) / battery.charge_efficiency / step_h)
    return min(battery.discharge_w, may_give_w, (held_wh - goal_wh) * battery.discharge_efficiency / step_h)


def _cny(battery: Battery, series: Series, prices: Prices, step: int, power_w: float) -> float:
    """What the grid costs in a step, with that of the battery; sun that may not flow out is curtailed."""
    buy, sell = prices.import_cny_per_kwh[step] / 1000.0, prices.export_cny_per_kwh[step] / 1000.0
    paid = paid_per_h(series.net_w[step] - power_w, buy, sell, flows_out_w(battery.limit_w, sell))
    return float(paid) * hours(series)


def days_alike(series: Series, days: int) -> Series:
    """The coming days, each as the first that is expected."""
    count = round(24.0 / hours(series))
    if len(series) < count:
        raise BadInputError(f"capacity test: {len(series)} steps of load and sun are expected: expected a day")

    def again(values: Floats) -> Floats:
        return np.tile(values[:count], days)

    return Series(series.begin, series.step_s, again(series.load_w), again(series.pv_w))
