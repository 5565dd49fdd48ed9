"""What `ess meter` answers: what the meter book knows, month by month, as JSON with stable keys or as a table."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.planning.meter.book import Block, calendar_month
from ess_controller.planning.meter.past import Change
from ess_controller.site import Site
from firmware_bridge.records import Floats

SCHEMA_VERSION = 1


def answer(site: Site, file: Path, book: Sequence[Block], change: Change | None, *, dry: bool) -> dict[str, Any]:
    """`file`: of the book; `book`: with the change, if there is one."""
    block_s = site.tuning.dispatch.block_s
    told: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "site": site.name,
        "file": str(file),
        "block_s": block_s,
        "first": _time(site, book[0].number) if book else None,
        "until": _time(site, book[-1].number + 1) if book else None,
        "load_days": _days(np.isfinite([each.known_load_w for each in book]), block_s),
        "sun_days": _days(np.isfinite([each.known_pv_w for each in book]), block_s),
        "months": _months(site, book, block_s),
    }
    if change is not None:
        told["change"] = {
            "added": len(change.added),
            "removed": len(change.removed),
            "stands": change.stands,
            "too_old": change.too_old,
            "dry_run": dry,
        }
    return told


def _months(site: Site, book: Sequence[Block], block_s: float) -> list[dict[str, Any]]:
    by_month: dict[int, list[Block]] = {}
    for block in book:
        by_month.setdefault(calendar_month(block.number, block_s, site.time_zone), []).append(block)
    return [_month(f"{month // 12}-{month % 12 + 1:02}", blocks, block_s) for month, blocks in by_month.items()]


def _month(name: str, blocks: Sequence[Block], block_s: float) -> dict[str, Any]:
    load_w, pv_w, peak_w = np.array([[each.known_load_w, each.known_pv_w, each.peak_w] for each in blocks]).T
    return {
        "month": name,
        "load_days": _days(np.isfinite(load_w), block_s),
        "sun_days": _days(np.isfinite(pv_w), block_s),
        "load_kwh": _kwh(load_w, block_s),
        "sun_kwh": _kwh(pv_w, block_s),
        "highest_load_kw": _highest_kw(load_w),
        "highest_import_kw": _highest_kw(peak_w),
    }


def _days(known: Any, block_s: float) -> float:
    return round(int(np.count_nonzero(known)) * block_s / 86400.0, 3)


def _kwh(power_w: Floats, block_s: float) -> float:
    return round(float(np.nansum(power_w)) * block_s / 3.6e6, 3)


def _highest_kw(power_w: Floats) -> float | None:
    known = power_w[np.isfinite(power_w)]
    return round(float(known.max()) / 1000.0, 3) if len(known) else None


def _time(site: Site, number: int) -> str:
    """When a block begins, by the meter's clock."""
    at = datetime.fromtimestamp(number * site.tuning.dispatch.block_s, UTC)
    return at.astimezone(site.time_zone).isoformat(timespec="minutes")


def table(told: dict[str, Any]) -> Iterator[str]:
    """The answer for people, line by line."""
    if change := told.get("change"):
        yield f"{told['file']}: {_changed(change)}"
    if not told["months"]:
        yield f"{told['file']}: nothing was measured yet"
        return
    until = f"{told['first']} to {told['until']}"
    yield f"{told['site']}: {until}: load known of {told['load_days']:g} days, sun of {told['sun_days']:g}"
    yield f"{'month':8}{'load, days':>12}{'kWh':>12}{'highest kW':>12}{'sun, days':>12}{'kWh':>12}{'import, kW':>12}"
    for month in told["months"]:
        load, peak = (_or_dash(month[key]) for key in ("highest_load_kw", "highest_import_kw"))
        yield (
            f"{month['month']:8}{month['load_days']:12.2f}{month['load_kwh']:12,.0f}{load:>12}"
            f"{month['sun_days']:12.2f}{month['sun_kwh']:12,.0f}{peak:>12}"
        )


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _changed(change: dict[str, Any]) -> str:
    would = "would be " if change["dry_run"] else ""
    told = [f"{change[what]:,} billing blocks {would}{what}" for what in ("added", "removed") if change[what]]
    told = told or [f"nothing {would or 'is '}changed"]
    if change["stands"]:
        told.append(f"{change['stands']:,} stay as the book has them")
    if change["too_old"]:
        told.append(f"{change['too_old']:,} are older than a book reaches back")
    return ", ".join(told)
