"""The screens as text: numbers as told, names made harmless, a reason on whatever cannot be used."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ess_controller.board.alarms import Alarm
from ess_controller.board.audit import WRONG
from ess_controller.board.frame import SCREENS, banner, header, navigation
from ess_controller.board.html import Html, tag
from ess_controller.board.hub import Hub
from ess_controller.board.screens import alarmed, cells, control, limits, now, savings, service
from ess_controller.board.view import View, gain
from ess_controller.board.words import Words
from tests.board.looks import all_cells, bench, look, standing
from tests.board.test_alarms import troubled

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
DRAWN: dict[str, Callable[[View], Html | None]] = {
    "flows": now.flows,
    "charge": now.charge,
    "does": now.does,
    "plan": now.plan,
    "money": now.money,
    "wanted": limits.wanted,
    "worth": limits.worth,
    "waterfalls": limits.waterfalls,
    "alarms": alarmed.screen,
    "alarm-bar": alarmed.bar,
    "wall": lambda view: cells.wall(view, "v"),
    "module": lambda view: cells.module(view, None, EVIL),
    "savings": savings.screen,
    "service": service.screen,
    "control": control.forms,
    "force": control.in_force,
    "login": lambda view: control.login(view, "/control", EVIL),
    "audit": lambda view: control.audit(view, [dict.fromkeys(("who", "what", "from", "answer"), EVIL) | {"utc": ""}]),
    "header": header,
    "banner": banner,
    "navigation": lambda view: navigation(view, list(SCREENS), "now"),
}


class Elements(HTMLParser):
    """Every element with its attributes, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += f"{data} "


def hostile(value: Any) -> Any:
    """Every text in it, but those that are read as a time or looked up, made as bad as can be."""
    if isinstance(value, dict):
        kept = ("utc", "since_utc", "zone", "time", "level")
        return {key: each if key in kept else hostile(each) for key, each in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return EVIL if isinstance(value, str) else value


def words_of(text: str | None) -> str:
    return " ".join(Elements(str(text or "")).words.split())


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", DRAWN)
def test_no_name_that_the_daemon_tells_becomes_an_element_or_an_attribute(name: str, language: str) -> None:
    told = hostile(troubled())
    told["wires"] = {f"{EVIL}{at}": wire for at, wire in enumerate(told["wires"].values())}
    view = look(told, language=language, who=EVIL, module=EVIL)
    wall = hostile(all_cells())
    drawn = DRAWN[name](replace(view, seen=replace(view.seen, cells=wall)))
    elements = Elements(str(drawn or ""))
    assert not [found for found, _ in elements.found if found in ("script", "img", "iframe", "object", "style")]
    for _, attributes in elements.found:
        assert not [key for key in attributes if key.startswith("on")]
        assert not str(attributes.get("href", "")).lower().startswith("javascript:")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", DRAWN)
def test_each_screen_can_be_drawn_when_nothing_is_known(name: str, language: str) -> None:
    told = bench()
    unknown = json.loads(re.sub(r"(?<=[:\[] )-?\d+\.\d+", "null", json.dumps(told)))
    for cabinet, known in zip(unknown["cabinets"], told["cabinets"], strict=True):
        cabinet["why"] = known["why"]
    unknown["age_s"] = told["age_s"]
    drawn = str(DRAWN[name](look(unknown, language=language)) or "")
    assert "None" not in words_of(drawn)
    assert "nan" not in drawn.lower().replace("finance", "")


def test_flows_are_shown_as_told_and_what_does_not_add_up_stands_beside_them() -> None:
    told = bench() | {"grid_w": 20_000.0, "pv_w": 10_000.0, "load_w": 36_000.0, "net_load_w": 26_000.0}
    told["cabinets"][0]["pcs_w"] = 5_500.0
    shown = words_of(now.flows(look(told)))
    assert "20.0 kW imports" in shown
    assert "5.5 kW discharges" in shown
    assert "grid + battery + sun − load = −0.50 kW" in shown
    told["cabinets"][0]["pcs_w"] = None
    assert "not all meters are heard" in words_of(now.flows(look(told)))


def test_the_strings_of_a_plant_stand_in_two_columns() -> None:
    told = bench()
    assert 'class="socs"' in str(now.charge(look(told)))
    told["strings"] = told["strings"] * 20
    drawn = str(now.charge(look(told)))
    assert 'class="socs many"' in drawn
    assert drawn.count('class="soc-row"') == 20


def test_the_waterfall_tells_each_rule_with_its_cell_and_what_lifts_it() -> None:
    told = bench()
    loss = {"rule": "cell SOC", "lost_w": 12_000.0, "left_w": 38_000.0, "at": "A1/M03/C07"}
    loss |= {"rests_on": "88.0 % SOC, give or take 2.0 %", "lifted_by": "discharges below 85 % SOC"}
    record = {"nameplate_w": 50_000.0, "allowed_w": 38_000.0, "by": "cell SOC", "losses": [loss], "next_w": 45_000.0}
    told["cabinets"][0]["why"]["charge"] = record | {"next_by": "module SOH", "since_utc": "2026-01-15T03:00:00+00:00"}
    shown = words_of(limits.waterfalls(look(told)))
    assert "cell SOC −12.0 kW A1/M03/C07 · 88.0 % SOC, give or take 2.0 % until: discharges below 85 % SOC" in shown
    assert "cell SOC since 01-15 11:00:00" in shown
    assert "without it 45.0 kW, by module SOH" in shown
    chinese = words_of(limits.waterfalls(look(told, language="zh")))
    assert "SOC 88.0 %，误差 ±2.0 %" in chinese
    assert "放电至 SOC 85 % 以下" in chinese


def test_a_line_a_cabinet_says_what_is_lost_and_by_which_rule_and_a_plant_s_are_folded() -> None:
    told = bench()
    loss = {
        "rule": "cell SOC",
        "lost_w": 12_000.0,
        "left_w": 38_000.0,
        "at": "A1/M03/C07",
        "rests_on": "",
        "lifted_by": "",
    }
    record = {"nameplate_w": 50_000.0, "allowed_w": 38_000.0, "by": "cell SOC", "losses": [loss], "next_w": 38_000.0}
    record |= {"next_by": "", "since_utc": None}
    whole = record | {"allowed_w": 50_000.0, "losses": [], "by": ""}
    told["cabinets"] = [
        {**told["cabinets"][0], "name": name, "why": {"charge": record, "discharge": whole}} for name in "ABC"
    ]
    for language, lost, free in (
        (
            "en",
            "may charge 38.0 of 50.0 kW −12.0 kW · cell SOC A1/M03/C07",
            "may discharge 50.0 of 50.0 kW nothing limits it",
        ),
        (
            "zh",
            "允许充电 38.0 kW（额定 50.0 kW） −12.0 kW · 电芯 SOC A1/M03/C07",
            "允许放电 50.0 kW（额定 50.0 kW） 没有限制",
        ),
    ):
        drawn = str(limits.waterfalls(look(told, language=language)))
        first = words_of(drawn.partition("<summary>")[2].partition("</summary>")[0])
        assert first == f"A {lost} {free}"
        folded = [a for name, a in Elements(drawn).found if name == "details"]
        assert [(a["data-fold"], "open" in a) for a in folded] == [(name, False) for name in "ABC"]
    both = record | {
        "allowed_w": 32_000.0,
        "by": "module SOH",
        "losses": [loss, loss | {"rule": "module SOH", "lost_w": 6_000.0, "at": "A1/M05"}],
    }
    told["cabinets"][0]["why"] = {"charge": both, "discharge": whole}
    assert "−18.0 kW · cell SOC −12.0 A1/M03/C07, module SOH −6.0 A1/M05" in words_of(limits.waterfalls(look(told)))
    few = told | {"cabinets": told["cabinets"][:2]}
    assert str(limits.waterfalls(look(few))).count('<details class="cabinet" data-fold="A" open>') == 1


@pytest.mark.parametrize(
    ("wanted_w", "set_w", "verdict"),
    [
        (20e3, 12e3, "8.0 kW less than wanted"),
        (-20e3, -12e3, "8.0 kW less than wanted"),
        (20e3, 20e3, "as wanted"),
        (5e3, 20e3, "15.0 kW apart: on the way, or waiting for an inverter"),
        (-20e3, 5e3, "25.0 kW apart: on the way, or waiting for an inverter"),
    ],
)
def test_only_what_is_less_than_wanted_is_called_less(wanted_w: float, set_w: float, verdict: str) -> None:
    assert verdict in words_of(limits.wanted(look(bench() | {"wanted_w": wanted_w, "set_w": set_w})))


def test_a_module_of_any_code_can_be_looked_at() -> None:
    told = all_cells()
    told["strings"][0]["modules"][0]["code"] = "IX3 #7&by=soc+%"
    view = look()
    drawn = str(cells.wall(replace(view, seen=replace(view.seen, cells=told)), "v"))
    (first, *_) = [str(a["href"]) for name, a in Elements(drawn).found if name == "a" and a.get("class") == "module"]
    assert parse_qs(urlsplit(first).query) == {"module": ["IX3 #7&by=soc+%"]}


def test_what_is_loud_stays_on_every_screen_until_somebody_has_seen_it() -> None:
    view = look(troubled())
    bar = words_of(alarmed.bar(view))
    assert "smoke" in bar or "guard" in bar
    assert "6 to acknowledge" in bar
    seen = tuple(replace(alarm, name="Li", since_utc="2026-01-15T03:00:00+00:00") for alarm in view.alarms)
    assert alarmed.bar(replace(view, alarms=seen)) == ""
    assert "acknowledged by Li at 01-15 11:00:00" in words_of(alarmed.screen(replace(view, alarms=seen)))


def buttons(drawn: Html | None) -> dict[str, bool]:
    """data-act or type -> whether it can be used."""
    found = Elements(str(drawn)).found
    return {str(a.get("data-key") or a.get("type")): "disabled" not in a for name, a in found if name == "button"}


def test_nobody_acknowledges_without_a_login_and_the_button_says_so() -> None:
    view = look(troubled())
    assert set(buttons(alarmed.screen(view)).values()) == {False}
    assert "Log in to acknowledge or to control" in words_of(alarmed.screen(view))
    assert set(buttons(alarmed.screen(replace(view, who="Li"))).values()) == {True}


def test_a_control_that_cannot_be_used_says_why() -> None:
    view = look(who="Li")
    shown = words_of(control.forms(view))
    assert "nothing to resume from: no order is in force" in shown
    assert "no alarm stands" in shown
    silent = replace(view, now_s=view.now_s + 60.0)
    assert words_of(control.forms(silent)).count("not now: the daemon does not answer") == 5


def test_the_order_in_force_is_told_with_how_long_it_still_holds() -> None:
    order = {"run": True, "set_w": -5000.0, "limit_w": 20_000.0, "left_s": 600.0}
    shown = words_of(control.in_force(look(bench() | {"order": order})))
    assert shown.endswith("set-point −5.0 kW · no more than 20.0 kW either way ends by itself in 10 min")
    paused = control.in_force(look(bench() | {"order": order | {"run": False}}))
    assert "paused: 0 W, contactors open" in words_of(paused)
    assert "the site's own rule" in words_of(control.in_force(look()))


def test_each_form_says_which_order_it_takes_the_place_of() -> None:
    """A limit that is given during a pause ends the pause: contactors close."""
    order = {"run": False, "set_w": None, "limit_w": None, "left_s": 600.0}
    shown = words_of(control.forms(look(bench() | {"order": order}, who="Li")))
    assert shown.count("takes the place of what is in force: paused: 0 W, contactors open") == 3
    assert "takes the place" not in words_of(control.forms(look(who="Li")))


def test_the_audit_log_reads_in_the_reader_s_language() -> None:
    utc, who = "2026-01-15T04:00:00+00:00", {"who": "Li", "from": "::1"}
    acts = [
        ("limit 20 kW for 15 min", "taken", "限制功率 20 kW，15 分钟 已接受"),
        ("set-point -5 kW for 1 min", "asked", "设定功率 -5 kW，1 分钟 已提交，尚无答复"),
        ("pause for 2 min", "refused: no beat", "暂停 2 分钟 被拒绝：no beat"),
        ("acknowledge diagnosis/A/smoke", "done", "确认 diagnosis/A/smoke 已完成"),
        ("clear", "taken", "清除锁存故障 已接受"),
        ("log in", "done", "登录 已完成"),
        ("log in", WRONG, "登录 被拒绝：密码不正确"),
    ]
    for what, answer, chinese in acts:
        entry = who | {"utc": utc, "what": what, "answer": answer}
        assert f"01-15 12:00:00 Li {chinese} ::1" in words_of(control.audit(look(language="zh"), [entry]))
        assert f"Li {what} {answer} ::1" in words_of(control.audit(look(), [entry]))


def test_nothing_saved_is_no_gain() -> None:
    assert "good" not in gain(1e-12)
    assert "good" not in gain(None)
    assert "good" in gain(0.01)


def test_a_companion_that_fails_stands_on_the_service_screen_and_one_that_is_well_does_not() -> None:
    told = {"uploader": {"starts": 2, "trouble": EVIL}, "planner": {"starts": 1, "trouble": ""}}
    words = words_of(service.daemon(look(bench() | {"companions": told})))
    assert EVIL in words
    assert "uploader" in words


def test_what_the_planner_sees_of_the_roof_stands_on_the_service_screen_in_the_reader_s_language() -> None:
    plan = {"age_s": 60.0, "until_utc": None, "history_days": 30.0, "trouble": "", "capacity_test": None}
    roof = "the roof gives less than it did, and the forecast goes by that: 33% since 3 days ago"
    view = look(bench() | {"plan": plan | {"roof": roof}})
    assert roof in words_of(service.daemon(view))
    chinese = words_of(service.daemon(replace(view, words=Words("zh"))))
    assert "屋顶 屋顶发电自 3 天前起比以前少 33%，预测已按此调整" in chinese
    for without in (plan, plan | {"roof": ""}):  # of a daemon of before, and of a roof that gives as much as ever
        assert "roof" not in words_of(service.daemon(look(bench() | {"plan": without})))


def test_a_silent_or_hung_daemon_is_told_over_every_screen() -> None:
    view = look()
    assert banner(view) is None
    silent = words_of(banner(replace(view, now_s=view.now_s + 125.0)))
    assert silent == "Not connected to the daemon for 2 min: numbers below are of then"
    assert "The last beat is 7 s old" in words_of(banner(look(bench() | {"age_s": 7.4})))


def test_the_wall_shows_every_cell_and_marks_those_that_are_silent() -> None:
    told = all_cells()
    told["strings"][0]["modules"][0]["v"][2] = None
    view = look()
    drawn = str(cells.wall(replace(view, seen=replace(view.seen, cells=told)), "v"))
    kinds = [a["class"] or "" for name, a in Elements(drawn).found if name == "i" and "cell" in (a.get("class") or "")]
    assert len(kinds) == 94
    assert sum("silent" in kind for kind in kinds) == 1
    assert "not heard" in words_of(drawn)
    assert "balancing" in words_of(drawn)
    assert len(SCREENS) <= 8


def test_savings_are_those_of_the_report() -> None:
    way = {"energy_cny": 100.0, "peak_kw": 80.0, "month_demand_cny": 1000.0}
    day = {"with_battery": way, "without_battery": way, "saved_energy_cny": 12.5, "saved_month_demand_cny": 200.0}
    days = {"2026-05-31": day, "2026-06-01": day, "2026-06-02": day}
    view = look()
    books = replace(view.seen.books, savings=days)
    shown = words_of(savings.screen(replace(view, seen=replace(view.seen, books=books))))
    assert "This month 2026-06 ¥225.00 saved on energy ¥25.00 saved on demand ¥200.00" in shown


def test_days_without_a_battery_save_nothing_and_are_said_to_be_before_it() -> None:
    way = {"energy_cny": 100.0, "peak_kw": 80.0, "month_demand_cny": 1000.0}
    day = {"with_battery": way, "without_battery": way, "saved_energy_cny": -3.5, "saved_month_demand_cny": 0.0}
    days = {"2026-06-01": day, "2026-06-02": day, "2026-06-03": day | {"saved_energy_cny": 12.5}}
    view = look()

    def shown(began: date) -> str:
        books = replace(view.seen.books, savings=days, began=began)
        return words_of(savings.screen(replace(view, seen=replace(view.seen, books=books))))

    assert "This month 2026-06 ¥12.50" in shown(date(2026, 6, 3))
    assert "2026-06-02 before the battery" in shown(date(2026, 6, 3))
    assert "−¥3.50" not in shown(date(2026, 6, 3))
    assert "No day has been reckoned yet." in shown(date(2026, 6, 4))


def test_what_goes_between_tags_is_escaped_and_what_is_html_is_not_escaped_twice() -> None:
    inner = tag("b", EVIL)
    assert Elements(str(tag("p", inner, title=EVIL))).found == [("p", {"title": EVIL}), ("b", {})]
    assert tag("p", None, 3, "x") == "<p>3x</p>"


def test_alarms_of_the_bench_have_keys_that_stay_the_same() -> None:
    assert [alarm.key for alarm in standing(troubled())] == [alarm.key for alarm in standing(troubled())]
    assert Alarm("a", "stop", "", {}, {}).loud


def test_a_piece_that_cannot_be_drawn_takes_no_other_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hub, view = Hub(tmp_path, None), look(who=EVIL)

    def broken(_: View) -> Html:
        raise KeyError("a key of tomorrow")

    shown = hub.draw("flows", broken, view)
    assert "This part (flows) cannot be shown" in words_of(shown)
    assert "a key of tomorrow" in caplog.text
    assert "Power now" in words_of(hub.draw("others", now.flows, view))


def test_what_is_drawn_is_drawn_once_for_all_who_see_the_same(tmp_path: Path) -> None:
    hub, view, drawn = Hub(tmp_path, None), look(), []

    def count(_: View) -> Html:
        drawn.append(1)
        return tag("p", "x")

    for _ in range(20):
        hub.draw("piece", count, view)
    assert len(drawn) == 1
    hub.draw("piece", count, replace(view, seen=replace(view.seen, number=2)))
    hub.draw("piece", count, replace(view, words=look(language="zh").words))
    hub.draw("piece", count, replace(view, who="Li"))
    assert len(drawn) == 4
