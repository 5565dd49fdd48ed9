"""What `ess backtest` says: as keys for scripts, as a table for people."""

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Any, get_args

import numpy as np

from ess_controller.planning.backtest.doubt import interval
from ess_controller.planning.backtest.notes import counted, days_run, notes
from ess_controller.planning.backtest.run import Backtest, Cost, Month, Way, bill_share, value_share

SCHEMA_VERSION = 1
WAYS = ("no_battery", "rule", "mpc", "controller", "really", "perfect")
HEADS = ("no battery", "rule", "MPC", "controller", "really", "perfect")


def answer(found: Backtest) -> dict[str, Any]:
    """For scripts. What is not known is null; costs are bills plus wear less what more is stored at the end, of all
    that was run; shares of all are of its whole months, where it has any."""
    whole = counted(found)
    low, high = interval(whole)
    return {
        "schema_version": SCHEMA_VERSION,
        "begin": found.series.begin.isoformat(),
        "end": found.series.at(len(found.series)).isoformat(),
        "step_s": found.series.step_s,
        **_costs(found.months),
        "value_share": _known(value_share(whole), 4),
        "value_share_interval90": [_known(low, 4), _known(high, 4)],
        **_shares(whole),
        "bill_share": _known(bill_share(whole), 4),
        "rule_bill_share": _known(bill_share(whole, "rule"), 4),
        "replan_ms_p50": _known(float(np.median(found.replan_ms)), 2) if len(found.replan_ms) else None,
        "months": [
            _month(each) | {"days": round(days, 4), "of_days": of_days}
            for each, (days, of_days) in zip(found.months, days_run(found), strict=True)
        ],
        "notes": list(notes(found)),
    }


def table(told: dict[str, Any]) -> Iterator[str]:
    """For people, from the answer."""
    ways = [way for way in WAYS if f"{way}_cny" in told]
    heads = "".join(f"{head:>12}" for way, head in zip(WAYS, HEADS, strict=True) if way in ways)
    shares = "".join(f"{way:>8}" for way in ways if f"{way}_share" in told)
    yield f"{'CNY':8}{heads}  share:  value{shares}  controller's peak, kW"
    for month in told["months"]:
        yield _line(month["month"], month, ways) + f"{month['controller_peak_w'] / 1000.0:23.1f}"
    yield _line("all", told, ways)
    low, high = told["value_share_interval90"]
    if low is not None:
        yield f"value share {told['value_share']:.3f}, 90 % interval {low:.3f} to {high:.3f} by drawing months"
    if any(told[f"{way}_wear_cny"] for way in ways[1:]):
        worn = ", ".join(f"{way} {told[f'{way}_wear_cny']:.2f}" for way in ways[1:])
        yield f"of that wear, CNY: {worn}"
        shares = f"{_shown(told['bill_share'])}, rule {_shown(told['rule_bill_share'])}"
        yield f"share of the bill alone {shares}: above 1 where more wear saves more bill than perfect foresight would"
    if told["replan_ms_p50"] is not None:
        yield f"a re-plan took {told['replan_ms_p50']:.1f} ms (median)"
    if gaps := told.get("gaps"):
        yield (
            f"of {gaps['of']} blocks load or sun of {gaps['load_or_sun']} were not heard (taken as the day before), "
            f"the battery of {gaps['battery']} (taken as at rest)"
        )
    yield from told["notes"]


def _line(name: str, told: dict[str, Any], ways: Sequence[str]) -> str:
    costs = "".join(f"{told[f'{way}_cny']:12.2f}" for way in ways)
    shares = "".join(f"{_shown(told[f'{way}_share']):>8}" for way in ways if f"{way}_share" in told)
    return f"{name:8}{costs}{_shown(told['value_share']):>15}{shares}"


def _shown(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"


def _month(month: Month) -> dict[str, Any]:
    peaks = {f"{way}_peak_w": round(_cost(month, way).peak_w, 1) for way in _ways([month])}
    share = _known(value_share([month]), 4)
    return {"month": month.name, **_costs([month]), "value_share": share, **_shares([month]), **peaks}


def _ways(months: Sequence[Month]) -> list[str]:
    """Those that were run."""
    return [way for way in WAYS if months and getattr(months[0], way) is not None]


def _shares(months: Sequence[Month]) -> dict[str, float | None]:
    """Of the controller it is the value share."""
    return {
        f"{way}_share": _known(value_share(list(months), way), 4)
        for way in get_args(Way)
        if way != "controller" and way in _ways(months)
    }


def _costs(months: Sequence[Month]) -> dict[str, float]:
    ways = _ways(months)
    cny = {f"{way}_cny": round(sum(_cost(each, way).cny for each in months), 4) for way in ways}
    wear = {f"{way}_wear_cny": round(sum(_cost(each, way).wear_cny for each in months), 4) for way in ways[1:]}
    return {**cny, **wear}


def _cost(month: Month, way: str) -> Cost:
    cost: Cost = getattr(month, way)
    return cost


def _known(number: float, digits: int) -> float | None:
    return None if isnan(number) else round(number, digits)
