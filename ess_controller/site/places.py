"""Where each key of a TOML file stands, so that an operator is told the line and not only the name.

`tomllib` gives values without lines. This walks the same text once more and notes where every table, key and array
element begins. It is only asked when something is wrong, and only after `tomllib` has accepted the text, so it checks
nothing itself.
"""

import re
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_TEXT_END = {  # opening quotes -> everything up to and with the closing ones
    '"""': re.compile(r'(?:[^"\\]++|\\.|"(?!""))*+"{3,5}', re.DOTALL),
    "'''": re.compile(r"(?:[^']++|'(?!''))*+'{3,5}", re.DOTALL),
    '"': re.compile(r'(?:[^"\\\n]++|\\.)*+"'),
    "'": re.compile(r"[^'\n]*'"),
}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}
_DEPTH = 12  # deeper keys are found by the nearest line above them


def locate(text: str) -> dict[KeyPath, int]:
    """Line (from 1) of every key path of valid TOML `text`; the document itself, `()`, is line 1."""
    return _Walk(text.replace("\r\n", "\n")).document()


def line_of(places: Mapping[KeyPath, int], path: KeyPath) -> int:
    """Line of `path`, or of the nearest thing around it."""
    while path not in places and path:
        path = path[:-1]
    return places.get(path, 1)


def spell(path: KeyPath) -> str:
    """A key path as an operator reads it: `cabinet[0].string[0].module[3].slot`."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) else '"' + part.replace('"', '\\"') + '"'
            words += f".{name}" if words else name
    return words


class _Walk:
    """One pass over the text. `at` is where it stands; `lengths` counts the elements of arrays of tables."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.counted_to, self.line = 0, 1
        self.places: dict[KeyPath, int] = {(): 1}
        self.lengths: dict[KeyPath, int] = {}

    def document(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip(_BLANK):
            if self._sees("[["):
                table = self._header("[[", "]]", element=True)
            elif self._sees("["):
                table = self._header("[", "]", element=False)
            else:
                self._pair(table)
        return self.places

    def _header(self, opening: str, closing: str, *, element: bool) -> KeyPath:
        line = self._line()
        self.at += len(opening)
        keys = self._keys()
        self.at += len(closing)
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._note((*path, key), line)
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        path = self._note((*path, keys[-1]), line)
        if element:
            self.lengths[path] = self.lengths.get(path, 0) + 1
            path = self._note((*path, self.lengths[path] - 1), line)
        else:
            self.places[path] = line  # a table named earlier only by its sub-tables
        return path

    def _pair(self, table: KeyPath) -> None:
        line, path = self._line(), table
        for key in self._keys():
            path = self._note((*path, key), line)
        self.at += 1  # the equals sign
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._sees("["):
            self._elements(path)
        elif self._sees("{"):
            self._inline(path)
        elif self._sees('"') or self._sees("'"):
            self._quoted()
        else:
            begin = self.at
            self._skip(_SCALAR)
            self.at = max(self.at, begin + 1)

    def _elements(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while self._skip(_BLANK) and not self._sees("]"):
            here = self._note((*path, index), self._line())
            self._value(here)
            self._comma()
            index += 1
        self.at += 1

    def _inline(self, path: KeyPath) -> None:
        self.at += 1
        while self._skip(_BLANK) and not self._sees("}"):
            self._pair(path)
            self._comma()
        self.at += 1

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            keys.append(self._quoted() if self._sees('"') or self._sees("'") else self._bare())
            self._skip(_SPACE)
            if not self._sees("."):
                return keys
            self.at += 1

    def _bare(self) -> str:
        begin = self.at
        self._skip(_BARE_KEY)
        return self.text[begin : self.at]

    def _quoted(self) -> str:
        quotes = next(quotes for quotes in _TEXT_END if self._sees(quotes))
        self.at += len(quotes)
        begin = self.at
        self._skip(_TEXT_END[quotes])
        inside = self.text[begin : self.at - len(quotes)]
        return _ESCAPE.sub(_unescape, inside) if quotes == '"' else inside

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self._sees(","):
            self.at += 1

    def _note(self, path: KeyPath, line: int) -> KeyPath:
        if len(path) <= _DEPTH:
            self.places.setdefault(path, line)
            return path
        return path[:_DEPTH]

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Step over `pattern`; whether any text is left."""
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else len(self.text)
        return self.at < len(self.text)

    def _sees(self, mark: str) -> bool:
        return self.text.startswith(mark, self.at)

    def _line(self) -> int:
        self.line += self.text.count("\n", self.counted_to, self.at)
        self.counted_to = self.at
        return self.line


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if code[0] in "uUx" and len(code) > 1 else _ESCAPED.get(code, code)
