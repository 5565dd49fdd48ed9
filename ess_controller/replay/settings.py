"""`--set limits.rated_a=120`: one key of a site file changed for one run, and checked as if it stood there.

Every message is that of `ess check`, with the site file's own name and lines.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ess_controller.errors import BadInputError
from ess_controller.site import Site, load
from ess_controller.site.places import KeyPath

_KEY = re.compile(r'[A-Za-z0-9_-]+|\[\d+\]|"[^"]*"')
_KEYS = re.compile(r'(?:[A-Za-z0-9_-]+|"[^"]*")(?:\[\d+\])*(?:\.(?:[A-Za-z0-9_-]+|"[^"]*")(?:\[\d+\])*)*')
_LONGEST_VALUE_LINES = 200


def load_with(path: Path, settings: Sequence[str], overrides: Mapping[str, str] | None = None) -> Site:
    """The site with `settings` (KEY=VALUE each). Raises BadInputError, SiteError for a value that is refused."""
    if not settings:
        return load(path, overrides or {})
    file = path / "site.toml" if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
        tomllib.loads(text)
    except (OSError, ValueError):
        return load(path, overrides or {})  # which says what is wrong
    for setting in settings:
        text = changed(text, setting)
    return load(path, overrides or {}, text=text)


def changed(text: str, setting: str) -> str:
    """The site file's text with one value replaced, line for line. Raises BadInputError."""
    key, equals, value = setting.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not _KEYS.fullmatch(key):
        raise BadInputError(f"--set {setting}: expected KEY=VALUE, like limits.rated_a=120")
    path = _path(key)
    table = tomllib.loads(text)
    before = _at(table, path, setting)
    value, wanted = _value(value, before)
    _put(table, path, wanted)
    for start, end in _spans(text, path):
        draft = f"{text[:start]}{value}{chr(10) * text[start:end].count(chr(10))}{text[end:]}"
        try:
            if tomllib.loads(draft) == table:
                return draft
        except tomllib.TOMLDecodeError:
            continue
    raise BadInputError(f"--set {setting}: expected a key with a plain value of its own in the site file")


def _path(key: str) -> KeyPath:
    parts = _KEY.findall(key)
    return tuple(int(part[1:-1]) if part[0] == "[" else part.strip('"') for part in parts)


def _at(table: Any, path: KeyPath, setting: str) -> Any:
    """The value there; BadInputError names what there is instead."""
    here = table
    for part in path:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            known = ", ".join(map(str, list(here)[:30])) if isinstance(here, dict) else _elements(here)
            raise BadInputError(f"--set {setting}: expected a key of the site file: here are {known}") from None
    if isinstance(here, dict):
        raise BadInputError(f"--set {setting}: expected a key of this table: {', '.join(list(here)[:30])}")
    return here


def _elements(here: Any) -> str:
    return f"{len(here)} elements" if isinstance(here, list) else f"the value {here!r:.40}"


def _value(text: str, before: Any) -> tuple[str, Any]:
    """The value as TOML; a bare word where a text stood is that text."""
    try:
        return text, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        try:
            return quoted, tomllib.loads(f"value = {quoted}")["value"]
        except tomllib.TOMLDecodeError:
            raise BadInputError(f"--set {text[:40]}: expected a TOML value, as {before!r} is") from None


def _put(table: Any, path: KeyPath, value: Any) -> None:
    for part in path[:-1]:
        table = table[part]
    table[path[-1]] = value


def _spans(text: str, path: KeyPath) -> Iterator[tuple[int, int]]:
    """Where the value may stand: behind each `key =` of that name, over more and more of the text."""
    name = next(part for part in reversed(path) if isinstance(part, str))
    for found in re.finditer(rf'(?<![A-Za-z0-9_-])"?{re.escape(name)}"?[ \t]*=[ \t]*', text):
        end, lines = found.end(), 0
        line_end = text.find("\n", end)
        for stop in re.finditer(r"[,}\]#\n]|\Z", text[end:]):
            yield found.end(), len(text[: end + stop.start()].rstrip(" \t"))
            if stop.group() == "]":
                yield found.end(), end + stop.end()
            if stop.group() == "\n":
                lines += 1
            if lines > _LONGEST_VALUE_LINES or (line_end > 0 and "[" not in text[found.end() : line_end] and lines):
                break
