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
    watch_s: Floats  # [string] found far apart: rest to be looked at with nobody having too much, before it is done

    @classmethod
    def fresh(cls, layout: Layout) -> "Ledger":
        """Nothing known."""
        unknown, zero = np.full(layout.cells, np.nan), np.zeros(layout.cells)
        return cls(unknown, unknown, zero, np.zeros(layout.cells, bool), np.zeros(layout.strings))

    @property
    def commissions(self) -> Bools:
        """[string] is brought together."""
        return np.asarray(self.watch_s > 0.0)

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


def look(
    layout: Layout, soc: Floats, soc_sd: Floats, capacity_ah: Floats, capacity_sd_ah: Floats, sigmas: float
) -> Look:
    """All [cell]. SOC's doubt and capacity's are taken as independent: charge is as sure as both.

    Among T's terms what the smallest cell itself lacks to full is well known, and T is that much at least. It is more
    where another cell has less left than the smallest; as the least of many guesses is too low a guess, only what is
    surer than `sigmas` of that counts.
    """
    first, string = layout.first_cell_of_string, layout.cell_string
    left_ah, missing_ah = soc * capacity_ah, (1.0 - soc) * capacity_ah
    moved_var = (soc_sd * capacity_ah) ** 2
    left_var = moved_var + (soc * capacity_sd_ah) ** 2
    missing_var = moved_var + ((1.0 - soc) * capacity_sd_ah) ** 2
    smallest = worst.lowest(capacity_ah, first, string)[1][string]
    less_ah = left_ah[smallest] - left_ah - sigmas * np.sqrt(left_var + left_var[smallest])
    less_ah = np.maximum(np.maximum.reduceat(less_ah, first), 0.0)  # NaN where a cell is unknown
    target_ah = missing_ah[smallest] + less_ah[string]
    variance = missing_var + missing_var[smallest]
    return Look(3600.0 * (target_ah - missing_ah), 3600.0**2 * variance + SUREST_AS**2)


def burnt(ledger: Ledger, bled_as: Floats) -> Ledger:
    """After `bled_as` [cell], A s, was drained."""
    return replace(ledger, charge_as=ledger.charge_as - bled_as)


def taken_in(ledger: Ledger, seen: Look, cells: Bools, look_s: float, forgets_s: float) -> Ledger:
    """A look at some `cells` [cell] that stands for `look_s`; what is `forgets_s` old counts 1/e. One that says nothing
    of a cell (NaN) changes nothing. Means weighted by time over variance."""
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
