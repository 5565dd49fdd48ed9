"""Which cells are bled, and for how long: by the charge that is missing to full, decided at rest.

Never by voltage under load (at 0.3 C a resistance 0.2 mOhm higher looks like 1-2 % of SOC), never for equal SOC in the
middle: cells of unlike capacity part there by nature, and whoever chases that bleeds for ever. With F the charge a cell
lacks to full and E what it has left, a string can give and take min F + min E. Bleeding moves charge from E to F, so a
cell is worth bleeding only while that minimum grows:

    T = min Q - min E,      bleed max(0, T - F)

which is the least charge that lets the smallest cell use all of its capacity; nothing is bled in a string that is
aligned at the top, at the bottom or anywhere else where the smallest cell already does.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.types import BalanceTuning, Estimate, State, Tuning
from firmware_bridge.records import Bools, Floats, Measurements, Tick

FEWEST_BEATS = 12.0  # between pauses, where beats are longer than a pause
BLEED_WIRE_S = 3.0  # modules end by themselves when the daemon falls silent


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """What is to be burnt, and where."""

    owed_as: Floats  # [cell] charge still to be bled, A s
    bleed: Bools  # [cell] now


def balance(tuning: Tuning, state: State, seen: Measurements, now: Estimate, rested: Bools, tick: Tick) -> Balance:
    """One beat: `rested` [string] has just been looked at after a long rest, so what is owed is decided anew."""
    owed_as = state.owed_as - np.where(seen.cell_bleeding, seen.cell_v / tuning.estimate.bleed_ohm * tick.dt_s, 0.0)
    owed_as = np.maximum(np.nan_to_num(owed_as), 0.0)
    if rested.any():
        owed_as = np.where(rested[tuning.layout.cell_string], owed(tuning, now, owed_as), owed_as)
    nothing = np.zeros(len(owed_as), bool)
    if tuning.balance is None or not owed_as.any() or pauses(tuning.balance, tick):
        return Balance(owed_as, nothing)
    may = (owed_as > 0.0) & (now.soc > tuning.balance.soc_min) & ~np.isnan(seen.cell_v) & ~state.deep
    return Balance(owed_as, _within_heat(tuning, tuning.balance, seen, owed_as, may))


def owed(tuning: Tuning, now: Estimate, before_as: Floats) -> Floats:
    """Charge to be bled off each cell [cell], A s, by what is sure: a cell counts as so much fuller or larger as one
    standard deviation. `before_as`: a cell that is being bled goes on until nothing is owed."""
    layout, knobs = tuning.layout, tuning.balance
    if knobs is None:
        return np.zeros_like(before_as)
    first, string = layout.first_cell_of_string, layout.cell_string
    moved_ah = now.soc_sd * now.capacity_ah  # what SOC's doubt makes of charge; capacity's is spread by SOC
    left_ah, missing_ah = now.soc * now.capacity_ah, (1.0 - now.soc) * now.capacity_ah
    left_sd_ah = knobs.sigmas * np.hypot(moved_ah, now.soc * now.capacity_sd_ah)
    missing_sd_ah = knobs.sigmas * np.hypot(moved_ah, (1.0 - now.soc) * now.capacity_sd_ah)
    smallest_ah = np.minimum.reduceat(now.capacity_ah, first)
    lowest_ah = np.minimum.reduceat(left_ah + left_sd_ah, first)
    target_ah = np.minimum(smallest_ah - lowest_ah, smallest_ah)[string]
    excess_ah = target_ah - missing_ah
    dead_ah = knobs.least_share * now.capacity_ah
    wanted = excess_ah > np.where(before_as > 0.0, 0.0, dead_ah + missing_sd_ah)
    return np.where(wanted, np.maximum(excess_ah, 0.0) * 3600.0, 0.0)  # NaN: nothing


def pauses(knobs: BalanceTuning, tick: Tick) -> bool:
    """Whether nobody is bled for a moment: a bled cell's sense wire drops voltage, and it must be seen now and then."""
    paused_s = max(tick.dt_s, knobs.look_s)
    return tick.t_s % max(knobs.look_every_s, FEWEST_BEATS * paused_s) < paused_s


def _within_heat(tuning: Tuning, knobs: BalanceTuning, seen: Measurements, owed_as: Floats, may: Bools) -> Bools:
    """Of the cells that may, so many in each module as its board bears, those that owe most first."""
    layout = tuning.layout
    room_k = knobs.board_c_max - seen.module_board_c
    most = np.nan_to_num(np.floor(room_k / knobs.board_k_per_cell), nan=0.0)[layout.cell_module]
    order = np.lexsort((-np.where(may, owed_as, -1.0), layout.cell_module))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - layout.first_cell[layout.cell_module[order]]
    chosen: Bools = may & (rank < most)
    return chosen


def hours(tuning: Tuning, owed_as: Floats) -> Floats:
    """How long each string has still to bleed [string], h, with nothing in its way: the cell that owes most decides."""
    amperes = float(tuning.cell.ocv(np.array(0.5))) / tuning.estimate.bleed_ohm
    return np.asarray(np.maximum.reduceat(owed_as, tuning.layout.first_cell_of_string) / (3600.0 * amperes))
