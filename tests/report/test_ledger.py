"""The ledger: what beats add up to, what a restart goes on with, what a broken file costs."""

import logging
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ess_controller.daemon import Beat
from ess_controller.report import battery
from ess_controller.report.ledger import FILE, Ledger
from ess_controller.report.limits import limits
from ess_controller.report.quarter import FLOWS
from ess_controller.report.recorder import LedgerRecorder
from ess_controller.rollups.recorder import RollupRecorder
from ess_controller.rollups.store import FILE as ROLLUPS
from ess_controller.rollups.store import Span, read_span
from tests.loop.story import NOON, Story
from tests.replay.record import break_a_module

END = NOON + timedelta(hours=1)


@pytest.fixture(scope="module")
def story() -> Story:
    """Half a minute of the bench in which a module falls silent for 12 s."""
    return Story(32.0, happens=break_a_module, seed=7)


def recorded(story: Story, path: Path, beats: list[Beat]) -> None:
    recorder = LedgerRecorder(story.site, path, beats[0].tick.utc)
    for beat in beats:
        recorder(beat)
    recorder.close()


def test_energy_is_what_the_beats_carried(story: Story, tmp_path: Path) -> None:
    recorded(story, tmp_path / FILE, story.beats)
    with closing(Ledger(tmp_path / FILE, make=False)) as ledger:
        (told,) = ledger.quarters(NOON, END).values()
        events = ledger.events(NOON, END)
    ac_w = np.nan_to_num(np.array([beat.seen.pcs_w[0] for beat in story.beats]))
    dc_w = np.array([beat.seen.string_v[0] * beat.seen.string_a[0] for beat in story.beats])
    heard = np.isfinite(dc_w) & np.isfinite([beat.seen.pcs_w[0] for beat in story.beats])
    (cabinet,) = told["cabinets"]
    assert cabinet["ac_out_wh"] == pytest.approx((np.maximum(ac_w, 0.0) * heard).sum() * 0.1 / 3600.0, rel=1e-4)
    assert cabinet["dc_out_wh"] > cabinet["ac_out_wh"] > 10.0
    assert cabinet["string_out_wh"] == pytest.approx(np.nansum(np.maximum(dc_w, 0.0)) * 0.1 / 3600.0, rel=1e-4)
    assert told["heard_s"] == pytest.approx(32.0)
    assert cabinet["flowed_s"] == pytest.approx(heard.sum() * 0.1)
    lowest_v = min(float(np.fmin.reduce(beat.seen.cell_v)) for beat in story.beats[100:])
    assert told["extremes"]["cell_v_min"][0] == pytest.approx(lowest_v, abs=0.02)
    names = [(event.what, event.state) for event in events]
    assert names[0] == ("daemon", "began")
    assert names.index(("cells silent", "come")) < names.index(("cells silent", "over"))


def test_a_daemon_that_starts_anew_goes_on_with_the_quarter(story: Story, tmp_path: Path) -> None:
    recorded(story, tmp_path / "whole", story.beats)
    recorded(story, tmp_path / "parts", story.beats[:150])
    recorded(story, tmp_path / "parts", story.beats[150:])
    rows = []
    for name in ("whole", "parts"):
        with closing(Ledger(tmp_path / name, make=False)) as ledger:
            (told,) = ledger.quarters(NOON, END).values()
            rows.append(told)
    whole, parts = rows
    assert parts["heard_s"] == whole["heard_s"]
    for flow in ("ac_out_wh", "dc_out_wh", "out_ah"):
        assert parts["cabinets"][0][flow] == pytest.approx(whole["cabinets"][0][flow], abs=1e-3)


def test_a_clock_put_back_over_a_quarter_s_end_takes_nothing_from_it(story: Story, tmp_path: Path) -> None:
    beats = []
    for number, beat in enumerate(story.beats):
        shift_s = 880.0 if number < 250 else 870.0  # the quarter ends after 20 s; 5 s later the clock is put back
        tick = replace(beat.tick, utc=beat.tick.utc + timedelta(seconds=shift_s))
        beats.append(replace(beat, tick=tick))
    recorded(story, tmp_path / FILE, beats)
    with closing(Ledger(tmp_path / FILE, make=False)) as ledger:
        heard = [round(told["heard_s"], 1) for told in ledger.quarters(NOON, END).values()]
    assert heard == [25.0, 7.0]


def test_a_restart_goes_on_with_its_quarter_whatever_a_clock_gone_astray_has_left(story: Story, tmp_path: Path) -> None:
    def shifted(beats: list[Beat], days: float) -> list[Beat]:
        by = timedelta(days=days)
        return [replace(beat, tick=replace(beat.tick, utc=beat.tick.utc + by)) for beat in beats]

    recorded(story, tmp_path / FILE, story.beats[:100])
    recorded(story, tmp_path / FILE, shifted(story.beats[100:110], 3.0) + shifted(story.beats[110:120], 4.0))
    recorded(story, tmp_path / FILE, story.beats[120:200])
    recorded(story, tmp_path / FILE, shifted(story.beats[200:210], -900.0) + story.beats[210:])  # put right too late
    with closing(Ledger(tmp_path / FILE, make=False)) as ledger:
        heard = [round(told["heard_s"], 1) for told in ledger.quarters(NOON, END).values()]
        ahead = NOON + timedelta(days=4)
        assert heard == [18.0]
        assert [round(told["heard_s"], 1) for told in ledger.quarters(ahead, END + timedelta(days=4)).values()] == [1.0]


def test_a_broken_file_stays_aside_and_a_new_one_begins(
    story: Story, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE
    path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with caplog.at_level(logging.ERROR):
        recorded(story, path, story.beats[:50])
    assert "reports begin anew" in caplog.text
    assert path.with_name(FILE + ".broken").exists()
    with closing(Ledger(path, make=False)) as ledger:
        assert len(ledger.quarters(NOON, END)) == 1


def test_losses_are_measured_and_a_cycle_is_the_capacity_out_and_in() -> None:
    def quarter(stored_wh: float, given: dict[str, float], sd_wh: float = 300.0) -> dict[str, object]:
        row = dict.fromkeys(FLOWS, 0.0) | given
        more = {"name": "A", "flowed_s": 900.0, "soc_min": 0.3, "soc_max": 0.6, "soc": 0.5, "given_wh": 1.0}
        more |= {"stored_wh": stored_wh, "stored_sd_wh": sd_wh, "capacity_doubt": 0.0, "capacity_ah": 200.0}
        return {"cabinets": [row | more], "extremes": {}}

    quarters = {
        0: quarter(59.2e3, {"ac_in_wh": 10e3, "dc_in_wh": 9.6e3, "string_in_wh": 9.6e3, "in_ah": 27.0}),
        1: quarter(53e3, {"ac_out_wh": 5.7e3, "dc_out_wh": 6e3, "string_out_wh": 6e3, "out_ah": 17.0}),
    }
    told = battery.throughput(quarters, quarter(50e3, {}, 400.0), 0)
    assert told is not None
    (found,), whole = told["cabinets"], told["all"]
    assert found["inverter_loss_kwh"] == pytest.approx(0.4 + 0.3)
    assert found["cell_loss_kwh"] == pytest.approx(9.6 - 6.0 - 3.0)
    assert found["efc"] == pytest.approx(22.0 / 200.0)
    assert found["cell_loss_sd_kwh"] == pytest.approx(0.5)
    assert whole["loss_kwh"] == pytest.approx(10.0 - 5.7 - 3.0)  # what went in, less what came out and what stayed
    assert (whole["loss_share"], whole["loss_share_sd"]) == (pytest.approx(0.13), pytest.approx(0.05))
    told = battery.throughput(quarters, None, 0)  # nobody knows what was stored before: of the first quarter no loss
    assert told is not None
    (found,) = told["cabinets"]
    assert (found["stored_more_kwh"], found["cell_loss_kwh"]) == (pytest.approx(-6.2), pytest.approx(0.2))


def day(
    taken_kwh: float, given_kwh: float, gained_kwh: float, sd_kwh: float, capacity_doubt: float = 0.0
) -> dict[str, Any]:
    """All that the ledger tells of a day on which so much flowed and so much more was stored by its end."""
    known: dict[str, Any] = {"soc": 0.5, "soc_min": 0.4, "soc_max": 0.6, "given_wh": 1.0, "stored_sd_wh": 1e3 * sd_kwh}
    known |= {"capacity_doubt": capacity_doubt, "capacity_ah": 200.0, "name": "A", "flowed_s": 900.0}
    flows = dict.fromkeys(FLOWS, 0.0)
    into = {f"{side}_in_wh": 1e3 * taken_kwh for side in ("ac", "dc", "string")}
    out = {f"{side}_out_wh": 1e3 * given_kwh for side in ("ac", "dc", "string")}
    before = {"cabinets": [flows | known | {"stored_wh": 50e3}]}
    told = battery.throughput(
        {0: {"cabinets": [flows | into | out | known | {"stored_wh": 50e3 + 1e3 * gained_kwh}]}}, before, 0
    )
    assert told is not None
    return dict(told["all"])


@pytest.mark.parametrize(
    ("flowed", "share"),
    [
        ((0.2, 0.0, 1.4, 0.7), None),  # the gauge has thought better of it: a loss of -1.2 kWh, of 0.2 taken
        ((100.0, 90.0, 2.0, 1.0), 0.08),
        ((100.0, 97.0, 4.0, 1.0), 0.0),  # less than nothing, but within the doubt
        ((100.0, 97.0, 9.0, 1.0), None),  # and not within it
        ((100.0, 90.0, 2.0, 12.0), None),  # nobody knows what is stored
        ((2.0, 77.0, -76.0, 0.5), None),  # what was stored before was given: no share of what was taken
    ],
)
def test_a_share_of_losses_is_told_where_what_flowed_is_surer_than_what_is_stored(
    flowed: tuple[float, float, float, float], share: float | None
) -> None:
    whole = day(*flowed)
    assert whole["loss_share"] == (None if share is None else pytest.approx(share))
    assert whole["cell_loss_kwh"] is None or whole["cell_loss_kwh"] >= 0.0
    assert whole["loss_kwh"] is None or whole["loss_kwh"] >= 0.0


def test_a_capacity_that_is_not_known_well_leaves_what_was_drawn_from_the_store_in_doubt() -> None:
    assert day(2.0, 77.0, -72.5, 0.5)["cell_loss_kwh"] is None  # 2.5 kWh less than nothing
    assert day(2.0, 77.0, -72.5, 0.5, 0.03)["cell_loss_kwh"] == 0.0


def test_limits_are_told_by_hours_and_what_was_missed_comes_first() -> None:
    rows = [("charge", "cell SOC", "A"), ("discharge", "PCS", "B"), ("charge", "cell SOC", "B"), ("charge", "PCS", "A")]
    columns = {  # [quarter, row]
        "coverage": np.array([[1.0, 1.0, 0.5, 1.0], [1.0, 1.0, 1.0, np.nan]]),
        "bound_share": np.array([[1.0, 0.5, 1.0, 0.0], [1.0, 0.0, 1.0, np.nan]]),
        "lost_wh": np.array([[2000.0, 100.0, 0.0, 0.0], [3000.0, 0.0, 0.0, np.nan]]),
        "missed_wh": np.array([[0.0, 50.0, 0.0, 0.0], [0.0, 0.0, 0.0, np.nan]]),
    }
    tags = tuple({"way": way, "rule": rule, "cabinet": cabinet} for way, rule, cabinet in rows)
    span = Span(np.array([0.0, 900.0]), np.array([900.0, 900.0]), np.ones(2), tags, columns)
    assert limits(span) == [
        {
            "way": "discharge",
            "rule": "PCS",
            "cabinet_hours": 0.125,
            "most": "B",
            "most_hours": 0.125,
            "taken_kwh": 0.1,
            "missed_kwh": 0.05,
        },
        {
            "way": "charge",
            "rule": "cell SOC",
            "cabinet_hours": 0.875,
            "most": "A",
            "most_hours": 0.5,
            "taken_kwh": 5.0,
            "missed_kwh": 0.0,
        },
    ]
    assert limits(Span(np.zeros(0), np.zeros(0), np.zeros(0), (), {})) == []


def test_contactors_that_lie_open_are_told_by_their_time(story: Story, tmp_path: Path) -> None:
    recorder = RollupRecorder(story.site, tmp_path / ROLLUPS)
    for beat in story.beats:
        recorder(beat)
    recorder.close()
    span = read_span(tmp_path / ROLLUPS, "15m", "limit", NOON, END)
    found = {(each["way"], each["rule"]): each for each in limits(span)}
    contactors = found["discharge", "contactors"]
    assert contactors["cabinet_hours"] * 3600.0 >= 10.0
    assert contactors["taken_kwh"] > 5.0 * contactors["cabinet_hours"]
    assert all(0.0 <= each["missed_kwh"] <= each["taken_kwh"] + 1e-3 for each in found.values())


def test_the_ledger_is_read_by_when_quarters_begin(story: Story, tmp_path: Path) -> None:
    recorded(story, tmp_path / FILE, story.beats[:20])
    with closing(Ledger(tmp_path / FILE, make=False)) as ledger:
        begin = datetime.fromtimestamp(NOON.timestamp() // 900 * 900, UTC)
        assert ledger.quarters(begin, begin + timedelta(seconds=1))
        assert not ledger.quarters(begin + timedelta(seconds=1), END)
