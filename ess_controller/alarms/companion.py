"""How the daemon starts the watch that tells people, apart from it so that no network holds up a beat, and when it
takes it for hung."""

import json
import sys
from pathlib import Path
from uuid import uuid4

from ess_controller.alarms.present import WATCH
from ess_controller.companions.patience import Patience
from ess_controller.site import Site

FIRST_S = 120.0  # of wall time: it looks each 2 s


def command(site: Site, home: Path) -> list[str]:
    """The watch of a site; secrets are in the environment, never here. Made once a daemon: all that are started by it
    know by `daemon` that it was the watch that ended between them."""
    given = {"site": str(site.file), "home": str(home), "daemon": uuid4().hex}
    return [sys.executable, "-m", "ess_controller.alarms.watch", json.dumps(given)]


def patience() -> Patience:
    """With one that hangs."""
    return Patience(WATCH, FIRST_S)
