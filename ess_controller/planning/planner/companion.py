"""How the daemon starts its planner, apart from it so that no solver and no scheduler is in the daemon's memory, and
when it takes it for hung."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from ess_controller.companions.patience import Patience
from ess_controller.planning.value.slot import EVERY_S
from ess_controller.planning.value.slot import FILE as PLAN
from ess_controller.site import Site

PLANNINGS = 3
LEAST_S = 600.0  # of wall time: where the plant runs fast
JOBS = "planner.json"  # `planning.planner.schedule.FILE`, without its scheduler


def command(site: Site, home: Path, speed: float) -> list[str]:
    """How the daemon starts its planner."""
    given = {"site": str(site.file), "home": str(home), "speed": speed}
    return [sys.executable, "-m", "ess_controller.planning.planner.process", json.dumps(given)]


def patience(home: Path, speed: float) -> Patience:
    """With one that hangs. Looked at are the plan's file and that in which it notes how its jobs fare: one that works
    and cannot plan, for no cabinet is in service, leaves the second. Three plannings may be missed; the last plan is
    still good then, so that a hang is not noticed on site. `speed`: plant time over wall time."""
    first_s = max(PLANNINGS * EVERY_S / speed, LEAST_S)
    return Patience("planner", first_s, signs=_newest(home / JOBS), fruit=_newest(home / PLAN))


def _newest(path: Path) -> Callable[[], tuple[int, int] | None]:
    """What changes when a file is put in its place anew."""

    def found() -> tuple[int, int] | None:
        try:
            stat = path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino

    return found
