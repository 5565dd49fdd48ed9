"""Turns beats into lines: measurements when due, decisions when their rule changes, bursts around alarms, events."""

from collections.abc import Callable, Iterator, Mapping

from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.telemetry.bursts import Bursts
from ess_controller.telemetry.events import Events
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import Sheet, milliseconds
from ess_controller.telemetry.moment import NOTHING, Moment
from ess_controller.telemetry.points import TABLE, rows_of
from ess_controller.telemetry.points_places import CELL, SITE
from ess_controller.telemetry.points_reasons import DAEMON, DECISION
from ess_controller.told.arbitrated import Since

DECISIONS_EVERY_MS = 1000  # a rule that flaps is told no more often
SECOND_MS = 1000  # between two pictures that are kept for bursts
Told = tuple[Kind, str]  # lines, each with its end


class Due:
    """Says whether a beat is worth reporting: some measurement is due, or something has changed. Runs in the beat, and
    takes some microseconds of it."""

    def __init__(self) -> None:
        self._cadence_ms = min(each.cadence_s for each in TABLE) * 1000
        self._slot, self._second = -1, -1
        self._before = b""

    def __call__(self, beat: Beat) -> bool:
        """Remembers the beat; True for the first one."""
        stamp_ms = milliseconds(beat.tick.utc)
        slot = int(stamp_ms // self._cadence_ms)
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
        self.second = stamp_ms // SECOND_MS != self._second
        self._slot, self._second, self._before = slot, stamp_ms // SECOND_MS, now
        return due

    second = True
    """Whether the last beat is the first of its second: bursts keep it."""


def alone(_: Beat) -> Mapping[str, float]:
    """Where nothing stands beside a beat."""
    return NOTHING


class Recorder:
    """Lines of one site's beats. Each measurement is due once in every `cadence_s` of plant time of day, so that points
    of all sites lie on one grid."""

    def __init__(self, tuning: Tuning, site: str, own: Callable[[Beat], Mapping[str, float]] = alone) -> None:
        """`own`: what stands beside a beat, as `Moment` has it."""
        self._tuning, self._own = tuning, own
        self._sheets = [Sheet(each, rows_of(each, tuning.layout, site)) for each in TABLE]
        self._slots = [-1] * len(TABLE)
        self._second, self._own_slot = -1, -1
        self._since = Since(tuning.layout.cabinets)
        self._events, self._bursts = Events(tuning, site), Bursts(tuning, site)
        self._rules = b""
        self._decided_ms = 0

    def lines(self, beat: Beat) -> Iterator[Told]:
        """Everything to be reported of a beat, a few lines at a time."""
        stamp_ms = milliseconds(beat.tick.utc)
        self._since(beat)
        for text in self._events.lines(beat, stamp_ms):
            yield Kind.EVENT, text
        due = stamp_ms // (DAEMON.cadence_s * 1000) != self._own_slot
        self._own_slot = int(stamp_ms // (DAEMON.cadence_s * 1000))
        moment = Moment(beat, self._tuning, self._own(beat) if due else NOTHING, self._since)
        told = set()
        ruled_anew = self._ruled_anew(beat, stamp_ms)
        for number, sheet in enumerate(self._sheets):
            measurement = sheet.measurement
            slot = int(stamp_ms // (measurement.cadence_s * 1000))
            if slot != self._slots[number] or (ruled_anew and measurement is DECISION):
                self._slots[number] = slot
                told.add(measurement.name)
                for text in sheet.lines(moment, stamp_ms):
                    yield measurement.report, text
        if stamp_ms // SECOND_MS != self._second:
            self._second = stamp_ms // SECOND_MS
            self._bursts.keep(moment, stamp_ms, above_told=SITE.name in told, cells_told=CELL.name in told)
        if self._events.alarmed.any():
            self._bursts.alarm(self._events.alarmed, stamp_ms)
        for text in self._bursts.lines(stamp_ms):
            yield Kind.BURST, text

    def _ruled_anew(self, beat: Beat, stamp_ms: int) -> bool:
        """Whether the rules that bind have changed since they were last told."""
        bound = beat.decision.cabinet_bound
        rules = bound.charge_by.tobytes() + bound.discharge_by.tobytes()
        if rules == self._rules or 0 <= stamp_ms - self._decided_ms < DECISIONS_EVERY_MS:
            return False
        self._rules, self._decided_ms = rules, stamp_ms
        return True
