"""The billing windows of a series: which steps each one averages, and in which month it counts."""

from dataclasses import dataclass

import numpy as np

from ess_controller.planning.given.problem import Series, block_steps, months
from firmware_bridge.records import Floats, Ints


def blocks_of(series: Series, block_s: float) -> Ints:
    """[step] number of the billing block it lies in, from 0; blocks stand still on the clock, not on the series."""
    length_s = block_steps(series, block_s) * series.step_s
    begins_s = series.begin.timestamp() + np.arange(len(series)) * series.step_s
    number: Ints = np.floor(begins_s / length_s + 1e-9).astype(np.int64)
    since: Ints = number - number[0]
    return since


def block_means(values: Floats, block: Ints) -> Floats:
    """[block] mean of [step] values; of a block that is cut off, of the steps there are."""
    return np.bincount(block, values) / np.bincount(block)


def month_of_block(series: Series, block: Ints) -> Ints:
    """[block] number of the calendar month, from 0, in which its first step lies."""
    ends = [end for _, end in months(series)]
    if len(ends) == 1:
        return np.zeros(block[-1] + 1, np.int64)
    first = np.searchsorted(block, np.arange(block[-1] + 1))
    return np.searchsorted(ends, first, side="right")


@dataclass(frozen=True, slots=True, eq=False)
class SeriesWindows:
    """Windows in the order in which they end. They may overlap."""

    first: Ints  # [window] step
    end: Ints  # [window] step after its last
    month: Ints  # [window] number of the calendar month that it counts in, from 0

    def means(self, values: Floats) -> Floats:
        """[window] mean of [step] values."""
        edges = np.stack((self.first, self.end), axis=1).ravel()
        sums = np.add.reduceat(np.append(values, 0.0), edges)[::2]
        return np.asarray(sums / (self.end - self.first))

    def peaks(self, import_w: Floats) -> Floats:
        """[month] highest mean, W."""
        means_w = self.means(import_w)
        return np.array([means_w[self.month == each].max() for each in range(int(self.month[-1]) + 1)])


def slides(series: Series, block_s: float, slide_s: float) -> bool:
    """Whether windows slide, in steps fine enough to see it."""
    return 0.0 < slide_s < block_s and slide_s % series.step_s == 0.0 and block_s % slide_s == 0.0


def windows_of(series: Series, block_s: float, slide_s: float) -> SeriesWindows:
    """All windows of a series. Steps too coarse to see windows slide get blocks.

    A block counts in the month in which it begins; it stands still on the clock, and one that the series holds in part
    counts with that part. A window that slides counts in the month in which it ends, for only then the meter has its
    mean; those that began before the series do not count, unless there is no other in a month.
    """
    if not slides(series, block_s, slide_s):
        block = blocks_of(series, block_s)
        edges = np.searchsorted(block, np.arange(block[-1] + 2))
        return SeriesWindows(edges[:-1], edges[1:], month_of_block(series, block))
    every, length = round(slide_s / series.step_s), round(block_s / series.step_s)
    into = round(series.begin.timestamp() / series.step_s) % every
    ends = np.arange(every - into, len(series) + 1, every)
    ends = ends[ends >= length]
    begins = ends - length
    month_ends = np.array([end for _, end in months(series)])
    month = np.searchsorted(month_ends, ends)  # one that ends with the month belongs to it
    for number in np.setdiff1d(np.arange(len(month_ends)), month):
        ends, begins = np.append(ends, month_ends[number]), np.append(begins, max(month_ends[number] - length, 0))
        month = np.append(month, number)
    order = np.argsort(ends, kind="stable")
    return SeriesWindows(begins[order], ends[order], month[order])
