"""Every bench in one run on one machine: what `ess bench` prints."""

from tests.bench import beat, board, decode, gauge, plan, process, receive, reports
from tests.bench.table import Row, show


def rows() -> list[Row]:
    """All rows, in the order of the targets."""
    return [
        *beat.rows(),
        *gauge.rows(),
        *plan.rows(),
        *decode.rows(),
        *receive.rows(),
        *process.rows(),
        *reports.rows(),
        *board.rows(),
    ]


if __name__ == "__main__":
    show(rows())
