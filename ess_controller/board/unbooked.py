"""The page's alarms at a site that keeps no alarm book, or whose book cannot be read: by the same rules, in memory."""

from datetime import datetime

from ess_controller.alarms.answer import told
from ess_controller.alarms.book import Book, advance, without
from ess_controller.alarms.looks import Looks, Seen, facts_of, facts_of_picture
from ess_controller.board.alarms import MOST_SHOWN, Alarm, of_book
from ess_controller.site import Site

HOLD_OFF_S = 60.0  # absent for so long: it is over; as the sites that are shipped have it


class Unbooked:
    """What has come since the page was started. Time and what is seen are its caller's."""

    def __init__(self, site: Site | None) -> None:
        self._looks = None if site is None else Looks(facts_of(site))
        self._book = Book()

    def look(self, seen: Seen, now: datetime, now_s: float, disk_free_bytes: float) -> list[Alarm]:
        """All that stands after this look, the worst first. `now` is UTC, `now_s` wall time."""
        if self._looks is None:
            if isinstance(seen, str):
                return []
            self._looks = Looks(facts_of_picture(seen))
        held = self._looks.held(seen, self._book, now_s, disk_free_bytes)
        book = without(advance(self._book, held, now, HOLD_OFF_S), self._looks.facts.isolated, now)
        open_ = [each for each in book.comings if each.over is None]
        self._book = Book(tuple(open_), book.waiting)
        worst = sorted(open_, key=lambda each: (-each.alarm.level, each.came))[:MOST_SHOWN]
        return [of_book(told(each)) for each in worst]
