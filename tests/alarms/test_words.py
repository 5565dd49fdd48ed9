"""Every alarm has its name and its advice in both languages, and diagnoses are what the controller says they are."""

import pytest

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.present import OF_CABINET
from ess_controller.alarms.table import WORDS
from ess_controller.core.health import CONTACTS, DIAGNOSES
from firmware_bridge.guard import Trip, in_words


@pytest.mark.parametrize("row", DIAGNOSES, ids=lambda row: row.name)
def test_every_diagnosis_has_its_advice_in_both_languages_and_its_level(row: object) -> None:
    words = WORDS[row.name]  # type: ignore[attr-defined]
    assert (words.en, words.level.name) == (row.name, row.level.name)  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", WORDS)
def test_each_text_is_in_its_language(what: str) -> None:
    words = WORDS[what]
    assert words.en.isascii()
    assert words.do_en.isascii()
    assert any("\u4e00" <= letter <= "\u9fff" for letter in words.zh)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in words.do_zh)


def test_whatever_the_guard_says_has_its_words() -> None:
    assert {in_words(int(trip)) for trip in Trip} <= set(WORDS)


def test_what_contacts_say_is_told_of_the_cabinet() -> None:
    assert set(WORDS) >= OF_CABINET
    assert len(OF_CABINET & {row.name for row in DIAGNOSES}) == len(OF_CABINET) >= len(CONTACTS)


def test_an_alarm_names_position_and_part_and_says_what_to_do_there() -> None:
    alarm = Alarm("diagnosis", "A1", "cell over-voltage", ("A1/M03/C07",), ("BMW-IX3-04213",), "4.213 V")
    assert alarm.id == "diagnosis/A1/cell-over-voltage"
    assert alarm.text("en") == "A1: cell over-voltage: A1/M03/C07 [BMW-IX3-04213]: 4.213 V"
    assert alarm.text("zh") == "A1: 电芯过压: A1/M03/C07 [BMW-IX3-04213]: 4.213 V"
    assert alarm.advice("en").endswith("(A1/M03/C07 [BMW-IX3-04213])")


def test_of_many_cells_the_first_are_named_and_the_rest_counted() -> None:
    cells = tuple(f"A1/M01/C{number:02}" for number in range(1, 11))
    text = Alarm("diagnosis", "A1", "cell readings odd", cells).text("en")
    assert "A1/M01/C04 +6" in text
    assert "C05" not in text
