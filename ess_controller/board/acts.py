"""What the page's forms ask of the daemon: checked here, and once more by the daemon."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from ess_controller.board.screens.control import LARGEST_KW, LONGEST_MIN
from ess_controller.board.words import Words

ACTS = ("pause", "resume", "limit", "set_point", "clear")


_LABELS = {"kw": "power_kw", "minutes": "for_minutes"}  # what a field is called on the page


class ActError(Exception):
    """What was wrong with what a form sent, in a sentence of the reader's."""


def request_of(act: str, fields: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """The line for the daemon's window. ActError."""
    if act == "resume":
        return {"withdraw": True}
    if act == "clear":
        return {"order": {"clear_latched": True, "for_s": 1.0}}
    if act not in ACTS:
        raise ActError(words("not_an_act", told=repr(act[:40]), acts=", ".join(ACTS)))
    for_s = 60.0 * _number(fields, "minutes", 1.0, LONGEST_MIN, words)
    if act == "pause":
        return {"order": {"run": False, "for_s": for_s}}
    if act == "limit":
        return {"order": {"limit_w": 1000.0 * _number(fields, "kw", 0.0, LARGEST_KW, words), "for_s": for_s}}
    return {"order": {"set_w": 1000.0 * _number(fields, "kw", -LARGEST_KW, LARGEST_KW, words), "for_s": for_s}}


def _number(fields: Mapping[str, Any], name: str, least: float, most: float, words: Words) -> float:
    told = fields.get(name)
    try:
        value = float(str(told)[:40])
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and least <= value <= most):
        shown = repr("" if told is None else str(told)[:40])
        raise ActError(
            words("not_a_number", name=words(_LABELS[name]), told=shown, least=f"{least:g}", most=f"{most:g}")
        )
    return value


def in_words(act: str, request: Mapping[str, Any]) -> str:
    """For the audit log: `limit 20 kW for 15 min`."""
    order = request.get("order", {})
    words = [act.replace("_", "-")]
    words += [f"{order[key] / 1000.0:g} kW" for key in ("limit_w", "set_w") if key in order]
    if act not in ("resume", "clear"):
        words.append(f"for {order['for_s'] / 60.0:g} min")
    return " ".join(words)
