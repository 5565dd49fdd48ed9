"""How the daemon starts the uploader, which brings reports to InfluxDB, and when it takes it for hung."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from ess_controller.companions.patience import Patience
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.daily import Facts
from ess_controller.telemetry.outbox_files import FILE

FIRST_S = 600.0  # of wall time: reports wait on disk, and a day's health of a large site takes a while


def command(settings: InfluxSettings, home: Path, facts: Facts | None = None, *, quiet: bool = False) -> list[str]:
    """How the uploader of a home is started; the token is in the environment, never here. `facts`: of the site, for
    what is told once a day."""
    told = None if facts is None else asdict(facts)
    given = {"home": str(home), "file": FILE, "settings": asdict(settings), "facts": told, "verbose": 0, "quiet": quiet}
    return [sys.executable, "-m", "ess_controller.telemetry.upload", json.dumps(given)]


def patience() -> Patience:
    """With one that hangs."""
    return Patience("uploader", FIRST_S)
