"""One TOML file as read: its tables, and where each key of it stands."""

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ess_controller.site.errors import Finding, Problem, shown
from ess_controller.site.places import KeyPath, line_of, locate, spell

LARGEST_BYTES = 1_000_000
LONGEST_LINE = 8_000  # no curve needs more, and the time to read a key of many parts grows with its square

_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_TWICE = re.compile(r"Cannot overwrite|Cannot declare|Cannot mutate|Duplicate|Cannot redefine")


class UnreadableError(ValueError):
    """A file that is not there, or is no TOML. `in_text`: it was read, but its text is wrong."""

    def __init__(self, file: str, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.in_text = line > 0
        self.problem = Problem(file, line, "", "", reason)


@dataclass
class Sheet:
    """A TOML file: its text, and its values as far as they are still believed."""

    file: str  # as people know it
    text: str
    table: dict[str, Any]

    @classmethod
    def read(cls, path: Path, file: str) -> "Sheet":
        """Read a file; raises UnreadableError."""
        return cls.of(_decoded(_bytes(path, file), file), file)

    @classmethod
    def of(cls, text: str, file: str) -> "Sheet":
        """What stands in a file; raises UnreadableError."""
        for line, words in enumerate(text.split("\n"), 1):
            if len(words) > LONGEST_LINE:
                raise UnreadableError(file, f"lines of at most {LONGEST_LINE} characters", line)
        try:
            return cls(file, text, tomllib.loads(text))
        except RecursionError:
            raise UnreadableError(file, "arrays and tables that are nested less deeply", 1) from None
        except ValueError as error:
            raise _no_toml(file, text, str(error)) from None

    @cached_property
    def places(self) -> dict[KeyPath, int]:
        """Line of each key; only worked out when something is wrong."""
        try:
            return locate(self.text)
        except RecursionError:
            return {}

    def problem(self, finding: Finding) -> Problem:
        """A finding with its place and its value."""
        line = line_of(self.places, finding.path)
        return Problem(self.file, line, spell(finding.path), self.value(finding.path), finding.expected)

    def value(self, path: KeyPath) -> str:
        """The value at `path` as it stands in the file; empty where there is none."""
        here: Any = self.table
        for part in path:
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                return ""
        return shown(here)


def _bytes(path: Path, file: str) -> bytes:
    try:
        if not path.exists():
            raise UnreadableError(file, "a file, but there is none")
        if not path.is_file():
            raise UnreadableError(file, "a file, but this is a folder or a device")
        with path.open("rb") as opened:
            found = opened.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise UnreadableError(file, f"a file that can be read: {error.strerror}") from None
    if len(found) > LARGEST_BYTES:
        raise UnreadableError(file, f"at most {LARGEST_BYTES} bytes")
    return found


def _decoded(found: bytes, file: str) -> str:
    try:
        return found.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        raise UnreadableError(file, f"UTF-8 text, which byte 0x{found[error.start]:02x} here is not", line) from None


def _no_toml(file: str, text: str, reason: str) -> UnreadableError:
    """The one thing that the TOML reader stopped at, with its place."""
    lines = text.split("\n")
    found = _PLACE.fullmatch(reason)
    line = int(found[2]) if found and found[2] else len(lines)
    what = found[1] if found else reason
    what = "a key or table stands twice" if _TWICE.match(what) else what[:1].lower() + what[1:]
    column = f" at column {found[3]}" if found and found[3] else ""
    words = lines[line - 1].strip() if line <= len(lines) else ""
    text_there = f" in {shown(words)}" if words else ""
    return UnreadableError(file, f"TOML, but{column}{text_there}: {what}", line)
