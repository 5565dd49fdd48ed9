"""One row of a bench, and the table of them."""

from typing import TypedDict


class Row(TypedDict):
    """A measured value beside its reference: another program in the same run, or the target."""

    name: str
    value: float
    unit: str
    reference: str
    reference_value: float | None
    ratio: float | None


def row(name: str, value: float, unit: str, reference: str = "", reference_value: float | None = None) -> Row:
    """A row; the ratio is value / reference, None where there is nothing to divide by."""
    ratio = float(value) / reference_value if reference_value else None
    return Row(
        name=name, value=float(value), unit=unit, reference=reference, reference_value=reference_value, ratio=ratio
    )


def show(rows: list[Row]) -> None:
    """Print rows as a table."""
    for one in rows:
        against = "" if one["ratio"] is None else f"{one['reference_value']:>14,.3f}  x {one['ratio']:.3g}"
        print(f"{one['name']:<48}{one['value']:>16,.3f} {one['unit']:<10}{one['reference']:<20}{against}")  # noqa: T201
