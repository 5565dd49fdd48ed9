"""The board *Health and verdicts*: which module ages how, what becomes of it, and how far cells are apart."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from ess_controller.boards.board import Panels, board
from ess_controller.boards.panels import FULL, HALF, lines, rows
from ess_controller.boards.query import Query

BY_MODULE = ("string", "module")
NAMED = "$tag_string $tag_module"


def health() -> Dashboard:
    """Days and months."""
    return board(
        "health",
        "Health and verdicts",
        "Each module's state of health with its doubt, its resistance, and what is to be done with it.",
        [*_verdicts(), *_ageing(), *_cells(), *_throughput()],
        places=("site", "cabinet", "string"),
        begin="now-90d",
        refresh="15m",
    )


def _verdicts() -> Panels:
    """What is to be done with each module."""
    return [
        rows(
            "Verdicts",
            Query(
                "health",
                ["place", "verdict", "because", "soh", "soh_sd", "r10_over_new", "line_days", "throughput_ah"],
                "last",
                every="",
                each=BY_MODULE,
                table=True,
            ),
            span=FULL,
            height=12,
            units={
                "soh": ("percentunit", 1),
                "soh_sd": ("percentunit", 1),
                "r10_over_new": ("short", 2),
                "line_days": ("d", 0),
                "throughput_ah": ("amph", 0),
            },
            shown={"r10_over_new": "resistance over new", "line_days": "days to the line"},
        ),
    ]


def _ageing() -> Panels:
    """How each module fades."""
    return [
        lines(
            "State of health",
            [Query("health", ["soh"], "", each=BY_MODULE, name=NAMED, every="")],
            "percentunit",
            span=HALF,
            height=10,
        ),
        lines(
            "Resistance over 10 s, times that of new",
            [Query("health", ["r10_over_new"], "", each=BY_MODULE, name=NAMED, every="")],
            "short",
            span=HALF,
            height=10,
        ),
    ]


def _cells() -> Panels:
    """How far cells are apart, and who is bled."""
    return [
        lines(
            "Highest less lowest charge of a string's cells",
            [
                Query("string", ["soc_max"], "max", each=["string"], name="$tag_string highest"),
                Query("string", ["soc_min"], "min", each=["string"], name="$tag_string lowest"),
            ],
            "percentunit",
            span=HALF,
        ),
        lines(
            "Cells that are bled",
            [Query("module", ["bleeding"], "sum", each=["string"], name="$tag_string")],
            "short",
            span=HALF,
            steps=True,
        ),
    ]


def _throughput() -> Panels:
    """How hard each module works."""
    return [
        lines(
            "Energy through each module, a day",
            [Query("module_1d", ["discharged_wh"], "", each=BY_MODULE, name=NAMED, every="")],
            "watth",
            span=FULL,
        ),
    ]
