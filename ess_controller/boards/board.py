"""A board put together: data source and place variables, events as marks, links to the other boards."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardCursorSync,
    DashboardLinkType,
    Panel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from ess_controller.boards.query import SOURCE, SOURCE_LONG, Target

TAG = "ess"
Panels = list[Builder[Panel]]  # a row of a board, or some
_ALL = VariableOption(text="All", value="$__all")


def board(
    uid: str,
    title: str,
    says: str,
    panels: Sequence[Builder[Panel]],
    *,
    places: Sequence[str] = ("site",),
    begin: str = "now-24h",
    refresh: str = "10s",
) -> Dashboard:
    """`places`: which of site, cabinet, string may be chosen; the site alone, one at a time, on boards of one site."""
    made = (
        Dashboard(title)
        .uid(f"ess-{uid}")
        .description(says)
        .tags([TAG])
        .timezone("browser")
        .time(begin, "now")
        .refresh(refresh)
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .editable()
        .link(
            DashboardLink("Boards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(_source("source", "Raw points", "ess-influxdb"))
        .with_variable(_source("source_long", "Kept long", "ess-influxdb-long"))
        .annotation(_Events("Events", "#FF9830", events(places)))
        .annotation(_Events("Alarm book", "#C4162A", alarms(places)))
    )
    for number, place in enumerate(places):
        made.with_variable(_place(place, places[:number]))
    for panel in panels:
        for target in panel.build().targets or []:
            if isinstance(target, Target):
                target.places = places
        made.with_panel(panel)
    return made


def _source(name: str, label: str, uid: str) -> DatasourceVariable:
    """A choice of data source; `uid` as `sites/deploy/grafana` provisions it. One bucket for all: the same twice."""
    return DatasourceVariable(name).label(label).type("influxdb").current(VariableOption(text=uid, value=uid))


def _place(place: str, above: Sequence[str]) -> QueryVariable:
    """A choice among what has been reported lately, within what is chosen above it."""
    within = " AND ".join(f'"{each}" =~ /^${{{each}:regex}}$/' for each in above)
    text = f'SHOW TAG VALUES FROM "{"string" if place != "site" else "site"}" WITH KEY = "{place}"'
    chosen = QueryVariable(place).label(place.capitalize()).datasource(SOURCE)
    chosen.query(text + (f" WHERE {within}" if within else ""))
    chosen.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.NATURAL_ASC)
    if place != "site":
        chosen.multi(True).include_all(True).all_value(".*").current(_ALL)
    return chosen


class _Marks(AnnotationQuery):
    """Marks from an InfluxQL query, by the names that Grafana's InfluxDB source reads; the SDK's own has none."""

    text: str = ""

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"query": self.text, "textColumn": "text", "tagsColumn": "level"}


@dataclass(frozen=True, slots=True)
class _Events(Builder[AnnotationQuery]):
    """What happened as marks on every time line."""

    name: str
    colour: str
    text: str

    def build(self) -> AnnotationQuery:
        marks = _Marks(name=self.name, datasource=SOURCE_LONG, enable=True, icon_color=self.colour)
        marks.text = self.text
        return marks


def events(places: Sequence[str]) -> str:
    """The query of the marks of what the daemon found."""
    return _marks("diagnosis|guard|contacts", places)


def alarms(places: Sequence[str]) -> str:
    """The query of the marks of what became of alarms."""
    return _marks("^(alarm|ack|channel)$", places)


def _marks(kinds: str, places: Sequence[str]) -> str:
    within = "".join(f' AND "{each}" =~ /^${{{each}:regex}}$/' for each in places if each != "string")
    return f'SELECT "text", "level" FROM "event" WHERE "kind" =~ /{kinds}/{within} AND $timeFilter'
