"""Turns beats into lines: measurements when due, decisions when their rule changes, events when they happen."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ess_controller.core.health import DIAGNOSES
from ess_controller.core.types import Mode, Tuning
from ess_controller.daemon import Beat
from ess_controller.odd_cells import behind, odd_cells
from ess_controller.telemetry.line_protocol import Field, Measurement, Sheet, milliseconds, quoted, series
from ess_controller.telemetry.moment import Moment
from ess_controller.telemetry.points import DECISION, TABLE, rows_of
from firmware_bridge.guard import in_words
from firmware_bridge.records import Contact, Ints

DECISIONS_EVERY_MS = 1000  # a rule that flaps is told no more often

EVENT: Measurement[Mapping[str, str]] = Measurement(
    "event",
    ("site", "cabinet", "string", "kind", "what"),
    0.0,
    tuple(
        Field(name, "", "text", says, lambda event, name=name: [event[name]])  # type: ignore[misc]
        for name, says in (
            ("level", "info, notice, derate, stop or error"),
            ("state", "come, over, or what it has become"),
            ("text", "in an operator's words"),
        )
    ),
    "what happened: kind is mode, diagnosis, guard or contacts; what is the diagnosis",
)


class Due:
    """Says whether a beat is worth reporting: some measurement is due, or something has changed. Runs in the beat, and
    takes some microseconds of it."""

    def __init__(self) -> None:
        self._cadence_ms = min(each.cadence_s for each in TABLE) * 1000
        self._slot = -1
        self._before = b""

    def __call__(self, beat: Beat) -> bool:
        """Remembers the beat; True for the first one."""
        slot = int(milliseconds(beat.tick.utc) // self._cadence_ms)
        bound = beat.decision.cabinet_bound
        changing = (
            beat.state.mode,
            beat.decision.active,
            beat.trips,
            beat.seen.io_contact,
            bound.charge_by,
            bound.discharge_by,
        )
        now = b"".join([each.tobytes() for each in changing])
        due = slot != self._slot or now != self._before
        self._slot, self._before = slot, now
        return due


class Recorder:
    """Lines of one site's beats. Each measurement is due once in every `cadence_s` of plant time of day, so that points
    of all sites lie on one grid."""

    def __init__(self, tuning: Tuning, site: str, own: Callable[[], Mapping[str, float]] = dict) -> None:
        self._tuning, self._layout, self._site, self._own = tuning, tuning.layout, site, own
        self._sheets = [Sheet(each, rows_of(each, self._layout, site)) for each in TABLE]
        self._slots = [-1] * len(TABLE)
        layout = self._layout
        self._mode: Ints | None = None  # not yet seen: a start is no event
        self._active = np.zeros((len(DIAGNOSES), layout.strings), bool)
        self._trips = np.zeros(layout.cabinets, np.int64)
        self._contacts: Ints = np.full(layout.ios, 0, np.int64)
        self._rules = b""
        self._decided_ms = 0

    def lines(self, beat: Beat) -> Iterator[str]:
        """Everything to be reported of a beat, a few lines at a time, each with its line end."""
        stamp_ms = milliseconds(beat.tick.utc)
        yield from self._events(beat, stamp_ms)
        moment = Moment(beat, self._tuning, self._own())
        ruled_anew = self._ruled_anew(beat, stamp_ms)
        for number, sheet in enumerate(self._sheets):
            slot = int(stamp_ms // (sheet.measurement.cadence_s * 1000))
            if slot != self._slots[number] or (ruled_anew and sheet.measurement is DECISION):
                self._slots[number] = slot
                yield from sheet.lines(moment, stamp_ms)

    def _ruled_anew(self, beat: Beat, stamp_ms: int) -> bool:
        """Whether the rules that bind have changed since they were last told."""
        bound = beat.decision.cabinet_bound
        rules = bound.charge_by.tobytes() + bound.discharge_by.tobytes()
        if rules == self._rules or 0 <= stamp_ms - self._decided_ms < DECISIONS_EVERY_MS:
            return False
        self._rules, self._decided_ms = rules, stamp_ms
        return True

    # --- events -------------------------------------------------------------------------------------------------------

    def _events(self, beat: Beat, stamp_ms: int) -> Iterator[str]:
        yield from self._of_modes(beat, stamp_ms)
        yield from self._of_diagnoses(beat, stamp_ms)
        yield from self._of_guard(beat, stamp_ms)
        yield from self._of_contacts(beat, stamp_ms)

    def _of_modes(self, beat: Beat, stamp_ms: int) -> Iterator[str]:
        mode, before = beat.state.mode, self._mode
        self._mode = mode
        if before is None:
            return
        for string in np.flatnonzero(mode != before).tolist():
            old, new = (Mode(int(each[string])).name.lower() for each in (before, mode))
            yield self._event(self._string(string), "mode", "", "info", new, f"{old} -> {new}", stamp_ms)

    def _of_diagnoses(self, beat: Beat, stamp_ms: int) -> Iterator[str]:
        active = beat.decision.active
        for row, string in np.argwhere(active != self._active).tolist():
            which, come = DIAGNOSES[row], active[row, string]
            cells = behind(odd_cells(self._tuning, beat.state, row, string))
            state, words = ("come", f"{which.name}: {which.action}{cells}") if come else ("over", f"over: {which.name}")
            level = which.level.name.lower() if come else "info"
            yield self._event(self._string(string), "diagnosis", which.name, level, state, words, stamp_ms)
        self._active = active

    def _of_guard(self, beat: Beat, stamp_ms: int) -> Iterator[str]:
        for cabinet in np.flatnonzero(beat.trips != self._trips).tolist():
            words = in_words(int(beat.trips[cabinet]))
            level, state = ("error", "come") if words else ("info", "over")
            told = f"guard cut a command: {words}" if words else "over: guard cuts nothing"
            yield self._event(self._cabinet(cabinet), "guard", "", level, state, told, stamp_ms)
        self._trips = beat.trips

    def _of_contacts(self, beat: Beat, stamp_ms: int) -> Iterator[str]:
        contacts = beat.seen.io_contact
        if len(contacts) != len(self._contacts):  # a site whose remote I/O nobody reads
            return
        changed = np.flatnonzero((contacts != self._contacts) & (contacts >= 0))
        for number in changed.tolist():
            bits = int(contacts[number])
            names = ", ".join(str(each.name).lower() for each in Contact if bits & each)
            cabinet = self._cabinet(int(self._layout.io_cabinet[number]))
            state = names or "well"
            yield self._event(
                cabinet, "contacts", "", "error" if bits else "info", state, f"contacts: {state}", stamp_ms
            )
        self._contacts = np.where(contacts >= 0, contacts, self._contacts)

    def _string(self, string: int) -> dict[str, str]:
        cabinet = self._cabinet(int(self._layout.string_cabinet[string]))
        return cabinet | {"string": self._layout.string_names[string]}

    def _cabinet(self, cabinet: int) -> dict[str, str]:
        return {"cabinet": self._layout.cabinet_names[cabinet]}

    def _event(
        self, place: dict[str, str], kind: str, what: str, level: str, state: str, text: str, stamp_ms: int
    ) -> str:
        """Its time stamp and its tags tell it from every other: a beat has at most one of a kind, place and `what`."""
        head = series(EVENT.name, {"site": self._site, "kind": kind, "what": what, **place})
        return f"{head} level={quoted(level)},state={quoted(state)},text={quoted(text)} {stamp_ms}\n"
