"""What is kept of a run: each module's history, the meter book, the journal of beats, the outbox and its sender."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from ess_controller.ageing.recorder import HealthRecorder
from ess_controller.ageing.store import FILE as HISTORY
from ess_controller.companions.keeper import Keeper
from ess_controller.core.types import State
from ess_controller.daemon import Tee
from ess_controller.planned import nobody_plans
from ess_controller.planning.meter.recorder import MeterRecorder
from ess_controller.planning.meter.store import FILE as METER_BOOK
from ess_controller.planning.value.slot import SitePlan
from ess_controller.replay.journal import Journal
from ess_controller.report.ledger import FILE as LEDGER
from ess_controller.report.recorder import LedgerRecorder
from ess_controller.rollups.recorder import RollupRecorder, nobody
from ess_controller.rollups.store import FILE as ROLLUPS
from ess_controller.site import Site
from ess_controller.telemetry.beside import Beside, PlanSlot
from ess_controller.telemetry.companion import command, patience
from ess_controller.telemetry.daily import Facts
from ess_controller.telemetry.outbox import Outbox
from ess_controller.telemetry.outbox_files import FILE
from firmware_bridge.wires import WireClock


class Stores:
    """A site's books, journal and outbox in its home, the last two where asked for; `close` keeps what is waiting."""

    def __init__(
        self, site: Site, home: Path, clock: WireClock, journal_mb: int, first: State, start: datetime
    ) -> None:
        """`first` is the state that the daemon starts with: who replays the journal starts with it too. `start`: plant
        time of day of the first beat."""
        self._open = ExitStack()
        self.tees: list[Tee] = []
        self._journal: Journal | None = None
        self._outbox: Outbox | None = None
        self._slot: PlanSlot = nobody_plans
        self.uploader: Keeper | None = None
        self._history = HealthRecorder(site, home / HISTORY, start)
        self._open.callback(self._history.close)
        self.meter_book = MeterRecorder(site, home / METER_BOOK, start)
        self._open.callback(self.meter_book.close)
        ledger = LedgerRecorder(site, home / LEDGER, start)
        self._open.callback(ledger.close)
        self.tees += [self._history, self.meter_book, ledger]
        if journal_mb:
            self._journal = Journal(home / "journal", site.plant, journal_mb * 1_000_000, first=first)
            self._open.callback(self._journal.close)
            self.tees.append(self._journal)
        if site.influx is not None:
            self._outbox = Outbox(home / FILE, site.influx.outbox_mb, clock)
            self._outbox.flush()  # what waits from earlier runs is known
            self.uploader = Keeper(command(site.influx, home, Facts.of(site)), patience())
            self._open.callback(self.uploader.close)
            self._open.callback(self._outbox.close)  # closed first: what it puts last may still be sent
            beside = Beside(site, home, self._plan)
            self.tees.append(self._outbox.tee(site.tuning, site.name, beside))
        rollups = RollupRecorder(site, home / ROLLUPS, self._outbox.roll if self._outbox else nobody)
        self._open.callback(rollups.close)
        self.tees.append(rollups)

    def follow(self, slot: PlanSlot) -> None:
        """Where the newest plan is: what it expects is reported."""
        self._slot = slot

    def _plan(self) -> tuple[SitePlan | None, str]:
        return self._slot()

    def told(self) -> dict[str, dict[str, Any]]:
        """How full they are, for status: `journal` and `outbox`, each where there is one; and the history's notices."""
        told: dict[str, dict[str, Any]] = {"health": {"soft_shorts": list(self._history.notices)}}
        if self._journal is not None:
            told["journal"] = {"stored": self._journal.stored, "dropped": self._journal.dropped}
        if self._outbox is not None:
            told["outbox"] = self._outbox.depth()
        return told

    def close(self) -> None:
        """Put away what is waiting, end the sender."""
        self._open.close()

    def counts(self) -> dict[str, int]:
        """For the summary: `points_stored` are reports put on disk in this run, or beats of the journal where the site
        has no outbox; `beats_dropped` is what neither could take."""
        journal, outbox = self._journal, self._outbox
        stored, dropped = (journal.stored, journal.dropped) if journal is not None else (0, 0)
        if outbox is not None:
            stored = outbox.stored
            dropped += int(outbox.depth()["beats_dropped"] or 0)
        return {"points_stored": stored, "beats_dropped": dropped}
