"""What the page's audit log and refusals say, in Chinese: who asked for what, and what came of it."""

import re

_EXACT = {
    "asked": "已提交，尚无答复",
    "taken": "已接受",
    "done": "已完成",
    "log in": "登录",
    "log out": "退出登录",
    "a wrong password": "密码不正确",
    "resume": "恢复",
    "clear": "清除锁存故障",
}
_N = r"([+-]?[\d.e+]+)"
_SENTENCES = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (rf"pause for {_N} min", r"暂停 \1 分钟"),
        (rf"limit {_N} kW for {_N} min", r"限制功率 \1 kW，\2 分钟"),
        (rf"set-point {_N} kW for {_N} min", r"设定功率 \1 kW，\2 分钟"),
        (r"acknowledge (.+)", r"确认 \1"),
        (r"(.+): no daemon answers \((.+)\): is `ess run` up\?", r"\1：控制程序无应答（\2），`ess run` 是否在运行？"),
        (r"no daemon answers \((.+)\): is `ess run` up\?", r"无应答（\1），`ess run` 是否在运行？"),
        (r"alarm (.+): expected one that nobody has acknowledged and that is not over", r"告警 \1 已被确认或已结束"),
    )
)


def act_in_chinese(phrase: str) -> str:
    """Empty where it is none that is known."""
    if known := _EXACT.get(phrase):
        return known
    for pattern, chinese in _SENTENCES:
        if found := pattern.fullmatch(phrase):
            return found.expand(chinese)
    return ""
