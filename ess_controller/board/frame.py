"""What stands around every screen: header, banner of a silent daemon, navigation; and the page's style and script."""

from functools import cache
from pathlib import Path

from ess_controller.board.figures import span_of
from ess_controller.board.html import Html, div, raw, span, tag
from ess_controller.board.view import View

SCREENS = {
    "now": "/",
    "why": "/why",
    "yesterday": "/yesterday",
    "alarms": "/alarms",
    "cells": "/cells",
    "savings": "/savings",
    "service": "/service",
    "control": "/control",
}
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1f6f54"/>'
    '<path d="M18 4 8 18h7l-1 10 10-14h-7z" fill="#fff"/></svg>'
)
_PATHS = {  # 24 x 24, strokes
    "now": "M3 12h4l3-8 4 16 3-8h4",
    "why": "M4 5h16M4 10h11M4 15h7M4 20h4",
    "yesterday": "M5 20V10M12 20V4M19 20v-7",
    "alarms": "M6 17h12l-1.5-2V10a4.5 4.5 0 0 0-9 0v5zM10 20h4",
    "cells": "M4 4h4v4H4zM10 4h4v4h-4zM16 4h4v4h-4zM4 10h4v4H4zM10 10h4v4h-4zM16 10h4v4h-4zM4 16h4v4H4zM10 16h4v4h-4z",
    "savings": "M7 4l5 7 5-7M12 11v9M8 13h8M8 16h8",
    "service": "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4",
    "control": "M12 3v9M7 6.5a7.5 7.5 0 1 0 10 0",
}


@cache
def head() -> str:
    """Style and script, which come with the page: nothing is fetched from elsewhere."""
    here = Path(__file__).parent
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("board.css", "board.js"))
    return f"<style>{style}</style><script>{script}</script>"


def header(view: View) -> Html:
    """Whose page it is, the site's time, language, light or dark, who is logged in."""
    words, picture = view.words, view.seen.picture
    local = (picture.get("local") or {"time": picture["utc"], "zone": "UTC"}) if picture else None
    when = local["time"][:16].replace("T", " ") if local else ""
    zone = local["zone"].rpartition("/")[2].replace("_", " ") if local else ""
    state = "live" if view.connected and not view.seen.age_s else "silent"
    who = tag("a", view.who or words("login"), href="/control", class_="who")
    out = (
        tag("form", tag("button", words("log_out"), class_="plain"), method="post", action="/logout")
        if view.who
        else None
    )
    return tag(
        "header",
        div("site", span(f"pulse {state}"), span("site-name", picture["site"] if picture else "ESS")),
        div("when", span("time", when), span("zone", zone)),
        div(
            "tools",
            tag(
                "button",
                words("language"),
                data_ui="lang",
                data_to="zh" if words.language == "en" else "en",
                class_="plain",
            ),
            tag("button", raw("◐"), data_ui="theme", title=words("theme"), aria_label=words("theme"), class_="plain"),
            who,
            out,
        ),
    )


def banner(view: View) -> Html | None:
    """When what is shown is not of now."""
    words, seen = view.words, view.seen
    if seen.picture is None:
        return div("banner", words("never"))
    if silent_s := seen.silent_s(view.now_s):
        return div("banner", words("not_connected", span=span_of(silent_s)))
    return div("banner", words("stale", span=span_of(seen.age_s))) if seen.age_s else None


def navigation(view: View, shows: list[str], screen: str) -> Html:
    """One entry a screen, with the count of loud alarms."""
    loud = sum(alarm.loud for alarm in view.alarms)
    return tag(
        "nav",
        *(
            tag(
                "a",
                raw(f'<svg viewBox="0 0 24 24"><path d="{_PATHS[name]}"/></svg>'),
                span("label", view.words(name)),
                span("badge", str(loud)) if name == "alarms" and loud else None,
                href=SCREENS[name],
                class_="on" if name == screen else None,
            )
            for name in shows
        ),
    )
