"""What becomes of alarms, as events: come, over, acknowledged by whom, taken by which channel, channels that fail.

Made by the uploader's process from the alarm book, some seconds after it happens; time stamps and tags are the book's,
so a book that is told anew makes the same points again.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from ess_controller.alarms.book import Phase
from ess_controller.alarms.happened import COME, DELIVERED, FAILS, OVER, Happened
from ess_controller.alarms.store import FILE, BookStore, ForeignBookError
from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.daily import Facts
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.points_apart import EVENT, line
from ess_controller.telemetry.store import Store

log = logging.getLogger("ess")

EVERY_S = 5.0  # of wall time, between two looks
MARK = "alarms"
LISTED = 5  # alarms that a delivery names; the rest are counted


class AlarmEvents:
    """`step` looks and puts what is new; it never raises for a book that is missing, broken or locked."""

    def __init__(self, store: Store, home: Path, facts: Facts) -> None:
        self._store, self._path, self._site = store, home / FILE, facts.site
        self._cabinet_of = {string: cabinet for cabinet, string, _ in facts.places.values()}
        self._trouble = ""

    def step(self) -> float:
        """Returns how many seconds to wait before the next."""
        trouble = ""
        try:
            found = self._found(self._store.mark(MARK)) if self._path.exists() else []
        except (sqlite3.Error, ForeignBookError, ValueError) as broken:
            found, trouble = [], " ".join(str(broken).split())[:200]
        if trouble and trouble != self._trouble:
            log.warning("influx: alarms cannot be told: %s: %s", self._path.name, trouble)
        self._trouble = trouble
        if found:
            text = "".join(self._lines(found))
            self._store.put([Batch.of(text.encode(), Kind.EVENT)], marks={MARK: found[-1].mark})
        return EVERY_S

    def _found(self, mark: str) -> list[Happened]:
        store = BookStore(self._path, "rw")
        try:
            return store.happened(mark)
        finally:
            store.close()

    def _lines(self, found: Sequence[Happened]) -> Iterator[str]:
        """One each; of what a channel took in one message, one together."""
        messages: dict[tuple[str, datetime], list[Happened]] = {}
        for row in found:
            if row.what == DELIVERED:
                messages.setdefault((row.who, row.at), []).append(row)
            else:
                yield self._one(row)
        for taken in messages.values():
            yield self._event(taken[0], "delivery", taken[0].who, "info", _taken(taken))

    def _one(self, row: Happened) -> str:
        if row.alarm is None:
            fails = row.what == FAILS
            words = f"{row.who} does not deliver: {row.words}" if fails else f"{row.who} delivers again"
            return self._event(row, "channel", row.who, "error" if fails else "info", words)
        told = row.alarm.text("en")
        if row.what == COME:
            return self._event(row, "alarm", row.alarm.id, row.alarm.level.name.lower(), told)
        if row.what == OVER:
            return self._event(row, "alarm", row.alarm.id, "info", f"over: {told}")
        words = f"acknowledged by {row.who}: {row.words}".removesuffix(": ")
        return self._event(row, "ack", row.alarm.id, "info", f"{words}: {told}")

    def _event(self, row: Happened, kind: str, what: str, level: str, text: str) -> str:
        """`kind` and `what` part what may happen in one instant: an alarm and its delivery, two channels."""
        place = "" if row.alarm is None or kind == "delivery" else row.alarm.place
        cabinet = self._cabinet_of.get(place, place if place in self._cabinet_of.values() else "")
        string = place if place in self._cabinet_of else ""
        tags = {"site": self._site, "cabinet": cabinet, "string": string, "kind": kind, "what": what}
        told = {"level": level, "state": row.what, "text": text, "who": row.who}
        return line(EVENT, tags, told, milliseconds(row.at))


def _taken(rows: Sequence[Happened]) -> str:
    """`ops has 2 new, 1 over: diagnosis/A/smoke, ...`."""
    come, over = (sum(row.words == phase for row in rows) for phase in Phase)
    ids = list(dict.fromkeys(row.alarm.id for row in rows if row.alarm is not None))
    more = f" +{len(ids) - LISTED}" if len(ids) > LISTED else ""
    return f"{rows[0].who} has {come} new, {over} over: {', '.join(ids[:LISTED])}{more}"
