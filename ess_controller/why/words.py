"""`ess why` in words: what the battery does and by what worth, and what takes of its power, rule by rule."""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from ess_controller.told.arbitrated import WAYS

LIMITED_W = 500.0  # less than this between wanted and told is no limit worth a word
_VERB = {"charge": "take", "discharge": "give"}


def lines(picture: dict[str, Any]) -> Iterator[str]:
    """The picture of `ess_controller.told.picture` as lines of text."""
    local = picture.get("local", {"time": picture["utc"], "zone": "UTC"})
    yield f"{picture['site']}, {local['time'][:19].replace('T', ' ')} {local['zone']}"
    yield doing(picture)
    yield from worth(picture)
    for cabinet in picture["cabinets"]:
        for way in WAYS:
            yield ""
            yield from waterfall(cabinet["name"], way, cabinet["why"][way], ZoneInfo(local["zone"]))


def doing(picture: dict[str, Any]) -> str:
    """What is wanted, what is told, and whether bounds stand between."""
    wanted_w, set_w = picture["wanted_w"] or 0.0, picture["set_w"] or 0.0
    text = f"wanted {_kw(wanted_w)} by {picture['wanted_by']}; the inverters are told {_kw(set_w)}"
    short_w = abs(wanted_w - set_w)
    if short_w < LIMITED_W:
        return text
    way = "discharge" if wanted_w > set_w else "charge"
    may_w = sum(cabinet["why"][way]["allowed_w"] for cabinet in picture["cabinets"])
    if wanted_w * set_w >= 0.0 and may_w < abs(wanted_w) - 1.0:
        return f"{text}: {short_w / 1000.0:.1f} kW short, for no more than {_kw(may_w, '')} may be {way}d"
    return f"{text}: {short_w / 1000.0:.1f} kW apart, on the way or waiting for an inverter"


def worth(picture: dict[str, Any]) -> Iterator[str]:
    """What the plan goes by now; else why there is none."""
    plan, found = picture.get("plan"), picture.get("worth")
    if found is None:
        if plan is not None:
            yield f"no plan acts: {plan['trouble'] or 'this hour is not in it'}; the rule of the hour stands in"
        return
    yield (
        f"a kWh from the grid costs {found['buy_cny_per_kwh']:.3f} CNY now; one in the store will save "
        f"{found['stored_cny_per_kwh']:.3f}: worth giving where it saves more than "
        f"{found['gives_above_cny_per_kwh']:.3f}, worth taking where it costs less than "
        f"{found['takes_below_cny_per_kwh']:.3f}"
    )
    yield (
        f"the month's peak so far is {_kw(found['month_peak_w'], '')}; each kW above it would cost "
        f"{found['peak_cny_per_kw']:.1f} CNY as expected now; {found['stored_wh'] / 1000.0:.1f} kWh are stored"
    )


def waterfall(cabinet: str, way: str, record: dict[str, Any], zone: tzinfo) -> Iterator[str]:
    """One cabinet, one way: from its nameplate down to what may flow; since when, by the clocks of `zone`."""
    since_utc = record["since_utc"]
    since = f" since {datetime.fromisoformat(since_utc).astimezone(zone):%Y-%m-%d %H:%M:%S}" if since_utc else ""
    if not record["losses"]:
        yield f"{cabinet} may {_VERB[way]} all of its {_kw(record['nameplate_w'], '')}{since}"
        return
    yield (
        f"{cabinet} may {_VERB[way]} {_kw(record['allowed_w'], '')} of {_kw(record['nameplate_w'], '')}, "
        f"by {record['by']}{since}"
    )
    for loss in record["losses"]:
        until = f"; until {loss['lifted_by']}" if loss["lifted_by"] else ""
        yield f"  {-loss['lost_w'] / 1000.0:+8.1f} kW  {loss['rule']}: {loss['at']}: {loss['rests_on']}{until}"
    if record["next_w"] > record["allowed_w"] + 1.0:
        yield f"  without it {_kw(record['next_w'], '')}, by {record['next_by']}"


def _kw(w: float, sign: str = "+") -> str:
    return f"{round(w / 1000.0, 1) + 0.0:{sign}.1f} kW"
