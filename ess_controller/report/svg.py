"""Small plots as inline SVG: lines, areas, bars and bands over a time axis. No library, no script, no network."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, isfinite, log10

LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 20.0, 22.0
Values = Sequence[float | None]


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers that cover low..high."""
    span = max(high - low, 1e-9)
    step = 10.0 ** floor(log10(span / about))
    step *= next(each for each in (1.0, 2.0, 2.5, 5.0, 10.0) if span / (step * each) <= about)
    return [round(step * at, 10) for at in range(floor(low / step + 1e-9), ceil(high / step - 1e-9) + 1)]


class Plot:
    """One picture being drawn; `steps` along x, values along y. What is None is left out."""

    def __init__(self, width: float, height: float, steps: int, low: float, high: float, unit: str) -> None:
        self._ticks = nice_ticks(min(low, 0.0), max(high, 1e-6))
        self._low, self._high = self._ticks[0], self._ticks[-1]
        self._width, self._height, self._steps = width, height, max(steps, 1)
        self._parts: list[str] = []
        self._axes(unit)

    def x(self, step: float) -> float:
        """Of the begin of a step."""
        return LEFT + (self._width - LEFT - RIGHT) * step / self._steps

    def y(self, value: float) -> float:
        """Of a value."""
        share = (value - self._low) / (self._high - self._low)
        return self._height - BOTTOM - (self._height - TOP - BOTTOM) * share

    def _axes(self, unit: str) -> None:
        for tick in self._ticks:
            y, kind = self.y(tick), "zero" if tick == 0.0 else "grid"
            self._parts.append(
                f'<line class="{kind}" x1="{LEFT}" x2="{self._width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self._parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{tick:g}</text>')
        self._parts.append(f'<text class="unit" x="{LEFT - 6}" y="10" text-anchor="end">{escape(unit)}</text>')

    def band(self, first: float, end: float, colour: str, opacity: float) -> None:
        """Behind everything, over the whole height."""
        x, width = self.x(first), self.x(end) - self.x(first)
        height = self._height - TOP - BOTTOM
        box = f'x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="{height}"'
        self._parts.insert(0, f'<rect {box} fill="{colour}" opacity="{opacity:.2f}"/>')

    def label(self, step: float, words: str) -> None:
        """Under the x axis."""
        x, y = self.x(step), self._height - 6.0
        self._parts.append(f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{escape(words)}</text>')

    def line(self, values: Values, colour: str, width: float = 1.6, dash: str = "") -> None:
        """Through the middles of the steps; broken where nothing is known."""
        path, pen = [], "M"
        for at, value in enumerate(values):
            if value is None or not isfinite(value):
                pen = "M"
                continue
            path.append(f"{pen}{self.x(at + 0.5):.1f} {self.y(value):.1f}")
            pen = "L"
        style = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="{width}"{style}/>')

    def level(self, value: float, colour: str, words: str) -> None:
        """A dashed line at one value, named at its right end."""
        if not self._low <= value <= self._high:
            return
        y, end = self.y(value), self._width - RIGHT
        self._parts.append(
            f'<line x1="{LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-dasharray="5 3"/>'
            f'<text class="tick" x="{end}" y="{y - 3:.1f}" text-anchor="end">{escape(words)}</text>'
        )

    def bars(self, values: Values, colour: str, first: float = 0.0, width: float = 1.0, opacity: float = 1.0) -> None:
        """From zero, in a part of each step."""
        for at, value in enumerate(values):
            if value is None or not isfinite(value) or value == 0.0:
                continue
            x, wide = self.x(at + first), self.x(at + first + width) - self.x(at + first)
            top, bottom = sorted((self.y(value), self.y(0.0)))
            self._parts.append(
                f'<rect x="{x:.2f}" y="{top:.1f}" width="{wide:.2f}" height="{bottom - top:.1f}" fill="{colour}"'
                f' opacity="{opacity}"/>'
            )

    def drawn(self, title: str) -> str:
        """The whole picture; `title` is what a screen reader says."""
        box = f"0 0 {self._width:g} {self._height:g}"
        return f'<svg viewBox="{box}" role="img" aria-label="{escape(title)}">{"".join(self._parts)}</svg>'


def extent(*rows: Values) -> tuple[float, float]:
    """Least and most of all that is known; 0 and 1 where nothing is."""
    known = [value for row in rows for value in row if value is not None and isfinite(value)]
    return (min(known), max(known)) if known else (0.0, 1.0)


def scaled(values: Values, factor: float) -> list[float | None]:
    """Each value times `factor`."""
    return [None if value is None else value * factor for value in values]
