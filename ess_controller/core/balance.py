"""Which cells are bled, and for how long: by the charge that they have too much, decided at rest.

Never by voltage under load (at 0.3 C a resistance 0.2 mOhm higher looks like 1-2 % of SOC), never for equal SOC in the
middle: cells of unlike capacity part there by nature, and whoever chases that bleeds for ever. What is too much is told
by the ledger (`ledger.py`).

A cell is drained until what it has too much is within the ledger's doubt. Charge that is burnt in vain is lost once,
charge that is left keeps the string from using it in every cycle, so a small share of a standard deviation is enough
(the newsvendor's quantile); but a cell of an aligned string is left alone until it is surely apart, by its own doubt or
because it stands out of a crowd that keeps together.

Upkeep goes on for some hours a day, on cool boards. A string that is surely far apart is commissioned: its cells are
drained at all times, charging or not, on boards as warm as they may be, until nobody has had anything too much for as
much rest as the ledger remembers.
"""

from dataclasses import dataclass, replace

import numpy as np

from ess_controller.core import worst
from ess_controller.core.gauge.sensors import Quality
from ess_controller.core.knobs import BalanceTuning
from ess_controller.core.ledger import Ledger, Look, burnt, crowd, look, taken_in
from ess_controller.core.types import Estimate, State, Tuning
from firmware_bridge.records import Bools, Floats, Ints, Layout, Measurements, Tick

FEWEST_BEATS = 12.0  # between pauses, where beats are longer than a pause
STANDS_OUT = 4.5  # standard deviations of its string's crowd: chance does that to one of 94 cells once in 150 months
DUE_SHARE = 0.5  # a cell waits while the longest needs more than twice its time
BLEED_WIRE_S = 3.0  # modules end by themselves when the daemon falls silent
HOUR_S, DAY_H = 3600.0, 24.0


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """What is to be burnt, and where."""

    ledger: Ledger
    bleed: Bools  # [cell] now


@dataclass(frozen=True, slots=True, eq=False)
class Outstanding:
    """What there is still to do, by string."""

    hours: Floats  # [string] until nobody has anything too much; inf: no board bears it now
    owed_ah: Floats  # [string] charge to be burnt, all cells
    most_ah: Floats  # [string] of the cell that has most
    most_at: Ints  # [string] that cell
    cells: Ints  # [string] how many have something


def balance(tuning: Tuning, state: State, seen: Measurements, now: Estimate, rested: Bools, tick: Tick) -> Balance:
    """One beat: `rested` [string] has just been looked at after a long rest, so what is too much is decided anew."""
    knobs, layout = tuning.balance, tuning.layout
    ledger, nothing = state.ledger, np.zeros(layout.cells, bool)
    if seen.cell_bleeding.any():
        drained = seen.cell_bleeding & ~np.isnan(seen.cell_v)
        ledger = burnt(ledger, np.where(drained, seen.cell_v / tuning.estimate.bleed_ohm * tick.dt_s, 0.0))
    if knobs is None:
        return Balance(ledger, nothing)
    if rested.any():
        look_s = max(tick.dt_s, tuning.cells.knobs.every_s)
        cells = rested[layout.cell_string]
        ledger = taken_in(ledger, looked(tuning, knobs, now), cells, look_s, knobs.forgets_h * HOUR_S)
        ledger = _begun(tuning, knobs, ledger, now, cells)
        ledger = replace(ledger, watch_s=_watched(tuning, knobs, ledger, rested, look_s))
    if not ledger.bleeds.any():
        return Balance(ledger, nothing)
    owed_as = owed(knobs, ledger, now.capacity_ah)
    ledger = replace(ledger, bleeds=owed_as > 0.0)
    if pauses(knobs, tick):
        return Balance(ledger, nothing)
    swapped = (now.quality & int(Quality.SWAPPED)) > 0  # its resistor sits on another cell
    may = ledger.bleeds & (now.soc > knobs.soc_min) & ~np.isnan(seen.cell_v) & ~state.deep & ~swapped
    if not in_upkeep_hours(knobs, tick):
        may &= ledger.commissions[layout.cell_string]
    bears = bearable(tuning, knobs, seen, ledger)
    may &= sure(knobs, ledger, now.capacity_ah) | due(tuning, owed_as, bears)
    return Balance(ledger, _within_heat(tuning, owed_as, may, bears))


def looked(tuning: Tuning, knobs: BalanceTuning, now: Estimate) -> Look:
    """What this moment says each cell has too much. The bend of their curve and the error of all intake tests move the
    cells of a string together, not apart."""
    return look(tuning.layout, now.soc, now.soc_apart_sd, now.capacity_ah, now.capacity_apart_sd_ah, knobs.stop_sigmas)


def owed(knobs: BalanceTuning, ledger: Ledger, capacity_ah: Floats) -> Floats:
    """[cell] charge still to be bled, A s, by those that are being drained."""
    left_as = ledger.charge_as - _left_alone(knobs, ledger, capacity_ah)
    return np.where(ledger.bleeds & (left_as > 0.0), left_as, 0.0)


def _left_alone(knobs: BalanceTuning, ledger: Ledger, capacity_ah: Floats) -> Floats:
    """[cell] so much too much is left, A s: within doubt, or not worth the heat."""
    return np.maximum(knobs.stop_sigmas * ledger.sd_as, knobs.least_share * capacity_ah * 3600.0)


def sure(knobs: BalanceTuning, ledger: Ledger, capacity_ah: Floats) -> Bools:
    """[cell] has surely too much, and more than is worth the heat."""
    return ledger.charge_as - knobs.start_sigmas * ledger.sd_as > knobs.least_share * capacity_ah * 3600.0  # NaN: no


def due(tuning: Tuning, owed_as: Floats, bears: Floats) -> Bools:
    """[cell] whether it would be among the last of its string to have done if it waited longer.

    What may be an error of the first day is not burnt at once: as long as another cell needs more time, waiting costs
    nothing, and the ledger learns with every rest. A module that bears nobody now keeps nobody else waiting.
    """
    layout = tuning.layout
    need_as = np.maximum(owed_as, _turns_as(layout, owed_as, bears)[layout.cell_module])
    need_as = np.where((bears > 0.0)[layout.cell_module], need_as, 0.0)
    longest_as = np.maximum.reduceat(need_as, layout.first_cell_of_string)[layout.cell_string]
    return np.asarray(need_as >= DUE_SHARE * longest_as)


def _turns_as(layout: Layout, owed_as: Floats, bears: Floats) -> Floats:
    """[module] how long its cells take by turns where its board bears n of them, told as one resistor's charge, A s:
    the sum of their debts over n; inf: it owes and bears nobody."""
    of_module_as = np.add.reduceat(owed_as, layout.first_cell)
    by_turns_as = np.divide(of_module_as, bears, out=np.full_like(bears, np.inf), where=bears > 0.0)
    return np.where(of_module_as > 0.0, by_turns_as, 0.0)


def _begun(tuning: Tuning, knobs: BalanceTuning, ledger: Ledger, now: Estimate, cells: Bools) -> Ledger:
    """Who begins to be drained of `cells` [cell] that have just been looked at, and which string is far apart."""
    string, first = tuning.layout.cell_string, tuning.layout.first_cell_of_string
    whole_as = now.capacity_ah * 3600.0
    sure_as = ledger.charge_as - knobs.start_sigmas * ledger.sd_as
    far = cells & (sure_as > knobs.commission_share * whole_as)  # NaN: no
    watch_s = np.where(np.logical_or.reduceat(far, first), knobs.forgets_h * HOUR_S, ledger.watch_s)
    middle_as, scatter_as = crowd(ledger, tuning.layout)
    stands_out = ledger.charge_as - middle_as[string] > STANDS_OUT * scatter_as[string]
    apart = sure(knobs, ledger, now.capacity_ah) | stands_out | (watch_s > 0.0)[string]
    begins = apart & (ledger.charge_as > _left_alone(knobs, ledger, now.capacity_ah))
    return replace(ledger, watch_s=watch_s, bleeds=ledger.bleeds | (cells & begins))


def _watched(tuning: Tuning, knobs: BalanceTuning, ledger: Ledger, rested: Bools, look_s: float) -> Floats:
    """[string] how long one that was far apart is still watched: its ledger goes on learning, and may find more."""
    whole_s, busy = knobs.forgets_h * HOUR_S, np.logical_or.reduceat(ledger.bleeds, tuning.layout.first_cell_of_string)
    left_s = np.where(busy, whole_s, ledger.watch_s - look_s * rested)
    return np.where(ledger.commissions, np.maximum(left_s, 0.0), 0.0)


# --- when, and how many at a time ---------------------------------------------------------------------------------


def pauses(knobs: BalanceTuning, tick: Tick) -> bool:
    """Whether nobody is bled for a moment: a bled cell's sense wire drops voltage, and it must be seen now and then."""
    every_s, paused_s = _pause(knobs, tick.dt_s)
    return tick.t_s % every_s < paused_s


def _pause(knobs: BalanceTuning, dt_s: float) -> tuple[float, float]:
    """How often, and for how long, s."""
    paused_s = max(dt_s, knobs.look_s)
    return max(knobs.look_every_s, FEWEST_BEATS * paused_s), paused_s


def in_upkeep_hours(knobs: BalanceTuning, tick: Tick) -> bool:
    """The day's hours are spread over it: boards stay cool, and between them the gauge sees every cell undisturbed."""
    return tick.t_s % HOUR_S < HOUR_S * knobs.upkeep_h_a_day / DAY_H


def bearable(tuning: Tuning, knobs: BalanceTuning, seen: Measurements, ledger: Ledger) -> Floats:
    """[module] how many cells its board bears, by what it would be without those bled now; 0 where it is not known."""
    layout = tuning.layout
    bled = np.add.reduceat(seen.cell_bleeding.astype(np.float64), layout.first_cell)
    unbled_c = np.fmax(seen.module_board_c - knobs.board_k_per_cell * bled, seen.module_hot_c)
    most_c = np.where(ledger.commissions, knobs.board_c_max, knobs.upkeep_board_c_max)[layout.module_string]
    bears = np.floor((most_c - np.where(np.isnan(seen.module_board_c), np.nan, unbled_c)) / knobs.board_k_per_cell)
    return np.asarray(np.maximum(np.nan_to_num(bears, nan=0.0), 0.0))


def _within_heat(tuning: Tuning, owed_as: Floats, may: Bools, bears: Floats) -> Bools:
    """Of the cells that may, so many in each module as its board bears [module], those that owe most first."""
    layout = tuning.layout
    order = np.lexsort((-np.where(may, owed_as, -1.0), layout.cell_module))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - layout.first_cell[layout.cell_module[order]]
    chosen: Bools = may & (rank < bears[layout.cell_module])
    return chosen


# --- how long -----------------------------------------------------------------------------------------------------


def outstanding(
    tuning: Tuning, knobs: BalanceTuning, ledger: Ledger, now: Estimate, seen: Measurements, dt_s: float
) -> Outstanding:
    """What is still to be done, pauses, the day's hours and boards as warm as they are now counted in.

    Those of a module that owe most go first: it is done after the longer of its largest debt and its cells' turns
    (McNaughton, Management Science 6 (1959) 1-12). `dt_s`: of a beat.
    """
    layout = tuning.layout
    owed_as, first = owed(knobs, ledger, now.capacity_ah), layout.first_cell_of_string
    amperes = float(tuning.cell.ocv(np.array(0.5))) / tuning.estimate.bleed_ohm
    turns_as = _turns_as(layout, owed_as, bearable(tuning, knobs, seen, ledger))
    module_as = np.maximum(np.maximum.reduceat(owed_as, layout.first_cell), turns_as)
    every_s, paused_s = _pause(knobs, dt_s)
    duty = (1.0 - paused_s / every_s) * np.where(ledger.commissions, 1.0, knobs.upkeep_h_a_day / DAY_H)
    most_as, most_at = worst.highest(owed_as, first, layout.cell_string)
    return Outstanding(
        hours=np.maximum.reduceat(module_as, layout.first_module) / (amperes * duty * HOUR_S),
        owed_ah=np.add.reduceat(owed_as, first) / 3600.0,
        most_ah=most_as / 3600.0,
        most_at=most_at,
        cells=np.add.reduceat((owed_as > 0.0).astype(np.int64), first),
    )
