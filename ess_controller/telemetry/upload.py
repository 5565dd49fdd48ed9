"""Empties the outbox into InfluxDB: what has just come, then the oldest; nothing is lost, and nothing comes twice.

It is tried again with back-off; bad lines are set aside; a point is known by its series and time stamp.

Runs as a process of its own, the daemon's child, so that no network can hold up a beat:
`python -m ess_controller.telemetry.upload JSON`. It ends when its standard input does, as that means the daemon's end.
"""

import json
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from threading import Event

from ess_controller.clock import utc_now, wall_s
from ess_controller.companions.child import began, leave, placed, work_goes_on
from ess_controller.errors import BadInputError
from ess_controller.kept import home as homes
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.alarm_events import AlarmEvents
from ess_controller.telemetry.batch import Waiting
from ess_controller.telemetry.daily import Daily, Facts
from ess_controller.telemetry.influx import NOT_ALLOWED, REFUSED, TOO_LARGE, Influx, Outcome
from ess_controller.telemetry.kinds import IN_ORDER, Kind, lanes_of
from ess_controller.telemetry.outbox_files import current
from ess_controller.telemetry.store import ALL, Store
from ess_controller.telemetry.store_tables import ForeignError
from ess_controller.terminal.talk import talk

log = logging.getLogger("ess")

LINES_AT_ONCE = 10_000  # 1.2 MB. InfluxDB advises 5000: a backlog then leaves 12 % slower (real influxd, in turn)
IDLE_S = 1.0  # between two looks into an empty outbox
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0  # doubling in between, each shortened by up to a half at random
SLOW_RETRY_S = 60.0  # for what only people can put right
TELL_AFTER = 2  # failures in a row: a server that closes an idle line is no news
LONGEST_ASKED_S = 3600.0  # of a server's Retry-After
LOOK_S = 10.0  # between two signs of life, however long there is to wait


@dataclass(frozen=True, slots=True)
class Sifted:
    """What InfluxDB took of some lines, piece by piece."""

    refused: tuple[tuple[bytes, str], ...]  # single lines, with its words
    some_taken: bool
    stopped: Outcome | None = None  # a piece could not be delivered at all: nothing is settled


class Uploader:
    """One step at a time: sends, settles, and says how long to wait. Time is its caller's."""

    def __init__(
        self,
        store: Store,
        write: Callable[[bytes], Outcome],
        where: str,
        random: Random,
        kinds: Sequence[Kind] = ALL,
    ) -> None:
        """`kinds`: what goes this way."""
        self._store, self._write, self._where, self._random, self._kinds = store, write, where, random, kinds
        self._live = [kind for kind in kinds if kind not in IN_ORDER]
        self._seen = store.last_id()  # what was put before is a backlog; what comes after need not wait for it
        self._failures = 0
        self._answers = False  # something was taken in this step: what is refused is refused for itself
        self._trouble = store.noted(where)  # as told
        self.sent_lines = 0

    def step(self) -> float:
        """Send what has just come, then the oldest batches. Returns how many seconds to wait before the next step; 0
        when there may be more."""
        self._answers = False
        if self._failures:
            self._seen = self._store.last_id()  # all that has come meanwhile is a backlog too
        fresh = self._store.oldest(LINES_AT_ONCE, self._live, self._seen)
        if fresh:
            if wait_s := self._send(fresh):
                return wait_s
            self._seen, self._answers = fresh[-1].id, True
        batches = self._store.oldest(LINES_AT_ONCE, self._kinds)
        if not batches:
            self._store.give_back()
            return IDLE_S
        return self._send(batches)

    def _send(self, batches: Sequence[Waiting]) -> float:
        text = b"".join(each.text for each in batches)
        outcome = self._write(text)
        if outcome.acknowledged:
            return self._settled(batches, ())
        if outcome.status in (*REFUSED, TOO_LARGE):
            return self._sift(batches, text, outcome)
        return self._later(outcome)

    def _sift(self, batches: Sequence[Waiting], text: bytes, outcome: Outcome) -> float:
        """Find the lines that are refused. When all of them are, it may be the request and not the lines: then they are
        set aside only if InfluxDB takes the newest batch, so that one bad line does not hold up all that follow."""
        sifted = self._parts(text.splitlines(keepends=True), outcome)
        if sifted.stopped is not None:
            return self._later(sifted.stopped)
        if not sifted.some_taken and not self._answers:
            newest = self._store.newest(self._kinds)
            alone = newest[0].id == batches[-1].id
            answer = outcome if alone else self._write(newest[0].text)
            if not answer.acknowledged:
                return self._later(answer)
            self._store.settle(newest)
        return self._settled(batches, sifted.refused)

    def _parts(self, lines: Sequence[bytes], outcome: Outcome) -> Sifted:
        """Halves of what was refused with `outcome`, down to single lines. What a server takes of a half it refuses
        is written again with the half's half: the same point."""
        if len(lines) == 1:
            return Sifted(((lines[0], f"{outcome.status} {outcome.why}"),), some_taken=False)
        refused: list[tuple[bytes, str]] = []
        some_taken = False
        half = len(lines) // 2
        for part in (lines[:half], lines[half:]):
            answer = self._write(b"".join(part))
            if answer.acknowledged:
                some_taken = True
                continue
            if answer.status not in (*REFUSED, TOO_LARGE):
                return Sifted((), some_taken, answer)
            below = self._parts(part, answer)
            if below.stopped is not None:
                return below
            refused += below.refused
            some_taken |= below.some_taken
        return Sifted(tuple(refused), some_taken)

    def _settled(self, batches: Sequence[Waiting], dead: Sequence[tuple[bytes, str]]) -> float:
        self._store.settle(batches, dead, utc_now().isoformat(timespec="seconds"))
        self.sent_lines += sum(each.text.count(b"\n") for each in batches) - len(dead)
        if dead:
            log.error("influx: %d lines are refused and set aside, the first: %s", len(dead), dead[0][1])
        self._tell("")
        self._failures = 0
        return 0.0

    def _later(self, outcome: Outcome) -> float:
        """Nothing is settled: how long to wait."""
        self._failures += 1
        if outcome.status in NOT_ALLOWED or outcome.status in REFUSED:
            advice = {401: "check the token", 403: "check the token's rights", 404: "check org and bucket"}
            self._tell(f"HTTP {outcome.status}: {outcome.why}: {advice.get(outcome.status, 'refuses everything')}")
            wait_s = SLOW_RETRY_S
        else:
            if self._failures >= TELL_AFTER:
                self._tell(f"HTTP {outcome.status}: {outcome.why}" if outcome.status else f"no answer: {outcome.why}")
            wait_s = min(FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 20), LONGEST_RETRY_S)
        wait_s *= self._random.uniform(0.5, 1.0)  # a fleet does not come back in one instant
        return max(wait_s, min(outcome.retry_after_s or 0.0, LONGEST_ASKED_S))

    def _tell(self, trouble: str) -> None:
        """To the log and to whoever asks the daemon, when it turns from well to ill, back, or to another ill."""
        if trouble.partition(": ")[0] == self._trouble.partition(": ")[0]:
            return
        if trouble:
            log.warning("influx: %s: %s; reports wait in the outbox", self._where, trouble)
        else:
            log.info("influx: %s: takes reports again", self._where)
        self._trouble = trouble
        self._store.note(trouble, self._where)


def work(
    path: Path, influx: Influx, where: str, ending: Event, facts: Facts | None = None, *, once: bool = False
) -> int:
    """Upload until `ending`, or, with `once`, until the outbox is empty or does not get emptier. Returns lines sent.

    Each bucket has its own way: one that is missing holds up no other. `facts`: of the site, for what is told once a
    day and of alarms. sqlite3.Error and ForeignError for a file that cannot be used: the daemon makes a new one.
    """
    sent = 0
    while not ending.is_set():
        if not current(path).exists():  # the daemon makes it
            work_goes_on()
            ending.wait(IDLE_S)
            continue
        store = Store(current(path))
        try:
            uploaders = [
                Uploader(store, partial(_written, influx, bucket), f"{where}, bucket {bucket}", Random(), kinds)
                for bucket, kinds in lanes_of(influx.settings).items()
            ]
            steps = [uploader.step for uploader in uploaders]
            if facts is not None:
                steps += [each(store, path.parent, facts).step for each in (Daily, AlarmEvents)]
            _in_turn(steps, ending, lambda store=store: store.path == current(path), once=once)  # type: ignore[misc]
            sent += sum(uploader.sent_lines for uploader in uploaders)
        finally:
            store.close()
    return sent


def _written(influx: Influx, bucket: str, lines: bytes) -> Outcome:
    """One of many in a step."""
    outcome = influx.write(lines, bucket)
    work_goes_on()
    return outcome


def _in_turn(
    steps: Sequence[Callable[[], float]], ending: Event, is_current: Callable[[], bool], *, once: bool
) -> None:
    """Each is taken when it is due, while the file is the one in use; with `once`, until all want to wait."""
    due_s = [0.0] * len(steps)
    while not ending.is_set() and is_current():
        work_goes_on()
        for number, step in enumerate(steps):
            if due_s[number] <= wall_s():
                wait_s = step()
                due_s[number] = wall_s() + wait_s if wait_s else 0.0
        if once and all(due_s):
            ending.set()
        ending.wait(max(min(min(due_s) - wall_s(), LOOK_S), 0.0))


def token_of(settings: InfluxSettings) -> str:
    """From the environment. BadInputError when it is not there."""
    token = os.environ.get(settings.token_env, "").strip()
    if not token:
        raise BadInputError(
            f"influx.token_env: environment variable {settings.token_env}: is not set:"
            f" expected the token that may write to bucket {settings.bucket!r}"
        )
    return token


def main(given: str) -> int:
    """The daemon's child: `given` is JSON of home, settings, verbose and quiet. Exit 2: no use in trying again."""
    told = json.loads(given)
    talk(told["verbose"], quiet=told["quiet"])
    settings, home = InfluxSettings(**told["settings"]), Path(told["home"])
    ending = began()
    try:
        with placed(home, "uploader", ending):
            facts = Facts(**told["facts"]) if told["facts"] else None
            work(home / told["file"], Influx(settings, token_of(settings)), settings.where, ending, facts)
    except (sqlite3.Error, ForeignError, homes.HomeError) as trouble:  # or the uploader of a daemon just killed
        log.warning("influx: the outbox cannot be used: %s", trouble)
        return 1
    except BadInputError as trouble:
        log.error("influx: %s", trouble)
        return 2
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1]))
