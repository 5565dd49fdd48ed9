"""The pictures of a report: a day's power and SOC over its prices, a month's days side by side, and what saved."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ess_controller.report.svg import Plot, extent, scaled

LOAD, SUN, GRID, BATTERY, RULE, PLANNED = "#475569", "#e3a008", "#2b6cb0", "#178a68", "#b0568f", "#7c6bc4"
PRICE = "#c2410c"
WIDE, TALL, LOW = 760.0, 230.0, 130.0
DEAREST = 0.22  # opacity of the dearest hour's band
Say = Callable[[str], str]


def day_power(told: dict[str, Any], say: Say) -> str:
    """Load, sun, grid and battery in kW, over the hours' prices."""
    series = told["series"]
    load, sun, grid, battery = (scaled(series[name], 1e-3) for name in ("load_w", "pv_w", "grid_w", "battery_w"))
    steps = len(load)
    plot = Plot(WIDE, TALL, steps, *extent(load, sun, grid, battery), "kW")
    _price_bands(plot, series["price_cny_per_kwh"])
    plot.bars(battery, BATTERY, opacity=0.55)
    plot.line(sun, SUN, 2.0)
    plot.line(load, LOAD, 1.8)
    plot.line(grid, GRID, 1.8)
    _hours(plot, told, steps)
    legend = _legend((say("load"), LOAD), (say("sun"), SUN), (say("grid"), GRID), (say("battery"), BATTERY))
    return plot.drawn(say("Power")) + legend


def day_soc(told: dict[str, Any], say: Say) -> str:
    """SOC in percent: as it was, by the rule, as planned."""
    series = told["series"]
    rows = [(say("done"), BATTERY, "", "soc"), (say("by the rule"), RULE, "5 3", "rule_soc")]
    rows.append((say("planned"), PLANNED, "2 2", "planned_soc"))
    known = [(name, colour, dash, scaled(series[key], 100.0)) for name, colour, dash, key in rows]
    known = [row for row in known if any(value is not None for value in row[3])]
    steps = len(series["load_w"])
    plot = Plot(WIDE, LOW, steps, 0.0, 100.0, "%")
    for _, colour, dash, values in known:
        plot.line(values, colour, 1.8, dash)
    _hours(plot, told, steps)
    return plot.drawn(say("State of charge")) + _legend(*((name, colour) for name, colour, _, _ in known))


def month_saved(days: list[dict[str, Any]], say: Say) -> str:
    """CNY saved each day, beside the rule of the hour."""
    done, rule = ([day[key] for day in days] for key in ("saved_cny", "rule_saved_cny"))
    plot = Plot(WIDE, 190.0, len(days), *extent(done, rule), "CNY")
    plot.bars(done, BATTERY, 0.12, 0.4)
    plot.bars(rule, RULE, 0.54, 0.34, 0.6)
    _days(plot, days)
    return plot.drawn(say("Saved day by day")) + _legend((say("done"), BATTERY), (say("by the rule"), RULE))


def month_energy(days: list[dict[str, Any]], say: Say) -> str:
    """kWh given and taken each day."""
    out, into = [day["out_kwh"] for day in days], scaled([day["in_kwh"] for day in days], -1.0)
    plot = Plot(WIDE, LOW + 20.0, len(days), *extent(out, into), "kWh")
    plot.bars(out, BATTERY, 0.15, 0.7)
    plot.bars(into, GRID, 0.15, 0.7, 0.7)
    _days(plot, days)
    return plot.drawn(say("Energy of the battery")) + _legend((say("given"), BATTERY), (say("taken"), GRID))


def month_peaks(days: list[dict[str, Any]], contract_kw: float | None, say: Say) -> str:
    """The highest block of each day, kW."""
    peaks = [day["peak_kw"] for day in days]
    high = max(extent(peaks)[1], contract_kw or 0.0)
    plot = Plot(WIDE, LOW + 20.0, len(days), 0.0, high, "kW")
    plot.bars(peaks, GRID, 0.15, 0.7, 0.8)
    if contract_kw is not None:
        plot.level(contract_kw, PRICE, f"{say('agreed')} {contract_kw:g} kW")
    _days(plot, days)
    return plot.drawn(say("Highest import of each day"))


def shares(parts: list[tuple[str, float]], unit: str) -> str:
    """Horizontal bars from a common zero, each with its number."""
    low, high = extent([value for _, value in parts], [0.0])
    span = max(high - low, 1e-9)
    rows = []
    for name, value in parts:
        left, wide = 100.0 * (min(value, 0.0) - low) / span, 100.0 * abs(value) / span
        colour = BATTERY if value >= 0.0 else PRICE
        rows.append(
            f'<tr><td>{name}</td><td class="bar"><i style="margin-left:{left:.2f}%;width:{wide:.2f}%;'
            f'background:{colour}"></i></td><td class="n">{value:+,.2f} {unit}</td></tr>'
        )
    return f'<table class="shares">{"".join(rows)}</table>'


def _price_bands(plot: Plot, prices: list[float | None]) -> None:
    known = [price for price in prices if price is not None]
    if not known or max(known) <= min(known):
        return
    first = 0
    for at in range(1, len(prices) + 1):
        if at == len(prices) or prices[at] != prices[first]:
            price = prices[first]
            if price is not None:
                plot.band(first, at, PRICE, DEAREST * (price - min(known)) / (max(known) - min(known)))
            first = at


def _hours(plot: Plot, told: dict[str, Any], steps: int) -> None:
    """Every third hour by name where the clock told it: a day on which clocks change has 23 or 25 of them."""
    zone = ZoneInfo(told["zone"])
    begin_s, end_s = (datetime.fromisoformat(told[edge]).timestamp() for edge in ("begin", "end"))
    for step in range(steps):
        local = datetime.fromtimestamp(begin_s + (end_s - begin_s) * step / steps, zone)
        if local.hour % 3 == 0 and local.minute == 0:
            plot.label(step, f"{local:%H}")
    plot.label(steps, "24")


def _days(plot: Plot, days: list[dict[str, Any]]) -> None:
    for at, day in enumerate(days):
        if len(days) <= 16 or at % 2 == 0:
            plot.label(at + 0.5, str(int(day["day"][8:])))


def _legend(*entries: tuple[str, str]) -> str:
    each = "".join(f'<span><i style="background:{colour}"></i>{name}</span>' for name, colour in entries)
    return f'<div class="legend">{each}</div>'
