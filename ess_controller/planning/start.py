"""Where the solver begins: with the last plan moved on in time, or with the plan of all stores looked at as one.

A simplex solver walks from a first guess of which limits bind (the basis) to the best one; a good guess saves most of
the way. Here a guess says of each column and row which one of another programme's it resembles.
"""

from operator import itemgetter

import highspy
import numpy as np

from ess_controller.planning.layout import Layout
from firmware_bridge.records import Ints

Likeness = tuple[Ints, Ints]  # [column], [row] which of the other programme's it is like


def moved(layout: Layout, by: int) -> Likeness:
    """Each step is like what was `by` steps further on in an earlier programme of that layout; the last ones like its
    last ones. Fewer than its steps."""
    columns, rows = np.arange(layout.columns), np.arange(layout.rows)
    n, windows, sums = layout.steps, rows[layout.steps : layout.store_rows_at], _sums(layout, rows)
    runs = [columns[: 2 * n].reshape(2, n), layout.store(columns), layout.dwell(columns), rows[:n]]  # type: ignore[arg-type]
    runs += [windows] if len(windows) == n else []
    runs += [rows[layout.store_rows_at : layout.sum_rows_at].reshape(-1, n), sums[:, : 2 * n].reshape(len(sums), -1, n)]
    runs += [rows[layout.dwell_rows_at :].reshape(-1, n), layout.beyond(columns)]  # type: ignore[arg-type]
    for run in runs:
        if run.size:
            run[..., :-by] = run[..., by:].copy()
    return columns, rows


def shared(layout: Layout, one: Layout) -> Likeness:
    """Each group is like the one store of a programme for all of them together, `one`."""
    columns, rows = np.zeros(layout.columns, np.int64), np.zeros(layout.rows, np.int64)
    of_one, row = np.arange(one.columns), np.arange(one.rows)
    columns[: layout.stores_at] = of_one[: one.stores_at]
    layout.store(columns)[:] = one.store(of_one)  # type: ignore[arg-type]
    layout.dwell(columns)[:] = one.dwell(of_one)  # type: ignore[arg-type]
    layout.beyond(columns)[:] = one.beyond(of_one)  # type: ignore[arg-type]
    rows[: layout.store_rows_at] = row[: one.store_rows_at]
    _stores(layout, rows)[:] = _stores(one, row)
    _sums(layout, rows)[:] = _sums(one, row)
    rows[layout.dwell_rows_at : layout.limit_rows_at].reshape(layout.groups, -1)[:] = row[
        one.dwell_rows_at : one.limit_rows_at
    ]
    rows[layout.limit_rows_at : layout.taper_rows_at] = row[one.limit_rows_at : one.taper_rows_at]
    _tapers(layout, rows)[:] = _tapers(one, row)[_alike(layout, one)]
    return columns, rows


def like(basis: highspy.HighsBasis, likeness: Likeness) -> highspy.HighsBasis:
    """The guess from another programme's end. It may have too many or too few that bind: the solver mends that."""
    columns, rows = likeness
    guess = highspy.HighsBasis()
    guess.col_status = list(itemgetter(*columns.tolist())(basis.col_status))
    guess.row_status = list(itemgetter(*rows.tolist())(basis.row_status))
    guess.valid = guess.alien = True
    return guess


def _stores(layout: Layout, rows: Ints) -> Ints:
    """[group, row] of each one's segments; a view."""
    return rows[layout.store_rows_at : layout.sum_rows_at].reshape(layout.groups, -1)


def _sums(layout: Layout, rows: Ints) -> Ints:
    """[group, row] of what segments do together; a view."""
    return rows[layout.sum_rows_at : layout.dwell_rows_at].reshape(layout.groups, -1)


def _tapers(layout: Layout, rows: Ints) -> Ints:
    """[taper, step] of what SOC leaves of the powers; a view."""
    return rows[layout.taper_rows_at :].reshape(-1, layout.steps)


def _alike(layout: Layout, one: Layout) -> Ints:
    """[taper] which of the one store's each is like: the piece of the same way and number, or the last of its way."""
    of_way = {way: [at for at, taper in enumerate(one.tapers) if taper[1] == way] for way in (0, 1)}
    seen: dict[tuple[int, int], int] = {}
    found = []
    for group, way, *_ in layout.tapers:
        number = seen[group, way] = seen.get((group, way), -1) + 1
        found.append(of_way[way][min(number, len(of_way[way]) - 1)])
    return np.array(found, np.int64)
