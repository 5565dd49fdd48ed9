"""When to knock again at a bus or device that is gone: soon at first, then ever less often."""

from dataclasses import dataclass
from math import inf


@dataclass(slots=True)
class Backoff:
    """Waits that double from `first_s` to `longest_s` while things fail. Time comes in as an argument."""

    first_s: float
    longest_s: float
    wait_s: float = 0.0  # the wait now running; 0 while all is well
    next_s: float = -inf  # not to be tried before

    def due(self, now_s: float) -> bool:
        """Whether it is time for the next try."""
        return now_s >= self.next_s

    def failed(self, now_s: float) -> None:
        """The try failed: wait, longer than last time."""
        self.wait_s = min(max(2.0 * self.wait_s, self.first_s), self.longest_s)
        self.next_s = now_s + self.wait_s

    def worked(self) -> None:
        """The try worked: the next failure is met at once again."""
        self.wait_s = 0.0
        self.next_s = -inf
