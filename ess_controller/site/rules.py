"""What a site's numbers must be to each other: limits inside the envelope, curves that rise and end at zero.

Works on what has passed the models; what has not is left out, counts as NaN here, and NaN breaks no rule.
Each finding names the key that should give way and what would be right there.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from ess_controller.site.errors import Finding, plain
from ess_controller.site.places import KeyPath

Table = dict[str, Any]

# key, relation, other key. Operating limits lie inside the trips, the trips inside the envelope.
ORDER: Final = (
    ("envelope.cell_v_max", ">", "envelope.cell_v_min"),
    ("envelope.charge_c_min", ">=", "envelope.cell_c_min"),
    ("envelope.cell_c_max", ">", "envelope.charge_c_min"),
    ("limits.cell_v_max", ">", "limits.cell_v_min"),
    ("limits.cell_v_max", "<", "mode.trip_cell_v_max"),
    ("limits.cell_v_min", ">", "mode.trip_cell_v_min"),
    ("limits.deep_discharge_v", "<", "envelope.cell_v_min"),
    ("limits.rated_a", "<", "mode.trip_a"),
    ("mode.trip_cell_v_max", "<=", "envelope.cell_v_max"),
    ("mode.trip_cell_v_min", ">=", "envelope.cell_v_min"),
    ("mode.trip_cell_c_max", "<=", "envelope.cell_c_max"),
    ("mode.trip_a", "<=", "envelope.string_a_max"),
    ("mode.break_a", "<", "limits.rated_a"),
    ("mode.join_a", "<", "mode.trip_a"),  # a string that joins does not trip by it
    ("mode.precharge_a", "<=", "mode.break_a"),  # contactors close on no more than they may break
    ("beat.can_stale_s", "<", "mode.lost_open_wire_s"),
    ("beat.register_stale_s", "<", "mode.lost_open_wire_s"),
    ("estimate.rest_a", "<", "limits.rated_a"),
    ("weather.every_h", "<=", "weather.oldest_h"),
    ("health.recycle_soh", "<", "health.line_soh"),
    ("health.line_soh", "<", "health.derate_soh"),
    ("health.derate_resistance", "<", "health.recycle_resistance"),
    ("health.leak_per_month", "<", "health.recycle_leak_per_month"),
    # heater, then nothing, then fan, then chiller; each with a gap between on and off
    ("climate.heater_off_c", ">", "climate.heater_on_c"),
    ("climate.fan_off_c", ">", "climate.heater_off_c"),
    ("climate.fan_on_c", ">", "climate.fan_off_c"),
    ("climate.chiller_off_c", ">", "climate.heater_off_c"),
    ("climate.chiller_on_c", ">", "climate.chiller_off_c"),
)
_HOLDS: Final[dict[str, tuple[str, Callable[[float, float], bool]]]] = {
    "<": ("less than", lambda value, other: value < other),
    "<=": ("at most", lambda value, other: value <= other),
    ">": ("more than", lambda value, other: value > other),
    ">=": ("at least", lambda value, other: value >= other),
}
CURVES: Final = {  # curve -> whether its share rises (True), falls (False), or does both (None)
    "charge_by_cell_v": False,
    "discharge_by_cell_v": True,
    "charge_by_c": None,
    "discharge_by_c": None,
    "charge_by_soc": False,
    "discharge_by_soc": True,
    "charge_by_soh": True,
}
# Where a curve must have come to zero, and on which side it stays there.
ZERO: Final = (
    ("charge_by_cell_v", "mode.trip_cell_v_max"),
    ("discharge_by_cell_v", "mode.trip_cell_v_min"),
    ("charge_by_c", "envelope.charge_c_min"),
    ("charge_by_c", "mode.trip_cell_c_max"),
    ("discharge_by_c", "envelope.cell_c_min"),
    ("discharge_by_c", "mode.trip_cell_c_max"),
)
DC_AC = (0.5, 2.0)  # DC name plate of a roof over its inverter's: outside, one of them has a wrong unit


def number_findings(site: Table) -> Iterator[Finding]:
    """Numbers and curves of the site file, against each other."""
    for key, relation, other in ORDER:
        bound = number(site, other)
        if words := broken(number(site, key), relation, bound):
            yield Finding(key_path(key), f"{words} {other} = {plain(bound)}")
    for name, rises in CURVES.items():
        yield from _curve_findings(("limits", name), site.get("limits", {}).get(name, []), rises)
    for name, where in ZERO:
        points = site.get("limits", {}).get(name, [])
        if points and not _is_zero(points, number(site, where), upwards=where.endswith("max")):
            side = "above" if where.endswith("max") else "below"
            expected = f"share 0 at {where} = {plain(number(site, where))} and {side}"
            yield Finding(("limits", name), expected)
    yield from _time_findings(site)
    yield from _dispatch_findings(site)
    yield from _climate_findings(site)
    yield from _contract_findings(site)
    yield from _pv_findings(site)
    yield from _weather_findings(site)


def broken(value: float, relation: str, bound: float) -> str:
    """The relation in words where it does not hold."""
    words, holds = _HOLDS[relation]
    return "" if np.isnan(value) or np.isnan(bound) or holds(value, bound) else words


def number(site: Table, key: str) -> float:
    """The number at `table.key`; NaN where there is no valid one."""
    table, name = key_path(key)
    return float(site.get(table, {}).get(name, np.nan))


def key_path(key: str) -> tuple[str, str]:
    """`table.key` taken apart."""
    table, _, name = key.partition(".")
    return table, name


def _curve_findings(path: KeyPath, points: Sequence[Sequence[float]], rises: bool | None) -> Iterator[Finding]:
    for index, ((x, share), (next_x, next_share)) in enumerate(pairwise(points), 1):
        if next_x <= x:
            yield Finding((*path, index), f"a first number above {plain(x)}, that of the pair before")
        elif rises and next_share < share:
            yield Finding((*path, index), f"a share of at least {plain(share)}: this curve rises")
        elif rises is False and next_share > share:
            yield Finding((*path, index), f"a share of at most {plain(share)}: this curve falls")


def _is_zero(points: Sequence[Sequence[float]], at: float, *, upwards: bool) -> bool:
    """Whether the polyline is zero at `at` and from there on; a point that is not known breaks nothing."""
    xs, shares = zip(*points, strict=True)
    beyond = [share for x, share in points if (x >= at if upwards else x <= at)]
    return bool(np.isnan(at)) or (float(np.interp(at, xs, shares)) == 0.0 and not any(beyond))


def rising(path: KeyPath, values: Sequence[float], *, strictly: bool) -> Iterator[Finding]:
    """Whether a list rises, number by number."""
    for index, (value, following) in enumerate(pairwise(values), 1):
        if following < value or (strictly and following == value):
            words = "more than" if strictly else "at least"
            yield Finding((*path, index), f"{words} {plain(value)}, the number before")


def _time_findings(site: Table) -> Iterator[Finding]:
    beats = 2.0 * number(site, "beat.period_s")
    if number(site, "limits.horizon_s") < beats:
        yield Finding(("limits", "horizon_s"), f"at least two beats, {plain(beats)}")
    block_s = number(site, "dispatch.block_s")
    if not np.isnan(block_s) and 3600.0 % block_s != 0.0:
        yield Finding(("dispatch", "block_s"), "seconds that divide an hour evenly, such as 900")
    elif block_s % number(site, "dispatch.slide_s") > 0.0:
        expected = f"seconds that divide dispatch.block_s = {plain(block_s)} evenly, at most that: plain blocks"
        yield Finding(("dispatch", "slide_s"), expected)
    zone = site.get("time_zone")
    if zone is not None and not is_zone(zone):
        yield Finding(("time_zone",), "an IANA time zone, such as Asia/Shanghai")


def is_zone(name: str) -> bool:
    """Whether the time zone data base knows it."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such zone, a folder of zones, a path out of the data base
        return False
    return True


def _dispatch_findings(site: Table) -> Iterator[Finding]:
    peak_w, contract_w = number(site, "dispatch.peak_w"), number(site, "dispatch.contract_w")
    if contract_w < peak_w < np.inf:
        yield Finding(("dispatch", "peak_w"), f"at most dispatch.contract_w = {plain(contract_w)}, or inf")
    if site.get("dispatch", {}).get("rule") in ("time_of_use", "value") and "contract" not in site:
        yield Finding(
            ("dispatch", "rule"), "another rule where no [contract] with its tariff_file tells the hours' prices"
        )
    most_w = number(site, "envelope.pcs_w_max") * len(site.get("cabinet", []))
    if most_w and abs(number(site, "dispatch.set_w")) > most_w:
        expected = f"at most {plain(most_w)} either way, envelope.pcs_w_max for each cabinet"
        yield Finding(("dispatch", "set_w"), expected)


def _climate_findings(site: Table) -> Iterator[Finding]:
    """Cooling begins before heat derates."""
    for curve in ("charge_by_c", "discharge_by_c"):
        points = site.get("limits", {}).get(curve, [])
        best = max((share for _, share in points), default=np.nan)
        warmest = max((c for c, share in points if share == best), default=np.nan)
        for key in ("fan_on_c", "chiller_on_c"):
            if number(site, f"climate.{key}") > warmest:
                expected = f"at most {plain(warmest)}, where limits.{curve} begins to derate"
                yield Finding(("climate", key), expected)


def _contract_findings(site: Table) -> Iterator[Finding]:
    demand, kva = site.get("contract", {}).get("demand"), number(site, "contract.transformer_kva")
    agreed_kw, path = number(site, "contract.contract_kw"), ("contract", "contract_kw")
    if demand == "contract" and "contract_kw" not in site["contract"]:
        yield Finding(path, 'a number, the agreed demand that demand = "contract" is billed by; the key is missing')
    elif demand in ("actual", "capacity") and not np.isnan(agreed_kw):
        yield Finding(path, f'no such key with demand = "{demand}"')
    elif agreed_kw > kva:
        yield Finding(path, f"at most {plain(kva)}, the site's transformers (contract.transformer_kva)")
    if number(site, "dispatch.contract_w") > 1000.0 * kva:
        expected = f"at most {plain(1000.0 * kva)}, the site's transformers (contract.transformer_kva)"
        yield Finding(("dispatch", "contract_w"), expected)


def _pv_findings(site: Table) -> Iterator[Finding]:
    if site.get("pv") and "location" not in site:
        yield Finding(("location",), "a table, where the sun is to be known for [[pv]]; the key is missing")
    for at, pv in enumerate(site.get("pv", [])):
        dc_w = 1000.0 * sum(array.get("kwp", np.nan) for array in pv.get("array", ()))
        least, most = dc_w / DC_AC[1], dc_w / DC_AC[0]
        if dc_w > 0.0 and not least <= pv.get("rated_w", least) <= most:
            yield Finding(("pv", at, "rated_w"), f"{plain(least)} to {plain(most)}, for arrays of {plain(dc_w)} W")


def _weather_findings(site: Table) -> Iterator[Finding]:
    weather = site.get("weather", {})
    source = weather.get("source", "")
    if weather and "location" not in site and not site.get("pv"):
        yield Finding(("location",), "a table, where the weather is to be known; the key is missing")
    if "://" in source and not source.startswith(("http://", "https://")):
        yield Finding(("weather", "source"), "http://, https://, or the path of a file")
