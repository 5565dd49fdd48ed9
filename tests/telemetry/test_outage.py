"""A week without InfluxDB, sampled: nothing is lost, nothing comes twice, and live data does not wait behind it."""

from pathlib import Path

import pytest

from tests.loop.story import site
from tests.rig.influx import Influxd
from tests.telemetry.beats import run
from tests.telemetry.outage import outage

pytestmark = pytest.mark.rig
WEEK_S = 7 * 86400.0
SAMPLES = 252  # one in forty minutes
LIVE_WITHIN_S = 5.0


@pytest.mark.timeout(300)
def test_a_week_without_influxdb_loses_nothing_doubles_nothing_and_live_data_goes_first(
    tmp_path: Path, engine: Influxd
) -> None:
    found = outage(site(), list(run()[-100:]), SAMPLES, WEEK_S / SAMPLES, engine, tmp_path)
    assert found.backlog_lines > SAMPLES * 94
    assert {name: found.there[name] for name in found.told} == found.told
    assert (found.dropped, found.dead) == (0, 0)
    assert found.lag_s
    assert max(found.lag_s) < max(LIVE_WITHIN_S, found.drain_s / 2.0)  # on a busy machine all takes longer alike
