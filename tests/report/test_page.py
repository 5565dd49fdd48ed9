"""The report as a page: all that is known stands in it, nothing comes from elsewhere, what is hostile stays text."""

import json
import re
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ess_controller.__main__ import build
from ess_controller.core.arbitration import RULES
from ess_controller.core.health import DIAGNOSES
from ess_controller.errors import BadInputError
from ess_controller.planning.planner.kept_plans import FILE as PLANS
from ess_controller.planning.planner.kept_plans import Heard, KeptPlans, kept_of
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import SitePlanner
from ess_controller.report.carbon import carbon
from ess_controller.report.filed import FOLDER, KEEP, file_reports
from ess_controller.report.gather import Span, gather
from ess_controller.report.ledger import Event
from ess_controller.report.page import page
from ess_controller.report.quarter import Quarter
from ess_controller.report.svg import nice_ticks
from ess_controller.report.words import ZH, words
from ess_controller.site import SiteError, load
from ess_controller.told.reasons import name_of
from firmware_bridge.guard import in_words
from tests.planning.test_site_planner import NOW, book
from tests.planning.test_site_planner import write_book as write_days
from tests.report.homes import blocks_of, dealer, first_of, flow, store, write_book, write_ledger, write_limits
from tests.site.site_files import SITES

DAY = date(2026, 6, 18)
FIRST = first_of(dealer(), 2026, 6, 18)
HOSTILE = '<script>alert(1)</script>"&'


def fill(at: int, quarter: Quarter) -> None:
    """Each cabinet takes 2.5 kWh in the quarters of 3 o'clock and gives 2 in those of 8."""
    if 12 <= at < 16:
        flow(quarter, ac_in_wh=2500.0, dc_in_wh=2400.0, in_ah=7.0)
    if 32 <= at < 36:
        flow(quarter, ac_out_wh=2000.0, dc_out_wh=2100.0, out_ah=6.0)
    stored_wh = 50e3 + 2400.0 * min(max(at - 11, 0), 4) - 2100.0 * min(max(at - 31, 0), 4)
    store(quarter, stored_wh / 100e3, stored_wh, stored_wh - 8e3)
    quarter.extremes["cell_v_min"] = (3.4 - 0.001 * at, "A1/M03/C07", "M-CODE", "2026-06-18T02:00:00+00:00")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day with sun, a cycle and a hostile event."""
    folder = tmp_path_factory.mktemp("home")
    write_book(folder, blocks_of(FIRST, 1, {}, {12: 30e3}, {3: -20e3, 8: 16e3}))
    at = datetime(2026, 6, 18, 1, tzinfo=UTC).isoformat(timespec="milliseconds")
    write_ledger(folder, dealer(), FIRST, 96, fill, (Event(at, "A1", HOSTILE, "stop", "come", HOSTILE),))
    write_limits(folder, dealer(), FIRST, 96, "B", "charge", "cell SOC", bound_share=1.0, lost_wh=250.0)
    return folder


class Seen(HTMLParser):
    """What a browser would take from a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src", "action", "onload")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_day_tells_throughput_losses_limits_cells_and_events(home: Path) -> None:
    told = gather(dealer(), home, Span.day(DAY))
    whole = told["battery"]["all"]
    assert (whole["ac_in_kwh"], whole["ac_out_kwh"]) == (20.0, 16.0)
    assert whole["inverter_loss_kwh"] == pytest.approx(0.8 + 0.8)
    assert whole["loss_kwh"] == pytest.approx(20.0 - 16.0 - 2.4)
    assert whole["efc"] == pytest.approx((28.0 + 24.0) / 2.0 / 100.0)
    assert told["cells"]["cell_v_min"]["value"] == pytest.approx(3.4 - 0.095)
    (limit,) = told["limits"]
    assert (limit["way"], limit["most"], limit["cabinet_hours"], limit["taken_kwh"]) == ("charge", "B", 24.0, 24.0)
    assert told["coverage"] | {"gaps": []} == told["coverage"]
    assert told["coverage"]["ledger_share"] == 1.0
    assert told["series"]["soc"][0] == pytest.approx(0.5)


def test_what_came_and_went_is_told_in_chinese() -> None:
    say = words("zh")
    told = [text for row in DIAGNOSES for text in (row.name, row.action)]
    told += ["guard", in_words(255), "daemon", "the daemon began", "no plan is kept of the day's beginning"]
    told += [name_of(rule) for rule in RULES]
    assert [phrase for phrase in told if not re.search(r"[\u4e00-\u9fff]", say(phrase))] == []


def test_co2_counts_losses_and_gives_nothing_for_shifting(home: Path) -> None:
    told = gather(dealer(), home, Span.day(DAY))["carbon"]
    assert (told["province"], told["year"], told["kgco2_per_kwh"], told["seen"]) == ("CN-31", 2023, 0.5737, "copy")
    assert told["bought_kg"] - told["bought_without_kg"] == pytest.approx(
        (20.0 - 10.0) * 0.5737, abs=0.02
    )  # 6 of 16 flow out
    assert told["sun_kg"] == pytest.approx(30.0 * 0.5737, abs=0.01)
    assert told["sun_used_here_kg"] == pytest.approx((30.0 - 26.0) * 0.5737, abs=0.01)
    assert told["losses_kg"] == pytest.approx(1.6 * 0.5737, abs=0.01)
    found = dealer().carbon
    assert found is not None
    assert [found.on(year).kgco2_per_kwh for year in (2020, 2021, 2022, 2030)] == [0.5834, 0.5834, 0.5849, 0.5737]
    kwh = dict.fromkeys(("load", "pv", "import", "export", "import_without"), 0.0)
    assert carbon(found, 2026, kwh, None)["losses_kg"] is None


def test_a_province_without_a_factor_is_told_with_its_place(tmp_path: Path) -> None:
    text = (SITES / "shanghai-dealer" / "site.toml").read_text(encoding="utf-8")
    (tmp_path / "site.toml").write_text(text.replace('"CN-31"', '"CN-71"').replace('"../', f'"{SITES}/'))
    with pytest.raises(SiteError, match=r"carbon.province.*CN-71.*has a factor for: CN, CN-11"):
        load(tmp_path, {})


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_needs_nothing_else_and_holds_hostile_words_as_text(home: Path, lang: str) -> None:
    text = page(gather(dealer(), home, Span.day(DAY)), "zh" if lang == "zh" else "en")
    seen = Seen(text)
    assert not seen.tags & {"script", "link", "img", "iframe", "object"}
    assert not seen.links
    assert "http" not in text
    assert not re.search(r"url\(|@import|javascript:", text)
    assert "<script>alert(1)</script>" in "".join(seen.texts)
    assert "svg" in seen.tags
    assert ("较无储能节省" in text) == (lang == "zh")
    if lang == "zh":
        assert not [word for word in ("saved against", "cabinet-hours", "lowest voltage", "together") if word in text]
    assert all(ZH.values())


def test_three_ways_stand_beside_the_plan_of_the_day_s_beginning(tmp_path: Path) -> None:
    """The plan in force at midnight, reopened; its money is on the load and sun expected then."""
    write_days(tmp_path, 20.0)
    at = datetime(2026, 6, 17, 16, 5, tzinfo=UTC)
    heard, planner, groups = Heard(book(20.0)), SitePlanner(dealer()), groups_of(dealer())
    plan = planner.plan(at, heard, groups, 60e3)
    with closing(KeptPlans(tmp_path / PLANS, make=True)) as plans:
        plans.put(kept_of(dealer(), plan, heard, groups, 60e3, planner))
    told = gather(dealer(), tmp_path, Span.day(DAY))
    planned = told["money"]["planned"]
    assert (planned["blocks"], planned["of_blocks"]) == (96, 96)
    sums = {way: sum(row[way]["cny"] for row in planned["items"]) for way in ("planned", "planned_without")}
    assert planned["saved_cny"] == pytest.approx(sums["planned_without"] - sums["planned"], abs=1e-3)
    assert planned["saved_cny"] > 0.0
    score = told["forecast"]
    assert 0.0 < score["load_mae_w"] < 30e3
    assert abs(score["load_bias_w"]) <= score["load_mae_w"]
    assert score["load_yesterday_mae_w"] > 0.0
    assert page(told, "en").count("<svg") == 2
    other = gather(dealer(), tmp_path, Span.day(DAY - timedelta(days=1)))
    assert (other["money"]["planned"], other["no_plan"]) == (None, "no plan is kept of the day's beginning")


def test_reports_are_filed_once_made_up_for_and_bounded(tmp_path: Path) -> None:
    write_days(tmp_path, 3.5)
    (tmp_path / FOLDER).mkdir()
    for at in range(KEEP["day"]):
        (tmp_path / FOLDER / f"day-{date(2020, 1, 1) + timedelta(days=at)}-shanghai-dealer.html").write_text("old")
    written = [path.name for path in file_reports(dealer(), tmp_path, NOW)]
    assert written == [f"day-2026-06-{day}-shanghai-dealer.html" for day in (15, 16, 17, 18)]
    assert file_reports(dealer(), tmp_path, NOW) == []
    assert len(list((tmp_path / FOLDER).iterdir())) == KEEP["day"]
    july = datetime(2026, 7, 1, 1, tzinfo=UTC)
    assert [path.name for path in file_reports(dealer(), tmp_path, july)] == ["month-2026-06-shanghai-dealer.html"]


def test_a_page_filed_by_a_clock_gone_astray_is_filed_again_once_its_day_is_over(tmp_path: Path) -> None:
    write_days(tmp_path, 3.5)
    astray = datetime(2026, 7, 1, 1, tzinfo=UTC)
    file_reports(dealer(), tmp_path, NOW + timedelta(days=1))
    file_reports(dealer(), tmp_path, astray)
    names = {path.name for path in (tmp_path / FOLDER).iterdir()}
    today, month = "day-2026-06-19-shanghai-dealer.html", "month-2026-06-shanghai-dealer.html"
    assert names >= {today, month}
    assert file_reports(dealer(), tmp_path, NOW) == []
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == names - {today, month}
    assert [path.name for path in file_reports(dealer(), tmp_path, NOW + timedelta(days=1))] == [today]
    assert [path.name for path in file_reports(dealer(), tmp_path, astray)] == [month]
    file_reports(dealer(), tmp_path, NOW - timedelta(days=20_000))
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == names


def test_the_command_writes_the_file_and_tells_bad_input(home: Path, tmp_path: Path) -> None:
    app, runner = build(), CliRunner()
    words = ["report", str(SITES / "shanghai-dealer"), "--home", str(home), "--day", "2026-06-18"]
    out = tmp_path / "day.html"
    answer = runner.invoke(app, [*words, "--json", "--out", str(out)])
    assert answer.exit_code == 0
    told = json.loads(answer.stdout)
    assert (told["schema_version"], told["period"]) == (1, "2026-06-18")
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    for more, expected in (
        (["--day", "18.6."], "--day 18.6.: expected a date like 2026-06-01"),
        (["--month", "2026-13"], "--month 2026-13: expected a date like 2026-06"),
        (["--lang", "de"], "--lang de: expected one of zh, en"),
        (["--day", "2019-01-01"], "knows nothing of 2019-01-01"),
    ):
        asked = [*words[:4], *(words[4:] if more[0] == "--lang" else []), *more]
        trouble = runner.invoke(app, asked).exception
        assert isinstance(trouble, BadInputError)
        assert expected in str(trouble)


def test_ticks_are_round_and_cover() -> None:
    assert nice_ticks(0.0, 107.0) == [0.0, 50.0, 100.0, 150.0]
    assert nice_ticks(-31.0, 54.0)[0] <= -31.0
    assert nice_ticks(0.0, 1e-6)[-1] >= 1e-6


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_not_known_is_said_and_not_left_out(tmp_path: Path, lang: str) -> None:
    """A meter book alone, of five days of a month: neither ledger nor rollups."""
    write_book(tmp_path, blocks_of(first_of(dealer(), 2026, 6, 1), 5, {9: 200e3}, {}, {9: 50e3, 2: -55e3}))
    told = gather(dealer(), tmp_path, Span.month(DAY))
    assert (told["limits"], told["cells"], told["events"], told["forecast"]) == (None, None, None, None)
    known, unknown = told["money"]["days"][4], told["money"]["days"][5]
    assert (known["known_share"], known["peak_kw"], known["in_kwh"]) == (1.0, 150.0, 55.0)
    keys = ("saved_cny", "rule_saved_cny", "out_kwh", "in_kwh", "peak_kw")
    assert [unknown[key] for key in keys] == [None] * 5
    text = page(told, "zh" if lang == "zh" else "en")
    say = words("zh" if lang == "zh" else "en")
    for title in ("What limited power", "Cells", "Events", "Forecast"):
        assert f'<h2>{say(title)}</h2><p class="quiet">{say("not known")}: ' in text
    assert text.count("<svg") == 3


def test_a_day_without_a_plan_says_why_nothing_is_known_of_its_forecast(home: Path) -> None:
    text = page(gather(dealer(), home, Span.day(DAY)), "en")
    assert '<h2>Forecast</h2><p class="quiet">not known: no plan is kept of the day' in text


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_column_of_the_events_has_its_heading(home: Path, lang: str) -> None:
    text = page(gather(dealer(), home, Span.day(DAY)), "zh" if lang == "zh" else "en")
    say = words("zh" if lang == "zh" else "en")
    heads = re.findall(
        r"<th[^>]*>([^<]*)</th>", text.partition(f"<h2>{say('Events')}</h2>")[2].partition("</thead>")[0]
    )
    assert heads == [say(each) for each in ("when", "place", "event", "state", "what follows")]


def test_what_comes_again_and_again_is_one_line_and_what_came_once_is_seen(tmp_path: Path) -> None:
    """300 comings at B1, and among the first of them the one at A2."""
    midnight = datetime(2026, 6, 17, 16, tzinfo=UTC)

    def event(second: int, place: str, what: str, state: str, text: str = "") -> Event:
        utc = (midnight + timedelta(seconds=second)).isoformat(timespec="milliseconds")
        return Event(utc, place, what, "info" if state == "over" else "notice", state, text)

    often = [
        event(
            60 * at + (state == "over"),
            "B1",
            "cell readings odd",
            state,
            "check sense wires" if state == "come" else "",
        )
        for at in range(300)
        for state in ("come", "over")
    ]
    once = event(90, "A2", "cell over-voltage", "come", "stop charging")
    write_book(tmp_path, blocks_of(FIRST, 1, {}))
    write_ledger(tmp_path, dealer(), FIRST, 96, fill, tuple(sorted([*often, once], key=lambda each: each.utc)))
    told = gather(dealer(), tmp_path, Span.day(DAY))
    assert [each["place"] for each in told["events"]] == ["A2"]
    (sum_,) = told["events_repeated"]
    assert (sum_["place"], sum_["what"], sum_["times"], sum_["state"]) == ("B1", "cell readings odd", 300, "over")
    assert (sum_["first_utc"], sum_["last_utc"]) == (often[0].utc, often[-1].utc)
    assert (sum_["text"], sum_["level"], told["events_untold"]) == ("check sense wires", "notice", 0)
    text = page(told, "en")
    assert "<td>06-18 00:00:00 – 06-18 04:59:01</td><td>B1</td><td>cell readings odd</td><td>300 times</td>" in text
    assert "cell over-voltage" in text
    assert "300 次" in page(told, "zh")


@pytest.mark.parametrize("name", ["shanghai-dealer", "shenzhen-dealer", "chongqing-dealer", "shenyang-plant"])
def test_a_chinese_report_has_no_english_in_its_notes_but_names(name: str) -> None:
    site = load(SITES / name, {})
    assert site.tariff is not None
    told = [words("zh")(note).replace(site.tariff.name, "") for note in site.notes]
    assert told
    assert [note for note in told if re.search(r"[A-Za-z]{3,}", note.replace("kWh", ""))] == []


def test_a_part_of_a_price_keeps_its_commas_and_one_that_nobody_knows_its_name() -> None:
    say = words("zh")
    parts = "schedule 2, line loss, system operation and funds from 2025-01-01, moon tax from 2025-01-01"
    told = say(f"tariff T: only assumed: {parts}")
    assert told == "电价 T：以下仅为假定：时段表 2、线损、系统运行费和基金（2025-01-01 起）、moon tax（2025-01-01 起）"


def test_a_chinese_page_has_no_english_words_but_names_and_units(home: Path) -> None:
    told = gather(dealer(), home, Span.day(DAY))
    told["events"] = [each for each in told["events"] if HOSTILE not in str(each)]
    text = re.sub(r"<style>.*?</style>", "", page(told, "zh"), flags=re.DOTALL)
    seen = " ".join(Seen(text).texts).replace(dealer().name, "").replace(dealer().tariff.name, "")  # type: ignore[union-attr]
    left = set(re.findall(r"[A-Za-z]{3,}", seen)) - {"kWh", "CNY", "SOC", "EFC", "Asia", "Shanghai", "CODE", "min"}
    assert left == set()
