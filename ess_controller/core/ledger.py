"""The ledger of charge: what each cell of a string has too much, as rest after rest has told, and who is being drained.

With F the charge a cell lacks to full and E what it has left, a string can give and take min F + min E. Bleeding moves
charge from E to F, so a cell is in the way only while that minimum grows:

    T = min Q - min E,      too much = T - F

which is the least charge that lets the smallest cell use all of its capacity; nobody has too much in a string that is
aligned at the top, at the bottom or anywhere else where the smallest cell already does.

Looks at the same string err alike (a sensor's offset stays), so many looks do not make surer, only better ones do: the
ledger is their mean, each weighed by 1 / variance, and its variance is theirs. Old looks fade, for cells drift.
"""

from dataclasses import dataclass, replace

import numpy as np

from ess_controller.core import worst
from firmware_bridge.records import Bools, Floats, Layout

SUREST_AS = 1.0  # no look is surer
CONTRADICTS = 3.0  # sigmas between a look and the ledger: something else happened, and the look stands alone


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """Of all cells."""

    charge_as: Floats  # [cell] too much, A s; below 0: not in the way; NaN: nothing known
    variance: Floats  # [cell] of that, (A s)^2
    weight: Floats  # [cell] of the looks in it, s / (A s)^2
    bleeds: Bools  # [cell] is drained until it has nothing too much
    commissions: Bools  # [string] was found far apart, and is not yet done

    @classmethod
    def fresh(cls, layout: Layout) -> "Ledger":
        """Nothing known."""
        unknown, zero = np.full(layout.cells, np.nan), np.zeros(layout.cells)
        return cls(unknown, unknown, zero, np.zeros(layout.cells, bool), np.zeros(layout.strings, bool))

    @property
    def sd_as(self) -> Floats:
        """[cell] standard deviation of what is too much, A s."""
        return np.sqrt(self.variance)


def crowd(ledger: Ledger, layout: Layout) -> tuple[Floats, Floats]:
    """[string] what its middle cell has too much, and the standard deviation around it that most cells keep, A s.

    By medians, so that a few that stand out do not widen it. What scatters in an aligned string is error alone, and
    most of it is the same for all cells and does not scatter. NaN while a cell is unknown.
    """
    middle_as = _middle(ledger.charge_as, layout)
    off_as = np.abs(ledger.charge_as - middle_as[layout.cell_string])
    return middle_as, 1.4826 * _middle(off_as, layout)  # of a Gaussian


def _middle(values: Floats, layout: Layout) -> Floats:
    """[string] median; NaN where one is."""
    order, first = np.lexsort((values, layout.cell_string)), layout.first_cell_of_string
    count = np.diff(np.append(first, layout.cells))
    sorted_values = values[order]
    middle = (sorted_values[first + (count - 1) // 2] + sorted_values[first + count // 2]) / 2
    return np.where(np.isnan(sorted_values[first + count - 1]), np.nan, middle)  # NaN sorts last


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one moment says."""

    charge_as: Floats  # [cell] too much; NaN: a cell of its string is unknown
    variance: Floats  # [cell] (A s)^2


def look(layout: Layout, soc: Floats, soc_sd: Floats, capacity_ah: Floats, capacity_sd_ah: Floats) -> Look:
    """All [cell]. SOC's doubt and capacity's are taken as independent: what is missing to full is as sure as both."""
    first, string = layout.first_cell_of_string, layout.cell_string
    left_ah, missing_ah = soc * capacity_ah, (1.0 - soc) * capacity_ah
    (lowest_ah, lowest), (smallest_ah, smallest) = (
        worst.lowest(left_ah, first, string),
        worst.lowest(capacity_ah, first, string),
    )
    unknown = np.logical_or.reduceat(np.isnan(left_ah), first)
    target_ah = np.where(unknown, np.nan, smallest_ah - lowest_ah)
    missing_var = (soc_sd * capacity_ah) ** 2 + ((1.0 - soc) * capacity_sd_ah) ** 2
    # T is what the lowest cell lacks, less what it is larger than the smallest
    larger_var = np.where(lowest == smallest, 0.0, capacity_sd_ah[lowest] ** 2 + capacity_sd_ah[smallest] ** 2)
    target_var = missing_var[lowest] + larger_var
    variance = missing_var + target_var[string]
    return Look(3600.0 * (target_ah[string] - missing_ah), 3600.0**2 * variance + SUREST_AS**2)


def burnt(ledger: Ledger, bled_as: Floats) -> Ledger:
    """After so much was drained from each cell."""
    return replace(ledger, charge_as=ledger.charge_as - bled_as)


def taken_in(ledger: Ledger, seen: Look, cells: Bools, look_s: float, forgets_s: float) -> Ledger:
    """A look at some cells that stands for `look_s`; what is `forgets_s` old counts 1/e. One that says nothing of a
    cell (NaN) changes nothing."""
    kept = ledger.weight * np.exp(-look_s / forgets_s)
    off = np.abs(seen.charge_as - ledger.charge_as)
    anew = np.isnan(ledger.charge_as) | (off > CONTRADICTS * np.sqrt(ledger.variance + seen.variance))
    kept = np.where(anew, 0.0, kept)
    adds = look_s / seen.variance
    takes = cells & ~np.isnan(seen.charge_as + adds)
    share = adds / (kept + adds)
    before_as, before_var = np.where(anew, 0.0, ledger.charge_as), np.where(anew, 0.0, ledger.variance)
    return replace(
        ledger,
        charge_as=np.where(takes, before_as + (seen.charge_as - before_as) * share, ledger.charge_as),
        variance=np.where(takes, before_var + (seen.variance - before_var) * share, ledger.variance),
        weight=np.where(takes, kept + adds, ledger.weight),
    )
