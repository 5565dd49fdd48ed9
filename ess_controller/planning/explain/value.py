"""Why the daemon did what it did at a time, by the plan that was in force: what its value function weighs there.

A value function has no plan beyond the present block: it has a price for every state that the block can end in. So the
powers that it could choose are put side by side: what each costs in the block, and what is expected to follow from it.
"""

from collections.abc import Callable
from datetime import datetime
from itertools import islice
from math import isfinite
from typing import Any

import numpy as np

from ess_controller.core.value import Moment, Value, weighed
from ess_controller.core.worth import slopes
from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner.reopened import Reopened
from ess_controller.planning.value.path import after, carried_out

EVEN_CNY = 0.005


def explained(found: Reopened, stage: int, book: Callable[[int, int], list[Block]]) -> dict[str, Any]:
    """What is weighed in a block of the plan, as numbers and words. `book` is the meter book: the block's net load is
    that which was measured, or else the expected; what was stored is reckoned on from when the plan was made.
    """
    value = found.plan.value
    measured = {each.number: each for each in book(value.origin, value.origin + stage + 1)}
    nets = [_net(found, measured, at) for at in range(value.stages)]
    held_wh = found.battery.soc_start * found.battery.energy_wh
    done = carried_out(value, [net_w for net_w, _ in nets], found.month, held_wh, found.kept.month_peak_w)
    here = next(islice(done, stage, None))
    now, power_w, (net_w, known) = here.now, here.power_w, nets[stage]
    told = {
        "time": found.series.at(stage).isoformat(),
        "made": found.kept.made.astimezone(found.series.begin.tzinfo).isoformat(timespec="seconds"),
        "battery_w": power_w,
        "net_w": net_w,
        "net_is_measured": known,
        "expected_w": [float(each) for each in value.states_w[stage]],
        "stored_kwh": now.energy_wh / 1000.0,
        "soc": now.energy_wh / found.battery.energy_wh,
        "month_peak_w": now.peak_w,
        "import_cny_per_kwh": 1000.0 * float(value.buy_cny_per_wh[stage]),
        "stored_cny_per_kwh": _worth(value, stage, now, power_w),
        "ways": _ways(value, stage, now, power_w),
    }
    return {**told, "words": list(_words(told))}


def _net(found: Reopened, measured: dict[int, Block], stage: int) -> tuple[float, bool]:
    block = measured.get(found.plan.value.origin + stage)
    if block is not None and isfinite(net_w := block.known_load_w - block.known_pv_w):
        return net_w, True
    return float(found.series.net_w[stage]), False


def _worth(value: Value, stage: int, now: Moment, power_w: float) -> float:
    """Of a kWh more in the store after the block, CNY."""
    own = value.of_block(value.origin + stage)
    assert own is not None  # it is one of its stages
    reached_w = max(now.peak_w, now.net_w - power_w, now.net_w)
    return 1000.0 * slopes(own, now.net_w, after(value, now.energy_wh, power_w), reached_w)[0]


def _ways(value: Value, stage: int, now: Moment, power_w: float) -> list[dict[str, Any]]:
    """The chosen power and others, each with its cost beside the chosen one's, CNY."""
    store, hours, net_w, held = value.store, value.hours, now.net_w, now.energy_wh
    most = float(store.may_give_w(net_w, value.sell_cny_per_wh[stage]))
    give, take = min(most, float(store.most_discharge_w(held, hours))), -float(store.most_charge_w(held, hours))
    names = ("chosen", "rest", "take all it can", "give all it can")
    powers = np.array([power_w, 0.0, take, give])
    block, later, _ = weighed(value, stage, powers, now)
    return [
        {
            "way": name,
            "battery_w": float(power),
            "block_cny": float(block[at]),
            "dearer_now_cny": float(block[at] - block[0]),
            "dearer_later_cny": float(later[at] - later[0]),
            "dearer_cny": float(block[at] + later[at] - block[0] - later[0]),
            "peak_w": float(max(now.peak_w, net_w - power)),
        }
        for at, (name, power) in enumerate(zip(names, powers, strict=True))
    ]


def _words(told: dict[str, Any]) -> "list[str]":
    time = datetime.fromisoformat(told["time"])
    kw, low, high = told["net_w"] / 1000.0, told["expected_w"][0] / 1000.0, told["expected_w"][-1] / 1000.0
    source = "measured" if told["net_is_measured"] else "expected: the meter book has nothing of it"
    lines = [
        f"In the block from {time:%H:%M} the plan made at {datetime.fromisoformat(told['made']):%H:%M} has the battery "
        f"{_does(told['battery_w'])}.",
        f"Load less sun is {kw:.1f} kW ({source}); the plan reckoned with {low:.1f} to {high:.1f} kW.",
        f"{told['stored_kwh']:.1f} kWh are stored ({told['soc']:.0%}, reckoned from when the plan was made); one more "
        f"kWh is worth {told['stored_cny_per_kwh']:.2f} CNY; one bought costs {told['import_cny_per_kwh']:.2f} CNY.",
        f"The month's peak so far is {told['month_peak_w'] / 1000.0:.1f} kW.",
    ]
    chosen = told["ways"][0]
    for way in told["ways"][1:]:
        if abs(way["battery_w"] - chosen["battery_w"]) < 1.0:
            lines.append(f"To {way['way']} is what it does.")
            continue
        peak = f", the month's peak {way['peak_w'] / 1000.0:.1f} kW" if way["peak_w"] > chosen["peak_w"] + 1.0 else ""
        even = "as cheap" if way["dearer_cny"] < EVEN_CNY else f"{way['dearer_cny']:.2f} CNY dearer"
        lines.append(
            f"To {way['way']} ({way['battery_w'] / 1000.0:+.1f} kW) would be {even}: {way['dearer_now_cny']:+.2f} CNY "
            f"in the block, {way['dearer_later_cny']:+.2f} CNY expected after it{peak}."
        )
    return lines


def _does(power_w: float) -> str:
    if abs(power_w) < 1.0:
        return "rest"
    return f"give {power_w / 1000.0:.1f} kW" if power_w > 0.0 else f"take {-power_w / 1000.0:.1f} kW"
