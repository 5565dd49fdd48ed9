"""The kinds of panels that the boards are made of, each with the looks that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grafana_foundation_sdk.builders import common as shared
from grafana_foundation_sdk.builders import stat, statetimeline, statushistory, table, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from ess_controller.boards.query import Query

FULL, HALF, QUARTER = 24, 12, 6
GRID, BATTERY, SUN, LOAD, GREY = "#E02F44", "#3274D9", "#FADE2A", "#8F3BB8", "#8E8E8E"
GREEN, AMBER, RED = "#37872D", "#FF9830", "#C4162A"
Limits = Sequence[tuple[float | None, str]]  # from this value on, this colour


def lettered(queries: Sequence[Query]) -> list[Query]:
    """The same, each with a letter of its own."""
    return [replace(query, ref=chr(ord("A") + number)) for number, query in enumerate(queries)]


def lines(
    title: str,
    queries: Sequence[Query],
    unit: str,
    *,
    says: str = "",
    span: int = FULL,
    height: int = 8,
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
    steps: bool = False,
    zero: bool = False,
    names: Mapping[str, str] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> timeseries.Panel:
    """Lines over time; `steps` for what holds until it changes."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(says)
        .datasource(queries[0].source)
        .span(span)
        .height(height)
        .unit(unit)
        .targets(list(lettered(queries)))
        .line_width(1)
        .fill_opacity(25 if stacked else 8)
        .show_points(looks.VisibilityMode.NEVER)
        .span_nulls(180_000.0)  # ms: a minute or two of the network is no gap in what was measured
        .tooltip(shared.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
        .legend(
            shared.VizLegendOptions()
            .display_mode(looks.LegendDisplayMode.LIST)
            .placement(looks.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .axis_centered_zero(zero)
    )
    if steps:
        panel.line_interpolation(looks.LineInterpolation.STEP_AFTER)
    if stacked:
        panel.stacking(shared.StackingConfig().mode(looks.StackingMode.NORMAL))
    if low is not None:
        panel.axis_soft_min(low)
    if high is not None:
        panel.axis_soft_max(high)
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    for name, shown in (names or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("displayName", shown)])
    return panel


def bars(
    title: str, queries: Sequence[Query], unit: str, *, says: str = "", colours: Mapping[str, str] | None = None
) -> timeseries.Panel:
    """A bar a day, from its local midnight on."""
    panel = lines(title, queries, unit, says=says, span=HALF, colours=colours)
    panel.draw_style(looks.GraphDrawStyle.BARS).fill_opacity(70).line_width(0)
    return panel.bar_alignment(looks.BarAlignment.AFTER).axis_soft_min(0.0)


def number(
    title: str,
    query: Query,
    unit: str,
    *,
    says: str = "",
    span: int = QUARTER,
    height: int = 4,
    limits: Limits = ((None, BATTERY),),
    decimals: int = 1,
    spark: bool = True,
) -> stat.Panel:
    """One big number, coloured by its limits."""
    return (
        stat.Panel()
        .title(title)
        .description(says)
        .datasource(query.source)
        .span(span)
        .height(height)
        .unit(unit)
        .decimals(decimals)
        .targets(list(lettered([query])))
        .thresholds(_thresholds(limits))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .reduce_options(shared.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(looks.BigValueGraphMode.AREA if spark else looks.BigValueGraphMode.NONE)
        .color_mode(looks.BigValueColorMode.VALUE)
        .text_mode(looks.BigValueTextMode.AUTO)
    )


def wall(
    title: str, query: Query, unit: str, limits: Limits, *, says: str = "", height: int = 22, decimals: int = 3
) -> statushistory.Panel:
    """A row a series, a square a moment, its colour the value: how a cell wall is seen over time."""
    return (
        statushistory.Panel()
        .title(title)
        .description(says)
        .datasource(query.source)
        .span(FULL)
        .height(height)
        .unit(unit)
        .decimals(decimals)
        .targets(list(lettered([query])))
        .thresholds(_thresholds(limits))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .show_value(looks.VisibilityMode.NEVER)
        .row_height(0.9)
        .legend(shared.VizLegendOptions().show_legend(False).display_mode(looks.LegendDisplayMode.HIDDEN))
    )


def states(
    title: str, queries: Sequence[Query], *, says: str = "", height: int = 6, words: Mapping[str, str] | None = None
) -> statetimeline.Panel:
    """Words over time: modes, rules."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(says)
        .datasource(queries[0].source)
        .span(FULL)
        .height(height)
        .targets(list(lettered(queries)))
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .merge_values(True)
        .show_value(looks.VisibilityMode.AUTO)
        .row_height(0.8)
        .legend(shared.VizLegendOptions().show_legend(False).display_mode(looks.LegendDisplayMode.HIDDEN))
    )
    return panel.mappings([coloured(words)]) if words else panel


def coloured(words: Mapping[str, str]) -> ValueMapping:
    """Each word in its colour."""
    return ValueMap(options={word: ValueMappingResult(color=colour) for word, colour in words.items()})


def rows(
    title: str,
    query: Query,
    *,
    says: str = "",
    span: int = FULL,
    height: int = 8,
    units: Mapping[str, tuple[str, int]] | None = None,
    shown: Mapping[str, str] | None = None,
) -> table.Panel:
    """A table of points; `units`: of columns, with their decimals; `shown`: what columns are called."""
    panel = (
        table.Panel()
        .title(title)
        .description(says)
        .datasource(query.source)
        .span(span)
        .height(height)
        .targets(list(lettered([query])))
        .cell_height(looks.TableCellHeight.SM)
        .filterable(True)
    )
    for column, (unit, decimals) in (units or {}).items():
        panel.override_by_name(column, [DynamicConfigValue("unit", unit), DynamicConfigValue("decimals", decimals)])
    for column, name in (shown or {}).items():
        panel.override_by_name(column, [DynamicConfigValue("displayName", name)])
    return panel


def alarm_book(*, each: Sequence[str] = (), span: int = FULL) -> table.Panel:
    """What became of alarms; `each`: tags beside place and alarm."""
    return rows(
        "Alarm book",
        Query(
            "event",
            ["level", "state", "who", "text"],
            "",
            each=[*each, "cabinet", "string"],
            every="",
            table=True,
            where='"kind" =~ /^(alarm|ack|delivery|channel)$/',
            last=200,
        ),
        says="Come, over, acknowledged and by whom, taken by which channel; channels that fail.",
        span=span,
    )


def _thresholds(limits: Limits) -> ThresholdsConfig:
    steps = [Threshold(value=value, color=colour) for value, colour in limits]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
