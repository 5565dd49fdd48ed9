"""How long the daemon waits for its planner's next plan before it has it replaced: one that hangs ends not by itself.

What is looked at are the plan's file and that in which the planner notes how its jobs fare: one that is stopped, or
stuck in a solve, leaves neither, whatever else it still says; one that works and cannot plan, for no cabinet is in
service, leaves the second. Three plannings may be missed; the last plan is still good then, so that a hang is not
noticed on site.
"""

import logging
from pathlib import Path

log = logging.getLogger("ess")

PLANNINGS, EVERY_S = 3, 1800.0  # of plant time; `planning.planner.EVERY_S`, without its scheduler
LEAST_S, LONGEST_S = 600.0, 86_400.0  # of wall time: where the plant runs fast; where replacing does not help
JOBS = "planner.json"  # `planning.schedule.FILE`, without its scheduler
LONGEST_LOOK_S = 60.0  # a longer time between two looks was not waited for: the host was suspended


class Patience:
    """Of one home. Time is its caller's."""

    def __init__(self, plan: Path, speed: float) -> None:
        """`plan`: the file that a new plan replaces; the jobs' lies beside. `speed`: plant time over wall time."""
        self._path, self._jobs_path = plan, plan.with_name(JOBS)
        self._first_s = self._most_s = max(PLANNINGS * EVERY_S / speed, LEAST_S)
        self._plan: tuple[int, int] | None = None
        self._jobs: tuple[int, int] | None = None
        self._life, self._looked_s, self._waited_s = 0, 0.0, 0.0

    def __call__(self, now_s: float, life: int) -> bool:
        """Whether the planner is to be replaced, at this wall time, in the so-manieth life of it. Said once until there
        is a plan again; each try that does not help makes the next one rarer."""
        plan, jobs = _newest(self._path), _newest(self._jobs_path)
        if plan != self._plan:
            self._plan, self._most_s, self._waited_s = plan, self._first_s, 0.0
        elif (life, jobs) != (self._life, self._jobs):
            self._waited_s = 0.0
        else:
            self._waited_s += min(now_s - self._looked_s, LONGEST_LOOK_S)
        self._life, self._jobs, self._looked_s = life, jobs, now_s
        if self._waited_s < self._most_s:
            return False
        if self._most_s == self._first_s:
            log.warning("the planner has given no sign of life for %.0f min: it is replaced", self._waited_s / 60.0)
        self._waited_s, self._most_s = 0.0, min(2.0 * self._most_s, LONGEST_S)
        return True


def _newest(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
