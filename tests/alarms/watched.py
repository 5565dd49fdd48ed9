"""A watch of the bench that writes to robots: what tests of the watch share."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from ess_controller.alarms.book import Contact
from ess_controller.alarms.looks import Seen
from ess_controller.alarms.message import Writer
from ess_controller.alarms.sender import Sender
from ess_controller.alarms.store import FILE
from ess_controller.alarms.watch import Watch
from ess_controller.alarms.webhooks import Webhook
from ess_controller.alarms.words import Level
from ess_controller.site.alarms import WebhookSettings
from tests.alarms.made import SHANGHAI, later, rules
from tests.alarms.pictures import FACTS, PLENTY
from tests.alarms.robots import Robots

ANSWER_S, PATIENCE_S, ROBOT_S = 2.0, 20.0, 60.0
CONTACTS = (Contact("ops", Level.NOTICE, 1), Contact("boss", Level.STOP, 2))


class Life:
    """A watch of the bench with two webhooks, and its clock."""

    def __init__(self, folder: Path, variables: Sequence[str] = ("ESS_TEST_WEBHOOK", "ESS_TEST_WEBHOOK")) -> None:
        """`variables`: where the URL of each webhook stands."""
        self.path, self.second, self._variables = folder / FILE, 0.0, variables
        self.watch = self.born()

    def born(self) -> Watch:
        writer = Writer("bench", ("en",), SHANGHAI)
        senders = [
            Sender(contact.name, Webhook(_settings(contact, variable), ROBOT_S), writer, Random(1))
            for contact, variable in zip(CONTACTS, self._variables, strict=True)
        ]
        return Watch(FACTS, rules(*CONTACTS), senders, self.path)

    def killed(self) -> None:
        """It begins anew, and nothing was said before."""
        self.watch = self.born()

    def see(self, seen: Seen, seconds: float, every_s: float = ANSWER_S) -> None:
        """Look at one thing for so long."""
        end = self.second + seconds
        while self.second < end:
            self.second += every_s
            self.watch.step(seen, later(self.second), self.second, PLENTY)
            self.watch.collect(later(self.second), PATIENCE_S)


def _settings(contact: Contact, variable: str) -> WebhookSettings:
    return WebhookSettings(contact.name, contact.least.name.lower(), 1, "webhook", variable, "ESS_TEST_SECRET")


def heard(robots: Robots) -> list[tuple[str, str]]:
    """What came, in order: (what, phases)."""
    return [(each["what"], "+".join(each["phases"])) for _, told in robots.heard for each in told["alarms"]]
