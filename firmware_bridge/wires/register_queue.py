"""What a Modbus device is still to be asked and has answered: old commands are thrown away, never sent late."""

import threading
from collections import deque
from collections.abc import Sequence
from math import inf, nan

from firmware_bridge.frames import STALE, Answer, Request, WireHealth
from firmware_bridge.wires import WireClock
from firmware_bridge.wires.modbus import request_trouble

ANSWER_S = 0.5  # a device that needs longer counts as silent
FRESH_S = 1.0  # a command that has not begun by then is never carried out
WHOLE_S = 2.5  # but what was told at once is carried through: half a command is none
READ_FRESH_S = 5.0  # nor a read: what it finds is new whenever it is found, and on a slow line each unit waits its turn


class RegisterQueue:
    """Requests and answers of one device, in order, between the beat's thread and the one that talks to the device."""

    def __init__(self, name: str, clock: WireClock) -> None:
        self.name = name
        self.health = WireHealth()
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[tuple[Request, float]] = deque()
        self._answers: list[Answer] = []
        self._busy = False
        self._begun_s = -inf
        self._telling_s = nan  # when the commands were asked for that are being carried out

    @property
    def waiting(self) -> int:
        """How many requests have no answer yet, the one under way included."""
        with self._lock:
            return len(self._queue) + self._busy

    @property
    def tells(self) -> bool:
        """Whether a command comes next."""
        with self._lock:
            self._expire()
            return bool(self._queue) and self._queue[0][0].is_write

    def ask(self, requests: Sequence[Request]) -> None:
        """Queue requests; commands go before reads that still wait."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            new = [(request, now_s) for request in requests]
            if any(request.is_write for request in requests):
                late = [each for each in self._queue if not each[0].is_write]
                new = [*(each for each in self._queue if each[0].is_write), *new, *late]
                self._queue.clear()
            self._queue.extend(new)

    def drain(self) -> list[Answer]:
        """Answers since the last call, in order."""
        with self._lock:
            self._expire()
            answers, self._answers = self._answers, []
        return answers

    def begin(self) -> Request | None:
        """Take the next fresh request to carry it out; None when none waits."""
        with self._lock:
            self._expire()
            while self._queue:
                request, asked_s = self._queue.popleft()
                trouble = request_trouble(request)
                if not trouble:
                    self._telling_s = asked_s if request.is_write else nan
                    self._busy, self._begun_s = True, self._clock.monotonic_s()
                    self.health.sent += 1
                    return request
                self._answers.append(Answer(request, (), trouble, self._clock.monotonic_s()))
        return None

    def finish(self, request: Request, words: tuple[int, ...], trouble: str, within_s: float = ANSWER_S) -> None:
        """Hand over what became of the request begun.

        Later than `within_s` only a process that stood still takes an answer: it is as old as that, not new.
        """
        if trouble:
            self.health.trouble = f"{self.name}: {trouble}"
        else:
            self.health.received += 1
        with self._lock:
            self._busy = False
            heard_s = min(self._clock.monotonic_s(), self._begun_s + within_s)
            self._answers.append(Answer(request, words, trouble, heard_s))

    def _expire(self) -> None:
        """Answer what has waited too long. Not while a request is under way: answers keep the order."""
        now_s = self._clock.monotonic_s()
        while self._queue and not self._busy:
            request, asked_s = self._queue[0]
            told_s = WHOLE_S if asked_s == self._telling_s else FRESH_S
            if now_s - asked_s <= (told_s if request.is_write else READ_FRESH_S):
                return
            self._queue.popleft()
            self.health.dropped += 1
            words = f"{STALE}: {self.health.trouble or 'the line is busy'}"
            self._answers.append(Answer(request, (), words, now_s))
