"""What the owner expects the site to draw, from the last twelve bills: planned with until days of its own are known."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from typing import Annotated, Any

from pydantic import Field

from ess_controller.site.alarm_tables import TimeOfDay
from ess_controller.site.errors import Finding, plain
from ess_controller.site.kinds import LIST, Table, at_most

MONTH_H = (744.0, 672.0, 744.0, 720.0, 744.0, 720.0, 744.0, 744.0, 720.0, 744.0, 720.0, 744.0)
# Less of what goes through the site on average is no site at night but another unit: a thousandth, and some room.
FAINT = 0.005

Kwh = Annotated[float, Field(ge=0.0, le=1e9)]
Months = Annotated[
    tuple[Kwh, ...],
    LIST,
    Field(min_length=12, max_length=12),
    at_most(12),
]


class ExpectedLoadTable(Table):
    """What the site draws, its own sun not taken off. Without the table a new site plans once it knows a day."""

    kwh_by_month: Months = Field(description="numbers, January first, kWh")
    closed_w: float = Field(ge=0.0, le=1e8, description="drawn while it is closed, W")
    open_from: TimeOfDay
    open_until: TimeOfDay
    day_off_share: float = Field(
        ge=0.0, le=5.0, description="of what opening adds on a workday, on weekends and holidays; 0: closed"
    )


@dataclass(frozen=True, slots=True)
class ExpectedLoad:
    """The same, checked. Open until earlier than from: past midnight; the same: around the clock."""

    kwh_by_month: tuple[float, ...]  # [month] January first
    closed_w: float
    open_from: time
    open_until: time
    day_off_share: float

    @property
    def note(self) -> str:
        """In a sentence."""
        year = sum(self.kwh_by_month)
        hours = f"{self.open_from:%H:%M} to {self.open_until:%H:%M}"
        return (
            f"expected load: {plain(round(year))} kWh a year, {plain(self.closed_w)} W while closed, open {hours}, on "
            f"days off {self.day_off_share:.0%} of what that adds: planned with until days of its own are known"
        )


def expected_load_of(table: ExpectedLoadTable | None) -> ExpectedLoad | None:
    """What is expected, if anything is."""
    if table is None:
        return None
    return ExpectedLoad(
        kwh_by_month=tuple(float(each) for each in table.kwh_by_month),
        closed_w=float(table.closed_w),
        open_from=time.fromisoformat(table.open_from),
        open_until=time.fromisoformat(table.open_until),
        day_off_share=float(table.day_off_share),
    )


def expected_load_findings(site: dict[str, Any]) -> Iterator[Finding]:
    """Whether bills, night and transformers fit each other: units are easily taken for others."""
    table = site.get("expected_load", {})
    kwh = table.get("kwh_by_month")
    if kwh is None:
        return
    means_w = [1000.0 * each / hours for each, hours in zip(kwh, MONTH_H, strict=True)]
    least, most = min(means_w), max(means_w)
    kva, contract_w = site.get("contract", {}).get("transformer_kva"), site.get("dispatch", {}).get("contract_w")
    bills = ("expected_load", "kwh_by_month")
    if kva is not None and most > 1000.0 * kva:
        month = means_w.index(most)
        expected = f"kWh (Wh suspected): at most {plain(round(kva * MONTH_H[month]))} in month {month + 1}, all that"
        yield Finding(bills, f"{expected} contract.transformer_kva = {plain(kva)} can carry")
    elif contract_w is not None and most < FAINT * contract_w:
        expected = f"kWh (MWh suspected): more than {plain(round(FAINT * contract_w * 0.744))} in the highest month"
        yield Finding(bills, f"{expected}, or another dispatch.contract_w than {plain(contract_w)}")
    elif (closed_w := table.get("closed_w")) is None:
        return
    elif closed_w > least:
        month = means_w.index(least) + 1
        yield Finding(("expected_load", "closed_w"), f"at most {plain(round(least))}, the mean of month {month}'s kWh")
    elif 0.0 < closed_w < FAINT * most:
        expected = f"W (kW suspected): 0, or more than {plain(round(FAINT * most))}, so little beside what is drawn on"
        yield Finding(("expected_load", "closed_w"), f"{expected} average")
