"""Where each number of the plan stands in the linear programme: columns, rows and the matrix between them.

Columns, in kW and kWh: import and export [step]; the pieces of each month's peak; then for each group charge, discharge
and stored energy [step]; then for each depth at which a group's wear grows dearer what may be drawn before that depth
is reached, and what is drawn beyond it [step]; then, if dwelling is priced, what each group holds above its line
[step]; then, if the site's import is limited, what passes that limit [step]. Rows: power balance [step]; the peak over
each billing window; the store of each group [step]; what may be drawn before each depth [step]; then the dwelling
[step]; then import less what passes its limit [step]; then each power less what SOC leaves of it, piece by piece
[step]. Only efficiencies, lengths and tapers are in the matrix: prices, loads, limits and SOC are bounds and costs,
which change from plan to plan while the matrix stays.

A depth is looked at as a small store of its own, of the energy above it: charging fills it, to its brim and no further,
what is drawn empties it, and what is drawn when it is empty costs the depth's price. So each price is paid for just
what is drawn below its depth, the depths know nothing of one another, and a path costs what it would by `worn`, with a
third of the rows and columns less than one store for each slice has.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import highspy
import numpy as np

from ess_controller.planning.given.billing_windows import windows_of
from ess_controller.planning.given.problem import Battery, Prices, Series, hours
from ess_controller.planning.given.taper import WAYS, Piece, pieces
from firmware_bridge.records import Floats, Ints

Entry = tuple[Ints, Ints, Floats]  # rows, columns, values
Values = TypeVar("Values", Floats, Ints)  # of all columns


def tapers_of(groups: tuple[Battery, ...], step_h: float) -> list[tuple[int, int, Piece]]:
    """[row] what SOC leaves of the powers: group, 0 charge 1 discharge, and the piece of its line."""
    return [
        (group, at, piece)
        for group, battery in enumerate(groups)
        for at, way in enumerate(WAYS)
        for piece in pieces(battery, way, step_h)
    ]


def programme(entries: list[Entry], columns: int, rows: int) -> highspy.HighsLp:
    """A linear programme with that matrix; costs and bounds are all zero."""
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    order = np.lexsort((row, column))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = columns, rows
    lp.col_cost_ = lp.col_lower_ = lp.col_upper_ = np.zeros(columns)
    lp.row_lower_ = lp.row_upper_ = np.zeros(rows)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.searchsorted(column[order], np.arange(columns + 1))
    lp.a_matrix_.index_ = row[order]
    lp.a_matrix_.value_ = value[order]
    return lp


@dataclass(frozen=True)
class Layout:
    """Which columns and rows a problem has; two problems with equal layouts share a matrix."""

    steps: int
    step_h: float
    efficiencies: tuple[tuple[float, float], ...]  # [group] charge, discharge
    depths: tuple[int, ...]  # [depth] the group whose wear grows dearer there
    dwells: bool
    limited: bool  # import
    tapers: tuple[tuple[int, int, float, float], ...]  # [row] group, 0 charge 1 discharge, slope, theta: `taper.Piece`
    windows: tuple[tuple[int, ...], tuple[int, ...]]  # [window] first step, step after the last
    months: tuple[int, ...]  # [window]; empty where a month's peak costs nothing
    pieces: int

    @classmethod
    def of(cls, groups: tuple[Battery, ...], series: Series, prices: Prices) -> "Layout":
        """The layout of a problem."""
        has_demand = bool(prices.demand.from_w)
        windows = windows_of(series, prices.block_s, prices.slide_s)
        return cls(
            len(series),
            hours(series),
            tuple((each.charge_efficiency, each.discharge_efficiency) for each in groups),
            tuple(group for group, each in enumerate(groups) for _ in each.wear.rises),
            any(each.wear.dwell_cny_per_kwh_h > 0.0 for each in groups),
            bool(np.isfinite(groups[0].import_w)),
            tuple((group, way, piece.slope, piece.theta) for group, way, piece in tapers_of(groups, hours(series))),
            (tuple(windows.first.tolist()), tuple(windows.end.tolist())) if has_demand else ((), ()),
            tuple(windows.month.tolist()) if has_demand else (),
            len(prices.demand.from_w) + 1 if has_demand else 0,
        )

    @property
    def groups(self) -> int:
        """How many stores."""
        return len(self.efficiencies)

    @property
    def peak_columns(self) -> int:
        """Columns of all months' peaks together."""
        return (self.months[-1] + 1) * self.pieces if self.months else 0

    @cached_property
    def stores_at(self) -> int:
        """First column of the groups."""
        return 2 * self.steps + self.peak_columns

    @cached_property
    def depths_at(self) -> int:
        """First column of the depths."""
        return self.stores_at + 3 * self.steps * self.groups

    @cached_property
    def dwells_at(self) -> int:
        """First column of the dwelling."""
        return self.depths_at + 2 * self.steps * len(self.depths)

    @cached_property
    def beyond_at(self) -> int:
        """First column of import beyond the site's limit."""
        return self.dwells_at + self.steps * self.groups * self.dwells

    @cached_property
    def columns(self) -> int:
        """How many columns."""
        return self.beyond_at + self.steps * self.limited

    @cached_property
    def store_rows_at(self) -> int:
        """First row of the stores."""
        return self.steps + len(self.months)

    @cached_property
    def depth_rows_at(self) -> int:
        """First row of the depths."""
        return self.store_rows_at + self.steps * self.groups

    @cached_property
    def dwell_rows_at(self) -> int:
        """First row of the dwelling."""
        return self.depth_rows_at + self.steps * len(self.depths)

    @cached_property
    def limit_rows_at(self) -> int:
        """First row of the site's import."""
        return self.dwell_rows_at + self.steps * self.groups * self.dwells

    @cached_property
    def taper_rows_at(self) -> int:
        """First row of what SOC leaves of the powers."""
        return self.limit_rows_at + self.steps * self.limited

    @cached_property
    def rows(self) -> int:
        """How many rows."""
        return self.taper_rows_at + self.steps * len(self.tapers)

    def store(self, values: Values) -> Values:
        """[group, (charge, discharge, energy), step] of a column vector; a view."""
        return values[self.stores_at : self.depths_at].reshape(self.groups, 3, self.steps)

    def depth(self, values: Values) -> Values:
        """[depth, (what may be drawn before it, what is drawn beyond it), step] of a column vector, kWh; a view."""
        return values[self.depths_at : self.dwells_at].reshape(len(self.depths), 2, self.steps)

    def dwell(self, values: Values) -> Values:
        """[group, step] of a column vector, a view; empty where dwelling is not priced."""
        return values[self.dwells_at : self.beyond_at].reshape(self.groups, -1)

    def beyond(self, values: Values) -> Values:
        """[step] of a column vector, a view: import beyond the site's limit; empty where there is none."""
        return values[self.beyond_at :]

    def peak(self, values: Values) -> Values:
        """[month, piece] of a column vector; a view."""
        return values[2 * self.steps : self.stores_at].reshape(-1, max(self.pieces, 1))

    def model(self) -> highspy.HighsLp:
        """The programme with its matrix; costs and bounds are all zero."""
        return programme(self._entries(), self.columns, self.rows)

    def _entries(self) -> list[Entry]:
        n, step, columns = self.steps, np.arange(self.steps), np.arange(self.columns)
        store, depth = self.store(columns), self.depth(columns)
        entries = [_entry(step, step, 1.0), _entry(step, n + step, -1.0), *self._peak_entries()]
        for group, (charge, discharge, energy) in enumerate(store):
            entries += [_entry(step, charge, -1.0), _entry(step, discharge, 1.0)]
            entries += self._kept(self.store_rows_at + group * n + step, group, energy)
        for at, (group, (shallow, beyond)) in enumerate(zip(self.depths, depth, strict=True)):
            row = self.depth_rows_at + at * n + step
            entries += [*self._kept(row, group, shallow), _entry(row, beyond, -1.0)]
        if self.dwells:
            row, held = self.dwell_rows_at + np.arange(n * self.groups), self.dwell(columns)
            entries += [_entry(row, store[:, 2].ravel(), 1.0), _entry(row, held.ravel(), -1.0)]
        if self.limited:
            entries.append(_entry(self.limit_rows_at + step, step, 1.0))
            entries.append(_entry(self.limit_rows_at + step, self.beyond_at + step, -1.0))
        for at, (group, way, slope, theta) in enumerate(self.tapers):
            row, energy = self.taper_rows_at + at * n + step, store[group, 2]
            entries += [_entry(row, store[group, way], 1.0), _entry(row, energy, -slope * theta)]
            entries.append(_entry(row[1:], energy[:-1], -slope * (1.0 - theta)))
        return entries

    def _kept(self, row: Ints, group: int, energy: Ints) -> list[Entry]:
        """What is held after a step, less before it, less what charging brings, and what discharging takes."""
        charge, discharge, _ = self.store(np.arange(self.columns))[group]
        into, out_of = self.efficiencies[group]
        return [
            _entry(row, energy, 1.0),
            _entry(row[1:], energy[:-1], -1.0),
            _entry(row, charge, -self.step_h * into),
            _entry(row, discharge, self.step_h / out_of),
        ]

    def _peak_entries(self) -> list[Entry]:
        """Mean import of a window less the pieces of its month's peak."""
        if not self.months:
            return []
        (first, end), month = np.array(self.windows), np.array(self.months)
        length, piece = end - first, np.arange(self.pieces)
        window = np.repeat(np.arange(len(month)), length)
        step = np.arange(len(window)) - np.repeat(np.cumsum(length) - length - first, length)
        rows = self.steps + np.repeat(np.arange(len(month)), self.pieces)
        columns = 2 * self.steps + (month[:, np.newaxis] * self.pieces + piece).ravel()
        return [(self.steps + window, step, 1.0 / length[window]), _entry(rows, columns, -1.0)]


def _entry(rows: Ints, columns: Ints, value: float) -> Entry:
    return rows, columns, np.full(len(rows), value)
