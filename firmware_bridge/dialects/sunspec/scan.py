"""Finding the SunSpec models in an unknown device: 'SunS', then from model to model until the end mark.

Sans-I/O: `ask` says what to read next, `hear` takes the answer. Whatever the device answers, the walk ends: it is
bounded in models and in addresses. Trouble is told in words.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from firmware_bridge.dialects.sunspec.model import Events
from firmware_bridge.frames import STALE, Answer, Request

BASES = (40000, 50000, 0)  # SunSpec Device Information Model Specification: where a map may begin
MARK = (0x5375, 0x6E53)  # 'SunS'
END = 0xFFFF
MOST_MODELS = 100  # a real device has a few dozen
TRIES = 3  # a header that is not answered is asked again
AGAIN_S = 2.0  # pause after a whole search in vain


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model begins (its ID register) and how many registers follow its ID and L."""

    address: int
    length: int


class Scan:
    """One walk through a device. `wanted` maps a model id to the least L with which it is of use."""

    def __init__(self, wanted: Mapping[int, int], events: Events, enough: int | None = None, tag: str = "scan") -> None:
        """The walk ends early when `enough` of the wanted models (all, where not said) are found."""
        self.found: dict[int, Place] = {}
        self.finished = False
        self._wanted, self._events, self._tag = wanted, events, tag
        self._enough = len(wanted) if enough is None else enough
        self._not_before_s = -float("inf")
        self._begin()

    def restart(self, not_before_s: float) -> None:
        """Forget everything and search again, not before that instant."""
        self.found, self.finished = {}, False
        self._not_before_s = not_before_s
        self._begin()

    def ask(self, now_s: float) -> list[Request]:
        """The next read, if there is one."""
        return [] if self.finished or now_s < self._not_before_s else [self._pending]

    def hear(self, answer: Answer, now_s: float) -> None:
        """Take one answer; those to other questions are ignored."""
        if self.finished or answer.request != self._pending:
            return
        good = not answer.trouble and len(answer.words) == 2
        if self._at is None:
            self._hear_mark(good and answer.words == MARK, answer.trouble, now_s)
        elif good:
            self._hear_header(*answer.words)
        else:
            self._tries += not answer.trouble.startswith(STALE)  # never asked
            if self._tries >= TRIES:
                self._end(f"the model chain breaks off at register {self._at}: {answer.trouble or 'short answer'}")

    def _begin(self) -> None:
        self._base, self._models, self._tries = 0, 0, 0
        self._at: int | None = None  # header being read; None while looking for the mark
        self._pending = Request(BASES[0], 2, tag=self._tag)

    def _hear_mark(self, is_mark: bool, trouble: str, now_s: float) -> None:
        if is_mark:
            self._read_header(BASES[self._base] + 2)
            return
        if trouble.startswith(STALE):  # it was not even asked: no reason to look elsewhere
            self.restart(now_s)
            return
        self._base += 1
        if self._base < len(BASES):
            self._pending = Request(BASES[self._base], 2, tag=self._tag)
            return
        self._events.tell("scan", f"no SunSpec map at 40000, 50000 or 0: {trouble or 'no SunS mark'}")
        self.restart(now_s + AGAIN_S)

    def _hear_header(self, model_id: int, length: int) -> None:
        at = self._at or 0
        self._tries, self._models = 0, self._models + 1
        if model_id == END:
            self._end("")
        elif length == 0:
            self._end(f"model {model_id} at register {at} says its length is 0: search ended there")
        elif at + length + 4 > 0x10000:
            self._end(f"model {model_id} at register {at} says its length is {length}: beyond the last register")
        elif self._models >= MOST_MODELS:
            self._end(f"more than {MOST_MODELS} models, no end mark: search ended at register {at}")
        else:
            self._keep(model_id, Place(at, length))
            if len(self.found) >= self._enough:
                self._end("")
            else:
                self._read_header(at + 2 + length)

    def _keep(self, model_id: int, place: Place) -> None:
        least = self._wanted.get(model_id)
        if least is None or model_id in self.found:
            return  # not ours, or a second one of its kind: the first counts
        if place.length < least:
            self._events.tell(
                f"scan {model_id}", f"model {model_id} is {place.length} registers long, {least} are needed: not used"
            )
            return
        self.found[model_id] = place

    def _read_header(self, address: int) -> None:
        self._at = address
        self._pending = Request(address, 2, tag=self._tag)

    def _end(self, trouble: str) -> None:
        self._events.tell("scan", trouble)
        self.finished = True
