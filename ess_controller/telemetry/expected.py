"""What a plan expects of each billing block if load and sun come as forecast: grid, battery, stored energy, peak."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import numpy as np

from ess_controller.core.value import Moment, decide, store_flow_w
from ess_controller.planning.forecasts.error_chain import how_often
from ess_controller.planning.value.slot import SitePlan


def expected(
    plan: SitePlan, utc: datetime, stored_wh: float, peak_w: float
) -> Iterator[tuple[datetime, Mapping[str, float]]]:
    """(begin, numbers as in `points_apart.FORECAST`) of each block from the present one on, one at a time.

    The plan is carried out by its own value function, with the net load that is the mean over the states it reckons
    with. `stored_wh`: above what must stay, at `utc`; NaN: then only what is forecast is told. `peak_w`: the month's
    highest block so far.
    """
    value, store = plan.value, plan.value.store
    chances = how_often(value.states_w.shape[1])
    low_wh, high_wh = float(store.energy_wh[0]), float(store.energy_wh[-1])
    energy_wh = min(low_wh + stored_wh, high_wh)
    first = max(plan.stage_at(utc), 0)
    for stage in range(first, value.stages):
        begin = plan.begin_of(stage)
        net_w = float(chances @ value.states_w[stage])
        sd_w = float(np.sqrt(chances @ (value.states_w[stage] - net_w) ** 2))
        row = {
            "net_load_w": net_w,
            "net_load_sd_w": sd_w,
            "buy_cny_per_kwh": 1000.0 * float(value.buy_cny_per_wh[stage]),
            "lead_s": (begin - plan.made) / timedelta(seconds=1),
        }
        if np.isfinite(energy_wh):
            left = 1.0 if stage > first else min(max(1.0 - (utc - begin) / timedelta(seconds=plan.block_s), 0.01), 1.0)
            power_w = decide(value, stage, Moment(net_w, energy_wh, peak_w, left))
            energy_wh = min(max(energy_wh - store_flow_w(store, power_w) * value.hours * left, low_wh), high_wh)
            peak_w = max(peak_w, net_w - power_w)
            row |= {
                "battery_w": power_w,
                "grid_w": net_w - power_w,
                "stored_wh": energy_wh - low_wh,
                "stored_share": (energy_wh - low_wh) / (high_wh - low_wh) if high_wh > low_wh else 0.0,
                "peak_w": peak_w,
            }
        yield begin, row
