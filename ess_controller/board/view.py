"""What a screen is drawn from, and the pieces that several screens share."""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from ess_controller.board.alarms import Alarm
from ess_controller.board.feed import Seen
from ess_controller.board.html import Html, div, span, tag
from ess_controller.board.words import Words


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One reader's look at one moment."""

    words: Words
    seen: Seen
    alarms: tuple[Alarm, ...]
    now_s: float  # wall time
    who: str  # the name that is logged in; "": nobody
    has_site: bool  # the page knows the site's file: prices, plan, money
    has_plans: bool  # its rule goes by plans
    module: str = ""  # code of the module that is looked at

    @property
    def picture(self) -> dict[str, Any]:
        """What the daemon has told last. Screens are drawn only when there is one."""
        assert self.seen.picture is not None
        return self.seen.picture

    @property
    def zone(self) -> tzinfo:
        """Of the site."""
        local = self.seen.picture.get("local") if self.seen.picture else None
        return ZoneInfo(local["zone"]) if local else UTC

    @property
    def connected(self) -> bool:
        """Whether the daemon answers."""
        return self.seen.picture is not None and not self.seen.silent_s(self.now_s)


def card(title: str, *parts: Html | str | None, class_: str = "") -> Html:
    """A titled box."""
    return tag("section", tag("h2", title), *parts, class_=f"card {class_}".strip())


def figure(label: str, value: str, unit: str = "", note: Html | str = "", class_: str = "") -> Html:
    """A big number under its name."""
    number = div("value", value, span("unit", f" {unit}") if unit else None)
    return div(
        f"figure {class_}".strip(), div("label", label) if label else None, number, div("note", note) if note else None
    )


def quiet(words: str) -> Html:
    """A sentence where there is nothing to show."""
    return tag("p", words, class_="quiet")


def gain(cny: float | None) -> str:
    """How a headline of money looks: green when something was gained."""
    return "good huge" if cny is not None and cny >= 0.005 else "huge"  # less is shown as 0.00
