"""InfluxQL queries of boards: every measurement, field and tag is looked up in the table of points when one is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from ess_controller.telemetry.kinds import RAW
from ess_controller.telemetry.points import EVERYTHING

SOURCE, SOURCE_LONG = (DataSourceRef(type_val="influxdb", uid=f"${{{name}}}") for name in ("source", "source_long"))
VARIABLES = ("site", "cabinet", "string")  # each board's, where its measurements have such a tag
_KNOWN = {each.name: each for each in EVERYTHING}


class UnknownPointError(Exception):
    """A board asks for what the daemon never writes."""


@dataclass(frozen=True, slots=True)
class Query(builder.Builder[variants.Dataquery]):
    """One target of a panel.

    `fields`: of one measurement, each through `of` (mean, last, ...; "" for raw rows of a table). `each`: further tags
    that part the series. `name`: of the series, Grafana's `$tag_x` and `$col` allowed. `where`: InfluxQL, and only
    tags. `every`: group by time so long; "" none, `$__interval` what suits the screen. What comes once a day is not
    grouped: InfluxQL's days begin at midnight UTC.
    """

    measurement: str
    fields: Sequence[str]
    of: str = "mean"
    each: Sequence[str] = ()
    name: str = ""
    where: str = ""
    every: str = "$__interval"
    fill: str = "null"
    ref: str = "A"
    table: bool = False
    last: int = 0  # only so many rows, the newest
    together: bool = False  # one number: the sum over all series

    def __post_init__(self) -> None:
        known = _KNOWN.get(self.measurement)
        if known is None:
            raise UnknownPointError(f"{self.measurement}: no such measurement")
        missing = {*self.fields} - {field.name for field in known.fields}
        missing |= {*self.each} - {*known.tags}
        if missing:
            raise UnknownPointError(f"{self.measurement}: no such field or tag: {', '.join(sorted(missing))}")

    @property
    def source(self) -> DataSourceRef:
        """The data source of the bucket that its measurement goes to: raw points, or what is kept long."""
        return SOURCE if _KNOWN[self.measurement].report in RAW else SOURCE_LONG

    def text(self, places: Sequence[str] = VARIABLES) -> str:
        """The InfluxQL, with Grafana's variables in it; `places`: those that its board has."""
        tags = _KNOWN[self.measurement].tags
        wanted = [f'"{tag}" =~ /^${{{tag}:regex}}$/' for tag in places if tag in tags]
        where = " AND ".join([*wanted, *([f"({self.where})"] if self.where else []), "$timeFilter"])
        columns = ", ".join(self._column(field) for field in self.fields)
        groups = ([f"time({self.every})"] if self.every else []) + [f'"{tag}"' for tag in self.each]
        grouped = f" GROUP BY {', '.join(groups)}" if groups else ""
        filled = f" fill({self.fill})" if self.every else ""
        newest = f" ORDER BY time DESC LIMIT {self.last}" if self.last else ""
        text = f'SELECT {columns} FROM "{self.measurement}" WHERE {where}{grouped}{filled}{newest}'
        if self.together:
            sums = ", ".join(f'sum("{field}") AS "{field}"' for field in self.fields)
            return f"SELECT {sums} FROM ({text})"
        return text

    def _column(self, field: str) -> str:
        return f'{self.of}("{field}") AS "{field}"' if self.of else f'"{field}"'

    def build(self) -> "Target":
        """As Grafana keeps it."""
        return Target(self)


@dataclass(slots=True)
class Target(variants.Dataquery):
    """A query in a panel's JSON. The SDK knows no InfluxDB query of its own."""

    query: Query
    places: Sequence[str] = VARIABLES  # set by the board that its panel hangs on

    def to_json(self) -> dict[str, object]:
        """What Grafana's InfluxDB source reads."""
        told: dict[str, Any] = {
            "refId": self.query.ref,
            "datasource": self.query.source,
            "rawQuery": True,
            "query": self.query.text(self.places),
            "resultFormat": "table" if self.query.table else "time_series",
        }
        return told | ({"alias": self.query.name} if self.query.name else {})
