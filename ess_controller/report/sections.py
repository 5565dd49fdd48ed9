"""The tables of a report, each as a title, a head, rows and notes: battery, peaks, limits, cells, CO2, data, events."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

Say = Callable[[str], str]
Section = tuple[str, list[str], list[list[Any]], list[str]]
MEAN_FACTOR = "By a mean factor of all hours, energy moved to another hour spares no CO2; what is lost is bought."
TOO_LITTLE = "too little flowed to tell what the cells lose from what is stored by the estimate"
NO_DOUBT = "nobody noted how sure is what was stored: what the cells lose cannot be told from it"
ESTIMATED = "What is stored is estimated: over a day the cells' losses are no surer than that."
NO_LEDGER = "the ledger does not cover this time"
NO_ROLLUPS = "no rollups are kept of this time"
NO_CARBON = "the site file has no table carbon"
NO_PLANS = "without a tariff there is no plan"
MONTHS = "it is told in the reports of single days"
MOST_LIMITS, MOST_EVENTS, MOST_GAPS = 14, 40, 12  # rows on paper; all are in --json


@dataclass(frozen=True, slots=True)
class Cell:
    """A number, with its quantity or place in small."""

    text: str
    quiet: str = ""


def battery(told: dict[str, Any], say: Say) -> Section:
    """Throughput, losses and SOC, cabinet by cabinet."""
    found = told["battery"]
    if found is None:
        return "Battery", [], [], [say("Nothing is known of cells and limits: the ledger does not cover this time.")]
    head = ["cabinet", "taken", "given", "lost in inverters", "lost in cells", "stored more", "cycles (EFC)", "SOC"]
    rows = [_of_cabinet(each["name"], each) for each in found["cabinets"]]
    if len(rows) > 1:
        rows.append(_of_cabinet(say("all"), found["all"]))
    unknown = {each["doubt_noted"] for each in found["cabinets"] if each["cell_loss_kwh"] is None}
    why = [_not_known(TOO_LITTLE if noted else NO_DOUBT, say) for noted in sorted(unknown)]
    return "Battery", head, rows, [*why, say(ESTIMATED)]


def _of_cabinet(name: str, each: dict[str, Any]) -> list[Any]:
    keys = ("ac_in_kwh", "ac_out_kwh", "inverter_loss_kwh", "cell_loss_kwh", "stored_more_kwh")
    numbers = [Cell("–" if each[key] is None else f"{each[key]:,.1f} kWh") for key in keys]
    if each["cell_loss_kwh"] is not None:
        numbers[3] = replace(numbers[3], quiet=f"± {each['cell_loss_sd_kwh']:,.1f} kWh")
    efc = "–" if each["efc"] is None else f"{each['efc']:.2f}"
    ends = [f"{100.0 * each[key]:.0f}" if each[key] is not None else "–" for key in ("soc_min", "soc_max")]
    return [name, *numbers, Cell(efc), Cell(f"{ends[0]}–{ends[1]} %")]


def peaks(told: dict[str, Any], say: Say) -> Section:
    """The highest imports with the windows that set them."""
    found, rows = told["peaks"], []
    for name, key in (("as metered", "done"), ("without the battery", "without")):
        rows += [[say(name), _window(told, each), Cell(f"{each['kw']:,.1f} kW")] for each in found[key]]
    minutes = f"{found['block_s'] / 60:g} min"
    notes = [
        f"{say('sliding')} {minutes}, ≤ {_local(told, each['end'], '%H:%M')}: {each['kw']:,.1f} kW"
        for each in found["sliding"]
    ]
    if found["contract_kw"] is not None:
        notes.append(f"{say('agreed')}: {found['contract_kw']:g} kW")
    return "Peaks", ["way", "window", "value"], rows, notes


def _window(told: dict[str, Any], each: dict[str, Any]) -> str:
    return f"{_local(told, each['begin'], '%Y-%m-%d %H:%M')}–{_local(told, each['end'], '%H:%M')}"


def limits(told: dict[str, Any], say: Say) -> Section:
    """Rules that took power, by hours."""
    if told["limits"] is None:
        return "What limited power", [], [], [_not_known(NO_ROLLUPS, say)]
    head = ["way", "rule", "cabinet-hours", "longest", "taken of the nameplate", "wanted and missed"]
    rows = [
        [
            say(each["way"]),
            say(each["rule"]),
            Cell(f"{each['cabinet_hours']:,.2f} h"),
            Cell(f"{each['most']} {each['most_hours']:,.2f} h"),
            Cell(f"{each['taken_kwh']:,.1f} kWh"),
            Cell(f"{each['missed_kwh']:,.2f} kWh"),
        ]
        for each in told["limits"][:MOST_LIMITS]
    ]
    notes = _untold(len(told["limits"]) - MOST_LIMITS, say)
    return "What limited power", head, rows, notes if rows else [say("none")]


def cells(told: dict[str, Any], say: Say) -> Section:
    """The extremes, with module and position."""
    if told["cells"] is None:
        return "Cells", [], [], [_not_known(NO_LEDGER, say)]
    names = (
        ("cell_v_min", "lowest voltage", "{:.3f} V"),
        ("cell_v_max", "highest voltage", "{:.3f} V"),
        ("cell_c_min", "lowest temperature", "{:.1f} °C"),
        ("cell_c_max", "highest temperature", "{:.1f} °C"),
    )
    rows = [
        [say(name), Cell(form.format(each["value"])), each["place"], each["module"], _local(told, each["utc"])]
        for key, name, form in names
        if (each := told["cells"].get(key)) is not None
    ]
    return "Cells", ["", "value", "place", "module", "when"], rows, []


def co2(told: dict[str, Any], say: Say) -> Section:
    """What was bought, spared and lost, by the grid's mean factor."""
    found = told["carbon"]
    if found is None:
        return "CO2", [], [], [_not_known(NO_CARBON, say)]
    rows = [
        [say("bought"), Cell(f"{found['bought_kg']:,.1f} kg")],
        [f"{say('bought')}, {say('without the battery')}", Cell(f"{found['bought_without_kg']:,.1f} kg")],
        [say("sun used or sold"), Cell(f"{-found['sun_kg']:,.1f} kg")],
        [say("of it used here"), Cell(f"{-found['sun_used_here_kg']:,.1f} kg")],
    ]
    if found["losses_kg"] is not None:
        rows.append([say("losses of storing"), Cell(f"{found['losses_kg']:+,.1f} kg")])
    notes = [
        f"{say('factor')} {found['kgco2_per_kwh']:g} kg/kWh, {say(found['name'])} {found['year']}: "
        f"{say(found['source'])}",
        say(MEAN_FACTOR),
    ]
    if found["seen"] != "notice":
        notes.append(f"{say('The figure was not read in the notice itself')} ({say(found['seen'])}).")
    return "CO2", ["", "value"], rows, notes


def forecast(told: dict[str, Any], say: Say) -> Section:
    """How well the plan's load and sun were foreseen."""
    found = told["forecast"]
    if found is None:
        why = MONTHS if told["kind"] == "month" else told["no_plan"] or NO_PLANS
        return "Forecast", [], [], [_not_known(why, say)]
    rows = [
        [
            say(name),
            *(
                Cell("–" if found[f"{name}_{key}"] is None else f"{found[f'{name}_{key}'] / 1000.0:{form}} kW")
                for key, form in (("mae_w", ".2f"), ("yesterday_mae_w", ".2f"), ("bias_w", "+.2f"))
            ),
        ]
        for name in ("load", "sun")
    ]
    return "Forecast", ["", "mean absolute error", "if today were as yesterday", "mean error"], rows, []


def events(told: dict[str, Any], say: Say) -> Section:
    """What came again and again as a sum; then what came and went, in the order of time."""
    if told["events"] is None:
        return "Events", [], [], [_not_known(NO_LEDGER, say)]
    shown = told["events"][-MOST_EVENTS:]
    rows = [
        [
            f"{_local(told, each['first_utc'])} – {_local(told, each['last_utc'])}",
            *(each["place"], say(each["what"]), f"{each['times']} {say('times')}", say(each["text"])),
        ]
        for each in told["events_repeated"][:MOST_LIMITS]
    ]
    rows += [
        [_local(told, each["utc"]), each["place"], say(each["what"]), say(each["state"]), say(each["text"])]
        for each in shown
    ]
    untold = len(told["events"]) - len(shown) + told["events_untold"]
    untold += max(len(told["events_repeated"]) - MOST_LIMITS, 0)
    head = ["when", "place", "event", "state", "what follows"]
    return "Events", head, rows, _untold(untold, say) if rows else [say("none")]


def data(told: dict[str, Any], say: Say) -> Section:
    """What of the span is known."""
    found = told["coverage"]
    rows = [
        [say("counted"), Cell(f"{found['counted']} / {found['blocks']}")],
        [say("heard in part"), Cell(str(found["filled"]))],
        [say("starts of the daemon"), Cell(str(found["starts"]))],
    ]
    shown = [
        f"{_local(told, each['begin'], '%Y-%m-%d %H:%M')}–{_local(told, each['end'], '%m-%d %H:%M')}"
        for each in found["gaps"]
    ]
    gaps = ", ".join(shown[:MOST_GAPS]) or say("none")
    left = len(shown) - MOST_GAPS + found["gaps_untold"]
    return "Data", ["", "value"], rows, [f"{say('gaps')}: {gaps}", *_untold(left, say)]


def _not_known(why: str, say: Say) -> str:
    """A section without contents says why it has none."""
    return f"{say('not known')}: {say(why)}"


def _untold(count: int, say: Say) -> list[str]:
    return [f"{say('untold')}: {count}"] if count > 0 else []


def _local(told: dict[str, Any], utc: str, form: str = "%m-%d %H:%M:%S") -> str:
    """The site's time; in an hour that its clocks show twice with the zone's name, as 02:30 CEST and 02:30 CET."""
    local = datetime.fromisoformat(utc).astimezone(ZoneInfo(told["zone"]))
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{local:{form}} {local:%Z}" if twice else f"{local:{form}}"
