"""The campaign: every fault, again and again, at random moments, on the bench and over real sockets."""

import sys
from pathlib import Path
from random import Random
from typing import Any

from ess_controller.site import Site
from sim.campaign.bench import strike
from sim.campaign.expect import spared, struck_here
from sim.campaign.score import Outcome, brief, rows
from sim.campaign.sockets import daemon_killed, scheduled, world_killed
from sim.faults import DAEMON_KILLED
from sim.world.scenario import Scenario

__all__ = ["brief", "campaign"]


def campaign(
    site: Site, scenario: Scenario, site_path: Path, *, runs: int, kills: int, sockets: bool, seed: int
) -> list[dict[str, Any]]:
    """Break `site` in every way. One row for each fault and place; seconds are of wall time, null where not measured.

    Each fault that the site has a device for strikes `runs` times on the bench (3 s each); over sockets each once by a
    schedule (half a minute each), the daemon is killed -9 `kills` times (30 s each) and all devices once (40 s). The
    same seed strikes the same way.
    """
    outcomes: list[Outcome] = []
    here = struck_here(site.plant)
    for fault in spared(site.plant):
        _tell(f"{fault}: skipped, the site has no device for it")
    for fault in (*here, DAEMON_KILLED):
        _tell(f"{fault}: {runs} times on the bench")
        outcomes += [strike(site, scenario, fault, Random(f"{seed} {fault} {run}")) for run in range(runs)]
    if sockets:
        _tell(f"{', '.join(here)}: over sockets")
        outcomes += scheduled(site, site_path, scenario, Random(f"{seed} scheduled"))
        _tell("kill -9 of all devices: over sockets")
        outcomes.append(world_killed(site, site_path, scenario, Random(f"{seed} world")))
        if kills:
            _tell(f"kill -9 of the daemon: {kills} times over sockets")
            outcomes += daemon_killed(site, site_path, scenario, Random(f"{seed} daemon"), kills)
    for trouble in (trouble for outcome in outcomes for trouble in outcome.troubles):
        _tell(f"trouble: {trouble}")
    return rows(outcomes)


def _tell(line: str) -> None:
    """Talk goes to stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
