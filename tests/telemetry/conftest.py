"""Fixtures of the reports: the front alone, and a real influxd behind it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ess_controller.site.influx import InfluxSettings
from tests.rig.influx import MISSING, Front, Influxd, influxd


@pytest.fixture
def front() -> Iterator[Front]:
    """A server that takes what it is given, and is up."""
    made = Front().up()
    yield made
    made.down()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """The real thing."""
    if shutil.which("influxd") is None:
        pytest.skip(MISSING)
    with influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture
def real(engine: Influxd) -> Iterator[Front]:
    """The front before the real thing."""
    made = Front(behind=engine).up()
    yield made
    made.down()


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    """A database of the test's own."""
    return f"test-{tmp_path.name}-{tmp_path.stat().st_ino}"


@pytest.fixture
def settings(bucket: str) -> InfluxSettings:
    """Of a site; the URL is put in by whoever knows it."""
    return InfluxSettings("http://127.0.0.1:9", "org", bucket, bucket, bucket, "ESS_TEST_TOKEN", 50.0)
