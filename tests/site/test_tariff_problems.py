"""A tariff with a missing hour, a double one or an odd price is refused, with the place of the mistake."""

import math
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from ess_controller.site.places import KeyPath, spell
from tests.site.site_files import TARIFF_TEXT, Table, bench, problems_of, tariff, whole, with_value

SITE = bench() | {name: whole()[name] for name in ("contract", "dispatch")}
HOURS: KeyPath = ("day", 1, "hours")  # summer


def found(folder: Path, table: Table | str) -> list[tuple[str, str]]:
    problems = problems_of(folder, SITE, None, table)
    assert {problem.file for problem in problems} <= {str(folder / "tariff.toml")}
    return [(problem.key, problem.expected) for problem in problems]


def test_the_file_itself_is_right(tmp_path: Path) -> None:
    assert found(tmp_path, tariff()) == []


@pytest.mark.parametrize(
    ("path", "value", "key", "expected"),
    [
        ((*HOURS, 2, 0), "09:00", "day[1].hours[2]", "a span that begins at 08:00, not 09:00: a gap"),
        ((*HOURS, 2, 0), "07:30", "day[1].hours[2]", "a span that begins at 08:00, not 07:30: an hour in two periods"),
        ((*HOURS, 0, 0), "00:30", "day[1].hours[0]", "a span that begins at 00:00, not 00:30: a gap"),
        ((*HOURS, 6, 1), "23:59", "day[1].hours[6]", "a last span that ends at 24:00, not 23:59"),
        ((*HOURS, 6, 1), "22:00", "day[1].hours[6]", "an end after 22:00"),
        ((*HOURS, 2, 1), "25:00", "day[1].hours[2][1]", "HH:MM, 00:00 to 24:00"),
        ((*HOURS, 2, 1), "8:00", "day[1].hours[2][1]", "HH:MM, 00:00 to 24:00"),
        ((*HOURS, 2), ["08:00", "15:00"], "day[1].hours[2]", "[from HH:MM, to HH:MM, period]"),
        ((*HOURS, 2, 2), "summit", "schedule[2].ratio", "a number for each period of its day; summit has none"),
        (("schedule", 2, "ratio", "peak"), ..., "schedule[2].ratio", "a number for each period of its day; peak has"),
        (("schedule", 2, "ratio", "peek"), 1.8, "schedule[2].ratio.peek", "a period of the day summer: flat, peak, v"),
        (("schedule", 2, "ratio", "peak"), 180, "schedule[2].ratio.peak", "a number from 0 to 5"),
        (("schedule", 2, "ratio"), ..., "schedule[2].ratio", "either ratio or cny_per_kwh, one of the two"),
        (("schedule", 2, "cny_per_kwh"), {"peak": 1}, "schedule[2].ratio", "either ratio or cny_per_kwh, one of the"),
        (("schedule", 2, "day"), "sommer", "schedule[2].day", "the name of a [[day]]: summer-critical, summer, winter"),
        (
            ("schedule", 2, "months"),
            [8, 9],
            "schedule[2]",
            "days that no other has; schedule[0] has a workday in month 8",
        ),
        (("schedule", 2, "months"), [13], "schedule[2].months[0]", "a whole number from 1 to 12"),
        (
            ("schedule", 4, "days"),
            ["weekend"],
            "schedule",
            "a schedule for every day of the year; a holiday in month 9",
        ),
        (("schedule", 4, "days"), ["sunday"], "schedule[4].days[0]", '"workday" or "weekend" or "holiday"'),
        (
            ("calendar", "working_weekends", 0),
            date(2025, 2, 6),
            "calendar.working_weekends[0]",
            "a Saturday or a Sunday, not a Thursday",
        ),
        (
            ("calendar", "working_weekends", 0),
            date(2025, 2, 1),
            "calendar.working_weekends[0]",
            "a day that is not among the holidays too",
        ),
        (("demand_rules", "slide_s"), 70, "demand_rules.slide_s", "seconds that divide block_s = 900 evenly, at most"),
        (("demand_rules", "slide_s"), 1800, "demand_rules.slide_s", "seconds that divide block_s = 900 evenly, at"),
        (("demand_rules", "slide_s"), ..., "demand_rules.slide_s", "a number from 60 to 3600; the key is missing"),
        (("energy", 0, "cny_per_kwh", "under_1kv"), 43.5, "energy[0].cny_per_kwh.under_1kv", "a number from -5 to 5"),
        (("energy", 0, "cny_per_kwh", "10kv"), 0.4, "energy[0].cny_per_kwh", "a price for each of supplies, and no"),
        (
            ("energy", 0, "cny_per_kwh", "10 kV"),
            0.4,
            'energy[0].cny_per_kwh."10 kV"',
            'no such key; did you mean "10kv"?',
        ),
        (("energy", 0, "valid_from"), "2025-06-01", "energy[0].valid_from", "a date, such as 2026-08-01"),
        (
            ("energy", 2, "valid_from"),
            date(2023, 6, 1),
            "energy[2].valid_from",
            "another date; energy[1] has the same p",
        ),
        (("energy", 2, "in_ratio"), False, "energy[2].in_ratio", "true, as in the part's other entries"),
        (
            ("energy",),
            ...,
            "energy",
            "the parts of the flat price that schedule[0].ratio multiplies; the key is missing",
        ),
        (
            ("demand", 0, "cny_per_month", "under_1kv"),
            -1,
            "demand[0].cny_per_month.under_1kv",
            "a number from 0 to 200",
        ),
        (("demand", 0, "mode"), "peak", "demand[0].mode", '"actual" or "contract" or "capacity"'),
        (("demand_rules", "tolerated_share"), 105, "demand_rules.tolerated_share", "a number from 1 to 2"),
        (("calendar", "holidays", 3), "New Year", "calendar.holidays[3]", "a date, such as 2026-08-01"),
        (("calendar", "holidays", 3), datetime(2026, 1, 1, 12), "calendar.holidays[3]", "a date, such"),  # noqa: DTZ001
        (
            ("calendar", "holidays"),
            ...,
            "calendar.holidays",
            "at most 1000 dates of public holidays; the key is missing",
        ),
        (("feed_in", "source"), ..., "feed_in.source", "the document that says so; the key is missing"),
        (("feed_in", "dated"), "yesterday", "feed_in.dated", "the year, month or day of the document, as text"),
        (("feed_in", "assumed"), ..., "feed_in.assumed", "true or false: true where no document was found that says"),
        (("time_zone",), "Shanghai", "time_zone", "an IANA time zone"),
        (("supplies",), ["lv"], "supplies[0]", '"under_1kv" or "10kv" or '),
        (("transformer_kva",), [3000, 101], "transformer_kva", "a pair [least, most] that rises, from 0 on"),
        (("hot_days",), {}, "hot_days.source", "the document that says so; the key is missing"),
    ],
)
def test_what_is_wrong_is_told_first_with_its_place(
    tmp_path: Path, path: KeyPath, value: object, key: str, expected: str
) -> None:
    problems = found(tmp_path, with_value(tariff(), path, value))
    assert problems[0][0] == key, problems
    assert problems[0][1].startswith(expected), problems
    assert len(problems) == 1 or path in (("hot_days",), (*HOURS, 2, 2)), problems


def test_the_line_is_that_of_the_span(tmp_path: Path) -> None:
    lines = TARIFF_TEXT.split("\n")
    place = next(at for at, line in enumerate(lines) if line == '    ["06:00", "08:00", "flat"],')
    lines[place] = '    ["06:00", "07:00", "flat"],'
    (problem,) = problems_of(tmp_path, SITE, None, "\n".join(lines))
    assert (problem.line, problem.key) == (place + 2, "day[0].hours[2]")
    assert problem.value == '["08:00", "12:00", "peak"]'


def test_hot_days_need_a_price_in_their_months(tmp_path: Path) -> None:
    hot = {"source": "s", "dated": "2026", "assumed": True, "at_c": 35, "where": "there", "months": [9], "day": "hot"}
    day = {"name": "hot", "source": "s", "dated": "2026", "assumed": True, "hours": [["00:00", "24:00", "boiling"]]}
    table = tariff() | {"hot_days": hot}
    table["day"].append(day)
    expected = "a number for each period of its day; boiling has none"
    assert found(tmp_path, table) == [(f"schedule[{at}].ratio", expected) for at in (2, 3, 4)]
    for at in (2, 3, 4):
        table["schedule"][at]["ratio"]["boiling"] = 3.0
    assert found(tmp_path, table) == []


def test_two_days_of_one_name_are_told(tmp_path: Path) -> None:
    table = tariff()
    table["day"].append(table["day"][1])
    assert found(tmp_path, table) == [("day[6].name", "a name of its own; day[1] has it")]


def paths(table: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))
        elif isinstance(value, float | int) and not isinstance(value, bool):
            yield (*path, key)


@pytest.mark.parametrize("path", list(paths(tariff())), ids=spell)
def test_a_wrong_number_is_one_line_that_names_it(tmp_path: Path, path: KeyPath) -> None:
    for wrong in ("much", math.nan, 1e9):
        ((key, expected),) = found(tmp_path, with_value(tariff(), path, wrong))
        assert key == spell(path)
        assert "number" in expected


def test_a_day_that_nobody_uses_is_told(tmp_path: Path) -> None:
    table = tariff()
    table["day"].append(table["day"][0] | {"name": "spare"})
    assert found(tmp_path, table) == [("day[6].name", "a schedule that uses this day, or no such table")]


def test_a_tariff_that_is_no_toml_is_one_line(tmp_path: Path) -> None:
    ((key, expected),) = found(tmp_path, TARIFF_TEXT + "\n[calendar]\n")
    assert (key, expected[:4]) == ("", "TOML")
