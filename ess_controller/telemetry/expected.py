"""What a plan expects of each billing block if load and sun come as forecast: grid, battery, stored energy, peak."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, tzinfo

import numpy as np

from ess_controller.planning.forecasts.error_chain import how_often
from ess_controller.planning.meter.book import calendar_month
from ess_controller.planning.value.path import carried_out
from ess_controller.planning.value.slot import SitePlan


def expected(
    plan: SitePlan, utc: datetime, stored_wh: float, peak_w: float, zone: tzinfo
) -> Iterator[tuple[datetime, Mapping[str, float]]]:
    """(begin, numbers as in `points_apart.FORECAST`) of each block from the present one on, one at a time.

    The plan is carried out by its own value function, with the net load that is the mean over the states it reckons
    with. `stored_wh`: above what must stay, at `utc`; NaN: then only what is forecast is told. `peak_w`: the month's
    highest block so far; months are those of `zone`, the site's.
    """
    value, store = plan.value, plan.value.store
    chances = how_often(value.states_w.shape[1])
    low_wh, high_wh = float(store.energy_wh[0]), float(store.energy_wh[-1])
    energy_wh = min(low_wh + stored_wh, high_wh)
    first = max(plan.stage_at(utc), 0)
    nets_w = (value.states_w[first:] @ chances).tolist()
    gone = (utc - plan.begin_of(first)) / timedelta(seconds=plan.block_s)
    month = np.array([calendar_month(value.origin + stage, plan.block_s, zone) for stage in range(value.stages)])
    done = carried_out(value, nets_w, month, energy_wh, peak_w, min(max(1.0 - gone, 0.01), 1.0))
    for stage, net_w in enumerate(nets_w, first):
        begin = plan.begin_of(stage)
        row = {
            "net_load_w": net_w,
            "net_load_sd_w": float(np.sqrt(chances @ (value.states_w[stage] - net_w) ** 2)),
            "buy_cny_per_kwh": 1000.0 * float(value.buy_cny_per_wh[stage]),
            "lead_s": (begin - plan.made) / timedelta(seconds=1),
        }
        if np.isfinite(energy_wh):
            of_block = next(done)
            above_wh = min(max(of_block.stored_wh, low_wh), high_wh) - low_wh
            row |= {
                "battery_w": of_block.power_w,
                "grid_w": net_w - of_block.power_w,
                "stored_wh": above_wh,
                "stored_share": above_wh / (high_wh - low_wh) if high_wh > low_wh else 0.0,
                "peak_w": of_block.peak_w,
            }
        yield begin, row
