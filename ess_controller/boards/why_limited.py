"""The board *Why limited*: kW lost by each rule, the rule that acts, and what would lift it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from ess_controller.boards.board import Panels, board
from ess_controller.boards.panels import BATTERY, FULL, GREEN, GREY, HALF, lines, rows, states
from ess_controller.boards.query import Query


def _lost(way: str) -> Query:
    return Query(
        "limit",
        ["lost_w"],
        each=["cabinet", "rule"],
        name="$tag_cabinet $tag_rule",
        where=f"\"way\" = '{way}'",
    )


def why_limited() -> Dashboard:
    """Charging and discharging, cabinet by cabinet."""
    return board(
        "why-limited",
        "Why limited",
        "From each inverter's nameplate down to what may flow: every rule's share, the one that acts, and where.",
        [*_limits(), *_by_rule(), *_acting(), *_changes(), *_by_duration()],
        places=("site", "cabinet"),
        begin="now-12h",
    )


def _limits() -> Panels:
    """What may flow, and what does."""
    return [
        lines(
            "May discharge, and does",
            [
                Query("decision", ["discharge_limit_w"], "min", each=["cabinet"], name="$tag_cabinet may"),
                Query("cabinet", ["pcs_w"], each=["cabinet"], name="$tag_cabinet does"),
            ],
            "watt",
            span=HALF,
            steps=True,
        ),
        lines(
            "May charge",
            [Query("decision", ["charge_limit_w"], "min", each=["cabinet"], name="$tag_cabinet may")],
            "watt",
            span=HALF,
            steps=True,
            colours={"A may": BATTERY},
        ),
    ]


def _by_rule() -> Panels:
    """What each rule takes."""
    return [
        lines("Lost of discharging, by rule", [_lost("discharge")], "watt", span=HALF, height=10, stacked=True),
        lines("Lost of charging, by rule", [_lost("charge")], "watt", span=HALF, height=10, stacked=True),
    ]


def _acting() -> Panels:
    """The rule that acts, and who wants power."""
    return [
        states(
            "What bounds discharging",
            [Query("decision", ["discharge_by"], "last", each=["cabinet"], name="$tag_cabinet")],
        ),
        states(
            "What bounds charging",
            [Query("decision", ["charge_by"], "last", each=["cabinet"], name="$tag_cabinet")],
        ),
        states("What wants power", [Query("site", ["wanted_by"], "last", name="rule")], height=4),
    ]


def _changes() -> Panels:
    """When another rule began to act."""
    return [
        rows(
            "Changes of the rule that acts",
            Query(
                "decision",
                ["discharge_by", "discharge_at", "discharge_limit_w", "charge_by", "charge_at", "charge_limit_w"],
                "",
                each=["cabinet"],
                every="",
                table=True,
                last=500,
            ),
            span=FULL,
            height=10,
            units={"discharge_limit_w": ("watt", 1), "charge_limit_w": ("watt", 1)},
        ),
    ]


def _by_duration() -> Panels:
    """Power for a moment and for long."""
    return [
        lines(
            "Power for 10 s, 30 s and on and on: discharging",
            [
                Query("cabinet", ["discharge_10_s_w"], "min", each=["cabinet"], name="$tag_cabinet 10 s"),
                Query("cabinet", ["discharge_30_s_w"], "min", each=["cabinet"], name="$tag_cabinet 30 s"),
                Query("cabinet", ["discharge_continuous_w"], "min", each=["cabinet"], name="$tag_cabinet on and on"),
            ],
            "watt",
            span=HALF,
            colours={"on and on": GREY},
        ),
        lines(
            "and charging",
            [
                Query("cabinet", ["charge_10_s_w"], "min", each=["cabinet"], name="$tag_cabinet 10 s"),
                Query("cabinet", ["charge_30_s_w"], "min", each=["cabinet"], name="$tag_cabinet 30 s"),
                Query("cabinet", ["charge_continuous_w"], "min", each=["cabinet"], name="$tag_cabinet on and on"),
            ],
            "watt",
            span=HALF,
            colours={"on and on": GREEN},
        ),
    ]
