"""Tables that people hand in: quotes may hold what they like, and one that is never closed is told where it begins."""

from pathlib import Path

import pytest

from ess_controller.errors import BadInputError
from ess_controller.intake.rows import read_rows


def test_a_cell_in_quotes_may_hold_commas_and_ends_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('code,remark\nM1,"dented,\nstill fine"\n\nM2,5" screen\n')
    rows = read_rows(path, "modules")
    assert [(row.line, list(row.cells)) for row in rows] == [
        (1, ["code", "remark"]),
        (3, ["M1", "dented,\nstill fine"]),
        (5, ["M2", '5" screen']),
    ]


@pytest.mark.parametrize("count", [3, 40_000])
def test_a_quote_that_is_never_closed_is_told_where_it_begins(tmp_path: Path, count: int) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,2\n1,"2\n' + "3,4\n" * count)
    with pytest.raises(BadInputError, match=r"t\.csv:3: expected a quote that is closed where it is opened"):
        read_rows(path, "numbers")
