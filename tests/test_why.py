"""`ess why`: the waterfall in words, since when, and the same moment lived through again from a journal."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.told.arbitrated import Since, arbitrated
from ess_controller.told.picture import picture
from ess_controller.why.words import doing, lines, waterfall, worth
from tests.core.pictures import tuning
from tests.loop.story import Story


@cache
def told() -> dict[str, Any]:
    """A second of the bench, with since when its rules act."""
    story = Story(1.0)
    since = Since(1)
    for beat in story.beats:
        since(beat)
    beat = story.beats[-1]
    return picture("bench", tuning(), beat, {}, beat.tick.wire_s, since=since)


def test_the_record_is_plain_and_adds_up() -> None:
    for way in ("charge", "discharge"):
        record = told()["cabinets"][0]["why"][way]
        json.dumps(record, allow_nan=False)
        lost_w = sum(each["lost_w"] for each in record["losses"])
        assert lost_w + record["allowed_w"] == pytest.approx(record["nameplate_w"], abs=1.0)
        assert record["losses"][-1]["rule"] == record["by"]
        assert record["losses"][-1]["left_w"] == pytest.approx(record["allowed_w"], abs=1.0)
        assert datetime.fromisoformat(record["since_utc"]) <= datetime.fromisoformat(told()["utc"])


def test_since_begins_anew_when_another_rule_acts() -> None:
    story = Story(1.0)
    since, first = Since(1), story.beats[0]
    since(first)
    began = since.of("charge", 0)
    assert began == first.tick.utc
    for beat in story.beats:
        since(beat)
        rule = beat.decision.cabinet_bound.charge_by[0]
    changed = [
        after.tick.utc
        for before, after in zip(story.beats, story.beats[1:], strict=False)
        if not np.array_equal(before.decision.cabinet_bound.charge_by, after.decision.cabinet_bound.charge_by)
    ]
    assert since.of("charge", 0) == (changed[-1] if changed else began), rule


def test_the_words_name_each_step_with_its_place_and_what_lifts_it() -> None:
    record = {
        "nameplate_w": 50_000.0,
        "allowed_w": 30_000.0,
        "by": "cell temperature",
        "losses": [
            {"rule": "module SOH", "lost_w": 5_000.0, "left_w": 45_000.0, "at": "A1/M03", "rests_on": "SOH 0.66",
             "lifted_by": "a younger module"},
            {"rule": "cell temperature", "lost_w": 15_000.0, "left_w": 30_000.0, "at": "A1/M01",
             "rests_on": "hottest sensor 49.0 C", "lifted_by": "cools below 45 C"},
        ],
        "next_w": 45_000.0,
        "next_by": "module SOH",
        "since_utc": "2026-06-01T04:00:00+00:00",
    }  # fmt: skip
    assert list(waterfall("A", "discharge", record, ZoneInfo("Asia/Shanghai"))) == [
        "A may give 30.0 kW of 50.0 kW, by cell temperature since 2026-06-01 12:00:00",
        "      -5.0 kW  module SOH: A1/M03: SOH 0.66; until a younger module",
        "     -15.0 kW  cell temperature: A1/M01: hottest sensor 49.0 C; until cools below 45 C",
        "  without it 45.0 kW, by module SOH",
    ]
    free = record | {"allowed_w": 50_000.0, "losses": [], "next_w": 50_000.0, "since_utc": None}
    assert list(waterfall("A", "charge", free, UTC)) == ["A may take all of its 50.0 kW"]


def test_what_is_short_of_what_is_wanted_is_said() -> None:
    cabinets = [{"why": {way: {"allowed_w": 12_000.0} for way in ("charge", "discharge")}}]
    base = {"wanted_by": "self-consumption", "cabinets": cabinets}
    assert "8.0 kW short, for no more than 12.0 kW may be discharged" in doing(
        base | {"wanted_w": 20_000.0, "set_w": 12_000.0}
    )
    assert "apart, on the way" in doing(base | {"wanted_w": 10_000.0, "set_w": 4_000.0})
    assert doing(base | {"wanted_w": -4_000.0, "set_w": -3_900.0}).endswith("are told -3.9 kW")


def test_a_plan_is_told_by_its_worths_or_why_it_does_not_act() -> None:
    assert list(worth({"worth": None})) == []
    (line,) = worth({"worth": None, "plan": {"trouble": "too old"}})
    assert line == "no plan acts: too old; the rule of the hour stands in"
    found = {"buy_cny_per_kwh": 1.1, "stored_cny_per_kwh": 0.9, "gives_above_cny_per_kwh": 0.95,
             "takes_below_cny_per_kwh": 0.85, "month_peak_w": 99_000.0, "peak_cny_per_kw": 12.0,
             "stored_wh": 30_000.0}  # fmt: skip
    energy, peak = worth({"worth": found})
    assert "costs 1.100 CNY now; one in the store will save 0.900" in energy
    assert peak.startswith("the month's peak so far is 99.0 kW; each kW above it would cost 12.0 CNY")


def test_the_whole_reads_as_lines() -> None:
    text = list(lines(told()))
    assert text[0].startswith("bench, ")
    assert any("may give" in line for line in text)


def test_without_a_memory_of_since_the_record_is_whole() -> None:
    story = Story(1.0)
    (record,) = arbitrated(tuning(), story.beats[-1])
    assert record["charge"]["since_utc"] is None
