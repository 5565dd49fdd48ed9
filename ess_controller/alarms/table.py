"""The table of alarms: how bad each is, its name and what to do about it, in English and in Chinese."""

from ess_controller.alarms.diagnosis_words import DIAGNOSES
from ess_controller.alarms.words import Level, Words

_GUARD = (
    (
        "unheard",
        "guard: data missing",
        "保护闸：数据缺失",
        "see which string or inverter is silent",
        "查看哪一簇或变流器无数据",
    ),
    (
        "cell voltage",
        "guard: cell voltage",
        "保护闸：电芯电压越限",
        "stop; measure the string's cells",
        "停机，测量该簇电芯",
    ),
    ("cell temperature", "guard: cell temperature", "保护闸：电芯温度越限", "stop; check cooling", "停机，检查冷却"),
    (
        "string current",
        "guard: string current",
        "保护闸：簇电流越限",
        "check inverter and current sensor",
        "检查变流器与电流传感器",
    ),
    (
        "no fallback",
        "guard: inverter has no fallback",
        "保护闸：变流器未确认回零保护",
        "set its reversion timer and remote control: it is told nothing but 0 W meanwhile",
        "设置其超时回零和远程控制；期间只下发0 W",
    ),
    (
        "command",
        "guard: command beyond limits",
        "保护闸：指令越限",
        "keep the journal and report it: `ess replay`",
        "保留日志并上报（`ess replay`）",
    ),
    (
        "closing",
        "guard: closing refused",
        "保护闸：禁止闭合",
        "cells are unheard or out of bounds: see the string",
        "电芯无数据或越限：检查该簇",
    ),
    (
        "bleeding",
        "guard: bleeding refused",
        "保护闸：禁止均衡",
        "cells are unheard or empty: see the string",
        "电芯无数据或已空：检查该簇",
    ),
)
_OTHERS = {
    "inverter fault": Words(
        Level.ERROR, "inverter fault", "变流器故障", "read its fault code on its display", "在其面板上读取故障码", 2.0
    ),
    "inverter silent": Words(
        Level.ERROR,
        "inverter silent",
        "变流器无通信",
        "check its power, its switch and its bus",
        "检查其供电、开关及总线",
        10.0,
    ),
    "inverter local": Words(
        Level.NOTICE,
        "inverter in local control",
        "变流器处于本地控制",
        "ask who works on it; then back to remote",
        "确认何人作业，然后切回远程",
        2.0,
    ),
    "wire down": Words(
        Level.ERROR,
        "bus down",
        "总线中断",
        "check adapter, cable and termination of this bus",
        "检查该总线的适配器、线缆和终端电阻",
        10.0,
    ),
    "meter silent": Words(
        Level.DERATE,
        "grid meter silent",
        "电网侧电表无通信",
        "check the meter's power and bus: no peak is held meanwhile",
        "检查电表供电及总线；期间无法控制需量",
        10.0,
    ),
    "daemon silent": Words(
        Level.ERROR,
        "the controller does not answer",
        "控制程序无响应",
        "look at it: `systemctl status ess@SITE`, `journalctl -u ess@SITE`; inverters fall back to 0 W by themselves",
        "检查：`systemctl status ess@站点`、`journalctl -u ess@站点`；变流器会自行回到0 W",
        15.0,
    ),
    "daemon hangs": Words(
        Level.ERROR,
        "the controller's beat hangs",
        "控制周期停滞",
        "look at the machine's load and disk; systemd starts it anew",
        "检查主机负载和磁盘；systemd将自动重启",
        5.0,
    ),
    "daemon ended": Words(
        Level.NOTICE,
        "the controller ended unasked and was started again",
        "控制程序意外退出后已重启",
        "power cut, crash or kill: `journalctl -u ess@SITE` tells which",
        "断电、崩溃或被终止：用 `journalctl -u ess@站点` 查明",
    ),
    "companion fails": Words(
        Level.NOTICE,
        "a process beside the controller hangs or has ended",
        "控制程序的辅助进程停滞或退出",
        "it is started again by itself, and what it has to tell comes late; where it goes on: `journalctl -u ess@SITE`",
        "会自动重启，其上报会延后；如持续出现：`journalctl -u ess@站点`",
    ),
    "late beats": Words(
        Level.NOTICE,
        "beats are late",
        "控制周期延迟",
        "see what else runs on this machine; every late beat is a blind moment",
        "检查主机上的其他程序；每次延迟都是控制盲区",
    ),
    "no plan": Words(
        Level.NOTICE,
        "no valid plan",
        "无有效计划",
        "`journalctl -u ess@SITE` has what the planner says, `ess plan SITE` tries one by hand; it goes by the rule of"
        " the hour meanwhile",
        "用 `journalctl -u ess@站点` 查看计划程序的说明，用 `ess plan 站点` 手动试算；期间按分时规则运行",
        600.0,
    ),
    "reports dropped": Words(
        Level.NOTICE,
        "reports are dropped",
        "上报数据丢失",
        "the outbox is full or the machine too slow: see disk and InfluxDB",
        "发件箱已满或主机过慢：检查磁盘和InfluxDB",
    ),
    "reports refused": Words(
        Level.NOTICE,
        "InfluxDB refuses lines",
        "InfluxDB拒收数据",
        "see the reasons in the log; refused lines are kept aside",
        "查看日志原因；被拒数据另行保存",
    ),
    "reports held up": Words(
        Level.NOTICE,
        "reports do not get out",
        "上报数据滞留",
        "check the network and InfluxDB: they wait on disk",
        "检查网络和InfluxDB；数据暂存在磁盘",
        3600.0,
    ),
    "outbox nearly full": Words(
        Level.NOTICE,
        "outbox nearly full",
        "发件箱将满",
        "bring InfluxDB back, or raise influx.outbox_mb: the oldest go next",
        "恢复InfluxDB或加大 influx.outbox_mb；否则最旧数据将被删除",
    ),
    "journal dropped": Words(
        Level.NOTICE,
        "journal beats are dropped",
        "运行日志丢失",
        "the disk is full or too slow: look at it",
        "磁盘已满或过慢：请检查",
    ),
    "disk nearly full": Words(
        Level.NOTICE,
        "disk nearly full",
        "磁盘将满",
        "make room where the controller keeps its files",
        "清理控制程序所在磁盘",
    ),
    "soft short": Words(
        Level.NOTICE,
        "soft short suspected",
        "疑似内部微短路",
        "look at `ess health`; watch this cell, plan the module's replacement",
        "查看 `ess health`；关注该电芯并计划更换模组",
    ),
    "channel fails": Words(
        Level.NOTICE,
        "an alarm channel does not deliver",
        "告警通道无法送达",
        "check its address, its secret and the network: `ess alarms SITE --test CHANNEL`",
        "检查其地址、密钥和网络：`ess alarms 站点 --test 通道`",
        300.0,
    ),
}

WORDS: dict[str, Words] = {
    **{row.en: row for row in DIAGNOSES},
    **{key: Words(Level.ERROR, en, zh, do_en, do_zh, 2.0) for key, en, zh, do_en, do_zh in _GUARD},
    **_OTHERS,
}
