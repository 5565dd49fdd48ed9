"""What `ess bill` answers: JSON with stable keys, or a table for people."""

from collections.abc import Iterator, Sequence
from typing import Any

from ess_controller.planning.bills.bill import MonthBill
from ess_controller.site.tariff import Tariff

SCHEMA_VERSION = 1


def answer(bills: Sequence[MonthBill], tariff: Tariff) -> dict[str, Any]:
    """The answer as JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tariff": ", then ".join(each.name for each in tariff.all),
        "supply": tariff.supply,
        "customer": tariff.customer,
        "assumed": list(dict.fromkeys(table for each in tariff.all for table in each.assumed)),
        "total_cny": round(sum(month.cny for month in bills), 4),
        "months": [
            {
                "month": month.month,
                "days": round(month.days, 4),
                "of_days": month.of_days,
                "whole": month.whole,
                "peak_kw": round(month.peak_kw, 4),
                "total_cny": round(month.cny, 4),
                "items": [
                    {
                        "item": item.item,
                        "quantity": round(item.quantity, 4),
                        "unit": item.unit,
                        "price_cny": round(item.price_cny, 6),
                        "cny": round(item.cny, 4),
                        "why": item.why,
                    }
                    for item in month.items
                ],
            }
            for month in bills
        ],
    }


def table(told: dict[str, Any]) -> Iterator[str]:
    """The answer for people, line by line."""
    yield f"{told['tariff']}; {told['supply']}, {told['customer']}"
    for month in told["months"]:
        yield ""
        part = "" if month["whole"] else f"  only {month['days']:g} of {month['of_days']} days: part of the energy"
        yield f"{month['month']}{part}"
        for item in month["items"]:
            price = f"{item['quantity']:14,.2f} {item['unit']:4} x {item['price_cny']:9.5f}"
            yield f"  {item['item']:24}{price} = {item['cny']:14,.2f} CNY" + (f"  {item['why']}" if item["why"] else "")
        yield f"  {'together':24}{'':30} = {month['total_cny']:14,.2f} CNY"
    if len(told["months"]) > 1:
        yield ""
        yield f"{'all months':26}{'':30} = {told['total_cny']:14,.2f} CNY"
    if told["assumed"]:
        yield ""
        yield f"only assumed, in the tariff file: {', '.join(told['assumed'])}"
