"""Captures that are tables (CSV), and what a spreadsheet does to them: undone where it is certain, else refused.

A spreadsheet that has opened such a file and saved it again reads the id 2E6 as two million and writes 2.00E+06. Of an
11-bit id that can only have been 2E6: one digit, E, one digit. A time stamp written so has lost its digits for good.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections import Counter

import numpy as np

from firmware_bridge.records import Floats
from firmware_bridge.wires.can_ids import RTR_FLAG
from firmware_bridge.wires.capture_lines import HEX_BYTES, RefusedError, Row, SkippedError, can_id, number, payload

FASTEST_HZ = 8_600.0  # frames a second on one bus: 1 Mbit/s over 117 bits (eight bytes) and then some
YEAR_2100_S = 4.1e9
_MANTISSA = re.compile(r"([0-7])(?:[.,]0+)?E\+?0*(\d)", re.IGNORECASE)
_EXPONENT = re.compile(r"[-+]?\d+(?:[.,]\d+)?E[-+]?\d+", re.IGNORECASE)
_HEX = re.compile(r"(?:0x)?([0-9A-Fa-f]{1,8})", re.IGNORECASE)
_TRUE, _FALSE = {"true", "1", "wahr", "vrai"}, {"false", "0", "", "falsch", "faux"}
_LARGEST_CELLS = 200


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of a line without quotes and blanks."""
    return [cell.strip().strip('"').strip() for cell in line.rstrip("\r\n").split(separator)[:_LARGEST_CELLS]]


def separator_of(line: str) -> str:
    """What parts the cells of a head line."""
    return max(",;\t", key=line.count)


def id_of(text: str, *, extended: bool, repaired: Counter[str]) -> int:
    """A hexadecimal id; one that a spreadsheet took for a number is repaired where only one id can be meant."""
    if re.search(r"E\+", text, re.IGNORECASE) or re.search(r"[.,]", text):
        found = None if extended else _MANTISSA.fullmatch(text)
        if found is None or found[1] == "0":
            raise RefusedError(f"a hexadecimal id: a spreadsheet has made {text[:20]!r} of it, which may be several")
        repaired["ids that a spreadsheet had taken for numbers (2.00E+06 is 2E6)"] += 1
        text = f"{found[1]}E{found[2]}"
    whole = _HEX.fullmatch(text)
    if whole is None:
        raise RefusedError(f"a hexadecimal id, which {text[:20]!r} is not")
    return can_id(int(whole[1], 16), extended=extended)


def stamp_of(text: str, repaired: Counter[str]) -> float:
    """A time stamp, every digit of it."""
    if _EXPONENT.fullmatch(text):
        raise RefusedError(f"a time stamp with all its digits: a spreadsheet has made {text[:20]!r} of it")
    if "," in text:
        repaired["decimal commas"] += 1
    return number(text)


def flag_of(text: str) -> bool:
    """Yes or no, in the words of several spreadsheets."""
    low = text.lower()
    if low in _TRUE:
        return True
    if low in _FALSE:
        return False
    raise RefusedError(f"true or false, not {text[:20]!r}")


class PythonCanCsv:
    """python-can's CSV: timestamp, arbitration_id, extended, remote, error, dlc, data in base64."""

    name = "python-can CSV"
    HEAD = ("timestamp", "arbitration_id", "extended", "remote", "error", "dlc", "data")

    def __init__(self) -> None:
        self.repaired: Counter[str] = Counter()
        self._separator = ""

    def read(self, line: str) -> Row | None:
        """The frame of a line."""
        if not line.strip():
            return None
        if not self._separator:
            separator = separator_of(line)
            if tuple(cell.lower() for cell in cells_of(line, separator)) != self.HEAD:
                raise RefusedError(f"the head line {','.join(self.HEAD)}")
            self._separator = separator
            return None
        cells = cells_of(line, self._separator)
        if len(cells) != len(self.HEAD):
            raise RefusedError(f"{len(self.HEAD)} cells, not {len(cells)}")
        stamp, word, extended, remote, error, dlc, data = cells
        if flag_of(error):
            raise SkippedError("error frame")
        whole = id_of(word, extended=flag_of(extended), repaired=self.repaired)
        stamp_s = stamp_of(stamp, self.repaired)
        if flag_of(remote):
            return stamp_s, "1", whole | RTR_FLAG, b""
        return stamp_s, "1", whole, self._data(dlc, data)

    @staticmethod
    def _data(dlc: str, data: str) -> bytes:
        try:
            found = b64decode(data, validate=True)
            length = int(dlc)
        except (Base64Error, ValueError):
            raise RefusedError("a length, and data in base64") from None
        if length > 8:
            raise SkippedError("CAN FD frame")
        if len(found) != length:
            raise RefusedError(f"{length} data bytes, not {len(found)}")
        return found

    def seconds(self, times: Floats, channels: int) -> tuple[float, str]:
        """They are seconds; without any fraction they are what a spreadsheet has left of them."""
        if len(times) > 20 and not np.count_nonzero(times % 1.0):
            raise RefusedError("time stamps with fractions of a second: a spreadsheet has rounded these")
        return 1.0, ""


class GvretCsv:
    """SavvyCAN's and GVRET's CSV: Time Stamp, ID, Extended, [Dir,] Bus, LEN, D1 to D8, in us or ms."""

    name = "SavvyCAN CSV"
    _NEEDED = ("id", "extended", "bus", "len", "d1")

    def __init__(self) -> None:
        self.repaired: Counter[str] = Counter()
        self._at: dict[str, int] = {}
        self._separator = ","

    def read(self, line: str) -> Row | None:
        """The frame of a line."""
        if not line.strip(" \t\r\n,;"):
            return None
        if not self._at:
            self._head(line)
            return None
        cells = cells_of(line, self._separator)
        at = self._at
        if len(cells) <= max(at[name] for name in ("time", *self._NEEDED[:-1])):
            raise RefusedError("the cells that the head line names")
        extended = flag_of(cells[at["extended"]])
        whole = id_of(cells[at["id"]], extended=extended, repaired=self.repaired)
        stamp = stamp_of(cells[at["time"]], self.repaired)
        if not cells[at["len"]].isdecimal():
            raise RefusedError(f"a length, which {cells[at['len']][:20]!r} is not")
        length = int(cells[at["len"]])
        data = cells[at["d1"] : at["d1"] + min(length, 64)]
        if not all(data) or any(len(cell) > 2 for cell in data):
            raise RefusedError(HEX_BYTES)
        return stamp, cells[at["bus"]] or "0", whole, payload(data, length)

    def _head(self, line: str) -> None:
        separator = separator_of(line)
        names = [cell.lower().replace(" ", "") for cell in cells_of(line, separator)]
        at = {name: number for number, name in reversed(list(enumerate(names)))}
        if "timestamp" not in at or not set(self._NEEDED) <= at.keys():
            raise RefusedError("the head line Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8")
        self._at, self._separator = at | {"time": at["timestamp"]}, separator

    def seconds(self, times: Floats, channels: int) -> tuple[float, str]:
        """Microseconds, unless no bus could be that fast, or the year would be beyond 2100."""
        span = float(np.ptp(times))
        if float(times.max(initial=0.0)) * 1e-6 > YEAR_2100_S:
            return 1e-9, "time stamps read as nanoseconds: as microseconds they would lie beyond the year 2100"
        for scale, unit in ((1e-6, ""), (1e-3, "milliseconds"), (1.0, "seconds")):
            if len(times) <= span * scale * FASTEST_HZ * channels + 20:
                return scale, f"time stamps read as {unit}: no bus is faster" if unit else ""
        raise RefusedError("time stamps that move on: a spreadsheet has rounded these, or they are of another kind")
