"""Yesterday three ways: without the battery, as planned, as done, in yuan for each item of the bill."""

from collections.abc import Mapping
from functools import lru_cache
from math import isnan
from typing import Any

from ess_controller.board.chart import day_chart
from ess_controller.board.day import Day, Slot, as_metered, as_planned, demand_cny, items, without_battery
from ess_controller.board.figures import UNKNOWN, kw, moment, percent, yuan
from ess_controller.board.html import Html, div, span, table
from ess_controller.board.screens.now import stored
from ess_controller.board.view import View, card, figure, gain, quiet
from ess_controller.planning.planner.site_planner import terms_of
from ess_controller.site import Site

WAYS = (("without", without_battery), ("planned", as_planned), ("done", as_metered))


@lru_cache(maxsize=4)  # drawn each second while somebody looks
def three_ways(site: Site, day: Day) -> dict[str, dict[str, float]]:
    """Way -> item -> CNY; "planned" only where the day has a plan. Empty for a site without a tariff."""
    if site.tariff is None:
        return {}
    tariff, terms = terms_of(site)
    return {name: items(tariff, terms, day, way) for name, way in WAYS if name != "planned" or day.planned}


@lru_cache(maxsize=4)
def planned_demand_cny(site: Site, day: Day) -> float | None:
    """The month's demand by the end of the day, had that gone as planned; None without plan or tariff."""
    return demand_cny(*terms_of(site), day, as_planned) if day.planned and site.tariff is not None else None


def screen(view: View, site: Site | None) -> Html:
    """The table of items, the totals over it, the day's chart under it."""
    words, day = view.words, view.seen.books.yesterday
    if site is None:
        return card(words("three_ways"), quiet(words("no_site_file")))
    if day is None or not day.known_share:
        return card(words("three_ways"), quiet(words("no_yesterday")))
    found = three_ways(site, day)
    saved = {name: sum(found["without"].values()) - sum(of.values()) for name, of in found.items()} if found else {}
    head = div(
        "row three",
        figure(words("saved"), yuan(saved.get("done")), "", class_=gain(saved.get("done"))),
        figure(words("stored_more"), *stored(view, day)),
        figure(words("planned_to_save"), yuan(saved.get("planned")), "", _made(view, day)),
        figure(words("date"), f"{day.day:%Y-%m-%d}", "", words("known_share", share=percent(day.known_share))),
    )
    labels = {slot.period: words.of(slot.period) for slot in day.slots if slot.period}
    parts = [
        head,
        _table(view, day, found, planned_demand_cny(site, day)),
        None if day.planned else quiet(words(day.why_unplanned if view.has_plans else "no_plan_rule")),
    ]
    legend = [("done", "battery_done"), ("grid", "grid_done")] + ([("plan", "battery_planned")] if day.planned else [])
    keys = div("legend", *(span(f"key {kind}", words(name)) for kind, name in legend))
    chart = card(f"{words('yesterday')}, kW", keys, day_chart(day, 1.0, None, labels), class_="wide")
    return div("stack", card(words("three_ways"), *parts), chart)


def _table(view: View, day: Day, found: Mapping[str, Mapping[str, float]], planned_demand: float | None) -> Html:
    words = view.words
    names = list(dict.fromkeys(item for of in found.values() for item in of))

    def cells(of: Mapping[str, float] | None, item: str) -> str:
        return UNKNOWN if of is None else yuan(of.get(item, 0.0))

    ways = [name for name, _ in WAYS]
    rows: list[list[Any]] = [[_item(view, item), *(cells(found.get(way), item) for way in ways)] for item in names]
    totals = [yuan(sum(found[way].values())) if way in found else UNKNOWN for way in ways]
    rows.append([span("strong", words("day_total")), *(span("strong", each) for each in totals)])
    rows.append([words("peak_kw"), *(_peak(day, name, way) for name, way in WAYS)])
    if day.slides:
        rows.append([words("peak_billed"), UNKNOWN, UNKNOWN, kw(day.peak_w)])
    told = view.seen.books.savings.get(day.day.isoformat())
    if told:
        billed = told["with_battery"]["month_demand_cny"]
        by_blocks = told["with_battery"].get("month_demand_by_blocks_cny", billed)  # kept where windows slide
        demand = [told["without_battery"]["month_demand_cny"], planned_demand, by_blocks]
        rows.append([words("demand_month"), *(yuan(each) for each in demand)])
        if by_blocks != billed:
            rows.append([words("demand_billed"), UNKNOWN, UNKNOWN, yuan(billed)])
    return table([words("bill_item"), *(words(way) for way in ways)], rows, "money")


def _made(view: View, day: Day) -> str:
    return view.words("plan_made", time=moment(day.planned, view.zone)) if day.planned else ""


def _item(view: View, item: str) -> str:
    return view.words("feed-in") if item == "feed-in" else view.words.of(item)


def _peak(day: Day, name: str, way: Any) -> str:
    if name == "planned" and not day.planned:
        return UNKNOWN
    known: list[float] = [way(slot)[0] for slot in day.slots if _known(slot, way)]
    return kw(max(known, default=None))


def _known(slot: Slot, way: Any) -> bool:
    return slot.metered and not isnan(way(slot)[0])
