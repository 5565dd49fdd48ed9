"""The board *The daemon itself*: late beats, what waits for the database, what was lost, what wires say."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from ess_controller.boards.board import Panels, board
from ess_controller.boards.panels import AMBER, FULL, GREEN, HALF, RED, lines, number, rows
from ess_controller.boards.query import Query

NONE_IS_WELL = ((None, GREEN), (1.0, AMBER), (100.0, RED))


def daemon() -> Dashboard:
    """Whether data are whole and the loop is on time."""
    return board(
        "daemon",
        "The daemon itself",
        "Whether the loop is on time and the reports are whole.",
        [*_counts(), *_beats(), *_sizes(), *_heard(), *_happened()],
        begin="now-24h",
        refresh="30s",
    )


def _counts() -> Panels:
    """What should be none."""
    return [
        number(
            "Late beats",
            Query("daemon", ["late_beats"], "last", every=""),
            "short",
            limits=NONE_IS_WELL,
            decimals=0,
        ),
        number(
            "Points lost",
            Query("daemon", ["lines_dropped"], "last", every=""),
            "short",
            limits=NONE_IS_WELL,
            decimals=0,
        ),
        number(
            "Points refused",
            Query("daemon", ["lines_dead"], "last", every=""),
            "short",
            limits=NONE_IS_WELL,
            decimals=0,
        ),
        number("Points that wait", Query("daemon", ["outbox_lines"], "last", every=""), "short", decimals=0),
    ]


def _beats() -> Panels:
    """Beats that were late or are not reported."""
    return [
        lines(
            "Late beats",
            [Query("daemon", ["late_beats"], "max", each=["site"], name="$tag_site")],
            "short",
            span=HALF,
            steps=True,
        ),
        lines(
            "Beats not reported",
            [Query("daemon", ["beats_dropped"], "max", each=["site"], name="$tag_site")],
            "short",
            span=HALF,
            steps=True,
        ),
    ]


def _sizes() -> Panels:
    """What waits on disk, and how long a beat is."""
    return [
        lines(
            "Outbox on disk",
            [Query("daemon", ["outbox_bytes"], "max", each=["site"], name="$tag_site")],
            "decbytes",
            span=HALF,
        ),
        lines("A beat's length", [Query("daemon", ["beat_s"], "max", each=["site"], name="$tag_site")], "s", span=HALF),
    ]


def _heard() -> Panels:
    """How long ago cabinets were heard."""
    return [
        lines(
            "Since the string boxes were heard",
            [Query("string", ["age_s"], "max", each=["string"], name="$tag_string")],
            "s",
            span=HALF,
        ),
        lines(
            "Since the modules were heard",
            [Query("module", ["age_s"], "max", each=["string"], name="$tag_string, its oldest module")],
            "s",
            span=HALF,
        ),
    ]


def _happened() -> Panels:
    """Events."""
    return [
        rows(
            "What happened",
            Query("event", ["level", "text"], "", each=["cabinet", "string"], every="", table=True, last=200),
            span=FULL,
            height=10,
        ),
    ]
