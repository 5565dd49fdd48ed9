"""Puts the boards and the alert rules into files, as Grafana reads them when it starts."""

import json
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from ess_controller.boards.alerts import provisioned
from ess_controller.boards.cell_wall import cell_wall
from ess_controller.boards.daemon import daemon
from ess_controller.boards.fleet import fleet
from ess_controller.boards.health import health
from ess_controller.boards.savings import savings
from ess_controller.boards.site_today import site_today
from ess_controller.boards.why_limited import why_limited

BOARDS: tuple[Callable[[], Dashboard], ...] = (fleet, site_today, cell_wall, why_limited, health, savings, daemon)
BOARDS_IN, ALERTS_IN = Path("boards"), Path("deploy/grafana/alerting/alerts.json")  # below `sites`


def files() -> dict[Path, str]:
    """Each file below `sites`, and what stands in it."""
    made = {}
    for make in BOARDS:
        built = make().build()
        for number, panel in enumerate(built.panels or [], 1):
            panel.id_val = number
        made[BOARDS_IN / f"{str(built.uid).removeprefix('ess-')}.json"] = _text(built)
    return made | {ALERTS_IN: _text(provisioned())}


def _text(told: object) -> str:
    return json.dumps(told, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(sites: Path) -> None:
    """Write all; boards that are no more go."""
    wanted = files()
    for path in (sites / BOARDS_IN).glob("*.json"):
        if path.relative_to(sites) not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (sites / name).parent.mkdir(parents=True, exist_ok=True)
        (sites / name).write_text(text, encoding="utf-8")
