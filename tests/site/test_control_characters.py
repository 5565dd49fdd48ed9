"""Names and texts of a user's files are shown on terminals and in bills: none may move a cursor or forge a line."""

import json
from pathlib import Path

import pytest

from ess_controller.planning.given.battery_file import load_battery
from ess_controller.site import SiteError, load
from ess_controller.site.tariff import load_tariff
from tests.site.site_files import SITES, TARIFF_TEXT, bench, problems_of, with_value

EXPECTED = "text on one line, without control characters"
HOSTILE = ["\x1b[2Jgone", "a\nenergy, peak  0.00 CNY", "a\rb", "\x9b31m", "\u202eback", "a\u2028b", "tab\there"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_tariff_s_name_is_printable_and_one_line(tmp_path: Path, name: str) -> None:
    line = next(line for line in TARIFF_TEXT.split("\n") if line.startswith("name = "))
    file = tmp_path / "tariff.toml"
    file.write_text(TARIFF_TEXT.replace(line, f"name = {json.dumps(name)}", 1), encoding="utf-8")
    with pytest.raises(SiteError) as caught:
        load_tariff(file)
    (problem,) = caught.value.problems
    assert (problem.key, problem.expected) == ("name", EXPECTED)
    assert problem.line == TARIFF_TEXT.split("\n").index(line) + 1
    assert str(problem).isprintable()


def test_what_chinese_and_other_scripts_need_is_no_control_character(tmp_path: Path) -> None:
    line = next(line for line in TARIFF_TEXT.split("\n") if line.startswith("name = "))
    file = tmp_path / "tariff.toml"
    file.write_text(TARIFF_TEXT.replace(line, 'name = "上海　工商业，1 kV 以下 – Größe"', 1), encoding="utf-8")
    assert load_tariff(file).name == "上海　工商业，1 kV 以下 – Größe"


def test_any_free_text_of_a_site_is_refused_likewise(tmp_path: Path) -> None:
    path = ("cabinet", 0, "string", 0, "module", 0, "origin")
    (problem,) = problems_of(tmp_path, with_value(bench(), path, "car\x1b]0;title\x07"))
    assert (problem.key, problem.expected) == ("cabinet[0].string[0].module[0].origin", EXPECTED)


def test_a_site_s_factors_and_a_battery_s_file_are_refused_likewise(tmp_path: Path) -> None:
    battery = tmp_path / "b.toml"
    battery.write_text('[wear]\ncell_file = "a\\nb.toml"\n')
    with pytest.raises(SiteError, match=rf"b\.toml:2: wear\.cell_file = .*: expected {EXPECTED}"):
        load_battery(battery)
    text = (SITES / "carbon" / "china.toml").read_text(encoding="utf-8")
    (tmp_path / "factors.toml").write_text(text.replace('name = "Shanghai"', 'name = "Shang\\u001bhai"', 1))
    site = (SITES / "shanghai-dealer" / "site.toml").read_text(encoding="utf-8").replace("../carbon/china", "factors")
    (tmp_path / "site.toml").write_text(site.replace('"../', f'"{SITES}/'))
    with pytest.raises(SiteError, match=rf"factors\.toml:\d+: factor\[\d+\]\.name = .*: expected {EXPECTED}"):
        load(tmp_path, {})
