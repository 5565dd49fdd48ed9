"""What is reported of a beat: a table whose types never change, series that follow the module, events told once."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from ess_controller.core.health import DIAGNOSES
from ess_controller.core.types import Mode, Tuning
from ess_controller.daemon import Beat
from ess_controller.telemetry.points import EVERYTHING, TABLE
from ess_controller.telemetry.recorder import Due, Recorder
from tests.loop.story import NOON
from tests.telemetry.beats import OF_BEATS, SITE, at, every, every_10_s, nothing_heard, run, texts, tuning
from tests.telemetry.reading import Point, read_all

KINDS = MappingProxyType({"float": float, "int": int, "text": str})
TYPES = {(each.name, field.name): KINDS[field.kind] for each in OF_BEATS for field in each.fields}


def told(*beats: Beat, recorder: Recorder | None = None) -> list[Point]:
    recorder = recorder or Recorder(tuning(), SITE)
    return [point for beat in beats for text in texts(recorder, beat) for point in read_all(text)]


def of(points: list[Point], measurement: str) -> list[Point]:
    return [point for point in points if point.measurement == measurement]


def test_names_are_unique_and_a_field_has_one_type_and_a_meaning() -> None:
    assert len({each.name for each in TABLE}) == len(TABLE)
    for measurement in EVERYTHING:
        names = [field.name for field in measurement.fields]
        assert len(set(names)) == len(names)
        assert not set(names) & set(measurement.tags)  # InfluxQL cannot tell them apart
        assert all(field.says for field in measurement.fields)
        assert all(field.digits >= 1 for field in measurement.fields)


def test_every_field_of_a_whole_run_has_the_type_that_the_table_says() -> None:
    points = told(*run())
    assert {point.measurement for point in points} == {each.name for each in OF_BEATS} - {"pv", "plan"}
    for point in points:
        for name, value in point.fields.items():
            assert type(value) is TYPES[point.measurement, name], (point.measurement, name, value)


def test_each_measurement_comes_as_often_as_it_says() -> None:
    points = told(*every(0.1, 600))
    rows = {"site": 1, "cabinet": 1, "string": 1, "module": 10, "cell": 94}
    for name, count in rows.items():
        assert len(of(points, name)) == count * (2 if name == "cell" else 6), name


def test_numbers_are_those_of_the_beat() -> None:
    beat = run()[-1]
    points = told(beat)
    seen, decision = beat.seen, beat.decision
    (site,), (string,), (cabinet,) = (of(points, name) for name in ("site", "string", "decision"))
    assert site.fields["grid_w"] == pytest.approx(seen.grid_w, abs=0.05)
    assert string.fields["a"] == pytest.approx(seen.string_a[0], abs=0.005)
    assert string.fields["cell_v_min"] == pytest.approx(seen.cell_v.min(), abs=5e-5)
    assert string.fields["mode"] == "run"
    assert cabinet.fields["discharge_limit_w"] == pytest.approx(decision.cabinet_bound.discharge[0], abs=0.05)
    cells = of(points, "cell")
    assert [cell.fields["v"] for cell in cells] == pytest.approx(seen.cell_v.tolist(), abs=5e-5)
    assert cells[-1].tags == {
        "site": SITE,
        "cabinet": "A",
        "string": "A1",
        "module": tuning().layout.module_names[-1],
        "cell": "09",
    }


def test_a_module_s_series_bear_its_code_and_its_place_is_a_field() -> None:
    modules = of(told(run()[-1]), "module")
    assert [point.tags["module"] for point in modules] == list(tuning().layout.module_names)
    assert [point.fields["place"] for point in modules] == [f"A1/M{number:02d}" for number in range(1, 11)]


def test_of_a_site_that_is_not_heard_no_number_is_told() -> None:
    points = told(nothing_heard(run()[-1]))
    heard = {"grid_w", "pcs_w", "a", "v", "bus_v", "insulation_ohm", "cell_v_min", "c_min", "c_max", "age_s"}
    for point in points:
        assert not heard & set(point.fields), point
    assert "bleeding" not in {name for point in of(points, "cell") for name in point.fields}


def test_a_point_comes_once() -> None:
    counted = Counter(point.key for point in told(*run(), *every_10_s(50, NOON + timedelta(hours=1))))
    assert set(counted.values()) == {1}


def test_a_change_of_mode_is_an_event_and_a_start_is_none() -> None:
    events = of(told(*run()), "event")
    modes = [(point.tags["string"], point.fields["text"]) for point in events if point.tags["kind"] == "mode"]
    assert modes[-2:] == [("A1", "off -> precharge"), ("A1", "precharge -> run")]
    assert len(modes) <= 3


def test_a_diagnosis_comes_and_goes_in_words_with_what_to_do() -> None:
    beat = run()[-1]
    active = np.zeros_like(beat.decision.active)
    active[4, 0] = True
    ill = replace(beat, decision=replace(beat.decision, active=active))
    recorder = Recorder(tuning(), SITE)
    beats = (at(each, NOON + timedelta(seconds=number)) for number, each in enumerate((beat, ill, ill, beat)))
    events = of(told(*beats, recorder=recorder), "event")
    assert [(point.tags["what"], point.fields["state"], point.fields["level"]) for point in events] == [
        ("cell over-temperature", "come", "stop"),
        ("cell over-temperature", "over", "info"),
    ]
    assert events[0].fields["text"] == f"{DIAGNOSES[4].name}: {DIAGNOSES[4].action}"


def test_a_command_that_the_guard_cut_is_an_event() -> None:
    beat = run()[-1]
    cut = replace(beat, trips=np.array([1]))
    beats = (at(each, NOON + timedelta(seconds=number)) for number, each in enumerate((beat, cut, cut, beat)))
    events = of(told(*beats), "event")
    assert [(point.tags["kind"], point.fields["state"]) for point in events] == [("guard", "come"), ("guard", "over")]


def test_a_rule_that_flaps_is_told_at_most_once_a_second() -> None:
    beat = run()[-1]
    bound = beat.decision.cabinet_bound
    other = replace(
        beat, decision=replace(beat.decision, cabinet_bound=replace(bound, charge_by=(bound.charge_by + 1) % 5))
    )
    beats = (at((beat, other)[n % 2], NOON + timedelta(seconds=0.1 * n)) for n in range(100))
    assert len(of(told(*beats), "decision")) <= 11


def test_only_beats_that_are_worth_it_are_due() -> None:
    due, beat = Due(), run()[-1]
    steady = [due(at(beat, NOON + timedelta(seconds=0.1 * number))) for number in range(300)]
    assert [number for number, is_due in enumerate(steady) if is_due] == [0, 100, 200]
    other = replace(beat.state, mode=np.full_like(beat.state.mode, int(Mode.FAULT)))
    changed = replace(at(beat, NOON + timedelta(seconds=29.95)), state=other)
    assert due(changed)
    assert not due(changed)


def test_a_clock_that_is_put_back_goes_on_being_reported() -> None:
    beats = [*every_10_s(5), *every_10_s(5, NOON - timedelta(hours=1))]
    assert len(of(told(*beats), "site")) == 10


def with_roof_and_contacts() -> Tuning:
    """The bench with a solar inverter and a remote I/O."""
    layout = replace(tuning().layout, pv_names=("roof",), io_cabinet=np.array([0]))
    return replace(tuning(), layout=layout)


def test_a_solar_inverter_and_the_contacts_of_a_cabinet_are_told() -> None:
    beat = run()[-1]
    heard: dict[str, Any] = {"pv_w": np.array([4200.0]), "pv_age_s": np.array([0.5]), "io_age_s": np.array([0.1])}
    beats = [
        replace(
            at(beat, NOON + timedelta(seconds=10 * number)),
            seen=replace(beat.seen, **heard, io_contact=np.array([contacts]), io_climate=np.array([1])),
            commands=replace(beat.commands, pv_limit_w=np.array([limit_w])),
        )
        for number, (contacts, limit_w) in enumerate([(-1, np.inf), (0, 3000.0), (4 | 16, 3000.0), (-1, 0.0), (0, 0.0)])
    ]
    points = told(*beats, recorder=Recorder(with_roof_and_contacts(), SITE))
    roof = of(points, "pv")
    assert [point.tags["pv"] for point in roof] == ["roof"] * 5
    assert [point.fields.get("limit_w") for point in roof] == [None, 3000.0, 3000.0, 0.0, 0.0]
    assert [point.fields["w"] for point in roof] == [4200.0] * 5
    assert [point.fields["pv_w"] for point in of(points, "site")] == [4200.0] * 5
    assert [point.fields.get("contacts") for point in of(points, "cabinet")] == [None, 0, 20, None, 0]
    contacts = [point for point in of(points, "event") if point.tags["kind"] == "contacts"]
    assert [point.fields["state"] for point in contacts] == ["smoke, door", "well"]
