"""What Prometheus reads: the numbers of the picture, by its published grammar, whatever names a site has."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ess_controller.core.types import Order
from ess_controller.doors.metrics import METRICS, NO_PLAN_FOR, text
from ess_controller.planned import NO_PLAN, Planned
from ess_controller.planning.value.slot import SitePlan
from ess_controller.told.picture import picture
from firmware_bridge.frames import WireHealth
from tests.core.test_value_dispatch import BLOCK, NOON, value
from tests.loop.story import site
from tests.planning.test_planned import plan
from tests.telemetry.beats import nothing_heard, run, tuning

LINE = re.compile(r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*)\} (-?[0-9.]+(?:e[+-]?[0-9]+)?)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\n"])*)"')
Sample = tuple[str, tuple[tuple[str, str], ...]]


def shown(beat: Any = None, site: str = "bench", **more: Any) -> dict[str, Any]:
    wires = {"modules": WireHealth()}
    beat = beat or run()[-1]
    return picture(site, tuning(), beat, wires, beat.tick.wire_s, more)


def read(told: str) -> dict[Sample, float]:
    """Every sample; fails for a line that is none."""
    found = {}
    for line in told.splitlines():
        if line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        assert match, line
        key = (match[1], tuple(LABEL.findall(match[2])))
        assert key not in found, line
        found[key] = float(match[3])
    return found


def test_samples_are_the_picture_s_numbers() -> None:
    told, found = shown(), read(text(shown()))
    site = (("site", "bench"),)
    assert found["ess_grid_watts", site] == pytest.approx(told["grid_w"])
    assert found["ess_string_soc_ratio", (*site, ("string", "A1"))] == pytest.approx(told["strings"][0]["soc"])
    assert found["ess_string_mode", (*site, ("string", "A1"), ("mode", "run"))] == 1.0
    for way in ("charge", "discharge"):
        key = "ess_cabinet_limit_watts", (*site, ("cabinet", "A"), ("way", way))
        assert found[key] == pytest.approx(told["cabinets"][0]["why"][way]["allowed_w"])
        lost = sum(value for (name, labels), value in found.items() if "lost" in name and ("way", way) in labels)
        nameplate_w = told["cabinets"][0]["why"][way]["nameplate_w"]
        assert lost == pytest.approx(nameplate_w - found[key], abs=2.0)


def test_outbox_plan_and_price_are_there_where_the_site_has_them() -> None:
    outbox = {"lines": 7, "bytes": 70, "oldest_s": 3.0, "sent": 5, "dead": 1, "beats_dropped": 0}
    more: dict[str, Any] = {
        "outbox": outbox | {"dropped_by_kind": {"burst": 4}},
        "price": {"cny_per_kwh": 0.8},
        "plan": {"age_s": None},
    }
    found = read(text(shown(**more)))
    site = (("site", "bench"),)
    assert found["ess_outbox_lines", site] == 7.0
    assert found["ess_outbox_dropped_lines_total", (*site, ("kind", "burst"))] == 4.0
    assert found["ess_price_cny_per_kwh", site] == 0.8
    assert ("ess_plan_age_seconds", site) not in found
    assert ("ess_outbox_lines", site) not in read(text(shown()))


def test_a_companion_that_hangs_is_a_sample() -> None:
    companions = {"uploader": {"starts": 2, "trouble": "no sign of life for 10 min: replaced"}}
    found = read(text(shown(companions=companions)))
    label = ("site", "bench"), ("companion", "uploader")
    assert (found["ess_companion_fails", label], found["ess_companion_starts_total", label]) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("held", "trouble", "reason"),
    [
        (plan(), "", ""),
        (None, NO_PLAN, "none"),
        (None, "the plan cannot be believed: the checksum does not fit", "damaged"),
        (plan(history_days=0.4), "", "short history"),
        (plan(made=NOON - timedelta(hours=3)), "", "old"),
        (replace(plan(), value=value(BLOCK - 8, 2)), "", "not this hour"),
        (replace(plan(), value=replace(plan().value, hours=0.5)), "", "other billing blocks"),
        (replace(plan(), ahead_s=40.0), "", "another clock of the meter"),
    ],
)
def test_the_reason_that_no_plan_is_followed_is_a_label_without_numbers(
    held: SitePlan | None, trouble: str, reason: str
) -> None:
    planned = Planned(site(rule="value"), lambda _: Order(), lambda: (held, trouble), lambda _: 0.0)
    found = read(text(shown() | planned.told(NOON)))
    told = {dict(labels)["reason"]: value for (name, labels), value in found.items() if name == "ess_plan_missing"}
    assert len(told) == len(NO_PLAN_FOR)
    assert [name for name, value in told.items() if value] == ([reason] if reason else [])
    assert "ess_plan_missing" not in text(shown())


def test_of_what_is_not_heard_there_is_no_sample() -> None:
    names = {name for name, _ in read(text(shown(nothing_heard(run()[-1]))))}
    assert not names & {"ess_grid_watts", "ess_string_volts", "ess_string_cell_volts_min"}
    assert "nan" not in text(shown(nothing_heard(run()[-1]))).lower()


def test_no_name_breaks_the_text() -> None:
    nasty = 'two "words"\\ and\na line'
    found = read(text(shown(site=nasty)))
    ((_, label), *_) = next(labels for name, labels in found if name == "ess_grid_watts")
    assert label.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\") == nasty


def test_no_sample_is_of_a_cell_and_each_family_is_told_once() -> None:
    told = text(shown())
    assert "cell=" not in told
    assert len({each.name for each in METRICS}) == len(METRICS)
    heads = [line.split()[2] for line in told.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))
    assert all(
        each.name.endswith("_total") == (each.kind == "counter") or each.name.endswith("_total") for each in METRICS
    )
