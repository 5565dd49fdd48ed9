"""Service: wires, strings and what keeps them open, journal and outbox, the planner and its jobs."""

from typing import Any

from ess_controller.board.figures import UNKNOWN, number, span_of
from ess_controller.board.html import Html, div, span, table
from ess_controller.board.view import View, card


def daemon(view: View) -> Html:
    """Beats, journal, outbox and planner, a line each."""
    words, picture = view.words, view.picture
    journal, outbox, plan = (picture.get(key) for key in ("journal", "outbox", "plan"))
    rows: list[list[Html | str]] = [
        [words("late_beats"), number(picture["late_beats"], 0)],
        [words("beat_age"), f"{number(picture['age_s'], 1)} s"],
        [
            words("journal"),
            words("stored_dropped", stored=number(journal["stored"], 0), dropped=journal["dropped"])
            if journal
            else UNKNOWN,
        ],
        [words("outbox"), _outbox(view, outbox)],
        [words("planner"), _planner(view, plan)],
    ]
    rows += [[words("roof"), span("warn", words.of(plan["roof"]))]] if plan and plan.get("roof") else []
    rows += [
        [words.of(name), span("warn", words.of(told["trouble"]))]
        for name, told in picture.get("companions", {}).items()
        if told["trouble"]
    ]
    rows += [["", span("warn", trouble)] for trouble in view.seen.books.trouble]
    return card(words("daemon"), table(["", ""], rows, "pairs"))


def _outbox(view: View, outbox: dict[str, Any] | None) -> str:
    if outbox is None:
        return view.words("no_outbox")
    numbers = {key: number(float(outbox[key] or 0), 0) for key in ("lines", "sent", "dropped", "dead")}
    return view.words("outbox_told", mb=number(float(outbox["bytes"] or 0) / 1e6, 1), **numbers)


def _planner(view: View, plan: dict[str, Any] | None) -> str:
    words = view.words
    if plan is None:
        return words("no_planner")
    if plan["age_s"] is None:
        return words.of(plan["trouble"])
    told = words("plan_told", age=span_of(plan["age_s"]), days=number(plan["history_days"], 1))
    return f"{told}: {words.of(plan['trouble'])}" if plan["trouble"] else told


def jobs(view: View) -> Html | None:
    """How the planner's jobs fare; nothing where there is no planner."""
    words, told = view.words, view.seen.books.jobs.get("jobs", {})
    if not told:
        return None
    rows = []
    for name, each in told.items():
        trouble = each.get("trouble", "")
        rows.append(
            [
                words.of(name),
                number(each.get("runs", 0), 0),
                number(each.get("overlapped", 0), 0),
                span("warn" if trouble else "", trouble),
            ]
        )
    return card(words("jobs"), table([words(key) for key in ("name", "runs", "left_out", "trouble")], rows))


def wires(view: View) -> Html:
    """Each with what came and went."""
    words = view.words
    rows = [
        [
            name,
            span("up" if wire["up"] else "down", words("up" if wire["up"] else "down")),
            number(wire["received"], 0),
            number(wire["sent"], 0),
            number(wire["dropped"] + wire["overflowed"], 0),
            number(wire["reconnects"], 0),
        ]
        for name, wire in view.picture["wires"].items()
    ]
    heads = [words(key) for key in ("name", "state", "received", "sent", "lost", "reconnects")]
    return card(words("wires"), table(heads, rows), class_="wide")


def strings(view: View) -> Html:
    """Mode, voltage, current, insulation, and what an open one waits for."""
    words = view.words
    rows = [
        [
            string["name"],
            words.of(string["mode"]),
            f"{number(string['string_v'], 1)} V",
            f"{number(string['string_a'], 1)} A",
            f"{number(None if string['insulation_ohm'] is None else string['insulation_ohm'] / 1000.0, 0)} kΩ",
            words.of(string["waits_for"]),
        ]
        for string in view.picture["strings"]
    ]
    heads = [words(key) for key in ("name", "mode", "voltage", "current", "insulation", "waits_for")]
    return card(words("strings"), table(heads, rows), class_="wide")


def screen(view: View) -> Html:
    """All of it."""
    return div("stack", div("grid-two", daemon(view), jobs(view)), strings(view), wires(view))
