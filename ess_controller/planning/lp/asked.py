"""What is asked of a plan: whether one can be made of it, and what of it cannot be met."""

from dataclasses import replace

import numpy as np

from ess_controller.planning.given.problem import Battery, Prices, Series, hours
from ess_controller.planning.given.taper import reachable_soc
from ess_controller.planning.lp.filling import Problem
from ess_controller.planning.lp.plan import Plan

NOTICED_W = 1.0  # beyond a limit
END_SHORT = "soc_end_min cannot be reached: as much as can be"


def trouble(groups: tuple[Battery, ...], series: Series, prices: Prices) -> str:
    """What no programme can be made of, in words; empty: nothing."""
    named = {
        "load": series.load_w,
        "sun": series.pv_w,
        "import price": prices.import_cny_per_kwh,
        "export price": prices.export_cny_per_kwh,
    }
    for name, values in named.items():
        if not np.isfinite(values).all():
            return f"{name}: unknown in step {int(np.argmin(np.isfinite(values)))}"
    if not all(0.0 <= each.soc_start <= 1.0 for each in groups):
        return "battery: SOC unknown"
    return ""


def reachable(groups: tuple[Battery, ...], series: Series) -> tuple[Battery, ...]:
    """The batteries with ends that can be reached from their starts; the site's room to charge is shared by power."""
    room_w, all_w = np.maximum(groups[0].import_w - series.net_w, 0.0), sum(each.charge_w for each in groups)

    def reached(each: Battery) -> Battery:
        if each.soc_end_min is None or each.soc_end_min <= each.soc_start:  # what is there can be kept
            return each
        most = reachable_soc(each, np.minimum(each.charge_w, room_w * (each.charge_w / all_w)), hours(series))
        return replace(each, soc_end_min=min(each.soc_end_min, most))

    return tuple(reached(each) for each in groups)


def let_pass(problem: Problem, plan: Plan) -> str:
    """In words, what is imported beyond the site's limit; empty: nothing."""
    limit_w = problem.groups[0].import_w
    beyond_w = plan.grid_w - limit_w
    steps = int((beyond_w > NOTICED_W).sum())
    if not steps:
        return ""
    return (
        f"import cannot be held below the site's {limit_w / 1000.0:.1f} kW: it passes that in {steps} steps, "
        f"by {float(beyond_w.max()) / 1000.0:.1f} kW at most"
    )
