"""Boards: what stands in `sites` is what the code makes, panels do not overlap, and every query finds rows in a real
influxd that was filled by the daemon's own points."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ess_controller.boards.alerts import ALERTS
from ess_controller.boards.board import events
from ess_controller.boards.query import Query, UnknownPointError
from ess_controller.boards.write import files
from tests.boards.filled import BEGAN, SETTINGS, filled
from tests.rig.influx import MISSING, Influxd, influxd

SITES = Path(__file__).parents[2] / "sites"
BOARDS = {name.name: json.loads(text) for name, text in files().items() if name.parts[0] == "boards"}


def panels(kind: str = "") -> list[Any]:
    """Each panel with its board; `kind`: of this type only."""
    return [
        pytest.param(board, panel, id=f"{name}-{panel['title'] or panel['id']}")
        for name, board in BOARDS.items()
        for panel in board["panels"]
        if kind in ("", panel["type"])
    ]


def test_what_stands_in_sites_is_what_the_code_makes() -> None:
    for name, text in files().items():
        assert (SITES / name).read_text(encoding="utf-8") == text, f"{name}: run python -m ess_controller.boards"
    assert {path.name for path in (SITES / "boards").glob("*.json")} == set(BOARDS)


def test_a_board_that_asks_for_what_is_never_written_is_not_made() -> None:
    with pytest.raises(UnknownPointError, match="no such measurement"):
        Query("sight", ["grid_w"])
    with pytest.raises(UnknownPointError, match="no such field or tag: grid_kw, strings"):
        Query("site", ["grid_kw"], each=["strings"])


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_numbers_of_their_own_and_lie_side_by_side(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & mine, panel["title"]
        taken |= mine
    letters = [[target["refId"] for target in panel["targets"]] for panel in panels]
    assert all(len(set(each)) == len(each) for each in letters)


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_asks_only_by_the_variables_it_has(name: str) -> None:
    board = BOARDS[name]
    known = {each["name"] for each in board["templating"]["list"]}
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", json.dumps(board)))
    assert used <= known
    assert {"source", "source_long"} <= known


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    if shutil.which("influxd") is None:
        pytest.skip(MISSING)
    with influxd(tmp_path_factory.mktemp("influxd")) as running:
        filled(running)
        yield running


def asked(server: Influxd, text: str, source: str) -> list[dict[str, Any]]:
    """As Grafana asks, with everything chosen and the filled time in view."""
    begin, end = (f"'{each:%Y-%m-%dT%H:%M:%SZ}'" for each in (BEGAN - timedelta(days=3), BEGAN + timedelta(days=2)))
    text = re.sub(r"\$\{\w+:regex\}", ".*", text)
    text = text.replace("$timeFilter", f"time >= {begin} AND time <= {end}").replace("$__interval", "10m")
    return server.query(SETTINGS.bucket_long if "long" in source else SETTINGS.bucket, text)


@pytest.mark.parametrize(("board", "panel"), panels())
def test_every_query_finds_rows(server: Influxd, board: dict[str, Any], panel: dict[str, Any]) -> None:
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {panel["datasource"]["uid"]}
    for target in panel["targets"]:
        rows = asked(server, target["query"], target["datasource"]["uid"])
        told = [row for row in rows if any(value is not None for key, value in row.items() if key != "time")]
        assert told, f"{board['title']}: {panel['title']}: {target['query']}"


@pytest.mark.parametrize(("board", "panel"), panels("timeseries"))
def test_a_day_s_number_stands_where_its_day_begins(
    server: Influxd, board: dict[str, Any], panel: dict[str, Any]
) -> None:
    """Buckets of a day begin at midnight UTC: in Shanghai the bar would stand under the day before."""
    for target in panel["targets"]:
        measurement = target["query"].partition(' FROM "')[2].partition('"')[0]
        if measurement in {"value", "health"} or measurement.endswith("_1d"):
            source = target["datasource"]["uid"]
            points = asked(server, f'SELECT * FROM "{measurement}" WHERE $timeFilter', source)
            rows = asked(server, target["query"], source)
            assert {row["time"] for row in rows} <= {row["time"] for row in points}, (
                f"{board['title']}: {target['query']}"
            )


def test_what_is_of_all_sites_is_one_number(server: Influxd) -> None:
    tiles = [panel for panel in BOARDS["fleet.json"]["panels"] if panel["type"] == "stat"]
    assert len(tiles) == 4
    for panel in tiles:
        (target,) = panel["targets"]
        (row,) = asked(server, target["query"], target["datasource"]["uid"])
        (value,) = (each for key, each in row.items() if key != "time")
        parts = asked(server, target["query"].partition(" FROM (")[2].rpartition(")")[0], target["datasource"]["uid"])
        assert all("site" in part for part in parts)
        assert value == pytest.approx(sum(part[key] for part in parts for key in part.keys() - {"time", "site"}))


def test_a_rule_takes_as_much_between_its_records_as_at_them(server: Influxd) -> None:
    """A record comes each 30 s: seen closer, what lies between two is not 0."""
    (panel,) = (
        each for each in BOARDS["why-limited.json"]["panels"] if each["title"].startswith("Lost of discharging")
    )
    (target,) = panel["targets"]
    text = target["query"].replace("$__interval", "10s")
    told = [row["lost_w"] for row in asked(server, text, "") if row["rule"] == "PCS" and row["cabinet"] == "A"]
    points = 'SELECT "lost_w" FROM "limit" WHERE "way" = \'discharge\' AND "rule" = \'PCS\' AND "cabinet" = \'A\''
    assert told.count(0.0) == [row["lost_w"] for row in asked(server, points, "")].count(0.0)


def test_marks_and_variables_find_rows(server: Influxd) -> None:
    for board in BOARDS.values():
        for mark in board["annotations"]["list"]:
            assert asked(server, mark["query"], mark["datasource"]["uid"])
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                assert asked(server, variable["query"], variable["datasource"]["uid"]), variable["query"]
    assert "cabinet" not in events(("site",))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each.uid)
def test_every_alert_can_be_asked(server: Influxd, alert: Any) -> None:
    rows = asked(server, alert.query, alert.source_uid)
    assert rows or "difference" in alert.query, alert.query  # nothing has been lost, so nothing differs


def test_time_is_as_filled() -> None:
    assert datetime(2026, 1, 1, tzinfo=UTC) < BEGAN
