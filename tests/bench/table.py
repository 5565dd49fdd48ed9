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
    """A row; the ratio is value / reference."""
    ratio = None if reference_value is None else float(value) / reference_value
    return Row(
        name=name, value=float(value), unit=unit, reference=reference, reference_value=reference_value, ratio=ratio
    )


def show(rows: list[Row]) -> None:
    """Print rows as a table."""
    for one in rows:
        reference = "" if one["reference_value"] is None else f"{one['reference_value']:>14,.3f}  x {one['ratio']:.3g}"
        print(f"{one['name']:<48}{one['value']:>14,.3f} {one['unit']:<12}{one['reference']:<28}{reference}")  # noqa: T201
