"""What a simulated site keeps of itself: its modules' history and the record of its cells, as the daemon keeps them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ess_controller.ageing.recorder import HealthRecorder
from ess_controller.ageing.store import FILE as HISTORY
from ess_controller.cell_record import FILE as CELLS
from ess_controller.cell_record import CellRecord
from ess_controller.daemon import Beat, Tee
from ess_controller.errors import BadInputError
from ess_controller.memory import FILE as MEMORY
from ess_controller.site import Site
from sim.fast import told


@contextmanager
def kept(site: Site, folder: Path, start: datetime) -> Iterator[tuple[Tee, ...]]:
    """The daemon's own recorders of health and cells in `folder`, from nothing on: `ess health --home` and `ess match
    --home` read there. A daemon's home is refused: what it has learnt in months is not for a simulation to replace."""
    if (folder / MEMORY).exists():
        raise BadInputError(f"--out {folder}: expected another folder: a daemon lives in this one")
    with told(folder):
        for name in (HISTORY, CELLS):
            (folder / name).unlink(missing_ok=True)
    history, cells = HealthRecorder(site, folder / HISTORY), CellRecord(folder / CELLS, site.tuning, start)
    latest: list[Beat] = []

    def record(beat: Beat) -> None:
        latest[:] = [beat]
        cells.keep(beat, last=False)

    try:
        yield history, record
    finally:
        history.close()
        for beat in latest:
            cells.keep(beat, last=True)
