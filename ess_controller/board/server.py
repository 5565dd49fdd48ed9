"""Serves the page: NiceGUI within a gate, with logging in and out, and the metrics beside it."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from ess_controller.board.access import LONGEST_NAME, LONGEST_S, matches
from ess_controller.board.audit import WRONG
from ess_controller.board.gate import LARGEST_FORM, Gate
from ess_controller.board.hub import Hub
from ess_controller.clock import wall_s
from ess_controller.doors.metrics import CONTENT_TYPE, text
from ess_controller.site import Site

log = logging.getLogger("ess")

LARGEST_MESSAGE = 65_536  # of a socket, from a browser: forms are short
STORAGE = "NICEGUI_STORAGE_PATH"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page listens, and by which names it may be called beside addresses."""

    host: str
    port: int
    names: Sequence[str]


def application(hub: Hub, names: Sequence[str]) -> FastAPI:
    """The whole page as an ASGI application; its feed runs as long as it does."""
    os.environ.setdefault(STORAGE, str(hub.home / ".nicegui"))  # nothing is stored there; else it would be in the cwd
    from nicegui import core, ui  # noqa: PLC0415  reads the environment when it is imported

    from ess_controller.board.pages import COOKIE, register  # noqa: PLC0415

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        hub.feed.start()
        yield
        hub.feed.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=living)

    @app.post("/login")
    async def login(request: Request) -> Response:
        form = parse_qs((await request.body())[:LARGEST_FORM].decode("utf-8", "replace"))
        address = request.client.host if request.client else "?"
        name = " ".join(form.get("name", [""])[0].split())[:LONGEST_NAME]
        if not name.isprintable() or not name:
            return _back("name_needed")
        if wait_s := hub.tries.wait_s(address, wall_s()):
            return _back(f"too_often&wait={wait_s:.0f}")
        stamp = hub.sessions.stamp()
        if not await asyncio.to_thread(matches, hub.home, form.get("password", [""])[0]):
            log.warning("page: a wrong password from %s", address)
            await asyncio.to_thread(hub.passed, "log in", name, address, WRONG)
            return _back("wrong_password")
        await asyncio.to_thread(hub.passed, "log in", name, address, "done")
        answer = RedirectResponse("/control", 303)
        secure = request.url.scheme == "https"
        token = hub.sessions.begin(name, address, wall_s(), stamp)
        answer.set_cookie(COOKIE, token, max_age=int(LONGEST_S), httponly=True, samesite="strict", secure=secure)
        return answer

    @app.post("/logout")
    async def logout(request: Request) -> Response:
        token = request.cookies.get(COOKIE, "")
        if (session := hub.session(token)) is not None:
            await asyncio.to_thread(hub.passed, "log out", session.name, session.address, "done")
        hub.sessions.end(token)
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    @app.get("/metrics")
    async def metrics() -> Response:
        picture = hub.feed.seen.picture
        if picture is None:
            return PlainTextResponse("no word of the daemon yet\n", 503)
        return PlainTextResponse(text(picture), media_type=CONTENT_TYPE)

    register(hub)
    core.app.config.socket_io_js_transports = ["websocket"]
    core.sio.on("log", _ignored)  # NiceGUI would put a visitor's words into our log
    logging.getLogger("nicegui").setLevel(logging.ERROR)  # and every path that is not there
    ui.run_with(app, title="ESS", tailwind=False, show_welcome_message=False, reconnect_timeout=10.0)
    app.add_middleware(Gate, names=names)
    return app


def _ignored(*_: object) -> None:
    return None


def _back(wrong: str) -> Response:
    return RedirectResponse(f"/control?wrong={wrong}", 303)


def settings(app: ASGIApp, place: Place, proxy: str) -> uvicorn.Config:
    """How it is served. `proxy`: the address whose word on who asks and by which scheme is believed; "": nobody's."""
    return uvicorn.Config(
        app,
        host=place.host,
        port=place.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws_max_size=LARGEST_MESSAGE,
        timeout_graceful_shutdown=2,
        proxy_headers=bool(proxy),
        forwarded_allow_ips=proxy,
    )


def serve(home: Path, site: Site | None, place: Place) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    app = application(Hub(home, site), place.names)
    uvicorn.Server(settings(app, place, site.page_proxy if site is not None else "")).run()
