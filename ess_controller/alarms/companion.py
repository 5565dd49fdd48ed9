"""How the daemon starts the watch that tells people: apart from it, so that no network holds up a beat."""

import json
import sys
from pathlib import Path

from ess_controller.site import Site


def command(site: Site, home: Path) -> list[str]:
    """The watch of a site; secrets are in the environment, never here."""
    given = {"site": str(site.file), "home": str(home)}
    return [sys.executable, "-m", "ess_controller.alarms.watch", json.dumps(given)]
