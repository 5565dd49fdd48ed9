"""The page speaks English and Chinese, the whole of it."""

import inspect
import re
from pathlib import Path
from string import Formatter

import pytest

from ess_controller.alarms.diagnosis_words import DIAGNOSES as ALARMS
from ess_controller.board.words import LANGUAGES, WORDS, Words, preferred
from ess_controller.chinese.phrases import in_chinese
from ess_controller.core.health import DIAGNOSES
from ess_controller.core.types import Mode, Rule
from ess_controller.planning.planner.process import Planning
from ess_controller.site import load
from ess_controller.told.picture import waits_for
from ess_controller.told.reasons import name_of
from firmware_bridge.records import PcsState

DEALER = Path(__file__).parents[2] / "sites/shanghai-dealer"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
WAITS = re.compile(r', "([^"{]+)"\)')  # what a string waits for, those words without a number
SAME_IN_BOTH = {"language", "charge"}  # the other language's name; SOC


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("key", WORDS)
def test_every_text_is_there_in_both_languages_with_the_same_numbers_in_it(key: str) -> None:
    english, chinese = WORDS[key]
    assert english.strip()
    assert chinese.strip()
    assert fields(english) == fields(chinese)
    if key not in SAME_IN_BOTH:
        assert not CHINESE.search(english)
        assert CHINESE.search(chinese) or not re.search(r"[a-z]{4}", english)


def test_names_of_rules_modes_and_faults_and_what_to_do_are_there_in_chinese() -> None:
    told = [name_of(rule) for rule in Rule]
    told += [name.name.lower() for kind in (Mode, PcsState) for name in kind]
    told += [text for row in DIAGNOSES for text in (row.name, row.action)]
    told += WAITS.findall(inspect.getsource(waits_for))
    told += [job.name for job in Planning(load(DEALER, {}), DEALER, alone=True).jobs(1800.0)]
    assert "its string box to speak" in told
    left = [phrase for phrase in told if not CHINESE.search(in_chinese(phrase))]
    assert left == []


def test_an_alarm_has_one_name_in_chinese_wherever_it_is_told() -> None:
    assert {row.en: in_chinese(row.en) for row in ALARMS} == {row.en: row.zh for row in ALARMS}


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("4.012 V, nothing beyond 4.10 V", "4.012 V，不得超过 4.10 V"),
        ("hottest sensor 45.5 C", "最热测点 45.5 °C"),
        (
            "site without battery -8.0 kW, import up to 250 kW, export up to 0 kW",
            "不计电池全站 -8.0 kW，取电上限 250 kW，送电上限 0 kW",
        ),
        ("its string box and its voltage not heard", "簇控制盒、电芯电压无数据"),
        ("self-consumption (the plan is 3.2 h old)", "自发自用（计划已 3.2 小时）"),
        ("the plan takes the meter's clock to be -40 s ahead of ours", "计划按电表时钟比本机快 -40 秒制定，现已不同"),
        ("7 in 60 s", "60 s 内 7 次"),
        ("3 closes within an hour: 12 min to go", "一小时内已闭合 3 次：还需 12 分钟"),
        (
            "the bus to come near: +1.2 V at rest, 3 A would flow between the strings",
            "母线电压接近：静置时相差 +1.2 V，簇间将流过 3 A",
        ),
        ("warmth: A1/M03", "升温：A1/M03"),
        (
            "the roof gives less than it did, and the forecast goes by that: 33% since 3 days ago",
            "屋顶发电自 3 天前起比以前少 33%，预测已按此调整",
        ),
        (
            "the roof gives more than it did, and the forecast goes by that: 10% since 12 days ago",
            "屋顶发电自 12 天前起比以前多 10%，预测已按此调整",
        ),
        ("self-consumption (no plan yet)", "自发自用（尚无计划）"),
        ("energy, deep valley", "电量，深谷"),
        ("no daemon answers (gone): is `ess run` up?", "无应答（gone），`ess run` 是否在运行？"),
        (
            "/h/live.sock: no daemon answers (gone): is `ess run` up?",
            "/h/live.sock：控制程序无应答（gone），`ess run` 是否在运行？",
        ),
        ("no sign of life for 10 min: replaced", "10 分钟无响应：已更换"),
        ("ended (2): not started again", "已退出（2）：不再重启"),
        ("ends again and again (-9)", "反复退出（-9）"),
        ("a phrase of tomorrow", "a phrase of tomorrow"),
    ],
)
def test_sentences_keep_their_numbers_and_what_nobody_knows_stays_as_it_is(english: str, chinese: str) -> None:
    assert in_chinese(english) == chinese
    assert Words("zh").of(english) == chinese
    assert Words("en").of(english) == english


def test_the_language_is_the_reader_s_choice_else_the_browser_s() -> None:
    assert preferred("zh-CN,zh;q=0.9", "") == "zh"
    assert preferred("zh-CN", "en") == "en"
    assert preferred("de", "") == "en"
    assert preferred("", "<script>") == LANGUAGES[0]
