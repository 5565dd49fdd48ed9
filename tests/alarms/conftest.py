"""Fixtures of alarms: robots to write to, and the secrets that they want."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alarms.robots import SECRET, Robots
from tests.alarms.watched import Life

KINDS = ("dingtalk", "feishu", "wecom", "webhook")


@pytest.fixture
def robots(monkeypatch: pytest.MonkeyPatch) -> Iterator[Robots]:
    """A server of robots; its URLs and the secret stand in the environment."""
    made = Robots()
    for kind in KINDS:
        monkeypatch.setenv(f"ESS_TEST_{kind.upper()}", made.url(kind))
    monkeypatch.setenv("ESS_TEST_SECRET", SECRET)
    yield made
    made.close()


@pytest.fixture
def life(tmp_path: Path, robots: Robots) -> Life:
    return Life(tmp_path)
