"""What was truly so over time at a site on real sockets, line by line, and how long things took by that."""

from collections.abc import Sequence
from math import nan
from typing import Any

from firmware_bridge.records import Contactor
from sim.campaign.stage import PAUSE_S

AT_ONCE_S = 0.05  # a hard-wired chain needs no time at all, the world tells of it within a step
OPEN, CLOSED = int(Contactor.OPEN), int(Contactor.CLOSED)

Line = dict[str, Any]


class Record:
    """The lines of `ess hil --truth` so far. All times are monotonic wall seconds, NaN: it did not happen."""

    def __init__(self, cabinet_of_string: Sequence[int], small_w: float) -> None:
        """An inverter below `small_w` moves no power worth the name."""
        self.lines: list[Line] = []
        self._cabinet, self._small_w = cabinet_of_string, small_w

    @property
    def cabinets(self) -> range:
        """All of the site."""
        return range(max(self._cabinet) + 1)

    @property
    def at_power(self) -> bool:
        """By the latest truth, every string is closed and every inverter moves power."""
        return bool(self.lines) and self._at_power(self.lines[-1])

    @property
    def powerless(self) -> bool:
        """By the latest truth, no inverter moves power."""
        return bool(self.lines) and not any(self._moves(self.lines[-1]))

    def _moves(self, line: Line) -> list[bool]:
        """[cabinet] whether its inverter moves power."""
        return [abs(w) >= self._small_w for w in line["pcs_w"]]

    def _at_power(self, line: Line) -> bool:
        return all(self._moves(line)) and all(contactor == CLOSED for contactor in line["contactor"])

    def _between(self, since_s: float, until_s: float) -> list[Line]:
        return [line for line in self.lines if since_s < line["wire_s"] <= until_s]

    # --- how long it took ---------------------------------------------------------------------------------------------

    def fault_span(self, name: str) -> tuple[float, float]:
        """When a scheduled fault was set and when lifted, monotonic s."""
        on = [line["wire_s"] for line in self.lines if name in line["faults"]]
        after = [line["wire_s"] for line in self.lines if line["wire_s"] > on[-1]] if on else []
        return (on[0], after[0]) if after else (nan, nan)

    def safe_after(self, since_s: float, until_s: float, cabinets: Sequence[int], strings: Sequence[int] = ()) -> float:
        """From `since_s` until the cabinets moved no power any more; NaN when one still did at `until_s`.

        Once all the `strings` concerned lie open, what others in the cabinet do is no matter.
        """
        lines = self._between(since_s, until_s)
        safe = [not _any(self._moves(line), cabinets) or _all_open(line, strings) for line in lines]
        return _for_good(lines, safe, since_s)

    def works_after(self, since_s: float, until_s: float, cabinets: Sequence[int]) -> float:
        """From `since_s` until each of the cabinets moved power for good; NaN when one did not at `until_s`."""
        lines = self._between(since_s, until_s)
        return _for_good(lines, [all(self._moves(line)[cabinet] for cabinet in cabinets) for line in lines], since_s)

    def falling_after(self, since_s: float) -> float:
        """From `since_s` until some inverter moved less than it did then: its timer has run out."""
        lines = [line for line in self.lines if line["wire_s"] > since_s]
        times = (line["wire_s"] - since_s for line in lines if _fell(lines[0]["pcs_w"], line["pcs_w"]))
        return next(times, nan)

    def open_after(self, since_s: float, until_s: float, strings: Sequence[int]) -> float:
        """From `since_s` until all `strings` lay open; NaN when they did not before `until_s`."""
        times = (line["wire_s"] - since_s for line in self._between(since_s, until_s) if _all_open(line, strings))
        return next(times, nan)

    def always_closed(self, since_s: float, until_s: float) -> bool:
        """Whether every string stayed on its bus."""
        lines = self._between(since_s, until_s)
        return all(contactor == CLOSED for line in lines for contactor in line["contactor"])

    def stayed_open(self, since_s: float, until_s: float, strings: Sequence[int]) -> bool:
        """Whether `strings`, once they all lay open, stayed so."""
        opened = [_all_open(line, strings) for line in self._between(since_s, until_s)]
        return True in opened and all(opened[opened.index(True) :])

    def went_on(self, since_s: float, until_s: float, cabinets: Sequence[int]) -> bool:
        """Whether each of these kept its contactors closed and never moved no power for longer than PAUSE_S."""
        lines = self._between(since_s, until_s)
        mine = [string for string, cabinet in enumerate(self._cabinet) if cabinet in cabinets]
        if not all(line["contactor"][string] == CLOSED for line in lines for string in mine):
            return False
        moved_s = dict.fromkeys(cabinets, since_s)
        for line in lines:
            moves = self._moves(line)
            moved_s |= {cabinet: line["wire_s"] for cabinet in cabinets if moves[cabinet]}
            if line["wire_s"] - min(moved_s.values(), default=line["wire_s"]) > PAUSE_S:
                return False
        return True

    def opened_at(self, since_s: float) -> int:
        """How often contactors opened under load in the instant of a fault that was set at `since_s`."""
        before = [line for line in self.lines if line["wire_s"] < since_s]
        at_once = self._between(since_s - 1e-3, since_s + AT_ONCE_S)
        if not before or not at_once:
            return 0
        return int(at_once[-1]["opened_under_load"]) - int(before[-1]["opened_under_load"])

    def power_after(self, since_s: float) -> float:
        """From `since_s` until all was at power again."""
        lines = (line for line in self.lines if line["wire_s"] >= since_s)
        return next((line["wire_s"] - since_s for line in lines if self._at_power(line)), nan)


def _any(moves: Sequence[bool], cabinets: Sequence[int]) -> bool:
    return any(moves[cabinet] for cabinet in cabinets)


def _all_open(line: Line, strings: Sequence[int]) -> bool:
    return bool(strings) and all(line["contactor"][string] == OPEN for string in strings)


def _fell(before_w: Sequence[float], now_w: Sequence[float]) -> bool:
    return any(abs(now) < 0.9 * abs(before) for before, now in zip(before_w, now_w, strict=True))


def _for_good(lines: Sequence[Line], holds: Sequence[bool], since_s: float) -> float:
    """From `since_s` to the first line from which on something held; NaN when it did not in the last, or none is."""
    if not lines or not holds[-1]:
        return nan
    fails = [number for number, held in enumerate(holds) if not held]
    return float(lines[fails[-1] + 1]["wire_s"]) - since_s if fails else 0.0
