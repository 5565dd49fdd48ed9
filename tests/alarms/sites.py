"""The bench site with a table [alarms], as a user would write it."""

from pathlib import Path
from typing import Any

from ess_controller.site import Site
from tests.site.site_files import bench, loaded

WEBHOOK = {"name": "ops", "least": "notice", "turn": 1, "url_env": "ESS_TEST_WEBHOOK", "secret_env": "ESS_TEST_SECRET"}
DINGTALK = WEBHOOK | {"name": "group", "url_env": "ESS_TEST_DINGTALK"}
MQTT = {
    "name": "broker",
    "least": "info",
    "turn": 1,
    "url": "mqtts://broker.example.com:8883",
    "topic": "ess/bench",
    "user": "ess",
    "password_env": "ESS_TEST_MQTT",
}
MAIL = {
    "name": "boss",
    "least": "stop",
    "turn": 2,
    "host": "mail.example.com",
    "port": 465,
    "tls": "tls",
    "user": "",
    "password_env": "",
    "sender": "ess@example.com",
    "to": ["wang@example.com"],
}


def alarms(**channels: Any) -> dict[str, Any]:
    """The table."""
    fixed = {"language": "both", "quiet_from": "00:00", "quiet_until": "00:00", "hold_off_s": 60, "escalate_min": 30}
    return fixed | channels


def with_alarms(folder: Path, **channels: Any) -> Site:
    return loaded(folder, bench() | {"alarms": alarms(**channels)})
