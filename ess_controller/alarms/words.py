"""How bad an alarm is, and what a row of the table of alarms holds."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """As events have it. Stop: contactors open. Error: something fails that others rest on. Both wake people."""

    INFO = 0
    NOTICE = 1
    DERATE = 2
    STOP = 3
    ERROR = 4


WAKES = Level.STOP  # and above: passes quiet hours


@dataclass(frozen=True, slots=True)
class Words:
    """One row: the level, name and advice in both languages, and how long it must hold before it counts, s."""

    level: Level
    en: str
    zh: str
    do_en: str
    do_zh: str
    after_s: float = 0.0  # the daemon has debounced its diagnoses itself
