"""What people read: alarms that have come and are over, in the site's languages and local time, cut to what a channel
takes at once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ess_controller.alarms.answer import SCHEMA_VERSION, told
from ess_controller.alarms.book import Item, Phase
from ess_controller.alarms.words import Level

STORM, NAMED = 100, 20  # alarms at once
LONGEST_KEY = 8000  # characters
_LEVELS = {
    "en": {level: level.name for level in Level},
    "zh": {Level.INFO: "信息", Level.NOTICE: "提示", Level.DERATE: "降额", Level.STOP: "停机", Level.ERROR: "故障"},
}
_TITLE = {"en": "ESS {site}: {come} new, {over} over", "zh": "ESS {site}：新告警 {come} 条，恢复 {over} 条"}
_OVER = {"en": "over", "zh": "恢复"}
_DO = {"en": "To do", "zh": "处理"}
_TIMES = {"en": "{times} times", "zh": "{times} 次"}
_MORE = {
    "en": "and {more} more: see the page, or `ess alarms`",
    "zh": "另有 {more} 条：请查看运维页面或 `ess alarms`",
}
_TEST = {
    "en": "ESS {site}: this is a test of the alarm channel {name}; nothing is wrong.",
    "zh": "ESS {site}：告警通道 {name} 测试，一切正常。",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel."""

    title: str
    text: str  # whole, the title is its first line
    data: dict[str, Any]  # for machines
    key: str  # the same for the same news, so that whoever gets it twice can tell
    now: datetime


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes a site's messages."""

    site: str
    languages: tuple[str, ...]
    zone: ZoneInfo

    def message(self, items: Sequence[Item], now: datetime, limit_bytes: int) -> tuple[Message, Sequence[Item]]:
        """A message of as many items as fit, at least one (then cut), and which these are. Of a storm, more than STORM
        at once, it names the first NAMED, those that fit, and counts the others: it stands for all of them."""
        storm = len(items) > STORM
        count = min(len(items), NAMED) if storm else len(items)
        while True:
            named = items[:count]
            taken = items if storm else named
            text = self._text(named, taken, now)
            if len(text.encode()) <= limit_bytes or count == 1:
                break
            count = max(count * limit_bytes // len(text.encode()), 1) if count > 1 else 1
        text = text.encode()[:limit_bytes].decode(errors="ignore")
        data = self._data(named, now) | {"not_named": len(taken) - len(named)}
        return Message(self._title(taken, self.languages[0]), text, data, _key(taken), now), taken

    def test(self, channel: str, now: datetime) -> Message:
        """What `ess alarms --test` sends."""
        text = "\n".join(_TEST[language].format(site=self.site, name=channel) for language in self.languages)
        title = _TEST[self.languages[0]].format(site=self.site, name=channel)
        data = {"schema_version": SCHEMA_VERSION, "site": self.site, "test": True, "alarms": []}
        return Message(title, text, data, f"test {now.isoformat()}", now)

    def _title(self, items: Sequence[Item], language: str) -> str:
        come = sum(Phase.COME in item.phases for item in items)
        over = sum(Phase.OVER in item.phases for item in items)
        return _TITLE[language].format(site=self.site, come=come, over=over)

    def _text(self, named: Sequence[Item], taken: Sequence[Item], now: datetime) -> str:
        more = len(taken) - len(named)
        return "\n\n".join(
            "\n".join(
                (
                    self._title(taken, language),
                    *(self._item(item, now, language) for item in named),
                    *([_MORE[language].format(more=more)] if more else []),
                )
            )
            for language in self.languages
        )

    def _item(self, item: Item, now: datetime, language: str) -> str:
        """`[STOP] A1: cell over-voltage: ... (14:03)`, and what to do."""
        coming, alarm = item.coming, item.coming.alarm
        is_over = coming.over is not None
        word = _OVER[language] if is_over else _LEVELS[language][alarm.level]
        when = self._clock(coming.came, now)
        when += f" - {self._clock(coming.over, now)}" if coming.over is not None else ""
        when += f", {_TIMES[language].format(times=coming.times)}" if coming.times > 1 else ""
        line = f"[{word}] {alarm.text(language)} ({when})"
        return line if is_over else f"{line}\n    {_DO[language]}: {alarm.advice(language)}"

    def _clock(self, when: datetime, now: datetime) -> str:
        local = when.astimezone(self.zone)
        return f"{local:%H:%M}" if local.date() == now.astimezone(self.zone).date() else f"{local:%m-%d %H:%M}"

    def _data(self, items: Sequence[Item], now: datetime) -> dict[str, Any]:
        alarms = [told(item.coming) | {"phases": [phase.value for phase in item.phases]} for item in items]
        return {
            "schema_version": SCHEMA_VERSION,
            "site": self.site,
            "utc": now.isoformat(timespec="seconds"),
            "test": False,
            "alarms": alarms,
        }


def _key(items: Sequence[Item]) -> str:
    """Of many, short: what they are, in a hash."""
    whole = ";".join(f"{i.coming.alarm.id} {i.coming.came.isoformat()} {'+'.join(i.phases)}" for i in items)
    return whole if len(whole) <= LONGEST_KEY else f"{len(items)} {hashlib.sha256(whole.encode()).hexdigest()}"
