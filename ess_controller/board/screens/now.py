"""Now: what flows where, how full it is, the day's plan against what was done, money and CO2 of today."""

from datetime import datetime
from math import isnan

from ess_controller.board.chart import day_chart
from ess_controller.board.day import Day
from ess_controller.board.figures import UNKNOWN, kw, number, percent, yuan
from ess_controller.board.html import Html, div, span, tag
from ess_controller.board.view import View, card, figure, gain, quiet

MOST_IN_A_COLUMN = 8  # strings; a plant has twenty, and its chart would lie below the screen
NO_FLOW_W = 250.0  # less is a meter's rounding


def flows(view: View) -> Html:
    """Grid, sun, battery and load around the busbar, with what does not add up."""
    words, picture = view.words, view.picture
    battery_w = _sum([cabinet["pcs_w"] for cabinet in picture["cabinets"]])
    held = [pv["limit_w"] for pv in picture["pvs"] if pv["limit_w"] is not None]
    sun_note = words("held_back", kw=kw(sum(held))) if held else ""
    has_sun = bool(picture["pvs"])
    load_w = picture["load_w"] if has_sun else picture["net_load_w"]
    nodes = [
        _node("grid", words("grid"), picture["grid_w"], _way(view, picture["grid_w"], "imports", "exports")),
        _node("battery", words("battery"), battery_w, _way(view, battery_w, "discharges", "charges")),
        _node("load", words("load" if has_sun else "net_load"), load_w, ""),
    ]
    if has_sun:
        nodes.insert(1, _node("sun", words("sun"), picture["pv_w"], sun_note))
    pipes = div(
        "pipes",
        *(
            _pipe(name, w)
            for name, w in (("grid", picture["grid_w"]), ("sun", picture["pv_w"]), ("battery", battery_w))
            if name != "sun" or has_sun
        ),
        _pipe("load", None if load_w is None else -load_w),
    )
    return card(words("flows"), div("flows", *nodes), pipes, div("note", residual(view, battery_w)))


def residual(view: View, battery_w: float | None) -> str:
    """What is left over of grid + battery + sun - load."""
    picture = view.picture
    parts = [picture["grid_w"], battery_w, picture["pv_w"], picture["load_w"]]
    if None in parts:
        return view.words("unknown_residual")
    left_w = parts[0] + parts[1] + parts[2] - parts[3]
    return view.words("residual", kw=number(left_w / 1000.0, 2))


def _node(kind: str, label: str, w: float | None, note: str) -> Html:
    shown = kw(None if w is None else abs(w))
    return figure(label, shown, "kW", note, f"node {kind}")


def _pipe(kind: str, w: float | None) -> Html:
    """A bar as long as its share of the largest flow would be hard to read: it only says which way, and moves."""
    way = "none" if w is None or abs(w) < NO_FLOW_W else "in" if w > 0.0 else "out"
    return div(f"pipe {kind} {way}")


def _way(view: View, w: float | None, positive: str, negative: str) -> str:
    if w is None:
        return ""
    return view.words("rests" if abs(w) < NO_FLOW_W else positive if w > 0.0 else negative)


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def charge(view: View) -> Html:
    """How full, in all and string by string, and the extreme cells."""
    words, strings = view.words, view.picture["strings"]
    cabinets = view.picture["cabinets"]
    mean = [string["soc"] for string in strings]
    soc = None if None in mean else sum(mean) / len(mean)
    given, taken = (_sum([cabinet[key] for cabinet in cabinets]) for key in ("given_wh", "taken_wh"))
    rows = [
        div(
            "soc-row",
            span("name", string["name"]),
            div("bar", tag("i", style=f"width:{100.0 * (string['soc'] or 0.0):.1f}%")),
            span("num", percent(string["soc"])),
            span(f"mode {string['mode']}", words.of(string["mode"])),
        )
        for string in strings
    ]
    head = div(
        "row",
        figure("", percent(soc).removesuffix(" %"), "%", class_="huge"),
        figure(words("can_give"), kw(given), "kWh"),
        figure(words("can_take"), kw(taken), "kWh"),
    )
    many = "socs many" if len(rows) > MOST_IN_A_COLUMN else "socs"
    return card(words("state_of_charge"), head, div(many, *rows), _extremes(view))


def _extremes(view: View) -> Html:
    """The lowest, the highest and the hottest of all strings, by name."""
    words, strings = view.words, view.picture["strings"]
    parts = []
    for key, pick, label, unit, digits in (
        ("cell_v_min", min, "lowest_cell", "V", 3),
        ("cell_v_max", max, "highest_cell", "V", 3),
        ("cell_c_max", max, "hottest", "°C", 1),
    ):
        known = [string for string in strings if string[key] is not None]
        if known:
            worst = pick(known, key=lambda string, key=key: string[key])  # type: ignore[misc]
            parts.append(figure(words(label), number(worst[key], digits), unit, worst[f"{key}_at"], "small"))
    return div("row three", *parts)


def does(view: View) -> Html:
    """Wanted, told, delivered, and by whose wish."""
    words, picture = view.words, view.picture
    battery_w = _sum([cabinet["pcs_w"] for cabinet in picture["cabinets"]])
    price, plan = picture.get("price"), picture.get("plan")
    note = words("by") + " " + words.of(picture["wanted_by"])
    parts = [
        figure(words("wanted"), kw(picture["wanted_w"], "+"), "kW", note),
        figure(words("told"), kw(picture["set_w"], "+"), "kW"),
        figure(words("delivered"), kw(battery_w, "+"), "kW"),
    ]
    if price:
        parts.append(figure(words("price_now"), f"¥{price['cny_per_kwh']:.3f}", "", words.of(price["period"])))
    if plan and plan["age_s"] is not None:
        parts.append(figure(words("plan_age"), number(plan["age_s"] / 60.0, 0), "min"))
    return card(words("does"), div("row", *parts))


def plan(view: View) -> Html:
    """Today: planned against done, price bands, peak so far."""
    words, today = view.words, view.seen.books.today
    if not view.has_site:
        return card(words("today"), quiet(words("no_site_file")))
    if today is None:
        return card(words("today"), quiet(words("no_blocks")))
    share = today.over_share(datetime.fromisoformat(view.picture["utc"]))
    labels = {slot.period: words.of(slot.period) for slot in today.slots if slot.period}
    worth = view.picture.get("worth")
    peak_w = worth["month_peak_w"] if worth else None
    legend = [("done", "battery_done"), ("grid", "grid_done")]
    legend += [("plan", "battery_planned")] if today.planned else []
    legend += [("peak", "peak_so_far")] if peak_w else []
    keys = div("legend", *(span(f"key {kind}", words(name)) for kind, name in legend))
    why_none = None
    if not today.planned:
        why_none = quiet(words(today.why_unplanned if view.has_plans else "no_plan_rule"))
    return card(f"{words('today')}, kW", keys, day_chart(today, share, peak_w, labels), why_none, class_="wide")


def money(view: View) -> Html:
    """Yuan and kilograms of today so far."""
    words, today = view.words, view.seen.books.today
    if today is None:
        return card(words("money"), quiet(words("no_blocks" if view.has_site else "no_site_file")))
    parts = [
        figure(words("saved_today"), yuan(today.saved_cny), "", words("without_stored"), gain(today.saved_cny)),
        figure(words("stored_more"), *stored(view, today)),
        figure(words("energy_cost"), yuan(_cost(today))),
        figure(words("peak_today"), kw(today.peak_w), "kW", _windows(view, today)),
        figure(words("sun_made"), number(today.kwh(lambda slot: slot.pv_w), 0), "kWh"),
    ]
    factor = view.seen.books.factor
    if factor is None:
        return card(words("money"), div("row three", *parts))
    of = factor.kgco2_per_kwh
    parts += [
        figure(words("co2_today"), number(today.kwh(lambda slot: slot.import_w) * of, 0), "kg"),
        figure(words("co2_avoided"), number(_spared_kwh(today) * of, 0), "kg", words("co2_stored")),
    ]
    name, notice = words.of(factor.name), words.of(factor.source)
    source = words("co2_source", factor=of, name=name, year=factor.year, notice=notice)
    return card(words("money"), div("row three", *parts), div("note", source))


def stored(view: View, day: Day) -> tuple[str, str, str]:
    """What more is stored than at a day's begin: its worth, as an estimate, without a unit, and of how much."""
    if isnan(day.stored_cny):
        return UNKNOWN, "", ""
    return f"≈ {yuan(day.stored_cny, '+')}", "", view.words("stored_note", kwh=kw(day.stored_more_wh, "+"))


def _windows(view: View, today: Day) -> str:
    """Of what a peak is the mean."""
    return view.words("by_windows" if today.slides else "by_blocks", minutes=f"{today.block_s / 60.0:g}")


def _spared_kwh(today: Day) -> float:
    """What of the load was not bought; what was bought and is in the store is for later."""
    stored_wh = 0.0 if isnan(today.stored_more_wh) else today.stored_more_wh
    return today.kwh(lambda slot: slot.load_w - slot.import_w) + stored_wh / 1000.0


def _cost(today: Day) -> float:
    return today.cost_cny(lambda slot: (slot.import_w, slot.export_w))
