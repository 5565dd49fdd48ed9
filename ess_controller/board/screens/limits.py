"""Why power is limited: from nameplate to what may flow, rule by rule in words; and what the plan goes by."""

from typing import Any

from ess_controller.board.figures import kw, moment, number
from ess_controller.board.html import Html, div, span, tag
from ess_controller.board.view import View, card, figure, quiet
from ess_controller.told.arbitrated import WAYS
from ess_controller.why.words import LIMITED_W

MOST_UNFOLDED = 2  # cabinets; of a plant's ten all rules together are five screens long


def wanted(view: View) -> Html:
    """Wanted, told, delivered, and whether something stands between."""
    words, picture = view.words, view.picture
    wanted_w, set_w = picture["wanted_w"], picture["set_w"]
    battery = [cabinet["pcs_w"] for cabinet in picture["cabinets"]]
    wanted_now_w, set_now_w = wanted_w or 0.0, set_w or 0.0
    short_w = abs(wanted_now_w - set_now_w)
    less = wanted_now_w * set_now_w >= 0.0 and abs(set_now_w) < abs(wanted_now_w)
    verdict = words("as_wanted") if short_w < LIMITED_W else words("short_by" if less else "apart_by", kw=kw(short_w))
    return card(
        words("wanted_done"),
        div(
            "row",
            figure(words("wanted"), kw(wanted_w, "+"), "kW", f"{words('by')} {words.of(picture['wanted_by'])}"),
            figure(words("told"), kw(set_w, "+"), "kW", verdict, "" if short_w < LIMITED_W else "warn"),
            figure(words("delivered"), kw(None if None in battery else sum(battery), "+"), "kW"),
        ),
    )


def worth(view: View) -> Html:
    """What a kWh and the peak are worth to the plan now."""
    words, picture = view.words, view.picture
    plan, found = picture.get("plan"), picture.get("worth")
    if found is None:
        if plan is None:
            return card(words("worth"), quiet(words("no_plan_rule")))
        return card(
            words("worth"), quiet(words("worth_none", trouble=words.of(plan["trouble"] or "this hour is not in it")))
        )
    yuan = {key: number(found[f"{key}_cny_per_kwh"], 3) for key in ("buy", "stored", "gives_above", "takes_below")}
    lines = (
        words("worth_buy", buy=yuan["buy"], stored=yuan["stored"]),
        words("worth_turn", gives=yuan["gives_above"], takes=yuan["takes_below"]),
        words("worth_peak", peak=kw(found["month_peak_w"]), cost=number(found["peak_cny_per_kw"], 1)),
    )
    return card(words("worth"), *(tag("p", line) for line in lines))


def waterfalls(view: View) -> Html:
    """Each cabinet: a line of what is lost and by which rule; unfolded, rule by rule. Of many all are folded first."""
    cabinets = view.picture["cabinets"]
    return div("stack folds", *(_cabinet(view, each, len(cabinets) <= MOST_UNFOLDED) for each in cabinets))


def _cabinet(view: View, cabinet: dict[str, Any], unfolded: bool) -> Html:
    """The script keeps what a reader has folded or unfolded, by `data-fold`."""
    name, why = cabinet["name"], cabinet["why"]
    line = tag("summary", span("name", name), *(_summary(view, way, why[way]) for way in WAYS))
    falls = div("grid-two", *(_waterfall(view, name, way, why[way]) for way in WAYS))
    return tag("details", line, falls, class_="cabinet", data_fold=name, open=unfolded)


def _summary(view: View, way: str, record: dict[str, Any]) -> Html:
    words, allowed_w, nameplate_w = view.words, record["allowed_w"], record["nameplate_w"]
    head = words("may_of", may=words(f"may_{way}"), kw=kw(allowed_w), whole=kw(nameplate_w))
    if not record["losses"]:
        return div("way", span("may", head), span("by", words("all_of_it")))
    alone = len(record["losses"]) == 1
    each = [
        " ".join(part for part in (words.of(loss["rule"]), "" if alone else kw(-loss["lost_w"]), loss["at"]) if part)
        for loss in record["losses"]
    ]
    return div("way", span("may", head), span("by lost", f"{kw(allowed_w - nameplate_w)} kW · {', '.join(each)}"))


def _waterfall(view: View, cabinet: str, way: str, record: dict[str, Any]) -> Html:
    words, whole_w = view.words, max(record["nameplate_w"], 1.0)
    head = div(
        "row",
        figure("", kw(record["allowed_w"]), "kW", words("of_nameplate", kw=kw(record["nameplate_w"])), "huge"),
    )
    steps = [
        _step(words("nameplate"), "", record["nameplate_w"], 0.0, record["nameplate_w"], whole_w, "whole"),
        *(_loss(view, loss, whole_w) for loss in record["losses"]),
        _step(words("allowed"), "", record["allowed_w"], 0.0, record["allowed_w"], whole_w, "allowed"),
    ]
    notes = []
    if not record["losses"]:
        notes.append(words("all_of_it"))
    elif record["since_utc"]:
        notes.append(f"{words.of(record['by'])} {words('since', time=moment(record['since_utc'], view.zone))}")
    if record["losses"] and record["next_w"] > record["allowed_w"] + 1.0:
        notes.append(words("without_it", kw=kw(record["next_w"]), rule=words.of(record["next_by"])))
    title = f"{cabinet} · {words(f'may_{way}')}"
    return card(title, head, div("fall", *steps), *(div("note", note) for note in notes))


def _loss(view: View, loss: dict[str, Any], whole_w: float) -> Html:
    words = view.words
    told = [loss["at"], words.of(loss["rests_on"])]
    until = f"{words('until')}: {words.of(loss['lifted_by'])}" if loss["lifted_by"] else ""
    because = div("because", " · ".join(part for part in told if part), span("lift", until) if until else None)
    name = words.of(loss["rule"])
    return _step(name, because, -loss["lost_w"], loss["left_w"], loss["left_w"] + loss["lost_w"], whole_w, "lost")


def _step(name: str, because: Html | str, w: float, from_w: float, to_w: float, whole_w: float, kind: str) -> Html:
    """One step: its name, its bar between two powers, its number, and what it rests on."""
    left, wide = 100.0 * from_w / whole_w, 100.0 * (to_w - from_w) / whole_w
    bar = div("bar", tag("i", style=f"margin-left:{left:.1f}%;width:{max(wide, 0.5):.1f}%"))
    return div(f"step {kind}", span("name", name), bar, span("num", f"{kw(w)} kW"), because or None)
