"""What all open pages share: the daemon's newest word, alarms, sessions, the audit log, and what is drawn already."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ess_controller.alarms.looks import free_bytes
from ess_controller.board.access import NOTED, NOTED_WITHIN_S, Session, Sessions, Tries
from ess_controller.board.acts import ActError, in_words, request_of
from ess_controller.board.alarms import Acknowledged, Alarm
from ess_controller.board.audit import ASKED, WRONG, Audit
from ess_controller.board.booked import AlarmBook
from ess_controller.board.books import Library
from ess_controller.board.feed import Feed, Seen
from ess_controller.board.html import Html
from ess_controller.board.unbooked import Unbooked
from ess_controller.board.view import View, card, quiet
from ess_controller.board.words import Words
from ess_controller.clock import utc_now, wall_s
from ess_controller.doors.live import NoDaemonError
from ess_controller.errors import BadInputError, TroubleError
from ess_controller.site import Site

log = logging.getLogger("ess")

Draw = Callable[[View], Html | None]
MISTAKES = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, AssertionError)  # of our own
MOST_DRAWN = 400  # pieces kept: screens times languages, readers and modules


class Hub:
    """One a process. Everything but the feed's threads runs in the page's event loop."""

    def __init__(self, home: Path, site: Site | None) -> None:
        self.site, self.library = site, Library(home, site)
        self.home = home
        self.feed = Feed(home, self.library)
        self.sessions, self.tries = Sessions(home), Tries()
        self._wrongs = Tries(NOTED, NOTED_WITHIN_S)
        self.audit, self.acknowledged, self.book = Audit(home), Acknowledged(home), AlarmBook(home)
        self.unbooked = Unbooked(site)
        self._looked, self._standing = 0, list[Alarm]()
        self._drawn: dict[tuple[str, ...], tuple[object, str]] = {}

    def session(self, token: str, *, uses: bool = False) -> Session | None:
        """Who has logged in with it, if anybody."""
        return self.sessions.of(token, wall_s(), uses=uses) if token else None

    def passed(self, what: str, name: str, address: str, answer: str) -> None:
        """Who came in or went, or would have come in, stands in the audit log; a disk that takes none of it keeps
        nobody out, for without the log nobody can do anything."""
        if answer == WRONG and self._wrongs.wait_s(address, wall_s()):
            return
        try:
            self.audit.write(utc_now().isoformat(timespec="seconds"), name, what, address, answer)
        except OSError as trouble:
            log.warning("audit log: %s of %r from %s is not kept: %s", what, name, address, trouble)

    def view(self, words: Words, who: str, module: str = "") -> View:
        """A reader's look at this moment."""
        seen, now_s = self.feed.seen, wall_s()
        has_plans = self.site is not None and self.site.tuning.dispatch.rule == "value"
        return View(words, seen, self.alarms(seen, now_s), now_s, who, self.site is not None, has_plans, module)

    def alarms(self, seen: Seen, now_s: float) -> tuple[Alarm, ...]:
        """What stands, with who has seen it, by the alarm book where one is kept; a silent daemon is one, too."""
        booked = self.book.standing(now_s)
        if booked is not None:
            return tuple(booked)
        if seen.number != self._looked:
            silent = seen.picture is None or seen.silent_s(now_s) > 0.0
            told = seen.trouble if silent or seen.picture is None else seen.picture
            self._looked = seen.number
            self._standing = self.unbooked.look(told, utc_now(), now_s, free_bytes(self.home))
            if not silent:
                self._forget(self._standing)
        return self.acknowledged.list(self._standing)

    def draw(self, name: str, draw: Draw, view: View) -> str:
        """A piece as text; drawn once for all readers who would see the same."""
        seen, now_s = view.seen, view.now_s
        stamp = (seen.number, id(seen.books), view.alarms, view.connected, round(seen.silent_s(now_s)))
        key = (name, view.words.language, view.who, view.module)
        known = self._drawn.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            text = str(draw(view) or "")
        except MISTAKES:
            log.exception("page: %s cannot be drawn: the rest of the page goes on", name)
            text = str(card("", quiet(view.words("cannot_draw", name=name))))
        if len(self._drawn) > MOST_DRAWN:
            self._drawn.clear()
        self._drawn[key] = stamp, text
        return text

    def acknowledge(self, key: str, session: Session, words: Words) -> tuple[bool, str]:
        """Somebody has seen an alarm. Whether it is done, and what to tell."""
        standing = {alarm.key for alarm in self.alarms(self.feed.seen, wall_s())}
        if key not in standing:
            return False, words("refused", why=words("stands_no_more"))

        def acknowledge() -> str:
            try:
                if self.book.standing(wall_s()) is not None:
                    self.book.acknowledge(key, session.name)
                else:
                    self.acknowledged.acknowledge(key, session.name, utc_now().isoformat(timespec="seconds"))
            except (OSError, BadInputError, TroubleError) as trouble:
                return str(trouble)
            return ""

        return self._carried_out(session, words, f"acknowledge {key}", "done", acknowledge)

    def order(self, act: str, fields: Mapping[str, Any], session: Session, words: Words) -> tuple[bool, str]:
        """Ask the daemon for something."""
        try:
            request = request_of(act, fields, words)
        except ActError as trouble:
            return False, words("refused", why=trouble)

        def ask() -> str:
            try:
                return str(self.feed.tell(request).get("error", ""))
            except NoDaemonError as trouble:
                return str(trouble)

        done, told = self._carried_out(session, words, in_words(act, request), "taken", ask)
        return done, told or words("agreed")

    def _carried_out(
        self, session: Session, words: Words, what: str, well: str, do: Callable[[], str]
    ) -> tuple[bool, str]:
        """`do` does it and says why not, if so. It stands in the audit log before it is done, with the answer after."""
        try:
            self._write(session, what, ASKED)
        except OSError as trouble:
            return False, words("not_logged", why=trouble.strerror or trouble)
        why_not = do()
        try:
            self._write(session, what, f"refused: {why_not}" if why_not else well)
        except OSError as trouble:
            log.warning("audit log: the answer to %r is not kept: %s", what, trouble)
        return not why_not, words("refused", why=words.of(why_not)) if why_not else ""

    def _write(self, session: Session, what: str, answer: str) -> None:
        self.audit.write(utc_now().isoformat(timespec="seconds"), session.name, what, session.address, answer)

    def _forget(self, found: list[Alarm]) -> None:
        try:
            self.acknowledged.forget(found)
        except OSError as trouble:
            log.warning("acknowledged alarms: %s", trouble)
