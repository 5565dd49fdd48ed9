"""Control: what order is in force, and the forms that give another; each asks the daemon, which may refuse."""

from collections.abc import Sequence
from typing import Any

from ess_controller.board.figures import kw, moment, span_of
from ess_controller.board.html import Html, div, table, tag
from ess_controller.board.view import View, card, figure, quiet

LARGEST_KW, LONGEST_MIN, USUAL_MIN = 100_000, 1440, 15


def in_force(view: View) -> Html:
    """The order of now, in words."""
    words, order = view.words, view.picture.get("order")
    told = words("own_rule") if order is None else _told(view, order)
    note = words("expires_in", span=span_of(order["left_s"])) if order else ""
    return card(words("in_force"), figure("", told, "", note, "told"))


def _told(view: View, order: dict[str, Any]) -> str:
    words = view.words
    if not order["run"]:
        return words("paused")
    parts = []
    if order["set_w"] is not None:
        parts.append(words("set_to", kw=kw(order["set_w"], "+")))
    if order["limit_w"] is not None:
        parts.append(words("limited_to", kw=kw(order["limit_w"])))
    return " · ".join(parts) or words("own_rule")


def forms(view: View) -> Html:
    """One form a deed. A disabled one says why."""
    words = view.words
    silent = "" if view.connected else words("needs_daemon")
    order = view.seen.picture.get("order") if view.seen.picture else None
    over = words("takes_the_place", order=_told(view, order)) if order else ""  # one slot: the last order is the order
    stands = any(string["diagnoses"] for string in view.seen.picture["strings"]) if view.seen.picture else False
    minutes = _field(view, "minutes", words("for_minutes"), USUAL_MIN, 1, LONGEST_MIN)
    least_0, signed = (_field(view, "kw", words("power_kw"), "", least, LARGEST_KW) for least in (0, -LARGEST_KW))
    return div(
        "grid-two",
        _form(view, "pause", [minutes], silent, over),
        _form(view, "resume", [], silent or ("" if order else words("nothing_in_force"))),
        _form(view, "limit", [least_0, minutes], silent, over),
        _form(view, "set_point", [signed, minutes], silent, over),
        _form(view, "clear", [], silent or ("" if stands else words("nothing_latched"))),
    )


def _form(view: View, act: str, fields: Sequence[Html], why_not: str, over: str = "") -> Html:
    """`why_not`: why it cannot be used now; `over`: what goes when it is."""
    words = view.words
    button = tag("button", words(act), type="submit", disabled=bool(why_not))
    return card(
        words(act),
        tag("p", words(f"{act}_does"), class_="quiet"),
        tag("form", *fields, button, data_act=act, class_="deed"),
        div("note warn", why_not or over) if why_not or over else None,
    )


def _field(view: View, name: str, label: str, value: str | float, least: float, most: float) -> Html:
    field = tag("input", type="number", name=name, value=value, min=least, max=most, step="any", required=True)
    return tag("label", label, field)


def audit(view: View, entries: Sequence[dict[str, Any]]) -> Html:
    """The newest first."""
    words = view.words
    if not entries:
        return card(words("audit"), quiet(words("no_audit")))
    rows = [
        [moment(each["utc"], view.zone), each["who"], words.of(each["what"]), words.of(each["answer"]), each["from"]]
        for each in entries
    ]
    return card(words("audit"), table(["", "", "", "", ""], rows, "log"), class_="wide")


def login(view: View, next_: str, wrong: str = "") -> Html:
    """Name and password."""
    words = view.words
    fields = (
        tag(
            "label", words("your_name"), tag("input", name="name", autocomplete="username", required=True, maxlength=40)
        ),
        tag(
            "label",
            words("password"),
            tag("input", name="password", type="password", autocomplete="current-password", required=True),
        ),
        tag("input", type="hidden", name="next", value=next_),
        tag("button", words("login"), type="submit"),
    )
    form = tag("form", *fields, method="post", action="/login", class_="login")
    why = div("note warn", wrong) if wrong else None
    return card(words("login"), why, form, tag("p", words("where_password"), class_="quiet"), class_="narrow")
