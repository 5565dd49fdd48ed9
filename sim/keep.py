"""What a simulated site keeps of itself, as the daemon does: its modules' history, cells' record and meter book."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ess_controller.ageing.recorder import HealthRecorder
from ess_controller.ageing.store import FILE as HISTORY
from ess_controller.daemon import Beat, Tee
from ess_controller.errors import BadInputError
from ess_controller.kept.cell_record import FILE as CELLS
from ess_controller.kept.cell_record import CellRecord
from ess_controller.kept.memory import FILE as MEMORY
from ess_controller.planning.meter.recorder import MeterRecorder
from ess_controller.planning.meter.store import FILE as METER_BOOK
from ess_controller.report.began import FILE as BEGAN
from ess_controller.report.ledger import FILE as LEDGER
from ess_controller.report.recorder import LedgerRecorder
from ess_controller.site import Site
from sim.fast import told


@contextmanager
def kept(site: Site, folder: Path, start: datetime) -> Iterator[tuple[Tee, ...]]:
    """The daemon's own recorders of health, cells and load in `folder`, from nothing on: `ess health --home`, and match
    and plan, read there. A daemon's home is refused: what it has learnt in months is not for a simulation to replace.
    """
    if (folder / MEMORY).exists():
        raise BadInputError(f"--out {folder}: expected another folder: a daemon lives in this one")
    with told(folder):
        for name in (HISTORY, CELLS, METER_BOOK, LEDGER, BEGAN):
            (folder / name).unlink(missing_ok=True)
    history, cells = HealthRecorder(site, folder / HISTORY), CellRecord(folder / CELLS, site.tuning, start)
    meter_book, ledger = MeterRecorder(site, folder / METER_BOOK, start), LedgerRecorder(site, folder / LEDGER, start)
    latest: list[Beat] = []

    def record(beat: Beat) -> None:
        latest[:] = [beat]
        cells.keep(beat, last=False)

    try:
        yield history, record, meter_book, ledger
    finally:
        history.close()
        meter_book.close()
        ledger.close()
        for beat in latest:
            cells.keep(beat, last=True)
