"""What has to be known to read a backtest's numbers aright: parts of months, starts that were not alike."""

from collections.abc import Iterator
from math import isnan

from ess_controller.planning.backtest.run import Backtest, Cost, Month
from ess_controller.planning.given.problem import Battery, days_in_month, months

NOTICED_CNY, NOTICED_WH, NOTICED_W = 0.01, 100.0, 1.0
RIVALS = ("no_battery", "rule", "mpc", "controller", "really")


def days_run(found: Backtest) -> list[tuple[float, int]]:
    """[month] how many of its days were run, and how many it has."""
    return [days_in_month(found.series, first, end) for first, end in months(found.series)]


def counted(found: Backtest) -> tuple[Month, ...]:
    """Those that shares are of: months run from their first day to their last; all of them, where none was."""
    run = zip(found.months, days_run(found), strict=True)
    return tuple(month for month, (days, of) in run if days >= of - 1e-6) or found.months


def notes(found: Backtest) -> Iterator[str]:
    """In words."""
    yield from _parts(found)
    for month in found.months:
        if isnan(month.bound_gap_cny):
            yield f"{month.name}: perfect foresight was not found, a plain rule stands in its place"
            continue
        if month.bound_gap_cny > 1.0:
            yield f"{month.name}: perfect foresight may be up to {month.bound_gap_cny:.2f} CNY cheaper"
        for way in RIVALS:
            yield from _cheaper_than_perfect(month, way, found.battery)
    yield from _really_held(found)
    for name, why in found.forecast_not_used:
        yield f"{name} forecast at the end: {why}"


def _parts(found: Backtest) -> Iterator[str]:
    """Months that were not run from their first day to their last."""
    run = zip(found.months, days_run(found), strict=True)
    parts = [f"{month.name} for {days:.4g} of {of} days" for month, (days, of) in run if days < of - 1e-6]
    if parts:
        paid = ", at a whole month's demand charge; peaks before it count for nothing" if found.charged else ""
        yield f"run in part: {', '.join(parts)}{paid}"
    whole = counted(found)
    if len(whole) < len(found.months):
        yield f"shares of all are of the whole months alone: {', '.join(each.name for each in whole)}"


def _cheaper_than_perfect(month: Month, way: str, battery: Battery) -> Iterator[str]:
    """Nothing is cheaper than the optimum of the same month from the same start under the same limits: so what was
    not the same."""
    cost: Cost | None = getattr(month, way)
    if cost is None or cost.cny > month.perfect.cny - NOTICED_CNY:
        return
    why = []
    if way == "no_battery" and month.perfect.wear_cny > 0.0:
        why.append("a battery that is there wears by standing too")
    elif abs(cost.begun_wh - month.perfect.begun_wh) > NOTICED_WH:
        begun, other = cost.begun_wh / 1000.0, month.perfect.begun_wh / 1000.0
        why.append(f"it began the month with {begun:.1f} kWh, perfect foresight with {other:.1f} kWh of its own")
    if cost.highest_w > max(battery.import_w, month.perfect.highest_w) + NOTICED_W:
        why.append(f"it let import pass the site's {battery.import_w / 1000.0:.1f} kW, which perfect foresight held")
    if way == "really":
        why.append("its real charge and losses are not known")
    name, less = way.replace("_", " "), month.perfect.cny - cost.cny
    told = f": {'; '.join(why)}" if why else ""
    yield f"{month.name}: {name} costs {less:.2f} CNY less than perfect foresight{told}"


def _really_held(found: Backtest) -> Iterator[str]:
    """What cannot have been stored says how far the start or the losses that were reckoned with are wrong."""
    if found.really is None:
        return
    battery, held_wh = found.battery, found.really.stored_wh
    least, most = battery.soc_min * battery.energy_wh, battery.soc_max * battery.energy_wh
    low, high = float(held_wh.min()), float(held_wh.max())
    if low < least - NOTICED_WH or high > most + NOTICED_WH:
        yield (
            f"really: from half full and by the site file's losses it would have held {low / 1000.0:.1f} to "
            f"{high / 1000.0:.1f} kWh, where it holds {least / 1000.0:.1f} to {most / 1000.0:.1f}: its start or losses "
            "were others, and what it has left is counted wrong by about what lies beyond"
        )
