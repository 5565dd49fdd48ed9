"""What became of alarms, in order: come, over, acknowledged, taken by a channel; and which channel failed when.

A table of the alarm book that its own file fills, whoever writes: so nothing is in the book and not in here.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ess_controller.alarms.alarm import Alarm

COME, OVER, ACKNOWLEDGED, DELIVERED, FAILS, WELL = (
    "come",
    "over",
    "acknowledged",
    "delivered",
    "fails",
    "delivers again",
)
_INTO = "INSERT INTO happened (at, what, id, came, who, words)"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS happened (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never comes again
    at TEXT NOT NULL, what TEXT NOT NULL, id TEXT NOT NULL, came TEXT NOT NULL, who TEXT NOT NULL, words TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS has_come AFTER INSERT ON coming BEGIN
    {_INTO} VALUES (NEW.came, '{COME}', NEW.id, NEW.came, '', '');
    {_INTO} SELECT NEW.over, '{OVER}', NEW.id, NEW.came, '', '' WHERE NEW.over IS NOT NULL;
END;
CREATE TRIGGER IF NOT EXISTS is_over AFTER UPDATE OF over ON coming
WHEN OLD.over IS NULL AND NEW.over IS NOT NULL BEGIN
    {_INTO} VALUES (NEW.over, '{OVER}', NEW.id, NEW.came, '', '');
END;
CREATE TRIGGER IF NOT EXISTS is_acknowledged AFTER UPDATE OF ack_at ON coming
WHEN OLD.ack_at IS NULL AND NEW.ack_at IS NOT NULL BEGIN
    {_INTO} VALUES (NEW.ack_at, '{ACKNOWLEDGED}', NEW.id, NEW.came, NEW.ack_name, NEW.ack_note);
END;
CREATE TRIGGER IF NOT EXISTS is_told AFTER INSERT ON told BEGIN
    {_INTO} VALUES (NEW.at, '{DELIVERED}', NEW.id, NEW.came, NEW.channel, NEW.phase);
END;
CREATE TRIGGER IF NOT EXISTS channel_fares BEFORE INSERT ON channel
WHEN (NEW.trouble != '') != coalesce((SELECT trouble != '' FROM channel WHERE name = NEW.name), 0) BEGIN
    {_INTO} VALUES (NEW.since, iif(NEW.trouble != '', '{FAILS}', '{WELL}'), '', '', NEW.name, NEW.trouble);
END;
"""


@dataclass(frozen=True, slots=True)
class Happened:
    """One row."""

    number: int
    at: datetime  # UTC
    what: str  # of the words above
    alarm: Alarm | None  # None: it is about a channel
    who: str  # the name that acknowledged, or the channel
    words: str  # that person's note, the phase that a channel took, or what is wrong with it

    @property
    def mark(self) -> str:
        """By which `since` finds its place again."""
        return f"{self.number} {self.at.isoformat()}"


def since(db: sqlite3.Connection, mark: str) -> list[Happened]:
    """What came after the row of a mark; all there is where that row is not of this book: "", or of one before it.

    Left out: alarms that the book has let go of.
    """
    number, _, at = mark.partition(" ")
    known = db.execute("SELECT 1 FROM happened WHERE number = ? AND at = ?", (number, at)).fetchone()
    rows = db.execute(
        "SELECT h.number, h.at, h.what, h.who, h.words, c.kind, c.place, c.what, c.at, c.parts, c.number"
        " FROM happened h LEFT JOIN coming c ON c.id = h.id AND c.came = h.came WHERE h.number > ? ORDER BY h.number",
        (number if known else 0,),
    )
    return [
        Happened(row, datetime.fromisoformat(when), what, _alarm(alarm), who, words)
        for row, when, what, who, words, *alarm in rows
        if alarm[2] or what in (FAILS, WELL)
    ]


def _alarm(row: Sequence[str | None]) -> Alarm | None:
    kind, place, what, at, parts, number = (each or "" for each in row)
    return Alarm(kind, place, what, tuple(json.loads(at)), tuple(json.loads(parts)), number) if what else None
