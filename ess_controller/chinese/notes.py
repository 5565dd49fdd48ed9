"""What is right but worth knowing of a site, in Chinese: tariff, expected load, strings, alarm channels."""

import re
from collections.abc import Callable

_TABLES = {
    "rules": "规则",
    "calendar": "日历",
    "hot days": "高温日",
    "demand rules": "需量规则",
    "monthly step": "月度阶梯",
    "feed-in": "上网电价",
}
_PARTS = {
    "agent purchase": "代理购电价",
    "transmission and distribution": "输配电价",
    "line loss, system operation and funds": "线损、系统运行费和基金",
    "line loss": "线损",
    "system operation": "系统运行费",
    "government funds": "政府性基金",
}
_MODES = {"actual": "实际需量", "contract": "合同需量", "capacity": "容量"}
_DATE = r"(\d{4}-\d\d-\d\d)"
_ITEMS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (rf"demand by ({'|'.join(_MODES)}) from {_DATE}", lambda found: f"按{_MODES[found[1]]}的需量电价（{found[2]} 起）"),
    (rf"({'|'.join(map(re.escape, _PARTS))}) from {_DATE}", lambda found: f"{_PARTS[found[1]]}（{found[2]} 起）"),
    (rf"([^,]+) from {_DATE}", lambda found: f"{found[1]}（{found[2]} 起）"),
    (r"schedule (\d+)", lambda found: f"时段表 {found[1]}"),
    (r"day ([\w.-]+)", lambda found: f"日型 {found[1]}"),
    (rf"({'|'.join(_TABLES)})", lambda found: _TABLES[found[1]]),
)
_CLOCK = (
    r"the meter's clock is (\S+) s {} ours: "
    r"hours of the tariff, plans, bills and days go by the meter's, events by ours"
)
_NOTES = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (r"string (\S+) is not in service: nothing is said to it or heard from it", r"簇 \1 未投运：不与其通信"),
        (r"time_zone (\S+): tariff (.+) is billed by the clock of (\S+)", r"本站时区 \1：电价 \2 按 \3 时间计费"),
        (_CLOCK.format("ahead of"), r"电表时钟比本机快 \1 秒：电价时段、计划、账单和日界以电表为准，事件以本机为准"),
        (_CLOCK.format("behind"), r"电表时钟比本机慢 \1 秒：电价时段、计划、账单和日界以电表为准，事件以本机为准"),
        (
            r"tariff (.+): what flows out costs money: all that does is paid for",
            r"电价 \1：上网须付费：上网电量均付费",
        ),
        (r"tariff (.+): what flows out costs money: the roof is held back", r"电价 \1：上网须付费：光伏将被限发"),
        (
            r"expected load: (\S+) kWh a year, (\S+) W while closed, open (\S+) to (\S+), on days off (\S+) of what "
            r"that adds: planned with until days of its own are known",
            r"预期负荷：全年 \1 kWh，停业时 \2 W，营业 \3 至 \4，休息日为营业增量的 \5：有本站自身数据之前按此计划",
        ),
        (r"alarm channel (\S+): environment variable (\S+) is not set here", r"告警渠道 \1：此处未设置环境变量 \2"),
    )
)
_ASSUMED = re.compile(r"tariff (.+?): only assumed: (.+)")


def note_in_chinese(note: str) -> str:
    """Empty where it is no note that is known."""
    if found := _ASSUMED.fullmatch(note):
        return f"电价 {found[1]}：以下仅为假定：{'、'.join(_assumed(found[2]))}"
    for pattern, chinese in _NOTES:
        if found := pattern.fullmatch(note):
            return found.expand(chinese)
    return ""


def _assumed(tables: str) -> list[str]:
    """Tables of a tariff file; a part's own name may have commas in it."""
    told, rest = [], tables
    while rest:
        item, chinese = _first(rest)
        told.append(chinese)
        rest = rest[len(item) :].removeprefix(", ")
    return told


def _first(tables: str) -> tuple[str, str]:
    """The first of them, and in Chinese; as it is where it is not known."""
    for pattern, chinese in _ITEMS:
        if found := re.match(rf"{pattern}(?=, |$)", tables):
            return found[0], chinese(found)
    item = tables.partition(", ")[0]
    return item, item
