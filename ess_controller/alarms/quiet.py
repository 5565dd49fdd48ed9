"""Quiet hours by the site's local time: what need not wake anybody waits for their end."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of day to another, over midnight if need be; the same time twice: there are none."""

    begins: time
    ends: time
    zone: ZoneInfo

    def holds(self, now: datetime) -> bool:
        """Whether it is quiet now."""
        local = now.astimezone(self.zone).time()
        if self.begins <= self.ends:
            return self.begins <= local < self.ends
        return local >= self.begins or local < self.ends

    def over_after(self, now: datetime) -> datetime:
        """`now` where it is not quiet, else when the quiet hours that it lies in end, UTC."""
        if not self.holds(now):
            return now
        local = now.astimezone(self.zone)
        day = local.date() + timedelta(days=int(local.time() >= self.ends))
        return datetime.combine(day, self.ends, self.zone).astimezone(UTC)
