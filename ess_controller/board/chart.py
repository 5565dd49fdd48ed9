"""Charts as SVG text: a day with its price bands, bars of days, a line over days; drawn here, so that no page waits."""

from collections.abc import Sequence
from math import ceil, floor, isnan, log10

from ess_controller.board.day import Day
from ess_controller.board.figures import number
from ess_controller.board.html import Html, tag

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 900, 44, 8, 12, 36
_BANDS = {"critical": "b4", "peak": "b3", "flat": "b2", "valley": "b1", "deep_valley": "b0"}


def day_chart(
    day: Day, now_share: float, month_peak_w: float | None, labels: dict[str, str], height: int = 320
) -> Html:
    """Battery as bars (done), battery as a stepped line (planned), grid as a line, kW over the hours of the day.

    `now_share`: how much of the day is over, 0..1. `labels`: tariff period -> its name.
    """
    slots = day.slots
    values = [w for slot in slots for w in (slot.battery_w, slot.grid_w, slot.planned_battery_w) if not isnan(w)]
    peak = [month_peak_w] if month_peak_w else []
    axis = _Axis.around([w / 1000.0 for w in [*values, *peak, 0.0]], height)
    step = (WIDTH - LEFT - RIGHT) / len(slots)
    lefts = [LEFT + step * at for at in range(len(slots))]
    bars = [
        _rect(
            x + step * 0.12, axis.y(max(slot.battery_w, 0.0) / 1000.0), step * 0.76, axis.height(slot.battery_w), "done"
        )
        for x, slot in zip(lefts, slots, strict=True)
        if slot.metered
    ]
    planned = _steps([(x, slot.planned_battery_w / 1000.0) for x, slot in zip(lefts, slots, strict=True)], step, axis)
    grid = _steps([(x, slot.grid_w / 1000.0) for x, slot in zip(lefts, slots, strict=True)], step, axis)
    now_x = LEFT + (WIDTH - LEFT - RIGHT) * min(max(now_share, 0.0), 1.0)
    parts = [
        *_bands(day, lefts, step, height, labels),
        *axis.lines(),
        *_hours(day, lefts, height),
        *bars,
        tag("path", d=grid, class_="grid-line"),
        tag("path", d=planned, class_="plan-line"),
        *(_line(LEFT, axis.y(w / 1000.0), WIDTH - RIGHT, axis.y(w / 1000.0), "peak-line") for w in peak),
        *([_line(now_x, TOP, now_x, height - BOTTOM, "now-line")] if now_share < 1.0 else []),  # not through a price
    ]
    return _svg(parts, axis, height, now_share if now_share < 1.0 else 0.0)


def _hours(day: Day, lefts: Sequence[float], height: int) -> list[Html]:
    """Every fourth hour by name where the clock tells it: a day on which clocks change has 23 or 25 of them."""
    told = [
        (x, f"{slot.begin:%H}")
        for x, slot in zip(lefts, day.slots, strict=True)
        if slot.begin.hour % 4 == 0 and slot.begin.minute == 0
    ]
    return [_text(x, height - 4, hour, "tick mid") for x, hour in [*told, (WIDTH - RIGHT, "24")]]


def _bands(day: Day, lefts: Sequence[float], step: float, height: int, labels: dict[str, str]) -> list[Html]:
    """A strip under the chart: one box for each run of blocks of one price period, with its name and price."""
    runs: list[tuple[int, int]] = []
    for at, slot in enumerate(day.slots):
        if slot.period and runs and day.slots[runs[-1][0]].period == slot.period:
            runs[-1] = runs[-1][0], at + 1
        elif slot.period:
            runs.append((at, at + 1))
    parts = []
    for first, end in runs:
        slot, x, wide = day.slots[first], lefts[first], step * (end - first)
        kind = _BANDS.get(slot.period, "b2")
        parts.append(_rect(x, TOP, wide, height - BOTTOM - TOP, f"band {kind}"))
        parts.append(_rect(x, height - BOTTOM, wide, 18, f"strip {kind}"))
        if wide > 44:
            words = (
                f"{labels.get(slot.period, slot.period)} {slot.cny_per_kwh:.2f}"
                if wide > 84
                else f"{slot.cny_per_kwh:.2f}"
            )
            parts.append(_text(x + wide / 2, height - BOTTOM + 13, words, "strip-text mid"))
    return parts


def bars(values: Sequence[tuple[str, float]], height: int = 180) -> Html:
    """One bar a day, with the first, the middle and the last named."""
    axis = _Axis.around([0.0, *(value for _, value in values if not isnan(value))], height)
    step = (WIDTH - LEFT - RIGHT) / max(len(values), 1)
    parts = [*axis.lines()]
    named = {0, len(values) // 2, len(values) - 1}
    for at, (name, value) in enumerate(values):
        x = LEFT + step * at
        if not isnan(value):
            kind = "done" if value >= 0.0 else "lossy"
            parts.append(
                _rect(x + step * 0.15, axis.y(max(value, 0.0)), step * 0.7, abs(axis.y(0.0) - axis.y(value)), kind)
            )
        if at in named:
            parts.append(_text(x + step / 2, height - 12, name, "tick mid"))
    return _svg(parts, axis, height)


def line(points: Sequence[tuple[str, float]], low: float, high: float, digits: int, height: int = 160) -> Html:
    """A value over days, between at least `low` and `high`."""
    known = [value for _, value in points if not isnan(value)]
    axis = _Axis(min([low, *known]), max([high, *known]), height, digits)
    step = (WIDTH - LEFT - RIGHT) / max(len(points) - 1, 1)
    dots = [(LEFT + step * at, axis.y(value)) for at, (_, value) in enumerate(points) if not isnan(value)]
    path = " ".join(f"{'M' if at == 0 else 'L'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(dots))
    ends = [(0, "tick"), (len(points) - 1, "tick end")] if len(points) > 1 else [(0, "tick")]
    parts = [*axis.lines(), tag("path", d=path, class_="value-line")]
    parts += [tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, class_="dot") for x, y in dots]
    parts += [_text(LEFT + step * at, height - 12, points[at][0], kind) for at, kind in ends if points]
    return _svg(parts, axis, height)


class _Axis:
    """The vertical one: which value is how high."""

    def __init__(self, low: float, high: float, height: int, digits: int = 0) -> None:
        self._digits = digits
        self._low, self._high = low, high if high > low else low + 1.0
        self._top, self._bottom = TOP, height - BOTTOM

    @classmethod
    def around(cls, values: Sequence[float], height: int) -> "_Axis":
        """Round ends around all values, one unit apart at the least."""
        low = min(values)
        high = max(*values, low + 1.0)
        unit = _round_step(high - low)
        return cls(
            floor(low / unit) * unit,
            max(ceil(high / unit), floor(low / unit) + 1) * unit,
            height,
            0 if unit >= 1 else 1,
        )

    def y(self, value: float) -> float:
        return self._bottom - (value - self._low) / (self._high - self._low) * (self._bottom - self._top)

    def height(self, w: float) -> float:
        return abs(w) / 1000.0 / (self._high - self._low) * (self._bottom - self._top)

    def _marks(self) -> list[float]:
        unit = _round_step(self._high - self._low)
        first = ceil(self._low / unit - 1e-9)
        return [unit * at for at in range(first, floor(self._high / unit + 1e-9) + 1)]

    def lines(self) -> list[Html]:
        return [
            _line(LEFT, self.y(mark), WIDTH - RIGHT, self.y(mark), "zero" if abs(mark) < 1e-9 else "rule")
            for mark in self._marks()
        ]

    def names(self) -> list[Html]:
        return [_text(LEFT - 6, self.y(mark) + 4, number(mark, self._digits), "tick end") for mark in self._marks()]


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten: about five of them in `span`."""
    rough = span / 5.0
    power = 10.0 ** floor(log10(rough))
    return next(each * power for each in (1.0, 2.0, 5.0, 10.0) if each * power >= rough - 1e-12)


def _steps(points: Sequence[tuple[float, float]], step: float, axis: _Axis) -> str:
    """A stepped path that is broken where nothing is known."""
    told, goes_on = [], False
    for x, value in points:
        if isnan(value):
            goes_on = False
            continue
        told.append(f"{'L' if goes_on else 'M'}{x:.1f} {axis.y(value):.1f}H{x + step:.1f}")
        goes_on = True
    return "".join(told)


def _svg(parts: Sequence[Html], axis: _Axis, height: int, first_seen: float = 1.0) -> Html:
    """`first_seen`: which part of its width, 0..1, a screen shows that has no room for all of it; there the axis stays
    in sight while the rest is scrolled, once more by itself."""
    names = axis.names()
    paper = _rect(0.0, 0.0, LEFT, height - BOTTOM + 18, "paper")  # what is scrolled goes under it; hours are below
    stays = tag("svg", paper, *names, viewBox=f"0 0 {LEFT} {height}", class_="axis", aria_hidden="true")
    drawn = tag("svg", *parts, *names, viewBox=f"0 0 {WIDTH} {height}", role="img")
    return tag("div", stays, drawn, class_="chart", data_first=f"{first_seen:.2f}")


def _rect(x: float, y: float, wide: float, high: float, class_: str) -> Html:
    return tag("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{wide:.1f}", height=f"{max(high, 0.0):.1f}", class_=class_)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=class_)


def _text(x: float, y: float, words: str, class_: str) -> Html:
    return tag("text", words, x=f"{x:.1f}", y=f"{y:.1f}", class_=class_)
