"""What happens, told once: modes, diagnoses, what the guard cut, contacts. And which strings it is an alarm for."""

from collections.abc import Iterator

import numpy as np

from ess_controller.core.health import DIAGNOSES, Level
from ess_controller.core.types import Mode, Tuning
from ess_controller.daemon import Beat
from ess_controller.telemetry.points_apart import EVENT, line
from ess_controller.told.odd_cells import behind, odd_cells
from firmware_bridge.guard import in_words
from firmware_bridge.records import Contact, Ints


class Events:
    """Shown beats in turn. `alarmed` [string]: whom the last beat's events are an alarm for: a diagnosis of level
    derate or stop, a command that the guard cut, a contact."""

    def __init__(self, tuning: Tuning, site: str) -> None:
        self._tuning, self._layout, self._site = tuning, tuning.layout, site
        layout = self._layout
        self.alarmed = np.zeros(layout.strings, bool)
        self._mode: Ints | None = None  # not yet seen: a start is no event
        self._active = np.zeros((len(DIAGNOSES), layout.strings), bool)
        self._trips = np.zeros(layout.cabinets, np.int64)
        self._contacts: Ints = np.full(layout.ios, 0, np.int64)

    def lines(self, beat: Beat, stamp_ms: int) -> Iterator[str]:
        """One line an event."""
        self.alarmed = np.zeros(self._layout.strings, bool)
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
            cells = behind(odd_cells(self._tuning, beat.seen, beat.state, row, string))
            if come and which.level >= Level.DERATE:
                self.alarmed[string] = True
            state, words = ("come", f"{which.name}: {which.action}{cells}") if come else ("over", f"over: {which.name}")
            level = which.level.name.lower() if come else "info"
            yield self._event(self._string(string), "diagnosis", which.name, level, state, words, stamp_ms)
        self._active = active

    def _of_guard(self, beat: Beat, stamp_ms: int) -> Iterator[str]:
        for cabinet in np.flatnonzero(beat.trips != self._trips).tolist():
            words = in_words(int(beat.trips[cabinet]))
            if words:
                self.alarmed |= self._layout.string_cabinet == cabinet
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
            cabinet = int(self._layout.io_cabinet[number])
            if bits & ~int(self._contacts[number]):
                self.alarmed |= self._layout.string_cabinet == cabinet
            state, level = names or "well", "error" if bits else "info"
            yield self._event(self._cabinet(cabinet), "contacts", "", level, state, f"contacts: {state}", stamp_ms)
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
        tags = {"site": self._site, "kind": kind, "what": what, **place}
        return line(EVENT, tags, {"level": level, "state": state, "text": text}, stamp_ms)
