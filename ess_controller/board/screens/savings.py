"""Savings: each day with and without the battery, in yuan, and the month so far."""

from collections.abc import Mapping
from typing import Any

from ess_controller.board.chart import bars
from ess_controller.board.figures import UNKNOWN, number, yuan
from ess_controller.board.html import Html, div, table
from ess_controller.board.view import View, card, figure, gain, quiet

SHOWN_DAYS, LISTED_DAYS = 31, 14


def screen(view: View) -> Html:
    """From savings.json, which the planner writes for each day that is over."""
    words, books = view.words, view.seen.books
    first = books.began.isoformat() if books.began else ""
    told = {day: found for day, found in books.savings.items() if day >= first}  # before it there was no battery
    if not told and not books.savings:
        return card(words("savings"), quiet(words("no_savings")))
    listed = sorted(books.savings)[-LISTED_DAYS:]
    heads = [words(each) for each in ("date", "saved_energy", "peak_without", "peak_with", "peak_as_billed")]
    rows = [_row(day, books.savings[day], words("before_battery") if day < first else "") for day in reversed(listed)]
    if not told:
        return card(words("savings"), quiet(words("no_savings")), table(heads, rows))
    days = sorted(told)[-SHOWN_DAYS:]
    last = days[-1]
    month = [told[day] for day in told if day[:7] == last[:7]]
    saved = _total(month, "saved_energy_cny") + float(told[last]["saved_month_demand_cny"])
    head = div(
        "row three",
        figure(f"{words('this_month')} {last[:7]}", yuan(saved), class_=gain(saved)),
        figure(words("saved_energy"), yuan(_total(month, "saved_energy_cny"))),
        figure(words("saved_demand"), yuan(told[last]["saved_month_demand_cny"])),
    )
    chart = bars([(day[5:], float(told[day]["saved_energy_cny"])) for day in days])
    caption = div("caption", f"{words('last_days', count=len(days))} · {words('saved_energy')}, ¥")
    return div("stack", card(words("savings"), head, caption, chart, class_="wide"), card("", table(heads, rows)))


def _total(days: list[Mapping[str, Any]], key: str) -> float:
    return sum(float(each[key]) for each in days)


def _row(day: str, told: Mapping[str, Any], before: str) -> list[str]:
    """`before`: what is said in place of savings, on a day without a battery."""
    with_ = told["with_battery"]
    peaks = (
        told["without_battery"]["peak_kw"],
        None if before else with_["peak_kw"],
        with_.get("billed_peak_kw", with_["peak_kw"]),
    )
    return [
        day,
        before or yuan(told["saved_energy_cny"]),
        *(UNKNOWN if peak is None else f"{number(peak, 1)} kW" for peak in peaks),
    ]
