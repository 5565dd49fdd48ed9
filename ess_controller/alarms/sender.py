"""Brings one channel its messages: tried again with back-off, each trouble told once, never too many at once."""

import logging
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from random import Random

from ess_controller.alarms.book import Item
from ess_controller.alarms.channel import Channel, Outcome
from ess_controller.alarms.mail import Mail
from ess_controller.alarms.message import Message, Writer
from ess_controller.alarms.webhooks import Webhook
from ess_controller.errors import BadInputError
from ess_controller.site.alarms import ChannelSettings, MailSettings, WebhookSettings

log = logging.getLogger("ess")

GAP_S = 4.0  # between two messages: robots of DingTalk and WeCom take 20 a minute
FIRST_RETRY_S, LONGEST_RETRY_S = 2.0, 120.0  # doubling in between, each shortened by up to a half at random


def made(settings: ChannelSettings, site: str) -> Channel:
    """The channel of a table. BadInputError where a secret or a library is missing."""
    if isinstance(settings, WebhookSettings):
        return Webhook(settings)
    if isinstance(settings, MailSettings):
        return Mail(settings)
    if find_spec("paho") is None:
        raise BadInputError(f"alarm channel {settings.name}: expected paho-mqtt to be installed: the extra `alarms`")
    from ess_controller.alarms.mqtt import Mqtt  # noqa: PLC0415  only where a site has a broker

    return Mqtt(settings, site)


class Sender:
    """One channel's. Time is its caller's."""

    def __init__(self, name: str, channel: Channel, writer: Writer, random: Random) -> None:
        self.name, self.channel = name, channel
        self._writer, self._random = writer, random
        self._failures = 0
        self._not_before_s = float("-inf")
        self.trouble = ""

    def may_send(self, now_s: float) -> bool:
        """Whether the last message or failure is long enough ago."""
        return now_s >= self._not_before_s

    def send(self, items: Sequence[Item], now: datetime, now_s: float) -> Sequence[Item]:
        """Send as much of it as fits; returns what was taken."""
        message, taken = self._writer.message(items, now, self.channel.limit_bytes)
        outcome = self.channel.send(message)
        if not outcome.taken:
            self.failed(outcome, now_s)
            return ()
        self._failures, self._not_before_s = 0, now_s + GAP_S
        self._tell("")
        return taken

    def failed(self, outcome: Outcome, now_s: float) -> None:
        """It is tried again later."""
        self._failures += 1
        self._not_before_s = now_s + self._wait_s(outcome)
        self._tell(outcome.why)

    def _wait_s(self, outcome: Outcome) -> float:
        wait_s = min(FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 20), LONGEST_RETRY_S)
        return max(wait_s * self._random.uniform(0.5, 1.0), outcome.retry_after_s)

    def _tell(self, trouble: str) -> None:
        if trouble and not self.trouble:
            log.warning("alarms: %s: %s; alarms wait and are sent again", self.name, trouble)
        elif self.trouble and not trouble:
            log.info("alarms: %s: delivers again", self.name)
        self.trouble = trouble


class Missing:
    """A channel that cannot be: it takes nothing and says why."""

    limit_bytes = 1

    def __init__(self, why: str) -> None:
        self._why = why

    def send(self, message: Message) -> Outcome:
        """Never taken."""
        return Outcome(self._why)

    def show(self, alarms: object) -> None:
        """Nobody to show it to."""

    def close(self) -> None:
        """Nothing is held."""
