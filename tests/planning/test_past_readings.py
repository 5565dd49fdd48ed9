"""Past readings of a site's meters: what they say of each billing block, what is refused, and plans made by them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ess_controller.errors import BadInputError
from ess_controller.kept import home as homes
from ess_controller.planning.meter.book import Block
from ess_controller.planning.meter.past import adding, put, removing
from ess_controller.planning.meter.readings import Readings, read_readings
from ess_controller.planning.meter.store import FILE, KEEP_DAYS, MeterStore, all_blocks
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import SitePlanner
from ess_controller.site import Site
from tests.planning.test_site_planner import DEALER, NOW, NUMBER, block, book, dealer

Ess = Callable[..., tuple[int, str, str]]
BLOCK_S = 900.0
BEGIN = datetime.fromtimestamp((NUMBER - 2 * 96) * BLOCK_S, UTC)
FIRST = NUMBER - 2 * 96
HEADER = "time,grid_w,pv_w"


def without_sun() -> Site:
    site = dealer()
    return replace(site, plant=replace(site.plant, pvs=()))


def rows(values: Iterable[str], begin: datetime = BEGIN, step_s: float = BLOCK_S) -> list[str]:
    return [f"{(begin + timedelta(seconds=at * step_s)).isoformat()},{value}" for at, value in enumerate(values)]


def written(folder: Path, lines: Iterable[str], header: str = HEADER) -> Path:
    path = folder / "past.csv"
    path.write_text("\n".join([header, *lines]))
    return path


def read(folder: Path, lines: Iterable[str], header: str = HEADER, site: Site | None = None) -> Readings:
    return read_readings(written(folder, lines, header), site or dealer(), NOW)


def of_blocks(numbers: Iterable[int], seed: int = 0) -> list[str]:
    """The dealership's meters, written to the last digit."""
    lines = []
    for number in numbers:
        own = block(number, seed)
        at = datetime.fromtimestamp(number * BLOCK_S, UTC)
        lines.append(f"{at.isoformat()},{float(own.load_w - own.pv_w)!r},{float(own.pv_w)!r}")
    return lines


def test_load_is_grid_and_sun_and_what_flows_out_makes_no_room(tmp_path: Path) -> None:
    """Three steps of five minutes a block: 30 kW in, 10 kW out, 20 kW in, under 5, 40 and 10 kW of sun."""
    lines = rows(["30e3,5e3", "-10e3,40e3", "20e3,10e3"] * 2, step_s=300.0)
    one, two = read(tmp_path, lines).blocks
    assert (one.number, two.number) == (FIRST, FIRST + 1)
    assert one.load_w == pytest.approx((35e3 + 30e3 + 30e3) / 3.0)
    assert one.pv_w == pytest.approx(55e3 / 3.0)
    assert one.import_w == pytest.approx(50e3 / 3.0)
    assert one.export_w == pytest.approx(10e3 / 3.0)
    assert (one.load_heard, one.pv_heard, one.grid_heard) == pytest.approx((1.0, 1.0, 1.0))
    assert one.peak_w == one.import_w
    assert two.row[1:-2] == one.row[1:-2]


def test_the_load_itself_may_be_told_with_its_sun_or_without(tmp_path: Path) -> None:
    both = read(tmp_path, rows(["50e3,20e3", "10e3,40e3"]), "time,load_w,pv_w").blocks
    assert [(each.import_w, each.export_w) for each in both] == [(30e3, 0.0), (0.0, 30e3)]
    alone = read(tmp_path, rows(["50e3", "10e3"]), "time,load_w")
    assert [each.known_load_w for each in alone.blocks] == [50e3, 10e3]
    assert all(np.isnan(each.known_pv_w) for each in alone.blocks)
    assert [each.peak_w for each in alone.blocks] == [0.0, 0.0]  # the sun may have covered all of it
    assert alone.notes == ("pv_w is not known",)


def test_where_there_is_no_sun_the_grid_is_the_load(tmp_path: Path) -> None:
    for header, more in (("time,grid_w", ""), ("time,load_w", ""), (HEADER, ",0")):
        found = read(tmp_path, rows([f"50e3{more}", f"10e3{more}"]), header, without_sun())
        assert [(each.known_load_w, each.known_pv_w, each.peak_w) for each in found.blocks] == [
            (50e3, 0.0, 50e3),
            (10e3, 0.0, 10e3),
        ]
        assert found.notes == ()


def test_what_is_missing_is_not_known_and_told(tmp_path: Path) -> None:
    """Of twelve steps of five minutes two rows are gone, and two cells empty: half a block is too little."""
    lines = rows(["30e3,5e3", ",5e3", "30e3,", *["30e3,5e3"] * 9], step_s=300.0)
    found = read(tmp_path, lines[:4] + lines[6:])
    assert [each.number for each in found.blocks] == [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]
    assert [each.load_heard for each in found.blocks] == pytest.approx([1 / 3, 1 / 3, 1.0, 1.0])
    assert [np.isnan(each.known_load_w) for each in found.blocks] == [True, True, False, False]
    assert found.blocks[0].pv_heard == pytest.approx(2 / 3)
    assert found.notes == (
        "2 of 12 readings are not there: not known",
        "load_w: 2 readings are not known",
        "pv_w: 1 readings are not known",
    )


GOOD = ["30e3,5e3"] * 8


@pytest.mark.parametrize(
    ("header", "lines", "expected"),
    [
        ("time,pv_w", rows(["1"] * 8), r"past.csv:1: .*either grid_w or load_w"),
        ("time,grid_w,load_w", rows(GOOD), r"past.csv:1: .*either grid_w or load_w"),
        ("time,grid_w", rows(["1"] * 8), r"past.csv:1: .*pv_w beside grid_w, as the site has sun behind its meter"),
        ("time,pv_w,pv_w,load_w", rows(["1,2,3"] * 8), r"past.csv:1: .*one column pv_w"),
        (HEADER, rows(GOOD[:1]), r"past.csv: .*at least 2 readings, not 1"),
        (HEADER, rows(["30e3,5e3", "3O,5e3"]), r"past.csv:3: grid_w = .*expected a number"),
        (HEADER, rows(["30e3,5e3", "30e3,-7"]), r"past.csv:3: pv_w = -7.*watts from 0"),
        (HEADER, rows(["30e3,5e3", "nan,7"]), r"past.csv:3: grid_w = nan.*watts from"),
        (HEADER, rows(["-30e3,5e3"] * 8), r"past.csv:2: grid_w = -30000.*importing positive"),
        (HEADER, rows(["0.3,0.1", "0.4,0.1"]), r"past.csv:3: .*W \(kW suspected\)"),
        (HEADER, rows(GOOD, step_s=3600.0), r"past.csv:3: time = .*billing blocks of 15 min, not of 60 min"),
        (HEADER, rows(GOOD, step_s=420.0), r"past.csv:3: time = .*not of 7 min"),
        (HEADER, rows(GOOD, BEGIN + timedelta(minutes=1)), r"past.csv:2: time = .*begin with billing blocks of 15 min"),
        (HEADER, [*rows(GOOD)[:4], *rows(GOOD)[2:]], r"past.csv:6: time = .*a time after"),
        (HEADER, [each.replace("+00:00", "") for each in rows(GOOD)], r"past.csv:2: time = .*an offset from UTC"),
        (HEADER, rows(GOOD, BEGIN + timedelta(days=2, hours=-1)), r"past.csv:9: time = .*what is past by"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(tmp_path: Path, header: str, lines: list[str], expected: str) -> None:
    with pytest.raises(BadInputError, match=expected):
        read(tmp_path, lines, header)


def test_sun_of_a_site_that_has_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"past.csv:3: pv_w = 5000.*no solar inverter"):
        read(tmp_path, rows(["30e3,0", "30e3,5e3"]), site=without_sun())


def test_a_few_loads_below_zero_are_two_meters_that_are_seconds_apart(tmp_path: Path) -> None:
    found = read(tmp_path, rows(["-5100,5e3", *["30e3,5e3"] * 40]))
    assert found.blocks[0].load_w == -100.0
    assert found.blocks[0].known_load_w == 0.0


def test_what_the_cabinet_measured_stands_and_what_was_added_can_be_taken_out(tmp_path: Path) -> None:
    store = MeterStore(tmp_path / FILE, BLOCK_S, make=True)
    store.put(block(number) for number in range(NUMBER - 10, NUMBER))
    store.close()
    own = str(all_blocks(tmp_path, BLOCK_S))  # NaN is like NaN
    readings = read(tmp_path, of_blocks(range(FIRST, NUMBER), seed=1))  # other than what was measured
    change = adding(readings, all_blocks(tmp_path, BLOCK_S), dealer(), NOW)
    assert (len(change.added), change.stands, change.too_old) == (2 * 96 - 10, 10, 0)
    put(change, tmp_path, BLOCK_S)
    assert str(all_blocks(tmp_path, BLOCK_S)[-10:]) == own
    assert len(all_blocks(tmp_path, BLOCK_S)) == 2 * 96
    back = removing(readings, all_blocks(tmp_path, BLOCK_S))
    assert (len(back.removed), back.stands) == (2 * 96 - 10, 10)
    put(back, tmp_path, BLOCK_S)
    assert str(all_blocks(tmp_path, BLOCK_S)) == own


def test_what_is_older_than_a_book_reaches_is_left_out(tmp_path: Path) -> None:
    old = BEGIN + timedelta(days=2 - KEEP_DAYS, hours=-1)
    change = adding(read(tmp_path, rows(GOOD, old)), [], dealer(), NOW)
    assert (len(change.added), change.too_old) == (3, 5)


def test_a_new_site_plans_by_them_as_by_days_of_its_own(tmp_path: Path) -> None:
    """Two weeks of readings and not a beat of the daemon."""
    put(adding(read(tmp_path, of_blocks(range(NUMBER - 14 * 96, NUMBER))), [], dealer(), NOW), tmp_path, BLOCK_S)

    def readings(first: int, end: int) -> list[Block]:
        return [each for each in all_blocks(tmp_path, BLOCK_S) if first <= each.number < end]

    by_readings, by_days = (
        SitePlanner(dealer()).plan(NOW, past, groups_of(dealer()), 0.0) for past in (readings, book(14))
    )
    assert by_readings.history_days == by_days.history_days == 14.0
    np.testing.assert_allclose(by_readings.value.after_cny, by_days.value.after_cny, rtol=1e-6)


def recent(folder: Path, days: int) -> Path:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return written(folder, rows(["30e3,5e3", "40e3,0"] * (48 * days), today - timedelta(days=days)))


def test_by_command_they_are_tried_added_shown_and_taken_out(ess: Ess, tmp_path: Path) -> None:
    home, file = tmp_path / "home", recent(tmp_path, 3)

    def told(*words: object) -> dict[str, object]:
        status, out, _ = ess("meter", DEALER, "--home", home, *words, "--json")
        assert status == 0
        return dict(json.loads(out))

    tried = told("--add", file, "--dry-run")
    assert tried["change"] == {"added": 288, "removed": 0, "stands": 0, "too_old": 0, "dry_run": True}
    assert not home.exists()
    added = told("--add", file)
    assert added["change"] == {"added": 288, "removed": 0, "stands": 0, "too_old": 0, "dry_run": False}
    shown = told()
    assert (shown["load_days"], shown["sun_days"], "change" in shown) == (3.0, 3.0, False)
    assert shown["months"] == added["months"] == tried["months"]
    assert told("--add", file)["change"] == {"added": 0, "removed": 0, "stands": 288, "too_old": 0, "dry_run": False}
    assert told("--remove", file)["load_days"] == 0.0
    assert told()["months"] == []


def test_as_a_table_months_stand_with_load_sun_and_peak(ess: Ess, tmp_path: Path) -> None:
    status, out, said = ess("meter", DEALER, "--home", tmp_path / "home", "--add", recent(tmp_path, 1))
    assert (status, said) == (0, "")
    first, second, *_, last = out.splitlines()
    assert first == f"{tmp_path / 'home' / FILE}: 96 billing blocks added"
    assert second.endswith("load known of 1 days, sun of 1")
    assert last.split()[-1] == "40.0"  # the highest import
    assert "nothing was measured yet" in ess("meter", DEALER, "--home", tmp_path / "other")[1]


def test_options_that_contradict_are_refused_and_a_running_daemon_is_not_meddled_with(ess: Ess, tmp_path: Path) -> None:
    file = recent(tmp_path, 1)
    assert ess("meter", DEALER, "--home", tmp_path, "--add", file, "--remove", file)[0] == 2
    assert ess("meter", DEALER, "--home", tmp_path, "--dry-run")[0] == 2
    with homes.lock(tmp_path, "daemon"):
        status, _, said = ess("meter", DEALER, "--home", tmp_path, "--add", file)
    assert (status, "another daemon" in said) == (2, True)
    assert not (tmp_path / FILE).exists()
    bad = written(tmp_path, ["2026-06-01T00:00:00+08:00,1,2"])
    assert ess("meter", DEALER, "--home", tmp_path / "home", "--add", bad)[0] == 2
    assert not (tmp_path / "home").exists()
