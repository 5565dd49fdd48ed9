"""Tables that people hand in: CSV (also .gz) with a header; what is wrong is told with file, line, column and value."""

import csv
import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from ess_controller.errors import BadInputError
from ess_controller.site.errors import Problem, shown

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands there."""

    line: int
    cells: Sequence[str]


def read_rows(path: Path, expected: str) -> list[Row]:
    """Rows that are not empty; at least one. `expected` says what the file is to hold."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw.startswith(_GZIP) else raw).decode("utf-8-sig")
    except FileNotFoundError:
        raise wrong(path, 0, "", "", "a file, but there is none") from None
    except UnicodeDecodeError:
        raise wrong(path, 0, "", "", "text in UTF-8: commas between columns, a header in the first line") from None
    except (OSError, EOFError, zlib.error) as error:
        raise wrong(path, 0, "", "", f"a file that can be read: {error}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise wrong(path, line, "", "", "text, not NUL bytes (did whoever wrote it lose its supply?)")
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows, over = list[Row](), 0  # lines that are read
    try:
        for cells in reader:
            over = reader.line_num
            if any(cell.strip() for cell in cells):
                rows.append(Row(over, cells))
    except csv.Error as error:
        if reader.line_num > over + 1:
            raise wrong(path, over + 1, "", "", "a quote that is closed where it is opened") from None
        raise wrong(path, reader.line_num, "", "", f"columns with commas between: {error}") from None
    if not rows:
        raise wrong(path, 0, "", "", f"{expected}, but it is empty")
    return rows


def header_of(path: Path, row: Row) -> list[str]:
    """The columns' names."""
    if ";" in row.cells[0] or "\t" in row.cells[0]:
        expected = "commas between columns and points in numbers; export it so from the spreadsheet"
        raise wrong(path, row.line, "", shown(row.cells[0]), expected)
    return [cell.strip() for cell in row.cells]


def check_once(path: Path, row: Row, header: Sequence[str], names: Sequence[str]) -> None:
    """No column stands twice."""
    twice = [name for name in names if header.count(name) > 1]
    if twice:
        raise wrong(path, row.line, "", shown(",".join(header)), f"one column {twice[0]}, not several")


def check_widths(path: Path, rows: Sequence[Row], columns: int) -> None:
    """Every row is as long as the header."""
    for row in rows:
        if len(row.cells) != columns:
            hint = " (decimal commas?)" if len(row.cells) > columns else " (was the file cut off?)"
            expected = f"{columns} values as in the header, not {len(row.cells)}{hint}"
            raise wrong(path, row.line, "", shown(",".join(row.cells)), expected)


def number(path: Path, line: int, name: str, cell: str) -> float:
    """What stands in a cell as a number, NaN and infinity included."""
    try:
        if "_" in cell:  # Python's own way to part thousands
            raise ValueError
        return float(cell)
    except ValueError:
        hint = ", with a point, not a comma" if "," in cell else ""
        raise wrong(path, line, name, shown(cell.strip()), f"a number{hint}") from None


def wrong(path: Path, line: int, key: str, value: str, expected: str) -> BadInputError:
    """The refusal. `line` 0: the file as a whole; a `value` without `key`: the line as a whole."""
    if value and not key:
        key, value = value, ""
    return BadInputError(str(Problem(str(path), line, key, value, expected)))
