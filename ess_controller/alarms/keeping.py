"""The alarm book's file beside the book in memory: what has changed is written, acknowledgements are read.

A disk that takes nothing costs no alarm: the book goes on in memory, and what is in it is written once it can be.
"""

import logging
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.book import Book, Coming, acknowledged, swept
from ess_controller.alarms.present import WATCH
from ess_controller.alarms.store import BookStore, ForeignBookError
from ess_controller.kept.sqlite_file import is_broken, is_gone, put_aside

log = logging.getLogger("ess")

DAEMON_ENDED = Alarm("daemon", "", "daemon ended")
WATCH_ENDED = Alarm("companion", WATCH, "companion fails", number="ended unasked")


class Keeping:
    """One file. All that takes a book returns it as it then is."""

    def __init__(self, path: Path, daemon: str = "") -> None:
        """`daemon`: whose watch keeps it; empty: it is not known."""
        self._path, self._daemon = path, daemon
        self._store: BookStore | None = None
        self._saved: dict[tuple[str, datetime], Coming] = {}
        self._noted: dict[str, str] = {}  # trouble of channels, as in the file
        self._well, self._loaded = True, False
        self._broken = ""  # what is wrong with the file itself, found after it was opened
        self._greeted = False  # the file says that somebody watches
        self.ended_unasked: Alarm | None = None  # whoever kept it before was not asked to end, and has

    def opened(self, book: Book) -> Book:
        """With what the file holds, once that can be read; nothing more where it is open and still there."""
        if self._store is not None and is_gone(self._path, "alarm book"):
            self._let_go()
            self._noted, self._greeted = {}, False
        if self._store is not None:
            return book
        try:
            if self._broken:
                return self._taken_up(self._begun_anew(self._broken), book)
            try:
                return self._taken_up(BookStore(self._path), book)
            except (sqlite3.DatabaseError, ForeignBookError) as trouble:
                if not is_broken(trouble):
                    raise
                return self._taken_up(self._begun_anew(str(trouble)), book)
        except sqlite3.Error as trouble:
            self._cannot(trouble)
            return book

    def _taken_up(self, store: BookStore, book: Book) -> Book:
        """Go on with this file. One that can be read and not written is tried again, and what it holds is held: it must
        not be told anew. Raises sqlite3.Error where it cannot be read, and lets go of it."""
        try:
            if self._loaded:
                self._saved = {}  # what is held may be news to this file
            else:
                book = self._load(store, book)
        except BaseException:
            store.close()
            raise
        self._store = store
        try:
            if not self._greeted:
                store.say_farewell("", self._daemon)
                self._greeted = True
        except sqlite3.Error as trouble:
            self._cannot(trouble)
        return book

    def _load(self, store: BookStore, book: Book) -> Book:
        farewell, daemon = store.farewell()
        if farewell == "":
            self.ended_unasked = WATCH_ENDED if daemon and daemon == self._daemon else DAEMON_ENDED
        kept = store.book().comings
        self._saved = {coming.key: coming for coming in kept}
        self._noted = {name: trouble for name, (trouble, _) in store.channels().items()}
        self._loaded = True
        return Book((*kept, *book.comings), book.waiting)

    def _begun_anew(self, why: str) -> BookStore:
        """Damaged, or somebody else's: it stays for whoever wants to look. Raises sqlite3.Error, also where the disk
        does not let it be put aside."""
        aside = put_aside(self._path)
        if aside is None:
            raise sqlite3.OperationalError(f"{why}, and it cannot be put aside")
        log.error("alarms: %s: %s: it is put aside as %s, a new book is begun", self._path, why, aside.name)
        self._broken, self._greeted = "", False
        return BookStore(self._path)

    def acknowledged(self, book: Book) -> Book:
        """With what people have acknowledged."""
        book = self.opened(book)
        if self._store is None:
            return book
        try:
            return acknowledged(book, self._store.acks())
        except (sqlite3.Error, ForeignBookError) as trouble:
            self._cannot(trouble)
            return book

    def save(self, book: Book, troubles: Mapping[str, str], now: datetime) -> Book:
        """What has changed goes to disk, with what is wrong with which channel; what is settled and safe there is
        forgotten here."""
        saved = self._saved
        changed = [each for each in book.comings if (old := saved.get(each.key)) is not each and old != each]
        known = dict.fromkeys(self._noted, "") | dict(troubles)
        channels = {name: trouble for name, trouble in known.items() if self._noted.get(name, "") != trouble}
        if self._store is None or not (changed or channels):
            return book
        try:
            if changed:
                self._store.save(changed)
            for name, trouble in channels.items():
                self._store.note_channel(name, trouble, now)
        except sqlite3.Error as failure:
            self._cannot(failure)
            return book
        book = swept(book)
        self._saved = {each.key: each for each in book.comings}
        self._noted |= channels
        if not self._well:
            log.info("alarms: %s: is written again", self._path)
        self._well = True
        return book

    def _cannot(self, trouble: Exception) -> None:
        if is_broken(trouble):
            self._broken = str(trouble)  # told as it is put aside, or cannot be
        elif self._well and self._path.parent.is_dir():  # else all of the home is gone, as a demo's that is over
            log.warning("alarms: %s cannot be written: %s: the book is kept in memory", self._path, trouble)
            self._well = False
        self._let_go()

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

    def close(self, farewell: str) -> None:
        """Say how it ends, and let go of the file."""
        if self._store is not None:
            with suppress(sqlite3.Error):
                if farewell:
                    self._store.say_farewell(farewell, self._daemon)
            self._store.close()
