"""A SunSpec device as its master works it: search it, read it in turns, notice that it is gone, moved or back.

Shared by solar inverters and battery inverters of the first generation. An heir says what to read (`_begin`), takes
the words (`_heard`) and adds its own writes in its `ask`. Nothing that a device answers raises. Trouble is told once,
in words.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import Events
from firmware_bridge.dialects.sunspec.scan import Place, Scan
from firmware_bridge.frames import STALE, Answer, Request

STREAK = 5  # answers in trouble, one after the other, until the device is searched anew
SEARCH_AGAIN_S = 5.0
SELDOM = 4.0  # what is read in every beat goes before the rest for so many periods of that
GONE_S = 60.0  # unasked for so long: its wire is gone, and another device may stand behind it when it is back
EVERY_BEAT = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One read that comes round every `period_s` seconds."""

    request: Request  # its tag is the turn's name
    period_s: float = EVERY_BEAT
    begins: tuple[int, ...] = ()  # words that the answer must begin with: ID and L of the model
    static: bool = False  # does not change in a healthy device, so believed only when read twice alike


def turn(
    tag: str, block: Block, model: int, place: Place, period_s: float = EVERY_BEAT, *, static: bool = False
) -> Turn:
    """The turn that reads this block of the model found at `place`."""
    begins = (model, place.length) if block.first == 0 else ()
    return Turn(Request(place.address + block.first, block.count, tag=tag), period_s, begins, static)


class PolledDevice(ABC):
    """The controller's side of one SunSpec device."""

    def __init__(self, name: str, wanted: Mapping[int, int]) -> None:
        """`name` is what events call it; `wanted` maps a model id to the least L with which it is of use."""
        self._name = name
        self._events = Events()
        self._scan = Scan(wanted, self._events)
        self._clear()

    def _clear(self) -> None:
        self._turns: tuple[Turn, ...] = ()  # none: not found yet
        self._by_tag: dict[str, Turn] = {}
        self._asked_s: dict[str, float] = {}
        self._seen: dict[str, tuple[int, ...]] = {}  # words of static turns as last read
        self._heard_s: dict[str, float] = {}  # when each turn was last heard
        self._answered_s = -inf  # when any was
        self._not_taken: dict[str, str] = {}  # name of a write -> trouble, to be told
        self._streak = 0

    # --- what an heir says ----------------------------------------------------------------------------------------

    @abstractmethod
    def _begin(self, found: Mapping[int, Place]) -> Sequence[Turn]:
        """What to read of a device with these models, slow turns first; nothing where it is of no use (told why)."""

    @abstractmethod
    def _heard(self, tag: str, words: tuple[int, ...], heard_s: float) -> None:
        """Take the words of one turn: as many as asked for, heard at `heard_s`."""

    @abstractmethod
    def _lost(self, *, moved: bool) -> None:
        """Another device may answer next. `moved`: its map has changed, so what was read of it is void."""

    @abstractmethod
    def _write_failed(self, tag: str, *, sent: bool) -> None:
        """The write of this tag was not carried out; where not even `sent`, its line had no time for it."""

    # --- what everybody calls -------------------------------------------------------------------------------------

    def take_events(self) -> list[str]:
        """What changed since the last call, in words."""
        return self._events.take()

    def hear(self, answers: Iterable[Answer], now_s: float) -> None:
        """Take the answers of this beat, in order. Each is as old as its `wire_s` says, at least: never from later.

        Of two times, `heard_s` is that of an answer, `now_s` that from which a search waits.
        """
        for answer in answers:
            heard_s = min(answer.wire_s, now_s)
            tag = answer.request.tag
            if tag == "scan":
                self._scan.hear(answer, now_s)
                if self._scan.finished and not self._turns:
                    self._found(now_s)
            elif answer.request.is_write:
                self._hear_write(tag, answer.trouble)
            elif (due := self._by_tag.get(tag)) is not None and answer.request == due.request:
                if answer.trouble.startswith(STALE):
                    self._asked_s.pop(tag, None)  # never asked: due again
                if answer.trouble or len(answer.words) != answer.request.count:
                    self._hear_trouble(answer.trouble or "short answer", now_s)
                else:
                    self._hear_words(due, answer.words, heard_s, now_s)

    def _reads(self, now_s: float) -> list[Request]:
        """What to read now: the next step of a search, or the turns that are due.

        First what is not known yet, such as scale factors; then what has been due for longest: on a slow line the last
        of them are not carried out.
        """
        if not self._turns:
            return self._scan.ask(now_s)
        due = [one for one in self._turns if now_s - self._asked_s.get(one.request.tag, -inf) >= one.period_s]
        self._asked_s |= {one.request.tag: now_s for one in due}
        due.sort(key=self._due_s)
        return [one.request for one in due]

    # --- within ---------------------------------------------------------------------------------------------------

    def _due_s(self, one: Turn) -> float:
        return self._heard_s.get(one.request.tag, -inf) + SELDOM * one.period_s

    def _found(self, now_s: float) -> None:
        self._turns = tuple(self._begin(self._scan.found))
        self._by_tag = {due.request.tag: due for due in self._turns}
        if not self._turns:
            self._scan.restart(now_s + SEARCH_AGAIN_S)

    def _hear_words(self, due: Turn, words: tuple[int, ...], heard_s: float, now_s: float) -> None:
        tag = due.request.tag
        self._streak, self._answered_s = 0, heard_s
        if self._events.last("link"):
            self._events.tell("link", f"{self._name} answers again")
        for name, trouble in self._not_taken.items():
            verb = "was not told" if trouble.startswith(STALE) else "does not take"
            text = f"{self._name} {verb} {name.removeprefix('write ')}: {trouble}"
            self._events.tell(name, text if trouble else "")
        self._not_taken.clear()
        if words[: len(due.begins)] != due.begins:
            self._events.tell("models", f"{self._name} has changed its register map: searched anew")
            self._search(now_s, moved=True)
        elif due.static and words != self._seen.get(tag):
            self._seen[tag], self._asked_s[tag] = words, -inf  # asked again in the next beat
        else:
            self._heard_s[tag] = heard_s
            self._heard(tag, words, heard_s)

    def _hear_write(self, tag: str, trouble: str) -> None:
        """Trouble with a write is told when the device proves to be there, that is with the next good read."""
        if trouble or self._events.last(tag):
            self._not_taken[tag] = trouble
        if trouble:
            self._write_failed(tag, sent=not trouble.startswith(STALE))

    def _hear_trouble(self, trouble: str, now_s: float) -> None:
        if trouble.startswith(STALE) and now_s - self._answered_s < GONE_S:
            return  # its line has no time for all that is asked
        self._streak += 1
        if self._streak >= STREAK:
            if not trouble.startswith(STALE):  # never asked: its wire is down, and that is told of the wire
                self._events.tell("link", f"{self._name} does not answer: {trouble}")
            self._search(now_s, moved=False)

    def _search(self, now_s: float, *, moved: bool) -> None:
        self._clear()
        self._scan.restart(now_s)
        self._lost(moved=moved)
