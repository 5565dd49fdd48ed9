"""What the live picture shows becomes alarms that name place, cell and part; a site that is well has none."""

from dataclasses import replace
from typing import Any

import pytest

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.present import Counters, counters, present, silent
from ess_controller.alarms.words import Level
from ess_controller.core.health import DIAGNOSES
from tests.alarms.pictures import FACTS, PLENTY, STILL, ill, well

MINUTE = Counters(60.0, 0, 0, 0, 0)
OUTBOX = {"batches": 0, "lines": 0, "bytes": 0, "dropped": 0, "dead": 0, "sent": 9, "trouble": "", "beats_dropped": 0}


def alarms(picture: dict[str, Any], now: Counters = MINUTE, free: float = PLENTY) -> list[Alarm]:
    return list(present(picture, FACTS, now, STILL, free))


def named(found: list[Alarm]) -> list[str]:
    return [alarm.id for alarm in found]


def test_a_site_that_is_well_has_no_alarms() -> None:
    assert alarms(well()) == []


@pytest.mark.parametrize("row", DIAGNOSES, ids=lambda row: row.name)
def test_every_diagnosis_becomes_one_alarm(row: Any) -> None:
    found = alarms(ill(row.name))
    assert [(alarm.kind, alarm.what, alarm.level.name) for alarm in found] == [("diagnosis", row.name, row.level.name)]
    assert found[0].place in ("A1", "A")


def test_a_cell_s_alarm_names_cell_and_module_code() -> None:
    picture = ill("cell over-voltage")
    picture["strings"][0] |= {"cell_v_max": 4.2131, "cell_v_max_at": "A1/M03/C07"}
    assert alarms(picture)[0].text("en") == "A1: cell over-voltage: A1/M03/C07 [BMW-3]: 4.2131 V"


def test_swapped_cells_name_the_modules_of_both() -> None:
    found = alarms(ill("sense wires swapped", cells=("A1/M02/C09 <-> A1/M03/C01",)))
    assert found[0].parts == ("BMW-2", "BMW-3")


def test_a_silent_cell_is_named_by_the_limit_that_it_makes() -> None:
    picture = ill("cells silent")
    loss = {"rule": "communication", "lost_w": 5e4, "left_w": 0.0, "at": "A1/M05/C01", "rests_on": "", "lifted_by": ""}
    picture["cabinets"][0]["why"]["charge"]["losses"] = [loss]
    assert (alarms(picture)[0].at, alarms(picture)[0].parts) == (("A1/M05/C01",), ("BMW-5",))


def test_what_a_cabinet_s_contact_says_is_told_once_for_all_its_strings() -> None:
    picture = ill("E-stop pressed", "interlock open")
    picture["strings"].append(picture["strings"][0] | {"name": "A2"})  # a string that the site's file has not got yet
    found = present(picture, FACTS, MINUTE, STILL, PLENTY)
    assert [alarm.id for alarm in found] == ["diagnosis/A/E-stop-pressed", "diagnosis/A/interlock-open"]


def test_guard_inverter_wire_and_meter() -> None:
    picture = well(grid_w=None)
    picture["cabinets"][0] |= {"guard": "unheard, no fallback", "pcs_state": "fault", "pcs_local": True}
    picture["wires"]["pcs"] |= {"up": False, "trouble": "connection refused"}
    assert named(alarms(picture)) == [
        "guard/A/unheard",
        "guard/A/no-fallback",
        "inverter/A/inverter-fault",
        "inverter/A/inverter-local",
        "wire/pcs/wire-down",
        "meter//meter-silent",
    ]
    picture = well()
    picture["cabinets"][0]["pcs_w"] = None
    assert named(alarms(picture)) == ["inverter/A/inverter-silent"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"age_s": 5.5}, "daemon//daemon-hangs"),
        ({"age_s": None}, "daemon//daemon-hangs"),
        ({"plan": {"trouble": "the plan is 95 min old"}}, "plan//no-plan"),
        ({"outbox": OUTBOX | {"trouble": "no answer"}}, "reports//reports-held-up"),
        ({"outbox": OUTBOX | {"bytes": 52_000_000}}, "reports//outbox-nearly-full"),
        ({"health": {"soft_shorts": ["BMW-3 cell 4"]}}, "health/BMW-3-cell-4/soft-short"),
    ],
)
def test_the_daemon_s_own_troubles(more: dict[str, Any], expected: str) -> None:
    assert named(alarms(well(**more))) == [expected]


def test_nearly_is_not_yet() -> None:
    assert alarms(well(age_s=4.9, outbox=OUTBOX | {"bytes": 51_000_000}), free=5.1e8) == []
    assert named(alarms(well(), free=4.9e8)) == ["disk//disk-nearly-full"]


def test_late_beats_count_as_a_share_of_all() -> None:
    assert alarms(well(), replace(MINUTE, late_beats=5)) == []  # of 600: less than 1 %
    assert named(alarms(well(), replace(MINUTE, late_beats=7))) == ["daemon//late-beats"]


def test_what_is_dropped_is_told_while_it_grows() -> None:
    picture = well(outbox=OUTBOX | {"dropped": 9, "beats_dropped": 2, "dead": 3}, journal={"stored": 5, "dropped": 4})
    now = counters(picture, 60.0)
    assert (now.dropped, now.dead, now.journal_dropped) == (11, 3, 4)
    found = present(picture, FACTS, now, STILL, PLENTY)
    assert [alarm.what for alarm in found] == ["reports dropped", "reports refused", "journal dropped"]
    assert present(picture, FACTS, now, now, PLENTY) == ()
    assert present(picture, FACTS, replace(STILL, at_s=60.0), now, PLENTY) == ()  # a new daemon counts from 0


def test_a_silent_daemon_says_why() -> None:
    assert silent("no daemon answers").text("zh") == "控制程序无响应: no daemon answers"


def test_what_only_another_release_knows_is_loud_and_stops_nothing() -> None:
    told = well()
    row = {"name": "a fault of tomorrow", "level": "stop", "action": "", "cells": []}
    told["strings"][0]["diagnoses"] = [row]
    (found,) = present(told, FACTS, STILL, STILL, PLENTY)
    assert (found.level, found.text("en")) == (Level.ERROR, "A1: a fault of tomorrow")
    assert "update" in found.advice("en")
