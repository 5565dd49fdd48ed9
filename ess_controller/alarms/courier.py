"""Runs a channel's sender apart from the others: one that hangs holds up neither them nor the next look at the site."""

import logging
from collections.abc import Sequence
from datetime import datetime
from threading import Thread

from ess_controller.alarms.book import Item
from ess_controller.alarms.channel import Outcome
from ess_controller.alarms.sender import Sender

log = logging.getLogger("ess")

LONGEST_S = 120.0  # a channel promises some 20 s, and a name server may take its time
STUCK = f"a message does not get done within {LONGEST_S / 60.0:.0f} min"


class Courier:
    """One message under way at a time. All but the sending itself is done by one thread, its caller's."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.carried: Sequence[Item] = ()  # not to be offered again before `collect` has said what became of them
        self._taken: Sequence[Item] = ()
        self._way: Thread | None = None
        self._since_s = 0.0
        self.stuck = False  # what is under way takes so long that it may never come back

    @property
    def name(self) -> str:
        """Of the channel."""
        return self.sender.name

    @property
    def trouble(self) -> str:
        """What is wrong with the channel."""
        return STUCK if self.stuck else self.sender.trouble

    def look(self, now_s: float) -> None:
        """Whether what is under way has come so far as it should."""
        was, self.stuck = self.stuck, self._way is not None and now_s - self._since_s > LONGEST_S
        if self.stuck and not was:
            log.warning("alarms: %s: %s", self.name, STUCK)

    def offer(self, items: Sequence[Item], now: datetime, now_s: float) -> None:
        """Send it, if nothing is under way and it is time; the answer comes by `collect`."""
        if self._way is None and self.sender.may_send(now_s):
            self.carried, self._taken, self._since_s = items, (), now_s
            self._way = Thread(target=self._carry, args=(items, now, now_s), name=f"alarms {self.name}", daemon=True)
            self._way.start()

    def collect(self, wait_s: float = 0.0) -> Sequence[Item]:
        """What the channel has taken since it was asked last; waits so long for a message that is under way."""
        if self._way is None:
            return ()
        self._way.join(wait_s)
        if self._way.is_alive():
            return ()
        self._way, self.carried, self.stuck = None, (), False
        return self._taken

    def _carry(self, items: Sequence[Item], now: datetime, now_s: float) -> None:
        try:
            self._taken = self.sender.send(items, now, now_s)
        except Exception:
            log.exception("alarms: %s: a mistake of our own", self.name)
            self.sender.failed(Outcome("a mistake of our own"), now_s)
