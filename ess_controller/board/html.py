"""Pieces of a page as text: whatever is put between tags or into attributes is made harmless."""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is HTML already; made by `tag`, `join` and `raw` only."""

    __slots__ = ()


def raw(text: str) -> Html:
    """Our own markup, never anything that came from outside."""
    return Html(text)


def text(part: Html | str | float | None) -> Html:
    """Anything as HTML: what is not yet, escaped."""
    if part is None:
        return Html("")
    return part if isinstance(part, Html) else Html(escape(str(part), quote=True))


def join(parts: Iterable[Html | str | float | None], between: str = "") -> Html:
    """One after the other; `between` is our own markup."""
    return Html(between.join(text(part) for part in parts))


def tag(element: str, /, *parts: Html | str | float | None, **attributes: str | float | bool | None) -> Html:
    """`<element attribute="...">parts</element>`. An inner `_` of an attribute stands for `-`, a last one for
    nothing (`class_`); True is an attribute without a value, False and None leave it out."""
    told = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        plain = key.rstrip("_").replace("_", "-")
        told.append(f" {plain}" if value is True else f' {plain}="{escape(str(value), quote=True)}"')
    head = f"<{element}{''.join(told)}>"
    return Html(head) if element in _VOID else Html(f"{head}{join(parts)}</{element}>")


_VOID = {"input", "br", "hr", "img"}


def div(class_: str, *parts: Html | str | float | None) -> Html:
    """A box of a class."""
    return tag("div", *parts, class_=class_)


def span(class_: str, *parts: Html | str | float | None) -> Html:
    """Words of a class."""
    return tag("span", *parts, class_=class_)


def table(head: Iterable[Html | str], rows: Iterable[Iterable[Html | str | float | None]], class_: str = "") -> Html:
    """The first column is words, the others are numbers."""
    top = tag("tr", *(tag("th", each) for each in head))
    body = (tag("tr", *(tag("td", each) for each in row)) for row in rows)
    return div("scroll", tag("table", tag("thead", top), tag("tbody", *body), class_=class_ or None))
