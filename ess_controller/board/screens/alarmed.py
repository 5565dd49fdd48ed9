"""Alarms: what stands, where, what to do, and who has seen it."""

from ess_controller.board.alarms import MOST_SHOWN, Alarm
from ess_controller.board.figures import moment
from ess_controller.board.html import Html, div, span, tag
from ess_controller.board.view import View, card, quiet


def screen(view: View) -> Html:
    """The loudest first."""
    words = view.words
    if not view.alarms:
        return card(words("alarms"), div("well", words("no_alarms")))
    note = None if view.who else quiet(words("log_in_first"))
    more = quiet(words("only_worst", count=MOST_SHOWN)) if len(view.alarms) >= MOST_SHOWN else None
    return card(words("alarms"), note, more, *(_line(view, alarm) for alarm in view.alarms), class_="wide")


def _line(view: View, alarm: Alarm) -> Html:
    words = view.words
    what, todo = alarm.what[words.language], alarm.todo[words.language]
    if alarm.loud:
        why_not = None if view.who else words("log_in_first")
        seen = tag(
            "button",
            words("acknowledge"),
            data_act="acknowledge",
            data_key=alarm.key,
            disabled=not view.who,
            title=why_not,
        )
    else:
        seen = span("quiet", words("acknowledged_by", name=alarm.name, time=moment(alarm.since_utc, view.zone)))
    place = span("place", alarm.at) if alarm.at and alarm.at not in what else None
    part = span("part", alarm.part) if alarm.part else None
    came = span("part", words("since", time=moment(alarm.came_utc, view.zone))) if alarm.came_utc else None
    return div(
        f"alarm {alarm.level} {'loud' if alarm.loud else 'seen'}",
        div("head", span("level", words(alarm.level)), place, span("what", what), part, came),
        div("todo", span("label", f"{words('do_this')}: "), todo),
        div("act", seen),
    )


def bar(view: View) -> Html:
    """Over every screen for as long as something is not acknowledged."""
    loud = [alarm for alarm in view.alarms if alarm.loud]
    if not loud:
        return Html("")
    first = loud[0]
    what = first.what[view.words.language]
    words = what if first.at in what else f"{first.at} {what}"
    return tag(
        "a",
        span("what", words),
        span("count", view.words("open_alarms", count=len(loud))),
        href="/alarms",
        class_=f"alarm-bar {first.level}",
    )
