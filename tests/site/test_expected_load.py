"""What is refused of an expected load: negative numbers, other units, hours that are none; and what is told of it."""

from pathlib import Path

import pytest

from tests.site.site_files import loaded, problems_of, whole, with_value

TABLE = "expected_load"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("closed_w", -1.0, "a number from 0 to 100000000"),
        ("closed_w", 22.0, "W (kW suspected): 0, or more than 250, so little beside what is drawn on average"),
        ("closed_w", 45e3, "at most 40323, the mean of month 3's kWh"),
        ("kwh_by_month", [31.0] * 12, "kWh (MWh suspected): more than 298 in the highest month"),
        ("kwh_by_month", [31e6] * 12, "kWh (Wh suspected): at most 211680 in month 2, all that contract.transformer"),
        ("kwh_by_month", [31e3] * 11, "12 numbers, January first, kWh"),
        ("kwh_by_month", [31e3] * 13, "12 numbers, January first, kWh"),
        ("open_from", "7:00", "a time of day, HH:MM"),
        ("open_until", "24:00", "a time of day, HH:MM"),
        ("day_off_share", 50.0, "a number from 0 to 5"),
        ("day_off_share", ..., "the key is missing"),
        ("peak_w", 1.0, "no such key"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(tmp_path: Path, key: str, value: object, expected: str) -> None:
    table = whole()
    table[TABLE][key] = 0.0  # so that what is taken away is there
    (problem,) = problems_of(tmp_path, with_value(table, (TABLE, key), value))
    assert problem.key == f"{TABLE}.{key}"
    assert expected in problem.expected


def test_a_site_says_what_it_expects_and_may_go_without(tmp_path: Path) -> None:
    site = loaded(tmp_path, whole())
    assert site.expected_load is not None
    (note,) = (each for each in site.notes if each.startswith("expected load"))
    assert note.startswith(
        "expected load: 391000 kWh a year, 22000 W while closed, open 07:00 to 21:30, on days off 50%"
    )
    without = loaded(tmp_path, with_value(whole(), (TABLE,), ...))
    assert (without.expected_load, [each for each in without.notes if "expected load" in each]) == (None, [])
