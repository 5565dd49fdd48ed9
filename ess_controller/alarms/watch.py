"""Looks at the live picture, keeps the alarm book and sees that people are told; outlives the daemon to tell its death.

Runs as a process of its own, the daemon's child: `python -m ess_controller.alarms.watch JSON`. Asked to end (SIGTERM),
it ends. When its standard input ends unasked, the daemon has died: it stays, tells it, and ends when another daemon
answers, when somebody has acknowledged the death, or after LINGER_S; at once where it has nobody to tell, and as soon
as it has told where the daemon's home is gone, for nobody can acknowledge or start anew there.
A message goes out before it is noted: a watch
that is killed in between sends that one message once more, with the same key, and none is lost.
"""

import json
import logging
import signal
import sqlite3
import sys
from collections.abc import Sequence
from datetime import datetime
from os import nice
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.answer import told
from ess_controller.alarms.book import Book, Coming, Rules, advance, due, noted, settle, without
from ess_controller.alarms.courier import Courier
from ess_controller.alarms.keeping import Keeping
from ess_controller.alarms.looks import Looks, Seen, facts_of, free_bytes, rules_of
from ess_controller.alarms.message import Writer
from ess_controller.alarms.present import Facts
from ess_controller.alarms.sender import Missing, Sender, made
from ess_controller.alarms.store import FILE
from ess_controller.clock import utc_now, wall_s
from ess_controller.companions.child import NICE, ends_with_the_daemon, leave, placed, work_goes_on
from ess_controller.doors.live import NoDaemonError, ask
from ess_controller.errors import BadInputError
from ess_controller.site import Site, load
from ess_controller.terminal.talk import talk

log = logging.getLogger("ess")

LOOK_EVERY_S, NOTE_EVERY_S = 2.0, 0.2
MOST_SHOWN = 200  # open alarms in a state
LAST_WORD_S = 1.0  # for a message that is under way at the end
LINGER_S = 86_400.0  # after the daemon's death


class Watch:
    """One look at a time. Time and what is seen are its caller's."""

    def __init__(self, facts: Facts, rules: Rules, senders: Sequence[Sender], path: Path, daemon: str = "") -> None:
        """`daemon`: by which watches that one daemon starts know each other; empty: it is not known."""
        self._rules, self._looks = rules, Looks(facts)
        self._couriers = [Courier(each) for each in senders]
        self._open_then, self._state = tuple[Coming, ...](), list[dict[str, Any]]()
        self._kept = Keeping(path, daemon)
        self.book = self._kept.opened(Book())

    @property
    def tells(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._couriers)

    @property
    def stuck(self) -> bool:
        """Whether a message has been under way for so long that only another watch can tell by that channel."""
        return any(courier.stuck for courier in self._couriers)

    def step(self, seen: Seen, now: datetime, now_s: float, disk_free_bytes: float) -> None:
        """One look: what is seen becomes the book, and what is due is told."""
        self.book = self._kept.acknowledged(self.book)
        for courier in self._couriers:
            courier.look(now_s)
        alarms = (*self._own_alarms(), *self._looks.held(seen, self.book, now_s, disk_free_bytes))
        self.book = advance(self.book, alarms, now, self._rules.hold_off_s)
        self.book = without(self.book, self._looks.facts.isolated, now)
        self._save(now)
        self.collect(now)
        self._show()
        owed = due(self.book, self._rules, now)
        for courier in self._couriers:
            if courier.name in owed:
                courier.offer(owed[courier.name], now, now_s)
        under_way = {item.coming.key for courier in self._couriers for item in courier.carried}
        self.book = settle(self.book, self._rules, now, under_way)
        self._save(now)

    def has_told_the_death(self, now: datetime) -> bool:
        """Whether that the daemon is silent has been told to all who are due, but by channels that fail."""
        owed = due(self.book, self._rules, now)
        waits = any(owed.get(each.name) and not each.trouble for each in self._couriers)
        return not waits and any(each.alarm.what == "daemon silent" for each in self.book.comings)

    def collect(self, now: datetime, wait_s: float = 0.0) -> None:
        """Note what channels have taken; `wait_s`: for each that is still at it."""
        for courier in self._couriers:
            if taken := courier.collect(wait_s):
                self.book = noted(self.book, courier.name, taken, now)
                self._save(now)

    def farewell(self, how: str) -> None:
        """Say how it ends, and let go of everything."""
        self._kept.close(how)  # a channel that hangs takes as long as it likes, and we are killed meanwhile
        for courier in self._couriers:
            courier.sender.channel.close()

    def _own_alarms(self) -> tuple[Alarm, ...]:
        """Channels that fail; and once that the daemon before us has ended unasked, or only the watch."""
        failing = ((each.name, each.trouble) for each in self._couriers)
        own = tuple(Alarm("delivery", name, "channel fails", number=trouble) for name, trouble in failing if trouble)
        if self._kept.ended_unasked is not None:
            own, self._kept.ended_unasked = (*own, self._kept.ended_unasked), None
        return own

    def _show(self) -> None:
        """What is open to channels that show a state: of a storm the worst."""
        open_ = tuple(each for each in self.book.comings if each.over is None)
        if open_ != self._open_then:
            worst = sorted(open_, key=lambda each: (-each.alarm.level, each.came))[:MOST_SHOWN]
            self._open_then, self._state = open_, [told(coming) for coming in worst]
        for courier in self._couriers:
            courier.sender.channel.show(self._state)

    def _save(self, now: datetime) -> None:
        self.book = self._kept.save(self.book, {each.name: each.trouble for each in self._couriers}, now)


def senders_of(site: Site) -> list[Sender]:
    """Every channel of the site; one that lacks its secret is told of, and takes nothing."""
    if site.alarms is None:
        return []
    writer = Writer(site.name, site.alarms.languages, site.time_zone)
    found = []
    for settings in site.alarms.channels:
        try:
            channel = made(settings, site.name)
        except BadInputError as trouble:
            log.error("%s", trouble)
            found.append(Sender(settings.name, Missing(str(trouble)), writer, Random()))
        else:
            found.append(Sender(settings.name, channel, writer, Random()))
    return found


def look(home: Path) -> Seen:
    """The daemon's picture, or why there is none."""
    try:
        seen = ask(home / "live.sock", {"get": "picture"})
    except NoDaemonError as trouble:
        return str(trouble).partition(": ")[2]
    return str(seen["error"]) if "error" in seen else seen


def work(watch: Watch, home: Path, ending: Event, orphaned: Event) -> None:
    """Look until asked to end, or, once the daemon has died, until that is somebody else's."""
    died_s: float | None = None
    while not ending.is_set():
        has_died = orphaned.is_set()  # before the look: who answers after that is another daemon
        seen = look(home)
        watch.step(seen, utc_now(), wall_s(), free_bytes(home))
        if not watch.stuck:
            work_goes_on()
        if has_died:
            died_s = wall_s() if died_s is None else died_s
            gone = not home.is_dir() and watch.has_told_the_death(utc_now())
            known = gone or any(
                each.alarm.what == "daemon silent" and each.ack is not None for each in watch.book.comings
            )
            if known or not watch.tells or not isinstance(seen, str) or wall_s() - died_s > LINGER_S:
                return
        until_s = wall_s() + LOOK_EVERY_S
        while not ending.wait(NOTE_EVERY_S) and 0.0 < until_s - wall_s() <= LOOK_EVERY_S:  # or the clock was set
            watch.collect(utc_now())


def main(given: str) -> int:
    """The daemon's child: `given` is JSON of site, home and daemon."""
    asked = json.loads(given)
    talk(0, quiet=False)
    ending, orphaned = Event(), Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's, which ends us in its turn
    Thread(target=ends_with_the_daemon, args=(orphaned,), daemon=True).start()
    nice(NICE)
    home = Path(asked["home"])
    try:
        with placed(home, "alarms", ending, orphaned):
            site = load(Path(asked["site"]), {})
            if site.alarms is None:
                return 2
            rules = rules_of(site.alarms, site.time_zone)
            watch = Watch(facts_of(site), rules, senders_of(site), home / FILE, asked["daemon"])
            try:
                work(watch, home, ending, orphaned)
            finally:
                watch.collect(utc_now(), LAST_WORD_S)
                watch.farewell("clean" if ending.is_set() and not orphaned.is_set() else "")
    except (BadInputError, sqlite3.Error) as trouble:  # the watch of a daemon just killed; a site file being edited
        if not home.is_dir():  # of a demo that is over: there is nothing left to watch
            return 0
        log.warning("alarms: %s", trouble)
        return 1
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1]))
