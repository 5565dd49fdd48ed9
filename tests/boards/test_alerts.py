"""Alert rules, judged as Grafana judges them over a real influxd: who is silent or has stopped is told, nobody else.

A series that is not in the answer any more is no alarm: Grafana calls it MissingSeries, and that is well
(grafana.com/docs, "Stale alert instances").
"""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from ess_controller.boards.alerts import LONG_UID, provisioned
from tests.rig.influx import MISSING, Influxd, influxd

NOW = datetime(2026, 6, 1, 8, 0, 23, tzinfo=UTC)
RULES = {rule["uid"]: rule for rule in provisioned()["groups"][0]["rules"]}
REDUCERS: dict[str, Callable[[list[float]], float]] = {
    "last": lambda values: values[-1],
    "sum": sum,
    "mean": lambda values: sum(values) / len(values),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """Two hours: site b falls silent 20 min before NOW, a string of it stopped 100 s before NOW, a loses reports then;
    c's meter is never heard."""
    if shutil.which("influxd") is None:
        pytest.skip(MISSING)
    texts: dict[str, list[str]] = {"ess": [], "ess_long": []}
    for ago_s in range(7200, 0, -10):
        lost = 50 if ago_s <= 100 else 0
        for site in ("a", "b", "c"):
            if site == "b" and ago_s < 1200:
                continue
            own = lost if site == "a" else 0
            if site != "c":
                texts["ess"].append(f"site,site={site} grid_w=1.0 {_ms(ago_s)}")
            counts = f"late_beats=0i,lines_dropped={own}i,outbox_bytes=1000i"
            texts["ess"].append(f"daemon,site={site} {counts} {_ms(ago_s)}")
            texts["ess"].append(f"module,site={site},string=A1,module=M c_max=30.0 {_ms(ago_s)}")
    stop = 'event,cabinet=A,kind=diagnosis,site=a,string=A1,what=smoke level="stop",text="smoke"'
    texts["ess_long"].append(f"{stop} {_ms(100)}")
    with influxd(tmp_path_factory.mktemp("influxd")) as running:
        for bucket, lines in texts.items():
            running.get("POST", "/query?" + urlencode({"q": f'CREATE DATABASE "{bucket}"'}))
            where = "/write?" + urlencode({"db": bucket, "precision": "ms"})
            status, told = running.get("POST", where, "\n".join(lines).encode())
            assert status == 204, told
        yield running


def _ms(ago_s: float) -> int:
    return round((NOW - timedelta(seconds=ago_s)).timestamp() * 1000.0)


def beyond(server: Influxd, rule: dict[str, Any], now: datetime) -> set[str]:
    """Sites of the series that are beyond the rule's bound at one evaluation."""
    asked, reduced, threshold = rule["data"]
    back = timedelta(seconds=asked["relativeTimeRange"]["from"])
    edges = [f"{round(each.timestamp() * 1000.0)}ms" for each in (now - back, now)]
    text = asked["model"]["query"].replace("$timeFilter", f"time >= {edges[0]} AND time <= {edges[1]}")
    rows = server.query("ess_long" if asked["datasourceUid"] == LONG_UID else "ess", text)
    series: dict[str, list[float]] = {}
    for row in rows:
        (value,) = (each for key, each in row.items() if isinstance(each, int | float) and key != "time")
        series.setdefault(row["site"], []).append(value)
    (condition,) = threshold["model"]["conditions"]
    kind, (bound,) = condition["evaluator"]["type"], condition["evaluator"]["params"]
    found = {site: REDUCERS[reduced["model"]["reducer"]](values) for site, values in series.items()}
    return {site for site, value in found.items() if (value > bound if kind == "gt" else value < bound)}


def holding(server: Influxd, uid: str) -> set[str]:
    """Sites beyond the bound at every evaluation of the last minutes that the rule asks for."""
    rule = RULES[uid]
    minutes = int(rule["for"].removesuffix("m")) if rule["for"].endswith("m") else 0
    each = [beyond(server, rule, NOW - timedelta(minutes=back)) for back in range(minutes + 1)]
    return set.intersection(*each)


def test_a_site_of_several_that_falls_silent_is_told_and_one_without_a_meter_is_not(server: Influxd) -> None:
    assert holding(server, "ess-silent") == {"b"}


def test_a_stop_is_told_whenever_in_a_minute_it_came(server: Influxd) -> None:
    assert holding(server, "ess-stop") == {"a"}


def test_lost_reports_are_told_whenever_in_a_minute_they_went(server: Influxd) -> None:
    assert holding(server, "ess-lost") == {"a"}


@pytest.mark.parametrize("uid", ["ess-hot", "ess-waiting", "ess-late"])
def test_what_is_well_is_not_told(server: Influxd, uid: str) -> None:
    assert holding(server, uid) == set()
