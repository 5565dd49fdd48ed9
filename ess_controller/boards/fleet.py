"""The board *Fleet*: all sites on one page, each one line, and those with trouble first to be seen."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from ess_controller.boards.board import Panels, board
from ess_controller.boards.panels import FULL, HALF, alarm_book, lines, number, rows
from ess_controller.boards.query import Query

BY_SITE = ("site",)


def fleet() -> Dashboard:
    """Every site that reports."""
    return board(
        "fleet",
        "Fleet",
        "Every site that has reported: power, charge, money, trouble.",
        [*_totals(), *_sites_now(), *_trouble(), *_over_time()],
        places=(),
        refresh="1m",
    )


def _totals() -> Panels:
    """All sites together."""
    return [
        number(
            "Batteries, all sites",
            Query("site", ["battery_w"], "last", every="", each=BY_SITE, together=True),
            "watt",
            spark=False,
        ),
        number(
            "Sun, all sites",
            Query("site", ["pv_w"], "last", every="", each=BY_SITE, together=True),
            "watt",
            spark=False,
        ),
        number(
            "Grid, all sites",
            Query("site", ["grid_w"], "last", every="", each=BY_SITE, together=True),
            "watt",
            spark=False,
        ),
        number(
            "Saved on energy, days in view",
            Query("value", ["saved_energy_cny"], "sum", every="", each=BY_SITE, together=True),
            "currencyCNY",
            spark=False,
        ),
    ]


def _sites_now() -> Panels:
    """Each site's powers and charge, a line each."""
    return [
        rows(
            "Sites now",
            Query(
                "site",
                ["grid_w", "battery_w", "pv_w", "soc", "wanted_w"],
                "last",
                every="",
                each=BY_SITE,
                table=True,
            ),
            span=FULL,
            height=8,
            units={
                "grid_w": ("watt", 1),
                "battery_w": ("watt", 1),
                "pv_w": ("watt", 1),
                "wanted_w": ("watt", 1),
                "soc": ("percentunit", 0),
            },
        ),
    ]


def _trouble() -> Panels:
    """Daemons that fall behind, and alarms."""
    return [
        rows(
            "Their daemons",
            Query(
                "daemon",
                ["late_beats", "outbox_lines", "lines_dropped", "lines_dead"],
                "last",
                every="",
                each=BY_SITE,
                table=True,
            ),
            span=HALF,
            height=8,
        ),
        rows(
            "Alarms",
            Query(
                "event",
                ["level", "text"],
                "",
                each=["site", "cabinet", "string"],
                every="",
                table=True,
                where='"kind" =~ /diagnosis|guard|contacts/',
                last=200,
            ),
            span=HALF,
            height=8,
        ),
        alarm_book(each=BY_SITE),
    ]


def _over_time() -> Panels:
    """Each site's powers and charge."""
    return [
        lines(
            "Batteries",
            [Query("site", ["battery_w"], each=BY_SITE, name="$tag_site")],
            "watt",
            span=HALF,
            zero=True,
        ),
        lines(
            "Charge",
            [Query("site", ["soc"], each=BY_SITE, name="$tag_site")],
            "percentunit",
            span=HALF,
            low=0.0,
            high=1.0,
        ),
        lines("Grid", [Query("site", ["grid_w"], each=BY_SITE, name="$tag_site")], "watt", span=FULL),
    ]
