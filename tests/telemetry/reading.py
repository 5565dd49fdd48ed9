"""Line protocol read back, by its published grammar and without a look at how we write it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One line: tags and fields as written (strings without quotes), and each field's type."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, object]
    stamp: int

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...], int]:
        """What makes a point a point: InfluxDB keeps one of each."""
        return self.measurement, tuple(sorted(self.tags.items())), self.stamp


def read(line: str) -> Point:
    """One line; ValueError for what is none."""
    head, rest = _cut(line, " ")
    fields, stamp = _cut(rest, " ", quotes=True)
    name, *tags = _split(head, ",")
    pairs = [_pair(tag) for tag in tags]
    values = [_pair(each) for each in _split(fields, ",", quotes=True)]
    told = {_plain(key): _value(value) for key, value in values}
    return Point(_plain(name), {_plain(key): _plain(value) for key, value in pairs}, told, int(stamp))


def read_all(text: str) -> list[Point]:
    """Every line of a text."""
    assert text.endswith("\n") or not text
    return [read(line) for line in text.split("\n")[:-1]]


def _is_bare(text: str) -> bool:
    """Whether no sign in it means anything else than itself, as in almost every line."""
    return "\\" not in text and '"' not in text


def _split(text: str, at: str, *, quotes: bool = False) -> list[str]:
    """At a sign that is neither escaped nor, among fields, within quotes."""
    if _is_bare(text):
        return text.split(at)
    parts, quoted, escaped = [""], False, False
    for sign in text:
        if sign == '"' and quotes and not escaped:
            quoted = not quoted
        if sign == at and not escaped and not quoted:
            parts.append("")
        else:
            parts[-1] += sign
        escaped = sign == "\\" and not (escaped and quoted)
    return parts


def _cut(text: str, at: str, *, quotes: bool = False) -> tuple[str, str]:
    if _is_bare(text):
        first, _, others = text.partition(at)
        return first, others
    first, *rest = _split(text, at, quotes=quotes)
    return first, at.join(rest)


def _pair(text: str) -> tuple[str, str]:
    key, value = _cut(text, "=")
    if not key or not value:
        raise ValueError(f"no pair: {text!r}")
    return key, value


def _plain(text: str) -> str:
    if "\\" not in text:
        return text
    return text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")


def _value(text: str) -> object:
    if text.startswith('"'):
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if text.endswith("i"):
        return int(text[:-1])
    if "." not in text:
        raise ValueError(f"a float without its point: {text!r}")
    return float(text)
