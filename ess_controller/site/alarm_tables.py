"""The table [alarms] of a site file: which keys it has, what is wrong between them, and the record made of it."""

from collections import Counter
from collections.abc import Iterator
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import Field

from ess_controller.site.alarms import (
    AlarmSettings,
    ChannelSettings,
    MailSettings,
    MqttSettings,
    WebhookSettings,
)
from ess_controller.site.errors import Finding
from ess_controller.site.kinds import LIST, Name, Table, at_most

KINDS = ("dingtalk", "feishu", "wecom", "webhook", "mqtt", "mail")

TimeOfDay = Annotated[
    str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="a time of day, HH:MM, from 00:00 to 23:59")
]
Variable = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$", description="the name of the environment variable that holds it"),
]
VariableOrNone = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z_][A-Za-z0-9_]{0,99})?$",
        description='the name of the environment variable that holds it, or "" for none',
    ),
]
LevelName = Literal["info", "notice", "derate", "stop", "error"]
Address = Annotated[str, Field(pattern=r"^[^\s@<>,;]+@[^\s@<>,;]+$", max_length=200, description="a mail address")]


class ChannelTable(Table):
    """What every channel has."""

    name: Name
    least: LevelName = Field(description="the mildest level that it is told")
    turn: int = Field(ge=1, le=9, description="1: told at once; n: when nobody has acknowledged before its turn")


class WecomTable(ChannelTable):
    """A group robot of WeCom: its URL is its key."""

    url_env: Variable


class SignedTable(WecomTable):
    """A group robot of DingTalk or Feishu, or anybody's webhook: requests are signed."""

    secret_env: VariableOrNone


class MqttTable(ChannelTable):
    """An MQTT broker."""

    url: str = Field(
        pattern=r"^mqtts?://[^\s/:@]+:[0-9]{1,5}$", max_length=300, description="mqtt://HOST:PORT or mqtts://HOST:PORT"
    )
    topic: str = Field(
        pattern=r"^[^\s+#/$][^\s+#]*[^\s+#/]$", max_length=200, description="a topic without + and #, such as ess/SITE"
    )
    user: str = Field(max_length=200, description='a user, or "" for no login')
    password_env: VariableOrNone


class MailTable(ChannelTable):
    """A mail server."""

    host: str = Field(pattern=r"^[^\s/:@]+$", max_length=200, description="a host's name or address")
    port: int = Field(ge=1, le=65535)
    tls: Literal["tls", "starttls", "none"]
    user: str = Field(max_length=200, description='a user, or "" for no login')
    password_env: VariableOrNone
    sender: Address
    to: Annotated[tuple[Address, ...], LIST, at_most(50)] = Field(
        min_length=1, max_length=50, description="mail addresses"
    )


_FEW = Field(default=None, min_length=1, max_length=20, description="channels")


class AlarmsTable(Table):
    """How alarms reach people. Without the table no alarm book is kept; without channels nobody is told."""

    language: Literal["en", "zh", "both"]
    quiet_from: TimeOfDay
    quiet_until: TimeOfDay
    hold_off_s: float = Field(ge=10.0, le=86400.0, description="away for so long, an alarm is over, s")
    escalate_min: float = Field(gt=0.0, le=1440.0, description="not acknowledged for so long: the next turn, min")
    dingtalk: Annotated[tuple[SignedTable, ...] | None, LIST, at_most(20)] = _FEW
    feishu: Annotated[tuple[SignedTable, ...] | None, LIST, at_most(20)] = _FEW
    wecom: Annotated[tuple[WecomTable, ...] | None, LIST, at_most(20)] = _FEW
    webhook: Annotated[tuple[SignedTable, ...] | None, LIST, at_most(20)] = _FEW
    mqtt: Annotated[tuple[MqttTable, ...] | None, LIST, at_most(20)] = _FEW
    mail: Annotated[tuple[MailTable, ...] | None, LIST, at_most(20)] = _FEW


def alarm_findings(site: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong between the keys of [alarms], as far as the single ones are right."""
    channels = [(kind, at, each) for kind in KINDS for at, each in enumerate(site.get("alarms", {}).get(kind, []))]
    names = Counter(each.get("name") for _, _, each in channels)
    for kind, at, each in channels:
        path = ("alarms", kind, at)
        if each.get("name") and names[each["name"]] > 1:
            yield Finding((*path, "name"), "a name that no other channel has")
        if "user" in each and "password_env" in each and bool(each["user"]) != bool(each["password_env"]):
            yield Finding((*path, "password_env"), "both user and password_env, or neither")
        if each.get("tls") == "none" and each.get("user"):
            yield Finding((*path, "tls"), '"tls" or "starttls": there is a password')
    if channels and not any(each.get("turn", 1) == 1 for _, _, each in channels):
        kind, at, _ = channels[0]
        yield Finding(("alarms", kind, at, "turn"), "1 for at least one channel: somebody is told at once")


def alarms_of(table: AlarmsTable | None) -> AlarmSettings | None:
    """How alarms are told, if they are."""
    if table is None:
        return None
    return AlarmSettings(
        languages=("zh", "en") if table.language == "both" else (table.language,),
        quiet_from=time.fromisoformat(table.quiet_from),
        quiet_until=time.fromisoformat(table.quiet_until),
        hold_off_s=float(table.hold_off_s),
        escalate_s=60.0 * float(table.escalate_min),
        channels=tuple(_channel(kind, each) for kind in KINDS for each in getattr(table, kind) or ()),
    )


def _channel(kind: str, table: WecomTable | MqttTable | MailTable) -> ChannelSettings:
    if isinstance(table, MqttTable):
        return MqttSettings(table.name, table.least, table.turn, table.url, table.topic, table.user, table.password_env)
    if isinstance(table, MailTable):
        login = (table.host, table.port, table.tls, table.user, table.password_env)
        return MailSettings(table.name, table.least, table.turn, *login, table.sender, table.to)
    secret_env = table.secret_env if isinstance(table, SignedTable) else ""
    return WebhookSettings(table.name, table.least, table.turn, kind, table.url_env, secret_env)
