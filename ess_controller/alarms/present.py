"""Which alarms hold right now: read from the daemon's live picture and from the disk it writes to; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ess_controller.alarms.alarm import Alarm

WATCH = "alarm watch"  # as a companion of the daemon
HANGS_S = 5.0  # a picture that old: WatchdogSec of the service
LATE_SHARE, LATE_FEWEST = 0.01, 5  # of the beats since the earlier look
FULL_SHARE = 0.8  # of the outbox's budget
DISK_FREE_BYTES = 500_000_000  # less is too little for a day's journal and an outbox that grows
# What a cabinet's contacts say holds for all of its strings; told once, of the cabinet.
OF_CABINET = frozenset(
    ("E-stop pressed", "interlock open", "smoke", "gas", "door open", "remote I/O silent", "inverter disobeys")
)
# Which of a string's numbers a diagnosis rests on: key, unit, and the key of its place.
_NUMBERS = {
    "cell over-voltage": ("cell_v_max", "V", "cell_v_max_at"),
    "cell under-voltage": ("cell_v_min", "V", "cell_v_min_at"),
    "cell over-temperature": ("cell_c_max", "C", "cell_c_max_at"),
    "string over-current": ("string_a", "A", ""),
    "string voltage implausible": ("string_v", "V", ""),
    "insulation low": ("insulation_ohm", "ohm", ""),
}
_RULES = {"cells silent": "communication", "deep discharge": "deep discharge"}  # the limit that names the cell


@dataclass(frozen=True, slots=True)
class Facts:
    """What is fixed about a site and not in its picture."""

    site: str
    period_s: float  # of a beat
    outbox_mb: float  # 0: none
    code_of: Mapping[str, str]  # A1/M03 -> the module's code
    isolated: tuple[str, ...]  # strings not in service


@dataclass(frozen=True, slots=True)
class Counters:
    """What only grows while a daemon lives, as it stood at one look."""

    at_s: float  # of wall time
    late_beats: int
    dropped: int  # report lines, and beats that were never made into any
    dead: int  # report lines
    journal_dropped: int  # beats


def counters(picture: Mapping[str, Any], at_s: float) -> Counters:
    """Of one look."""
    outbox, journal = picture.get("outbox", {}), picture.get("journal", {})
    return Counters(
        at_s,
        int(picture["late_beats"]),
        int(outbox.get("dropped") or 0) + int(outbox.get("beats_dropped") or 0),
        int(outbox.get("dead") or 0),
        int(journal.get("dropped") or 0),
    )


def present(
    picture: Mapping[str, Any], facts: Facts, now: Counters, earlier: Counters, disk_free_bytes: float
) -> tuple[Alarm, ...]:
    """All alarms of one look, each id once. `earlier`: the counters of a look before, or `now` itself at the first."""
    found = (
        *_of_strings(picture, facts),
        *_of_cabinets(picture),
        *_of_wires(picture),
        *_of_daemon(picture, facts, now, earlier),
        *_of_reports(picture, facts, now, earlier),
        *_of_disk(disk_free_bytes, now, earlier),
        *_of_health(picture),
    )
    return tuple({alarm.id: alarm for alarm in reversed(found)}.values())[::-1]


def silent(why: str) -> Alarm:
    """The daemon does not answer."""
    return Alarm("daemon", "", "daemon silent", number=why)


def _of_strings(picture: Mapping[str, Any], facts: Facts) -> Iterator[Alarm]:
    for string in picture["strings"]:
        name, cabinet = string["name"], string["cabinet"]
        for diagnosis in string["diagnoses"]:
            what = diagnosis["name"]
            place = cabinet if what in OF_CABINET else name
            at = tuple(diagnosis["cells"]) or _blamed(picture, cabinet, name, what)
            number = ""
            if what in _NUMBERS:
                key, unit, at_key = _NUMBERS[what]
                at = (string[at_key],) if at_key else at
                number = "" if string[key] is None else f"{string[key]:.5g} {unit}"
            yield Alarm("diagnosis", place, what, at, _codes(at, facts), number)


def _blamed(picture: Mapping[str, Any], cabinet: str, string: str, what: str) -> tuple[str, ...]:
    """The cell of the string that a limit names, where a limit goes with the diagnosis."""
    ways = next(each["why"] for each in picture["cabinets"] if each["name"] == cabinet).values()
    losses = [loss for way in ways for loss in way["losses"] if loss["rule"] == _RULES.get(what)]
    return tuple(dict.fromkeys(loss["at"] for loss in losses if loss["at"].startswith(f"{string}/")))


def _codes(at: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    """Codes of the modules that cells or modules lie in, each once; of swapped ones (`X <-> Y`), both."""
    places = [place.strip() for each in at for place in each.split("<->")]
    codes = [facts.code_of.get("/".join(place.split("/")[:2]), "") for place in places]
    return tuple(dict.fromkeys(code for code in codes if code))


def _of_cabinets(picture: Mapping[str, Any]) -> Iterator[Alarm]:
    for cabinet in picture["cabinets"]:
        name = cabinet["name"]
        for word in filter(None, cabinet["guard"].split(", ")):
            yield Alarm("guard", name, word)
        if cabinet["pcs_state"] == "fault":
            yield Alarm("inverter", name, "inverter fault")
        if cabinet["pcs_w"] is None:
            yield Alarm("inverter", name, "inverter silent")
        if cabinet["pcs_local"]:
            yield Alarm("inverter", name, "inverter local")


def _of_wires(picture: Mapping[str, Any]) -> Iterator[Alarm]:
    for name, wire in picture["wires"].items():
        if not wire["up"]:
            yield Alarm("wire", name, "wire down", number=wire["trouble"])
    if picture["grid_w"] is None:
        yield Alarm("meter", "", "meter silent")


def _of_daemon(picture: Mapping[str, Any], facts: Facts, now: Counters, earlier: Counters) -> Iterator[Alarm]:
    age_s = picture["age_s"]
    if age_s is None or age_s > HANGS_S:
        yield Alarm("daemon", "", "daemon hangs", number="" if age_s is None else f"{age_s:.0f} s")
    late = now.late_beats - earlier.late_beats
    if late >= LATE_FEWEST and late * facts.period_s > LATE_SHARE * (now.at_s - earlier.at_s):
        yield Alarm("daemon", "", "late beats", number=f"{late} in {now.at_s - earlier.at_s:.0f} s")
    for name, told in picture.get("companions", {}).items():
        if told["trouble"]:
            yield Alarm("companion", name, "companion fails", number=told["trouble"])
    if trouble := picture.get("plan", {}).get("trouble"):
        yield Alarm("plan", "", "no plan", number=trouble)


def _of_reports(picture: Mapping[str, Any], facts: Facts, now: Counters, earlier: Counters) -> Iterator[Alarm]:
    outbox = picture.get("outbox", {})
    if now.dropped > earlier.dropped:
        yield Alarm("reports", "", "reports dropped", number=f"{now.dropped - earlier.dropped}")
    if now.dead > earlier.dead:
        yield Alarm("reports", "", "reports refused", number=f"{now.dead - earlier.dead}")
    if outbox.get("trouble"):
        yield Alarm("reports", "", "reports held up", number=outbox["trouble"])
    if facts.outbox_mb and (outbox.get("bytes") or 0) > FULL_SHARE * facts.outbox_mb * 1e6:
        yield Alarm("reports", "", "outbox nearly full", number=f"{outbox['bytes'] / 1e6:.0f} MB")


def _of_disk(free_bytes: float, now: Counters, earlier: Counters) -> Iterator[Alarm]:
    if free_bytes < DISK_FREE_BYTES:
        yield Alarm("disk", "", "disk nearly full", number=f"{free_bytes / 1e6:.0f} MB")
    if now.journal_dropped > earlier.journal_dropped:
        yield Alarm("disk", "", "journal dropped", number=f"{now.journal_dropped - earlier.journal_dropped}")


def _of_health(picture: Mapping[str, Any]) -> Iterator[Alarm]:
    for told in picture.get("health", {}).get("soft_shorts", ()):  # `BMW-IX3-04191 cell 3`
        yield Alarm("health", told, "soft short", parts=(told.partition(" ")[0],))
