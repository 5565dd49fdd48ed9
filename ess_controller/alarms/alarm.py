"""What an alarm is: what has gone wrong, where, with which number, in words of both languages, and what to do."""

from dataclasses import dataclass, field

from ess_controller.alarms.table import WORDS
from ess_controller.alarms.words import Level, Words
from ess_controller.chinese.phrases import in_chinese

LANGUAGES = ("en", "zh")
UNKNOWN_EN = "this release of the alarms does not know it: see `ess status`, and update both"
UNKNOWN_ZH = "此版本告警表中没有该项：请查看 `ess status` 并更新程序"
SHOWN = 4  # places named in a text; the rest are counted


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong at one place. Who it is does not change with its number or its cells."""

    kind: str  # diagnosis, guard, inverter, wire, meter, daemon, companion, plan, reports, disk, health, delivery
    place: str  # string, cabinet, bus, channel or module; empty: the site
    what: str  # a key of WORDS
    at: tuple[str, ...] = ()  # cells or modules, by position: A1/M03/C07
    parts: tuple[str, ...] = ()  # codes of the modules that they are in: what a technician brings
    number: str = ""  # what it rests on: `4.213 V`, or the words of whoever found it
    id: str = field(init=False, compare=False)
    """`diagnosis/A1/cell-over-voltage`: the same as long as it is the same trouble, over restarts too."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", "/".join((self.kind, self.place, self.what)).replace(" ", "-"))

    @property
    def words(self) -> Words:
        """Its row of the table; of what only another release knows, that it is unknown, and loud."""
        return WORDS.get(self.what) or Words(Level.ERROR, self.what, self.what, UNKNOWN_EN, UNKNOWN_ZH)

    @property
    def level(self) -> Level:
        """How bad."""
        return self.words.level

    def text(self, language: str) -> str:
        """What is wrong: `A1: cell over-voltage: A1/M03/C07 (BMW-IX3-04213): 4.213 V`; `language` is en or zh."""
        english = language == "en"
        name, number = (self.words.en, self.number) if english else (self.words.zh, in_chinese(self.number))
        return ": ".join(part for part in (self.place, name, self._places(), number) if part)

    def advice(self, language: str) -> str:
        """What to do about it, position and module code included where they are known."""
        does = self.words.do_en if language == "en" else self.words.do_zh
        where = self._places()
        if not where:
            return does
        return f"{does} ({where})" if language == "en" else f"{does}（{where}）"

    def _places(self) -> str:
        if not self.at:
            return ""
        more = len(self.at) - SHOWN
        named = ", ".join(self.at[:SHOWN]) + (f" +{more}" if more > 0 else "")
        return f"{named} [{', '.join(self.parts[:SHOWN])}]" if self.parts else named
