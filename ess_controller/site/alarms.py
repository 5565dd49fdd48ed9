"""To whom alarms go and how: the table [alarms] of a site file. Secrets are in the environment, named here."""

from dataclasses import dataclass
from datetime import time


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """A group robot of DingTalk, Feishu or WeCom, or anybody's webhook. The URL of a robot is a secret itself."""

    name: str
    least: str  # the mildest level that it is told, as the file names it
    turn: int
    kind: str  # dingtalk, feishu, wecom, webhook
    url_env: str  # name of the environment variable
    secret_env: str  # that of what requests are signed with; empty: they are not

    @property
    def environment(self) -> tuple[str, ...]:
        """The variables that it needs."""
        return tuple(filter(None, (self.url_env, self.secret_env)))


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """A broker: TOPIC/alarms (retained: what is open), TOPIC/alarms/event, TOPIC/alarms/online (last will)."""

    name: str
    least: str  # the mildest level that it is told, as the file names it
    turn: int
    url: str  # mqtt://HOST:PORT or mqtts://HOST:PORT
    topic: str
    user: str  # empty: no login
    password_env: str

    @property
    def environment(self) -> tuple[str, ...]:
        """The variables that it needs."""
        return tuple(filter(None, (self.password_env,)))


@dataclass(frozen=True, slots=True)
class MailSettings:
    """A mail server that takes our mails."""

    name: str
    least: str  # the mildest level that it is told, as the file names it
    turn: int
    host: str
    port: int
    tls: str  # tls: from the first byte; starttls; none
    user: str  # empty: no login
    password_env: str
    sender: str
    to: tuple[str, ...]

    @property
    def environment(self) -> tuple[str, ...]:
        """The variables that it needs."""
        return tuple(filter(None, (self.password_env,)))


ChannelSettings = WebhookSettings | MqttSettings | MailSettings


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """How a site tells its alarms. Without channels the book is kept all the same, for the page and `ess alarms`."""

    languages: tuple[str, ...]  # en, zh, or both
    quiet_from: time  # of the site's local time; the same as quiet_until: never
    quiet_until: time
    hold_off_s: float  # absent for so long: it is over; before, it is the same coming
    escalate_s: float  # nobody has acknowledged for so long: the next turn is told
    channels: tuple[ChannelSettings, ...]
