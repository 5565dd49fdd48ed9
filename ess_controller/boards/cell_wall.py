"""The board *Cell wall*: every cell of a string over time, as colours, and how far apart they are."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from ess_controller.boards.board import Panels, board
from ess_controller.boards.panels import AMBER, FULL, GREEN, HALF, RED, lines, rows, wall
from ess_controller.boards.query import Query

BY_CELL = ("string", "module", "cell")
NAMED = "$tag_string $tag_module/$tag_cell"
# OCV of an NMC 811 cell over its SOC, in round steps: blue when empty, red when full
VOLTS = (
    (None, RED),
    (3.0, AMBER),
    (3.3, "#8AB8FF"),
    (3.5, "#3274D9"),
    (3.65, "#1F60C4"),
    (3.8, GREEN),
    (4.0, "#96D98D"),
    (4.1, AMBER),
    (4.15, RED),
)
SHARES = ((None, RED), (0.1, AMBER), (0.2, "#8AB8FF"), (0.4, "#3274D9"), (0.6, GREEN), (0.8, "#96D98D"), (0.95, AMBER))
DEGREES = ((None, "#3274D9"), (5.0, "#8AB8FF"), (15.0, GREEN), (35.0, AMBER), (45.0, RED))


def cell_wall() -> Dashboard:
    """One string at a time reads best: choose it above."""
    return board(
        "cell-wall",
        "Cell wall",
        "Every cell's voltage, charge and temperature over time. Choose a string: a row is a cell.",
        [*_string(), *_walls(), *_cells_now()],
        places=("site", "cabinet", "string"),
        begin="now-6h",
        refresh="30s",
    )


def _string() -> Panels:
    """How far a string's cells are apart."""
    return [
        lines(
            "Lowest, mean and highest charge",
            [
                Query("string", ["soc_min"], name="$tag_string lowest", each=["string"]),
                Query("string", ["soc"], name="$tag_string mean", each=["string"]),
                Query("string", ["soc_max"], name="$tag_string highest", each=["string"]),
            ],
            "percentunit",
            span=HALF,
        ),
        lines(
            "Lowest and highest cell",
            [
                Query("string", ["cell_v_min"], "min", name="$tag_string lowest", each=["string"]),
                Query("string", ["cell_v_max"], "max", name="$tag_string highest", each=["string"]),
            ],
            "volt",
            span=HALF,
        ),
    ]


def _walls() -> Panels:
    """A row a cell or module, a column a moment."""
    return [
        wall("Voltage of every cell", Query("cell", ["v"], each=BY_CELL, name=NAMED), "volt", VOLTS),
        wall(
            "Charge of every cell",
            Query("cell", ["soc"], each=BY_CELL, name=NAMED),
            "percentunit",
            SHARES,
            decimals=1,
        ),
        wall(
            "Hottest sensor of every module",
            Query("module", ["c_max"], "max", each=["string", "module"], name="$tag_string $tag_module"),
            "celsius",
            DEGREES,
            height=9,
            decimals=1,
        ),
        wall(
            "Who is bled",
            Query("cell", ["bleeding"], "max", each=BY_CELL, name=NAMED),
            "short",
            ((None, "rgba(128,128,128,0.15)"), (1.0, AMBER)),
            decimals=0,
        ),
    ]


def _cells_now() -> Panels:
    """The newest of every cell."""
    return [
        rows(
            "The cells now",
            Query(
                "cell",
                ["v", "soc", "soc_sd", "capacity_ah", "capacity_sd_ah", "quality"],
                "last",
                each=BY_CELL,
                every="",
                table=True,
            ),
            span=FULL,
            height=14,
            units={
                "v": ("volt", 3),
                "soc": ("percentunit", 1),
                "soc_sd": ("percentunit", 1),
                "capacity_ah": ("amph", 1),
                "capacity_sd_ah": ("amph", 1),
            },
        ),
    ]
