"""What a way to reach people is: it takes a message or says why not."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ess_controller.alarms.message import Message
from ess_controller.errors import BadInputError

NO_LIMIT = 10_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message. `why` is empty when it was taken; it never holds a secret."""

    why: str = ""
    retry_after_s: float = 0.0  # as the other side asks

    @property
    def taken(self) -> bool:
        """The other side has it."""
        return not self.why


class Channel(Protocol):
    """One way to reach people. Never raises for anything that a network or a server can do."""

    limit_bytes: int  # of a message's text

    def send(self, message: Message) -> Outcome:
        """Deliver it, within some 20 s."""

    def show(self, alarms: Sequence[Mapping[str, Any]]) -> None:
        """What is open now, at every look, for channels that show a state."""

    def close(self) -> None:
        """Let go of what is held."""


def secret(channel: str, variable: str) -> str:
    """From the environment; empty for no variable. BadInputError when it is not there."""
    found = os.environ.get(variable, "").strip() if variable else ""
    if variable and not found:
        raise BadInputError(
            f"alarm channel {channel}: environment variable {variable}: is not set: nothing is delivered"
        )
    return found
