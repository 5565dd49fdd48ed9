"""Where the solver begins: with the last plan moved on in time, or with the plan of all stores looked at as one.

A simplex solver walks from a first guess of which limits bind (the basis) to the best one; a good guess saves most of
the way. Here a guess says of each column and row which one of another programme's it resembles.
"""

from collections import Counter
from functools import cache
from operator import itemgetter

import highspy
import numpy as np

from ess_controller.planning.given.problem import Series
from ess_controller.planning.lp.layout import Layout
from firmware_bridge.records import Floats, Ints

TIE_CNY_PER_KWH = 2e-5
STEPS = 4096  # after so many the prices come again

Likeness = tuple[Ints, Ints]  # [column], [row] which of the other programme's it is like


def moved(layout: Layout, by: int) -> Likeness:
    """Each step is like what was `by` steps further on in an earlier programme of that layout; the last ones like its
    last ones. Fewer than its steps."""
    columns, rows, n = np.arange(layout.columns), np.arange(layout.rows), layout.steps
    windows = rows[n : layout.store_rows_at]
    runs = [columns[: 2 * n], columns[layout.stores_at :], rows[:n], rows[layout.store_rows_at :]]
    for run in (*runs, windows) if len(windows) == n else runs:
        by_step = run.reshape(-1, n)
        by_step[:, :-by] = by_step[:, by:].copy()
    return columns, rows


def shared(layout: Layout, one: Layout) -> Likeness:
    """Each group is like the one store of a programme for all of them together, `one`."""
    columns, rows = np.zeros(layout.columns, np.int64), np.zeros(layout.rows, np.int64)
    its_columns, its_rows, n = np.arange(one.columns), np.arange(one.rows), layout.steps
    depth = _alike([(group, 0) for group in layout.depths], [0] * len(one.depths))
    taper = _alike([(group, way) for group, way, *_ in layout.tapers], [way for _, way, *_ in one.tapers])
    columns[: layout.stores_at] = its_columns[: one.stores_at]
    layout.store(columns)[:] = one.store(its_columns)
    layout.depth(columns)[:] = one.depth(its_columns)[depth]
    layout.dwell(columns)[:] = one.dwell(its_columns)
    layout.beyond(columns)[:] = one.beyond(its_columns)
    rows[: layout.store_rows_at] = its_rows[: one.store_rows_at]
    for first, end, its_first, its_end, which in (
        (layout.store_rows_at, layout.depth_rows_at, one.store_rows_at, one.depth_rows_at, [0] * layout.groups),
        (layout.depth_rows_at, layout.dwell_rows_at, one.depth_rows_at, one.dwell_rows_at, depth),
        (layout.dwell_rows_at, layout.limit_rows_at, one.dwell_rows_at, one.limit_rows_at, [0] * layout.groups),
        (layout.limit_rows_at, layout.taper_rows_at, one.limit_rows_at, one.taper_rows_at, [0]),
        (layout.taper_rows_at, layout.rows, one.taper_rows_at, one.rows, taper),
    ):
        if end > first:
            rows[first:end] = its_rows[its_first:its_end].reshape(-1, n)[which].ravel()
    return columns, rows


def told_apart(layout: Layout, series: Series) -> Floats:
    """[column] CNY per kW, up to `TIE_CNY_PER_KWH`: a price of its own for each group's power each way in each step.

    Hours of one price, and stores that cost the same, tie: of many best plans the next one would be another, far from
    where the last one stood. The price of a time of day stays when the series moves on. It is on no bill.
    """
    added, first = np.zeros(layout.columns), round(series.begin.timestamp() / series.step_s)
    flows = layout.store(added)[:, :2]
    own, step = np.arange(2 * layout.groups).reshape(-1, 2, 1), (first + np.arange(layout.steps)) % STEPS
    flows[:] = _uneven(2 * layout.groups)[own, step]
    return TIE_CNY_PER_KWH * layout.step_h * added


@cache
def _uneven(flows: int) -> Floats:
    """[flow, step] 0..1, always the same."""
    return np.random.default_rng(0).random((flows, STEPS))


def like(basis: highspy.HighsBasis, likeness: Likeness) -> highspy.HighsBasis:
    """The guess from another programme's end. It may have too many or too few that bind: the solver mends that."""
    columns, rows = likeness
    guess = highspy.HighsBasis()
    guess.col_status = list(itemgetter(*columns.tolist())(basis.col_status))
    guess.row_status = list(itemgetter(*rows.tolist())(basis.row_status))
    guess.valid = guess.alien = True
    return guess


def _alike(mine: list[tuple[int, int]], its: list[int]) -> list[int]:
    """[at] which of the one store's each is like: that of the same kind and number, or the last of its kind.

    `mine` [at] group and kind, `its` [at] kind.
    """
    seen: Counter[tuple[int, int]] = Counter()
    found = []
    for group, kind in mine:
        of_kind = [at for at, other in enumerate(its) if other == kind]
        found.append(of_kind[min(seen[group, kind], len(of_kind) - 1)])
        seen[group, kind] += 1
    return found
