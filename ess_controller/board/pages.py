"""The page itself: header, alarm bar, screens; each piece is replaced when its text has changed, once a second."""

from collections.abc import Callable
from typing import Any

from nicegui import events, run, ui
from starlette.requests import Request

from ess_controller.ageing.history import History
from ess_controller.board.books import TROUBLES
from ess_controller.board.frame import ICON, SCREENS, banner, head, header, navigation
from ess_controller.board.html import Html, div, raw, tag
from ess_controller.board.hub import Draw, Hub
from ess_controller.board.screens import alarmed, cells, control, limits, now, savings, service, yesterday
from ess_controller.board.view import View, card, quiet
from ess_controller.board.words import Words, preferred

COOKIE = "ess_session"
EVERY_S = 0.5  # the feed looks every second: so no page is late by more than half of one
NEEDS_SITE = ("yesterday", "savings")
WRONGS = ("wrong_password", "name_needed", "session_over", "too_often")

Pieces = list[tuple[str, Draw]]


class Page:
    """One open page of one reader."""

    def __init__(self, hub: Hub, request: Request, screen: str) -> None:
        cookies, query = request.cookies, request.query_params
        self._hub, self._screen = hub, screen
        self._token = cookies.get(COOKIE, "")
        self._words = Words(preferred(request.headers.get("accept-language", ""), cookies.get("ess_lang", "")))
        self._by = query.get("by", "v") if query.get("by") in ("v", "c", "soc") else "v"
        self._module = query.get("module", "")[:80]
        self._wrong = query.get("wrong", "") if query.get("wrong") in WRONGS else ""
        self._wait = query.get("wait", "")[:4] if query.get("wait", "").isdigit() else "60"
        self._history: History | None = None
        self._history_trouble = ""
        self._shown: list[tuple[str, Draw, ui.html]] = []

    async def build(self) -> None:
        """Put all pieces on the page, as they are now."""
        if self._screen == "cells":
            self._hub.feed.want_cells()
            if self._hub.feed.seen.cells is None:
                await run.io_bound(self._hub.feed.look)
            if self._module:
                await self._read_history()
        view = self._view()
        picture = view.seen.picture
        title = f"{picture['site'] if picture else 'ESS'} · {self._words(self._screen)}"
        ui.page_title(title)
        ui.add_head_html(head())
        frame = f"ess screen-{self._screen}"
        with ui.element("div").classes(frame).props(f'lang="{self._words.language}"'):
            self._put("header", header)
            self._put("banner", banner)
            self._put("alarm-bar", alarmed.bar)
            shows = [name for name in SCREENS if view.has_site or name not in NEEDS_SITE]
            self._put(f"nav-{self._screen}", lambda view: navigation(view, shows, self._screen))
            with ui.element("main"):
                for name, draw in self._pieces():
                    self._put(f"{self._screen}/{name}", _only_when_heard(draw))
        # the same once more as plain text, which is there before any script has run; it goes when they have
        main = [tag("main", *self._plain(of_screen=True))]
        ui.add_body_html(tag("div", div(frame, *self._plain(of_screen=False), *main), id="first"))
        ui.on("act", self._act)
        ui.timer(EVERY_S, self.refresh)

    def refresh(self) -> None:
        """Replace what reads otherwise than before."""
        if self._screen == "cells":
            self._hub.feed.want_cells()
        view = self._view()
        for name, draw, piece in self._shown:
            text = self._hub.draw(name, draw, view)
            if text != piece.content:
                piece.set_content(text)

    def _plain(self, *, of_screen: bool) -> list[Html]:
        """The pieces of the screen itself, or those around it."""
        return [
            div(" ".join(piece.classes), raw(piece.content))
            for name, _, piece in self._shown
            if name.startswith(f"{self._screen}/") == of_screen
        ]

    def _view(self) -> View:
        session = self._hub.session(self._token)
        return self._hub.view(self._words, session.name if session else "", self._module)

    def _put(self, name: str, draw: Draw) -> None:
        text = self._hub.draw(name, draw, self._view())
        piece = ui.html(text, sanitize=False).classes(
            f"piece p-{name.rpartition('/')[2].partition('-')[0]}"
        )  # escaped: html.py
        self._shown.append((name, draw, piece))

    def _pieces(self) -> Pieces:
        """Of the present screen."""
        site = self._hub.site
        of: dict[str, Callable[[], Pieces]] = {
            "now": lambda: [
                ("flows", now.flows),
                ("charge", now.charge),
                ("does", now.does),
                ("plan", now.plan),
                ("money", now.money),
            ],
            "why": lambda: [("wanted", limits.wanted), ("worth", limits.worth), ("falls", limits.waterfalls)],
            "yesterday": lambda: [("three", lambda view: yesterday.screen(view, site))],
            "alarms": lambda: [("alarms", alarmed.screen)],
            "cells": self._cells,
            "savings": lambda: [("savings", savings.screen)],
            "service": lambda: [("service", service.screen)],
            "control": lambda: [
                (f"login-{self._wrong}-{self._wait}", self._login),
                ("force", _for_who(control.in_force)),
                ("forms", _for_who(control.forms)),
                ("audit", _for_who(lambda view: control.audit(view, self._hub.audit.last()))),
            ],
        }
        return of[self._screen]()

    def _cells(self) -> Pieces:
        if not self._module:
            return [(f"wall-{self._by}", lambda view: cells.wall(view, self._by))]
        site = self._hub.site
        origin = site.origins.get(self._module, "") if site else ""
        return [("module", lambda view: cells.module(view, self._history, origin, self._history_trouble))]

    def _login(self, view: View) -> Html | None:
        """Only while nobody is logged in; its text does not change, so that what is typed stays."""
        if view.who:
            return None
        wrong = self._words(self._wrong, span=f"{self._wait} s") if self._wrong else ""
        return control.login(view, "/control", wrong)

    async def _read_history(self) -> None:
        try:
            self._history = await run.io_bound(self._hub.library.module, self._module)
        except TROUBLES as trouble:
            self._history_trouble = str(trouble)[:160]

    async def _act(self, event: events.GenericEventArguments) -> None:
        """A button or form was used. Whatever the browser sends, only a session may do something."""
        fields: dict[str, Any] = event.args if isinstance(event.args, dict) else {}
        act, session = str(fields.get("act", "")), self._hub.session(self._token, uses=True)
        if session is None:
            ui.notify(self._words("session_over"), type="warning")
        elif act == "acknowledge":
            _notify(self._hub.acknowledge(str(fields.get("key", "")), session, self._words))
        else:
            _notify(await run.io_bound(self._hub.order, act, fields, session, self._words))
            await run.io_bound(self._hub.feed.look)
        self.refresh()


def _notify(done: tuple[bool, str] | None) -> None:
    """Tell how it went; None: the page is about to end."""
    if done is not None and done[1]:
        ui.notify(done[1], type="positive" if done[0] else "negative")


def _only_when_heard(draw: Draw) -> Draw:
    """Screens need a picture; without one a line says so."""

    def drawn(view: View) -> Html | None:
        return draw(view) if view.seen.picture is not None else card("", quiet(view.words("waiting")))

    return drawn


def _for_who(draw: Draw) -> Draw:
    """Nothing for somebody who has not logged in."""

    def drawn(view: View) -> Html | None:
        return draw(view) if view.who else None

    return drawn


def register(hub: Hub) -> None:
    """A page for each screen."""

    def add(path: str, screen: str) -> None:
        @ui.page(path, favicon=ICON)
        async def page(request: Request) -> None:
            await Page(hub, request, screen).build()

    for screen, path in SCREENS.items():
        add(path, screen)
