"""What the ledger tells of a span: throughput, losses, SOC, cell extremes."""

from collections.abc import Iterable, Iterator, Mapping
from math import hypot, isnan, nan
from typing import Any

from ess_controller.report.quarter import EXTREMES, FLOWS

MOST_DOUBT = 0.1  # of what flowed: losses that are less sure are not told
INNER = ("cell_loss_kwh", "cell_loss_sd_kwh", "through_kwh", "changed_kwh")  # of `_in_cells`
Quarters = Mapping[int, Mapping[str, Any]]  # number -> what the ledger tells of it


def throughput(quarters: Quarters, before: Mapping[str, Any] | None, begin: int) -> dict[str, Any] | None:
    """Each cabinet's sums, in the order of the first quarter that tells of it, and all together; None without any.

    kWh on the inverter's grid side (ac) and at the strings (dc); losses are measured there, the cells' less what more
    was stored at the end than at the start, by the estimate, whose doubt stands beside (one standard deviation); null
    where too little flowed for that. A cycle (EFC) is the capacity once out and once in.
    `begin`: number of the span's first quarter; `before`: the one before it, at whose end the span starts; None: the
    cells' losses count from the first quarter's end on. So they do after quarters that are missing: what a battery gave
    or took then nobody measured.
    """
    at_start = {each["name"]: each for each in before["cabinets"]} if before else {}
    found: dict[str, dict[int, Mapping[str, Any]]] = {}
    for number in sorted(quarters):
        for each in quarters[number]["cabinets"]:
            found.setdefault(each["name"], {})[number] = each
    if not found:
        return None
    sums = [_sums(name, rows, at_start.get(name), begin) for name, rows in found.items()]
    return {"all": _rounded(_judged(_together(sums))), "cabinets": [_rounded(_judged(each)) for each in sums]}


def _sums(
    name: str, by_number: Mapping[int, Mapping[str, Any]], start: Mapping[str, Any] | None, begin: int
) -> dict[str, Any]:
    rows = list(by_number.values())
    flows = {flow: sum(row[flow] for row in rows) for flow in FLOWS}
    kwh = {flow.replace("_wh", "_kwh"): flows[flow] / 1000.0 for flow in FLOWS[:4]}
    stored = [row["stored_wh"] for row in (start or {}, *rows) if row.get("stored_wh") is not None]
    ah = [row["capacity_ah"] for row in rows if row.get("capacity_ah")]
    return {
        "name": name,
        "heard_h": sum(row["flowed_s"] for row in rows) / 3600.0,
        **kwh,
        "stored_more_kwh": (stored[-1] - stored[0]) / 1000.0 if stored else 0.0,
        "inverter_loss_kwh": kwh["ac_in_kwh"] - kwh["dc_in_kwh"] + kwh["dc_out_kwh"] - kwh["ac_out_kwh"],
        **_in_cells(by_number, start, begin),
        "efc": (flows["in_ah"] + flows["out_ah"]) / 2.0 / ah[-1] if ah else None,
        "soc_min": _least((row.get("soc_min") for row in rows), 1.0),
        "soc_max": _least((row.get("soc_max") for row in rows), -1.0),
    }


def _in_cells(
    by_number: Mapping[int, Mapping[str, Any]], start: Mapping[str, Any] | None, begin: int
) -> dict[str, float]:
    """What cells took and neither gave nor hold, its doubt by SOC at both ends and by capacity in what lies between,
    what flowed through them for it, and what more they hold, kWh. NaN: the doubt was not noted."""
    through_wh = changed_wh = lost_wh = doubt_wh = 0.0
    for own in _stretches(by_number, start, begin):
        first, last = own[0], own[-1]
        in_wh, out_wh = (sum(row[flow] for row in own[1:]) for flow in ("string_in_wh", "string_out_wh"))
        gained_wh = last["stored_wh"] - first["stored_wh"]
        through_wh, changed_wh = through_wh + in_wh + out_wh, changed_wh + gained_wh
        lost_wh += in_wh - out_wh - gained_wh
        at_ends = [nan if each.get("stored_sd_wh") is None else each["stored_sd_wh"] for each in (first, last)]
        capacity = last.get("capacity_doubt")
        doubt_wh = hypot(doubt_wh, *at_ends) + (nan if capacity is None else capacity * abs(gained_wh))
    wh = {"cell_loss": lost_wh, "cell_loss_sd": doubt_wh, "through": through_wh, "changed": changed_wh}
    return {f"{name}_kwh": each / 1000.0 for name, each in wh.items()}


def _stretches(
    by_number: Mapping[int, Mapping[str, Any]], start: Mapping[str, Any] | None, begin: int
) -> Iterator[list[Mapping[str, Any]]]:
    """Quarters without a gap, each time from one whose store is known to the last such one; what flowed in the first
    came before."""
    found: list[list[Mapping[str, Any]]] = [[] if start is None else [start]]
    last = begin - 1
    for number, row in by_number.items():
        if number != last + 1:
            found.append([])
        found[-1].append(row)
        last = number
    for rows in found:
        known = [at for at, row in enumerate(rows) if row.get("stored_wh") is not None]
        if len(known) > 1:
            yield rows[known[0] : known[-1] + 1]


def _together(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums; doubts add up as well, for all cells are wrong by the same curve."""
    keys = ("ac_in_kwh", "ac_out_kwh", "dc_in_kwh", "dc_out_kwh", "stored_more_kwh", "inverter_loss_kwh")
    told: dict[str, Any] = {key: sum(row[key] for row in rows) for key in (*keys, *INNER)}
    efc = [row["efc"] for row in rows if row["efc"] is not None]
    told["efc"] = sum(efc) / len(efc) if efc else None
    told["soc_min"] = _least((row["soc_min"] for row in rows), 1.0)
    told["soc_max"] = _least((row["soc_max"] for row in rows), -1.0)
    return told


def _judged(sums: dict[str, Any]) -> dict[str, Any]:
    """The sums with the losses as far as they are known, and with their share of what was taken, unless the store gave
    or kept more than that: then it says nothing of what a kWh loses on its way."""
    told = {key: value for key, value in sums.items() if key not in ("through_kwh", "changed_kwh")}
    cells_kwh, doubt_kwh, taken_kwh = sums["cell_loss_kwh"], sums["cell_loss_sd_kwh"], sums["ac_in_kwh"]
    known = cells_kwh > -2.0 * doubt_kwh and doubt_kwh <= MOST_DOUBT * sums["through_kwh"]  # False where it is NaN
    told["doubt_noted"] = not isnan(doubt_kwh)
    told["cell_loss_kwh"] = max(cells_kwh, 0.0) if known else None
    told["cell_loss_sd_kwh"] = doubt_kwh if known else None
    agree = sums["inverter_loss_kwh"] >= 0.0  # else its two sides are not measured well enough to tell
    told["inverter_loss_kwh"] = sums["inverter_loss_kwh"] if agree else None
    lost_kwh = sums["inverter_loss_kwh"] + told["cell_loss_kwh"] if known and agree else None
    tells = lost_kwh is not None and taken_kwh > abs(sums["changed_kwh"]) and doubt_kwh <= MOST_DOUBT * taken_kwh
    told["loss_kwh"] = lost_kwh
    told["loss_share"] = lost_kwh / taken_kwh if tells else None
    told["loss_share_sd"] = doubt_kwh / taken_kwh if tells else None
    return told


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in told.items()}


def _least(values: Iterable[float | None], sign: float) -> float | None:
    known = [value for value in values if value is not None]
    return sign * min(sign * value for value in known) if known else None


def extremes(quarters: Quarters) -> dict[str, dict[str, Any]]:
    """Lowest and highest cell voltage and temperature, each with its place, module code and UTC time."""
    told: dict[str, dict[str, Any]] = {}
    for name in EXTREMES:
        rows = [each["extremes"][name] for each in quarters.values() if name in each["extremes"]]
        if rows:
            pick = min if name.endswith("min") else max
            value, place, module, utc = pick(rows, key=lambda row: row[0])
            told[name] = {"value": round(value, 4), "place": place, "module": module, "utc": utc}
    return told


def soc_of(told: Mapping[str, Any]) -> float | None:
    """Mean SOC of a quarter's cabinets."""
    known = [each["soc"] for each in told["cabinets"] if each.get("soc") is not None]
    return sum(known) / len(known) if known else None


def in_store(told: Mapping[str, Any] | None, key: str) -> float | None:
    """All cabinets' `given_wh` (that could be given) or `stored_wh`, Wh; None where it is not known."""
    every = [each.get(key) for each in told["cabinets"]] if told else []
    known = [float(each) for each in every if each is not None]
    return sum(known) if known and len(known) == len(every) else None


def gained_wh(before: Mapping[str, Any] | None, quarters: Quarters) -> float | None:
    """More in the store at the end than at the start, all cabinets, Wh; None where it is not known."""
    rows = [before, *(each for _, each in sorted(quarters.items()))]
    ends = [found for each in rows if (found := in_store(each, "stored_wh")) is not None]
    return ends[-1] - ends[0] if ends else None
