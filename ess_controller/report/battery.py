"""What the ledger tells of a span: throughput, losses, SOC, cell extremes."""

from collections.abc import Iterable, Mapping
from typing import Any

from ess_controller.report.quarter import EXTREMES, FLOWS

Quarters = Mapping[int, Mapping[str, Any]]  # number -> what the ledger tells of it


def cabinets(quarters: Quarters, before: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Each cabinet's sums, in the order of the first quarter that tells of it.

    kWh on the inverter's grid side (ac) and at the strings (dc); losses are measured there, the cells' less what more
    was stored at the end than at the start, by the estimate. A cycle (EFC) is the capacity once out and once in.
    `before`: the quarter before the first, at whose end the span starts; None: the cells' losses count from the first
    quarter's end on. So they do after quarters that are missing: what a battery gave or took then nobody measured.
    """
    at_start = {each["name"]: each.get("stored_wh") for each in before["cabinets"]} if before else {}
    found: dict[str, dict[int, Mapping[str, Any]]] = {}
    for number in sorted(quarters):
        for each in quarters[number]["cabinets"]:
            found.setdefault(each["name"], {})[number] = each
    return [_cabinet(name, rows, at_start.get(name)) for name, rows in found.items()]


def _cabinet(name: str, by_number: Mapping[int, Mapping[str, Any]], start_wh: float | None) -> dict[str, Any]:
    rows = list(by_number.values())
    sums = {flow: sum(row[flow] for row in rows) for flow in FLOWS}
    kwh = {flow.replace("_wh", "_kwh"): sums[flow] / 1000.0 for flow in FLOWS[:4]}
    stored = [row["stored_wh"] for row in rows if row.get("stored_wh") is not None]
    ah = [row["capacity_ah"] for row in rows if row.get("capacity_ah")]
    gained_kwh = (stored[-1] - (stored[0] if start_wh is None else start_wh)) / 1000.0 if stored else 0.0
    inverter_kwh = kwh["ac_in_kwh"] - kwh["dc_in_kwh"] + kwh["dc_out_kwh"] - kwh["ac_out_kwh"]
    told = {
        "name": name,
        "heard_h": sum(row["flowed_s"] for row in rows) / 3600.0,
        **kwh,
        "stored_more_kwh": gained_kwh,
        "inverter_loss_kwh": inverter_kwh,
        "cell_loss_kwh": _cell_loss_wh(by_number, start_wh) / 1000.0,
        "efc": (sums["in_ah"] + sums["out_ah"]) / 2.0 / ah[-1] if ah else None,
        "soc_min": _least((row.get("soc_min") for row in rows), 1.0),
        "soc_max": _least((row.get("soc_max") for row in rows), -1.0),
    }
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in told.items()}


def _cell_loss_wh(rows: Mapping[int, Mapping[str, Any]], start_wh: float | None) -> float:
    """What cells took and neither gave nor hold, from one known store to the next, with all quarters in between."""
    lost_wh = flowed_wh = 0.0
    before_wh, last = start_wh, min(rows) - 1
    for number, row in rows.items():
        if number != last + 1:
            before_wh = None
        flowed_wh, last = flowed_wh + row["string_in_wh"] - row["string_out_wh"], number
        if (now_wh := row.get("stored_wh")) is not None:
            lost_wh += 0.0 if before_wh is None else flowed_wh - (now_wh - before_wh)
            before_wh, flowed_wh = now_wh, 0.0
    return lost_wh


def together(cabinets_: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All cabinets: sums, and the losses as a share of what was taken."""
    rows = list(cabinets_)
    keys = ("ac_in_kwh", "ac_out_kwh", "dc_in_kwh", "dc_out_kwh", "stored_more_kwh", "inverter_loss_kwh")
    told: dict[str, Any] = {key: round(sum(row[key] for row in rows), 4) for key in (*keys, "cell_loss_kwh")}
    lost_kwh = told["inverter_loss_kwh"] + told["cell_loss_kwh"]
    told["loss_kwh"] = round(lost_kwh, 4)
    told["loss_share"] = round(lost_kwh / told["ac_in_kwh"], 4) if told["ac_in_kwh"] > 0.0 else None
    efc = [row["efc"] for row in rows if row["efc"] is not None]
    told["efc"] = round(sum(efc) / len(efc), 4) if efc else None
    told["soc_min"] = _least((row["soc_min"] for row in rows), 1.0)
    told["soc_max"] = _least((row["soc_max"] for row in rows), -1.0)
    return told


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
