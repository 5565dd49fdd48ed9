"""Captures that are text, one frame a line: candump, Vector ASC, PEAK and CANHacker traces, PP2CAN.

A reader takes one line at a time. It gives a Row, or None where a line says nothing of a frame (headers, comments);
it raises RefusedError with what it expected where a line should have been a frame, and SkippedError for frames that
no dialect of ours knows (error frames, CAN FD).
"""

import re
from collections import Counter
from typing import Protocol

from firmware_bridge.records import Floats
from firmware_bridge.wires.can_ids import EFF_FLAG, EFF_MASK, ERR_FLAG, RTR_FLAG, SFF_MASK

Row = tuple[float, str, int, bytes]
"""Time in the file's own unit, channel, CAN id with the flags of linux/can.h, data."""

HEX_BYTES = "two hexadecimal digits a byte"
_EXCEL_DAYS_1970 = 25_569  # PEAK counts days from 1899-12-30
LARGEST_TIME = 1e20
_BYTE = re.compile(r"[0-9A-Fa-f]{1,2}")


class RefusedError(Exception):
    """A line that cannot be believed; the text is what was expected."""


class SkippedError(Exception):
    """A frame that is whole and not for us; the text names its kind."""


class LineFormat(Protocol):
    """A reader of one kind of file."""

    name: str
    repaired: Counter[str]

    def read(self, line: str) -> Row | None:
        """The frame of a line."""

    def seconds(self, times: Floats, channels: int) -> tuple[float, str]:
        """What makes seconds of the file's times [n], and what to tell about it. RefusedError: they are no times."""


class InSeconds:
    """A format whose unit of time is certain."""

    def __init__(self) -> None:
        self.repaired: Counter[str] = Counter()

    def seconds(self, times: Floats, channels: int) -> tuple[float, str]:
        """They are seconds already."""
        return 1.0, ""


def number(text: str) -> float:
    """A time, be its decimal point a comma."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        raise RefusedError(f"a time stamp, which {text[:20]!r} is not") from None
    if not abs(value) < LARGEST_TIME:
        raise RefusedError(f"a time stamp, which {text[:20]!r} is not")
    return value


def can_id(value: int, *, extended: bool) -> int:
    """An id with its flag; RefusedError when it does not fit."""
    if not 0 <= value <= (EFF_MASK if extended else SFF_MASK):
        raise RefusedError(f"a CAN id of {29 if extended else 11} bits, which 0x{value:X} is not")
    return value | (EFF_FLAG if extended else 0)


def payload(words: list[str], length: int, base: int = 16) -> bytes:
    """`length` bytes, each a word."""
    if length > 8:
        raise SkippedError("CAN FD frame")
    if len(words) != length:
        raise RefusedError(f"{length} data bytes, not {len(words)}")
    try:
        values = bytes([int(word, base) for word in words])
    except ValueError:
        raise RefusedError(HEX_BYTES if base == 16 else "data bytes from 0 to 255") from None
    return values


class CandumpLog(InSeconds):
    """`candump -L`: `(1768449600.123456) can0 123#0102 R`."""

    name = "candump -L"
    _LINE = re.compile(r"\s*\((-?\d+(?:[.,]\d+)?)\)\s+(\S+)\s+([0-9A-Fa-f]+)#(\S*)(?:\s+[RTrt])?\s*")
    _DATA = re.compile(r"(?:[0-9A-Fa-f]{2}\.?)*")

    def read(self, line: str) -> Row | None:
        """The frame of a line."""
        if not line.strip():
            return None
        found = self._LINE.fullmatch(line)
        if found is None:
            raise RefusedError("(SECONDS) CHANNEL ID#DATA, as candump -L writes")
        stamp, channel, word, data = found.groups()
        value = int(word, 16)
        if data.startswith("#"):
            raise SkippedError("CAN FD frame")
        if len(word) == 8 and value & ERR_FLAG:
            raise SkippedError("error frame")
        whole = can_id(value, extended=len(word) > 3)
        if data[:1] in ("R", "r"):
            return number(stamp), channel, whole | RTR_FLAG, b""
        digits = data.replace(".", "")
        if not self._DATA.fullmatch(data):
            raise RefusedError(HEX_BYTES)
        if len(digits) > 16:
            raise SkippedError("CAN FD frame")
        return number(stamp), channel, whole, bytes.fromhex(digits)


class CandumpScreen(InSeconds):
    """`candump -t a` or `-t z` as on the screen: ` (000.000000)  can0  123   [8]  01 02`."""

    name = "candump"
    _LINE = re.compile(r"\s*\(([^)]*)\)\s+(\S+)\s+(?:[RT]X\s+\S+\s+)?([0-9A-Fa-f]+)\s+\[(\d+)\]\s*(.*?)(?:\s+'.*')?\s*")

    def read(self, line: str) -> Row | None:
        """The frame of a line."""
        if not line.strip():
            return None
        found = self._LINE.fullmatch(line)
        if found is None:
            raise RefusedError("(SECONDS) CHANNEL ID [LENGTH] BYTES, as candump -t a writes")
        stamp, channel, word, length, data = found.groups()
        value = int(word, 16)
        if "ERRORFRAME" in data or (len(word) == 8 and value & ERR_FLAG):
            raise SkippedError("error frame")
        whole = can_id(value, extended=len(word) > 3)
        if data.startswith("remote request"):
            return number(stamp), channel, whole | RTR_FLAG, b""
        return number(stamp), channel, whole, payload(data.split(), int(length))


class VectorAsc(InSeconds):
    """Vector ASCII log: `0.015991 1  0D6  Rx   d 8 00 11 ...`."""

    name = "Vector ASC"
    _HEAD = re.compile(r"base\s+(hex|dec)(?:\s+timestamps\s+(absolute|relative))?", re.IGNORECASE)
    _QUIET = re.compile(
        r"(?:date|internal|no internal|begin trigger|end trigger|previous log file|//|base)", re.IGNORECASE
    )
    _EVENT = re.compile(r"(\d+[.,]\d+)\s+(\S+)\s*(.*)")
    _FRAME = re.compile(r"(\S+?)(x?)\s+(?:Rx|Tx|TxRq)\s+([dr])\s*([0-9A-Fa-f]*)\s*(.*)", re.IGNORECASE)

    def __init__(self) -> None:
        super().__init__()
        self._base, self._relative, self._now_s = 16, False, 0.0

    def read(self, line: str) -> Row | None:
        """The frame of a line."""
        line = line.strip()
        if head := self._HEAD.match(line):
            self._base = 10 if head[1].lower() == "dec" else 16
            # absolute: since the start of the log; relative: since the event before
            self._relative = (head[2] or "").lower() == "relative"
        if not line or self._QUIET.match(line):
            return None
        event = self._EVENT.fullmatch(line)
        if event is None:
            raise RefusedError("SECONDS CHANNEL ID Rx d LENGTH BYTES, as in a Vector .asc")
        stamp_s = number(event[1])
        self._now_s = self._now_s + stamp_s if self._relative else stamp_s
        if event[2] == "CANFD":
            raise SkippedError("CAN FD frame")
        if not event[2].isdecimal() or event[3].startswith(("Statistic", "Start of")):
            return None  # chip states, triggers, system variables
        if event[3].lower().startswith("errorframe"):
            raise SkippedError("error frame")
        return self._frame(event[2], event[3])

    def _frame(self, channel: str, words: str) -> Row:
        found = self._FRAME.fullmatch(words)
        try:
            value = int(found[1], self._base) if found else -1
        except ValueError:
            value = -1
        if found is None or value < 0:
            raise RefusedError("ID Rx d LENGTH BYTES, with a number as id")
        whole = can_id(value, extended=bool(found[2]))
        if found[3].lower() == "r":
            return self._now_s, channel, whole | RTR_FLAG, b""
        length = int(found[4] or "0", 16)
        data = found[5].split()
        return self._now_s, channel, whole, payload(data[: min(length, 64)], length, self._base)


_PEAK_COLUMNS = {  # of the versions that do not name them
    "1.0": "N,O,I,L,D",
    "1.1": "N,O,T,I,L,D",
    "1.2": "N,O,B,T,I,L,D",
    "1.3": "N,O,B,T,I,R,L,D",
}
_PEAK_CLASSIC, _PEAK_FD = frozenset({"DT", "RX", "TX", "RR"}), frozenset({"FD", "FB", "FE", "BI"})
_PEAK_EVENTS = frozenset({"ST", "EC", "ER", "EV", "ERROR", "WARNG"})


class PeakTrace(InSeconds):
    """PEAK .trc 1.0 to 2.1: times in ms, columns by version or as the file names them."""

    name = "PEAK TRC"

    def __init__(self) -> None:
        super().__init__()
        self._columns, self._start_s = _PEAK_COLUMNS["1.0"].split(","), 0.0

    def read(self, line: str) -> Row | None:
        """The frame of a line."""
        line = line.strip()
        if line.startswith(";") or not line:
            self._header(line)
            return None
        cells = line.split(maxsplit=len(self._columns) - 1)
        row = dict(zip(self._columns, cells, strict=False))
        kind = row.get("T", "DT").upper()
        if kind in _PEAK_EVENTS or row.get("I") == "FFFFFFFF":
            raise SkippedError("error frame" if kind in ("ER", "ERROR") else "bus event")
        if kind in _PEAK_FD:
            raise SkippedError("CAN FD frame")
        if kind not in _PEAK_CLASSIC or not {"N", "O", "I"} <= row.keys() or not row["N"].rstrip(")").isdecimal():
            raise RefusedError(f"the columns {', '.join(self._columns)} of a PEAK .trc")
        return self._frame(row)

    def _frame(self, row: dict[str, str]) -> Row:
        try:
            whole = can_id(int(row["I"].removesuffix("h"), 16), extended=len(row["I"].removesuffix("h")) > 4)
            length = int(row.get("L", row.get("l", "")))
        except ValueError:
            raise RefusedError("a hexadecimal id and a length, as in a PEAK .trc") from None
        stamp_s, channel = self._start_s + number(row["O"]) / 1000.0, row.get("B", "1")
        data = row.get("D", "")
        if data.startswith("RTR") or row.get("T") == "RR":
            return stamp_s, channel, whole | RTR_FLAG, b""
        return stamp_s, channel, whole, payload(data.split(), length)

    def _header(self, line: str) -> None:
        name, equals, value = line.lstrip(";$ ").partition("=")
        if not equals:
            return
        if name == "FILEVERSION":
            self._columns = _PEAK_COLUMNS.get(value.strip(), ",".join(self._columns)).split(",")
        elif name == "COLUMNS":
            self._columns = [column.strip() for column in value.split(",")][:20] or self._columns
        elif name == "STARTTIME":
            self._start_s = (number(value.strip()) - _EXCEL_DAYS_1970) * 86_400.0


class CarbusTrace(InSeconds):
    """CANHacker and CARBUS .trc: head `@ TEXT @ 3 @`, tabs, decimal commas: `17,439466 1 0004 4A0 8 CC FF`."""

    name = "CANHacker TRC"
    _LINE = re.compile(r"(\d+[.,]\d+)\s+(\d+)\s+([0-9A-Fa-f]{4,8})\s+([0-9A-Fa-f]{3,8})\s+(\d)(\s.*)?")
    _MINUTE_S = 60.0

    def __init__(self) -> None:
        super().__init__()
        self._last_s = self._carry_s = 0.0

    def read(self, line: str) -> Row | None:
        """The frame of a line."""
        line = line.strip()
        if not line or line.startswith(("@", "#", "%")):
            return None
        found = self._LINE.fullmatch(line)
        if found is None:
            raise RefusedError("SECONDS CHANNEL FLAGS ID LENGTH BYTES, as in a CANHacker .trc")
        stamp, channel, _, word, digit, data = found.groups()
        length, words = int(digit), (data or "").split()
        cells = words[:length]
        if not all(_BYTE.fullmatch(cell) and len(cell) == 2 for cell in cells):
            raise RefusedError(HEX_BYTES)
        stamp_s = number(stamp)
        if stamp_s < self._last_s - self._MINUTE_S / 2:  # older versions write the seconds of a minute
            self._carry_s += self._MINUTE_S
        self._last_s = stamp_s
        return self._carry_s + stamp_s, channel, can_id(int(word, 16), extended=len(word) > 3), payload(cells, length)


class Pp2Can(InSeconds):
    """PP2CAN text: `>12  14:23:30.8:512  St  0x2BD  8  01 02 ... p:1`; milliseconds are not padded with zeros."""

    name = "PP2CAN"
    _LINE = re.compile(r">\s*(\d+)\s+(\d+):(\d+):(\d+)\.(\d{1,3}):(\d{1,3})\s+(\w+)\s+0x([0-9A-Fa-f]+)(.*)")
    _PORT = re.compile(r"\bp:(\d+)")

    def read(self, line: str) -> Row | None:
        """The frame of a line."""
        line = line.strip()
        if not line.startswith(">"):
            return None
        found = self._LINE.fullmatch(line)
        if found is None:
            raise RefusedError(">N HOUR:MINUTE:SECOND.MS:US St 0xID BYTES, as PP2CAN writes")
        _, hour, minute, second, ms, us, kind, word, rest = found.groups()
        stamp_s = int(hour) * 3600 + int(minute) * 60 + int(second) + int(ms) * 1e-3 + int(us) * 1e-6
        port = self._PORT.search(rest)
        words = self._PORT.sub("", rest).split()
        if words and len(words[0]) == 1:  # a length stands before the bytes
            length = words.pop(0)
            if not length.isdecimal() or int(length) != len(words):
                raise RefusedError(f"{length} data bytes, not {len(words)}")
        whole = can_id(int(word, 16), extended=kind.lower() != "st")
        return stamp_s, port[1] if port else "1", whole, payload(words, len(words))
