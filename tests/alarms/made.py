"""Alarms, rules and moments for tests."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ess_controller.alarms.alarm import Alarm
from ess_controller.alarms.book import Book, Contact, Rules
from ess_controller.alarms.quiet import QuietHours
from ess_controller.alarms.words import Level

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # 12:00 in Shanghai
QUIET = QuietHours(time(22, 0), time(7, 0), SHANGHAI)
NEVER_QUIET = QuietHours(time(0, 0), time(0, 0), SHANGHAI)
HOLD_OFF_S, ESCALATE_S = 300.0, 1800.0
FIRST, SECOND = Contact("ops", Level.NOTICE, 1), Contact("boss", Level.STOP, 2)

DOOR = Alarm("diagnosis", "A", "door open")
HIGH = Alarm("diagnosis", "A1", "cell over-voltage", ("A1/M03/C07",), ("BMW-IX3-04213",), "4.213 V")
SMOKE = Alarm("diagnosis", "A", "smoke")
WIRE = Alarm("wire", "pcs", "wire down", number="refused")


def rules(*contacts: Contact, quiet: QuietHours = NEVER_QUIET) -> Rules:
    return Rules(contacts or (FIRST,), quiet, ESCALATE_S, HOLD_OFF_S)


def later(seconds: float, since: datetime = NOON) -> datetime:
    return since + timedelta(seconds=seconds)


def shanghai(hour: int, minute: int = 0, day: int = 2) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


EMPTY = Book()
