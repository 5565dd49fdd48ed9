"""What is wrong in a site's files, in one line each: place, key, value, and what was expected there."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ess_controller.errors import BadInputError
from ess_controller.site.kinds import NAME_PATTERN
from ess_controller.site.places import KeyPath, spell

_SHOWN = 60  # characters of a value
_NAME = "a name of at most 40 letters, digits, '.', '_' or '-', beginning with a letter or digit"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` 0: not in a file but said on the command line."""

    file: str
    line: int
    key: str  # `cabinet[0].string[0].module[3].slot`; empty where the file as a whole is meant
    value: str  # as it stands in the file; empty where there is none
    expected: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        what = f"{self.key} = {self.value}" if self.value else self.key
        line = ": ".join(part for part in (place, what, f"expected {self.expected}") if part)
        return line if line.isprintable() else "".join(map(_printable, line))


class SiteError(BadInputError):
    """A site that cannot be used, with every reason; as text, one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem before its line is looked up."""

    path: KeyPath
    expected: str


def findings_of(error: ValidationError, schema: Mapping[str, Any]) -> list[Finding]:
    """The models' complaints, once for each mistake, in the words of the schema."""
    told: dict[KeyPath, Finding] = {}
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        path, kind = each["loc"], each["type"]
        if path[-1] == "[key]":
            path = path[:-1]
            expected = _no_such_key(schema, path) if _keys_of(_node(schema, path[:-1])) else _NAME
        elif kind == "missing" and isinstance(path[-1], int):  # a pair of one number: the pair is wrong
            path = path[:-1]
            expected = _in_words(_node(schema, path))
        elif kind == "missing":
            expected = f"{_in_words(_node(schema, path))}; the key is missing"
        elif kind == "extra_forbidden":
            expected = _no_such_key(schema, path)
        else:
            expected = _in_words(_node(schema, path))
        told.setdefault(path, Finding(path, expected))
    # A list whose elements are wrong is also called too short: the elements say enough.
    around = {path[:depth] for path in told for depth in range(len(path))}
    return [finding for path, finding in told.items() if path not in around]


def cut(table: dict[str, Any], path: KeyPath) -> None:
    """Take what is wrong at `path` out of `table`, so that the rest can still be checked. Plain lists go whole."""
    key, rest = str(path[0]), path[1:]
    inner = table.get(key)
    if isinstance(inner, dict) and rest:
        cut(inner, rest)
    elif isinstance(inner, list) and len(rest) > 1 and isinstance(rest[0], int) and isinstance(inner[rest[0]], dict):
        cut(inner[rest[0]], rest[1:])
    else:
        table.pop(key, None)


def shown(value: object, depth: int = 3) -> str:
    """A value as it would stand in the file, cut to one short line without control characters."""
    if depth == 0:
        return "..."
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of many digits"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=not value.isprintable())
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{spell((str(key),))} = ..." for key in list(value)[:4]) + "}"
    elif isinstance(value, list):
        text = (
            "["
            + ", ".join(shown(element, depth - 1) for element in value[:8])
            + (", ..." if len(value) > 8 else "")
            + "]"
        )
    else:
        text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _printable(character: str) -> str:
    return character if character.isprintable() else f"\\u{ord(character):04x}"


def _node(schema: Mapping[str, Any], path: KeyPath) -> Mapping[str, Any]:
    """The part of the JSON Schema that speaks of `path`."""
    node = schema
    for part in path:
        node = _resolved(schema, node)
        if isinstance(part, int):
            pair = node.get("prefixItems")
            node = pair[min(part, len(pair) - 1)] if pair else node.get("items", {})
        else:
            # `buses`, `inputs`: any name, or any of a few, and one kind of value
            named: Any = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties"))
            node = node.get("properties", {}).get(part, named or {})
    said = {key: value for key, value in node.items() if key != "$ref"}
    return {**_resolved(schema, node), **said}


def _resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in node:
        return node
    found: Mapping[str, Any] = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return found


def _keys_of(node: Mapping[str, Any]) -> list[str]:
    """The keys that a table may have, where they are known."""
    return list(node.get("properties", node.get("propertyNames", {}).get("enum", ())))


def _no_such_key(schema: Mapping[str, Any], path: KeyPath) -> str:
    known = _keys_of(_node(schema, path[:-1]))
    near = difflib.get_close_matches(str(path[-1])[:100], known, n=1)
    return f'no such key; did you mean "{near[0]}"?' if near else f"no such key, only {', '.join(known)}"


def _in_words(node: Mapping[str, Any]) -> str:
    """What may stand there: `a whole number from 0 to 15`."""
    kind = node.get("type")
    if "enum" in node or "const" in node:
        return " or ".join(f'"{word}"' for word in node.get("enum", [node.get("const")]))
    if kind in ("integer", "number"):
        words = ("a whole number" if kind == "integer" else "a number") + _range_in_words(node)
        return f"{words}, or {node['also']}" if "also" in node else words
    if kind in ("object", "array") and "prefixItems" not in node:
        return _holder_in_words(node)
    if node.get("pattern") == NAME_PATTERN:
        return _NAME
    described = str(node.get("description", "text"))
    return f"true or false: {described}" if kind == "boolean" else described


def _holder_in_words(node: Mapping[str, Any]) -> str:
    """A table or a list."""
    if node["type"] == "object":
        return "a table" if "properties" in node else f"a table: {node['description']}"
    least, most, what = node.get("minItems", 0), node["maxItems"], node.get("description", "tables")
    if least == most:
        return f"{most} {what}"
    return f"{least} to {most} {what}" if least else f"at most {most} {what}"


def _range_in_words(node: Mapping[str, Any]) -> str:
    low, high, above = node.get("minimum"), node.get("maximum"), node.get("exclusiveMinimum")
    if low is not None and high is not None:
        return f" from {plain(low)} to {plain(high)}"
    if low is not None:
        return f" of at least {plain(low)}"
    if above is not None:
        return f" above {plain(above)}" + (f" and at most {plain(high)}" if high is not None else "")
    return ""


def plain(number: float) -> str:
    """A number for people: no exponent, no `.0`."""
    return f"{number:.0f}" if number == round(number) else f"{number:.10g}"
