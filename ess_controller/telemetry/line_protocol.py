"""Line protocol, the text InfluxDB takes: series with escaped names, fields of one type for ever, nothing for a number
that is not known.

Built here because it is most of what reporting costs: a whole measurement is one `%` over all its rows.
Format: docs.influxdata.com, "Line protocol reference".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Generic, Literal, TypeVar

import numpy as np

from ess_controller.telemetry.kinds import Kind as ReportKind
from firmware_bridge.records import Bools, Floats

Kind = Literal["float", "int", "text"]
Column = Floats | Sequence[str]
Columns = Sequence[Column]
Source = TypeVar("Source")  # what fields take their values from
ROWS_AT_ONCE = 100  # some 0.1 ms of CPU, after which whoever builds lines may let others run

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Field(Generic[Source]):
    """One field: its type never changes, for InfluxDB refuses points that change it."""

    name: str
    unit: str
    kind: Kind
    says: str
    get: Callable[[Source], Column]
    """[row] what it is; numbers as floats whatever the kind. NaN, inf and "" are left out."""
    digits: int = 1  # behind the decimal point of a float
    in_bursts: bool = True  # cheap enough to be kept each second

    @property
    def pattern(self) -> str:
        """How a value is written, for `%`; a text is quoted before."""
        written = {"float": f"%.{self.digits}f", "int": "%di", "text": "%s"}[self.kind]
        return f"{name_of(self.name)}={written}"


@dataclass(frozen=True, slots=True)
class Measurement(Generic[Source]):
    """One row of the table of points."""

    name: str
    tags: tuple[str, ...]
    cadence_s: float  # plant time; 0: whenever it happens
    fields: tuple[Field[Source], ...]
    says: str
    report: ReportKind = ReportKind.RECORD


def milliseconds(utc: datetime) -> int:
    """Since 1970 UTC: the time stamp of a point."""
    return (utc - _EPOCH) // _MILLISECOND


def name_of(text: str) -> str:
    """A measurement, tag key, tag value or field key. A line end cannot be said in one, nor a backslash at its end."""
    text = text.replace("\r", " ").replace("\n", " ")
    if text.endswith("\\"):
        text = text[:-1] + "/"
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def quoted(text: str) -> str:
    """A text field's value; a line end becomes a space, so that a line stays a line."""
    plain = text.replace("\r", " ").replace("\n", " ")
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def series(measurement: str, tags: Mapping[str, str]) -> str:
    """What comes before the fields: `cell,module=X,site=Y`. Tags in order of their keys; one without a value is left
    out, as line protocol has none."""
    each = (f",{name_of(key)}={name_of(value)}" for key, value in sorted(tags.items()) if value)
    return name_of(measurement) + "".join(each)


class Sheet(Generic[Source]):
    """Writes all rows of one measurement; what never changes of a line is prepared once."""

    def __init__(self, measurement: Measurement[Source], rows: Sequence[Mapping[str, str]]) -> None:
        self.measurement = measurement
        self._heads = [series(measurement.name, tags) for tags in rows]
        self._fields = measurement.fields
        self._texts = [field.kind == "text" for field in self._fields]
        body = " " + ",".join(field.pattern for field in self._fields) + " %d\n"
        whole = [head.replace("%", "%%") + body for head in self._heads]
        self._chunks = [
            (slice(first, first + ROWS_AT_ONCE), "".join(whole[first : first + ROWS_AT_ONCE]))
            for first in range(0, len(whole), ROWS_AT_ONCE)
        ]

    def lines(self, source: Source, stamp_ms: int) -> Iterator[str]:
        """Its lines at one time, at most ROWS_AT_ONCE together; a row of which nothing is known has none."""
        if self._heads:
            yield from self.write(self.columns(source), stamp_ms)

    def columns(self, source: Source) -> Columns:
        """[field] what `write` needs, to be kept until it is known whether it is wanted."""
        return [field.get(source) for field in self._fields] if self._heads else []

    def write(self, columns: Columns, stamp_ms: int, wanted: Bools | None = None) -> Iterator[str]:
        """Lines of columns; `wanted` [row]: only these."""
        if not columns:
            return
        known: Bools = np.array([_known(column) for column in columns])
        if wanted is not None:
            known &= wanted
        all_known: Bools = np.logical_and.reduce(known)
        values = [
            [quoted(text) for text in column] if is_text else np.asarray(column, np.float64).tolist()
            for column, is_text in zip(columns, self._texts, strict=True)
        ]
        for rows, pattern in self._chunks:
            if all_known[rows].all():
                cut = [column[rows] for column in values]
                yield pattern % tuple(chain.from_iterable(zip(*cut, repeat(stamp_ms))))
            elif text := "".join(self._row(row, values, known, stamp_ms) for row in self._range(rows)):
                yield text

    def _range(self, rows: slice) -> range:
        return range(*rows.indices(len(self._heads)))

    def _row(self, row: int, values: Sequence[Sequence[object]], known: Bools, stamp_ms: int) -> str:
        """A line of which not everything is known."""
        told = [
            field.pattern % (column[row],)
            for field, column, is_known in zip(self._fields, values, known[:, row].tolist(), strict=True)
            if is_known
        ]
        return f"{self._heads[row]} {','.join(told)} {stamp_ms}\n" if told else ""


def _known(column: Column) -> Bools:
    """[row] whether there is anything to write."""
    if isinstance(column, np.ndarray):
        return np.isfinite(column)
    return np.array([bool(text) for text in column])


def first_and_last_ms(text: bytes) -> tuple[int, int]:
    """Time stamps of the first and the last of whole lines."""
    return int(text[: text.index(b"\n")].rpartition(b" ")[2]), int(text[:-1].rpartition(b" ")[2])
