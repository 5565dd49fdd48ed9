"""The alarm book, pure: what has come, is over, was acknowledged and has been told to whom; and who is to be told now.

Laws: a coming is told once to each channel, its end once to whoever was told that it came; what comes and goes within
the hold-off is one coming; who acknowledges ends its escalation; a clock put back counts as time that has passed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.quiet import QuietHours
from ess_controller.alarms.words import WAKES, Level

MOST_OWED = 5000  # alarms that are over and still to be told; a channel dead for long gets no older ones
GIVEN_UP = timedelta(days=30)  # news of an alarm long over, that a channel has not taken in so long, is dropped


class Phase(StrEnum):
    """What there is to tell of a coming."""

    COME = "come"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Ack:
    """Who has looked at it, and what that person says."""

    name: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """A channel has taken it."""

    channel: str
    phase: Phase
    at: datetime


@dataclass(frozen=True, slots=True)
class Coming:
    """One coming of an alarm. Times are UTC."""

    alarm: Alarm
    came: datetime
    gone: datetime | None = None  # absent since; not over before the hold-off has passed
    over: datetime | None = None  # when it went for good
    times: int = 1  # it came back so often within the hold-off
    ack: Ack | None = None
    told: tuple[Told, ...] = ()
    settled: bool = False  # over, and nobody is left to be told

    @property
    def key(self) -> tuple[str, datetime]:
        """Tells it from every other."""
        return self.alarm.id, self.came

    def was_told(self, channel: str, phase: Phase) -> bool:
        """Whether a channel has taken it."""
        return any(told.channel == channel and told.phase == phase for told in self.told)


@dataclass(frozen=True, slots=True)
class Book:
    """What is not swept out, in order of coming; and what holds but not yet long enough to count: id -> since when."""

    comings: tuple[Coming, ...] = ()
    waiting: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contact:
    """A channel as the book sees it: from which level on, and in which turn it is told."""

    name: str
    least: Level
    turn: int  # 1: at once; n: when nobody has acknowledged for n - 1 times the escalation's time


@dataclass(frozen=True, slots=True)
class Rules:
    """By which alarms are told."""

    contacts: tuple[Contact, ...]
    quiet: QuietHours
    escalate_s: float
    hold_off_s: float


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to tell. `phases` are both of them where it was over before it could be told."""

    coming: Coming
    phases: tuple[Phase, ...]


def passed(since: datetime, now: datetime, wait_s: float) -> bool:
    """Whether so long has passed; a clock put back is taken for it, as how long it was is not known."""
    return not 0.0 <= (now - since).total_seconds() < wait_s


def advance(book: Book, present: Iterable[Alarm], now: datetime, hold_off_s: float) -> Book:
    """The book after a look at what is present."""
    here = {alarm.id: alarm for alarm in present}
    comings = tuple(_looked(coming, coming.alarm.id in here, now, hold_off_s) for coming in book.comings)
    open_ids = {coming.alarm.id for coming in comings if coming.over is None}
    waiting = {name: book.waiting.get(name, now) for name in here if name not in open_ids}
    come = [here[name] for name, since in waiting.items() if passed(since, now, here[name].words.after_s)]
    taken = {coming.key for coming in comings}
    come = [alarm for alarm in come if (alarm.id, now) not in taken]  # went and came in one instant: at the next look
    for alarm in come:
        del waiting[alarm.id]
    return Book((*comings, *(Coming(alarm, now) for alarm in come)), waiting)


def _looked(coming: Coming, here: bool, now: datetime, hold_off_s: float) -> Coming:
    if coming.over is not None:
        return coming
    if here:
        return coming if coming.gone is None else replace(coming, gone=None, times=coming.times + 1)
    gone = now if coming.gone is None else coming.gone
    return replace(coming, gone=gone, over=gone if passed(gone, now, hold_off_s) else None)


def due(book: Book, rules: Rules, now: datetime) -> dict[str, tuple[Item, ...]]:
    """What each channel is to be told now, worst first and oldest first among these; channels with nothing are left
    out. In quiet hours what wakes nobody waits: at their end it is due together."""
    quiet = rules.quiet.holds(now)
    found = {}
    for contact in rules.contacts:
        items = [
            Item(coming, phases)
            for coming in book.comings
            if (not quiet or coming.alarm.level >= WAKES) and (phases := _phases(coming, contact, rules, now))
        ]
        if items:
            found[contact.name] = tuple(sorted(items, key=lambda item: (-item.coming.alarm.level, item.coming.came)))
    return found


def _phases(coming: Coming, contact: Contact, rules: Rules, now: datetime) -> tuple[Phase, ...]:
    """What a contact is still to be told of a coming, quiet hours aside."""
    if coming.alarm.level < contact.least or coming.settled:
        return ()
    is_over = (Phase.OVER,) if coming.over is not None else ()
    if coming.was_told(contact.name, Phase.COME):
        return () if coming.was_told(contact.name, Phase.OVER) else is_over
    if contact.turn > 1:
        if coming.ack is not None or coming.over is not None:
            return ()
        if not passed(_told_from(coming, rules.quiet), now, (contact.turn - 1) * rules.escalate_s):
            return ()
    return (Phase.COME, *is_over)


def _told_from(coming: Coming, quiet: QuietHours) -> datetime:
    """When the first contacts could be told of it."""
    return coming.came if coming.alarm.level >= WAKES else quiet.over_after(coming.came)


def noted(book: Book, channel: str, items: Sequence[Item], now: datetime) -> Book:
    """The book once a channel has taken what it was told."""
    told = {item.coming.key: tuple(Told(channel, phase, now) for phase in item.phases) for item in items}
    return replace(
        book,
        comings=tuple(
            replace(coming, told=coming.told + told[coming.key]) if coming.key in told else coming
            for coming in book.comings
        ),
    )


def acknowledged(book: Book, acks: Mapping[tuple[str, datetime], Ack]) -> Book:
    """The book with what people have acknowledged meanwhile; the first one's word stands."""
    return replace(
        book,
        comings=tuple(
            replace(coming, ack=acks[coming.key]) if coming.ack is None and coming.key in acks else coming
            for coming in book.comings
        ),
    )


def without(book: Book, isolated: Sequence[str], now: datetime) -> Book:
    """The book when strings have been taken out of service: their alarms are over, and nobody is told."""
    return replace(
        book,
        comings=tuple(
            replace(coming, over=coming.over or now, settled=True) if coming.alarm.place in isolated else coming
            for coming in book.comings
        ),
    )


def settle(book: Book, rules: Rules, now: datetime, under_way: Collection[tuple[str, datetime]] = ()) -> Book:
    """Marks what is over and of which nobody is left to be told, and the oldest of more than MOST_OWED that are over;
    not that of which a message is `under_way`."""
    over = [each for each in book.comings if each.over is not None and not each.settled]
    given_up = {each.key for each in over[: max(len(over) - MOST_OWED, 0)]}
    done = {each.key for each in over if each.key in given_up or _is_settled(each, rules, now)}.difference(under_way)
    if not done:
        return book
    comings = (replace(each, settled=True) if each.key in done else each for each in book.comings)
    return replace(book, comings=tuple(comings))


def swept(book: Book) -> Book:
    """The book without what is settled: once that is safely on disk."""
    return replace(book, comings=tuple(each for each in book.comings if not each.settled))


def _is_settled(coming: Coming, rules: Rules, now: datetime) -> bool:
    if coming.over is None:
        return False
    owed = any(_phases(coming, contact, rules, now) for contact in rules.contacts)
    return not owed or now - coming.over > GIVEN_UP
