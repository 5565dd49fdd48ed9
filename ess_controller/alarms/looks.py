"""Which alarms hold at each look at a site, whoever looks: the alarm book, or a page that has none."""

import shutil
from collections import deque
from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.book import Book, Contact, Rules
from ess_controller.alarms.present import Counters, Facts, counters, present, silent
from ess_controller.alarms.quiet import QuietHours
from ess_controller.alarms.words import Level
from ess_controller.site import Site
from ess_controller.site.alarms import AlarmSettings

EARLIER_S = 60.0  # counters are compared with those of a look so long ago
Seen = Mapping[str, Any] | str  # the picture, or why there is none


class Looks:
    """Of one site. Time and what is seen are its caller's."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._earlier: deque[Counters] = deque()

    def held(self, seen: Seen, book: Book, now_s: float, disk_free_bytes: float) -> tuple[Alarm, ...]:
        """What holds by this look; `now_s`: wall time. When the daemon is silent nobody knows how the site is: what
        was, by the book, stands."""
        if isinstance(seen, str):
            stands = [each.alarm for each in book.comings if each.over is None]
            return (silent(seen), *(each for each in stands if each.kind not in ("daemon", "delivery")))
        now = counters(seen, now_s)
        self._earlier.append(now)
        while len(self._earlier) > 1 and now_s - self._earlier[1].at_s >= EARLIER_S:
            self._earlier.popleft()
        return present(seen, self.facts, now, self._earlier[0], disk_free_bytes)


def rules_of(told: AlarmSettings, zone: ZoneInfo) -> Rules:
    """By which rules the alarms of a site in this time zone are told."""
    contacts = tuple(Contact(each.name, Level[each.least.upper()], each.turn) for each in told.channels)
    quiet = QuietHours(told.quiet_from, told.quiet_until, zone)
    return Rules(contacts, quiet, told.escalate_s, told.hold_off_s)


def facts_of(site: Site) -> Facts:
    """What a picture does not say."""
    layout = site.plant.layout
    modules = range(layout.modules)
    return Facts(
        site.name,
        site.period_s,
        site.influx.outbox_mb if site.influx else 0.0,
        {layout.module_place(each): layout.module_names[each] for each in modules},
        site.isolated,
    )


def facts_of_picture(picture: Mapping[str, Any]) -> Facts:
    """As much as is known without the site's file: no code of a module, and no word of late beats."""
    return Facts(picture["site"], nan, 0.0, {}, ())


def free_bytes(home: Path) -> float:
    """Of the disk that the daemon writes to."""
    try:
        return float(shutil.disk_usage(home).free)
    except OSError:
        return 0.0
