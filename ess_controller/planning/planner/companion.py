"""How the daemon starts its planner: apart from it, so that no solver and no scheduler is in the daemon's memory."""

import json
import sys
from pathlib import Path

from ess_controller.site import Site


def command(site: Site, home: Path, speed: float) -> list[str]:
    """How the daemon starts its planner."""
    given = {"site": str(site.file), "home": str(home), "speed": speed}
    return [sys.executable, "-m", "ess_controller.planning.planner.process", json.dumps(given)]
