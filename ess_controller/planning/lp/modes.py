"""Which way power flows in each step, found by trying all states of charge: where a linear programme cannot tell.

With prices below zero, or feed-in above the price of a kWh, cost is not convex in power: it pays to import or to
export, to charge or to discharge, but a programme mixes both. Dynamic programming over stored energy does not care.
Its energies lie on a grid, so its powers are rough; only the directions are taken from it, and the programme finds the
powers. The month's peak is no state here: it is a ceiling on import, and several ceilings are tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ess_controller.core.value import paid_per_h
from ess_controller.planning.given.billing_windows import blocks_of, windows_of
from ess_controller.planning.given.groups import together
from ess_controller.planning.given.problem import Battery, Prices, Series, hours, outflow_w, sends_at_w
from ess_controller.planning.given.taper import WAYS, Piece, pieces
from firmware_bridge.records import Bools, Floats, Ints

LEVELS = (201, 1501)  # of stored energy, fewest and most
MOVES = 24  # levels that a full step of power covers, if LEVELS allow
CEILINGS = 9  # tried in a first look, as shares of the peak without a battery
CLOSER = 8  # and then around the best
KEPT = 3  # ceilings whose directions are handed on
BOTH_KW = 1e-6  # less flows back only by rounding


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """Directions that are settled, [step]; a step in neither of a pair is free."""

    imports: Bools
    exports: Bools
    charges: Bools
    discharges: Bools

    @classmethod
    def free(cls, steps: int) -> "Modes":
        """Nothing is settled."""
        return cls(*np.zeros((4, steps), np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Everything about a problem that does not depend on the ceiling."""

    battery: Battery
    stored_kwh: Floats  # [level]
    moves: Floats  # [move] levels up
    grid_kw: Floats  # [step, move]
    cny: Floats  # [step, move] infinite where it may not be
    end_cny: Floats  # [level]
    barred_cny: Floats | None  # [level, move] infinite where SOC leaves no power for it; None: nowhere

    def path(self, ceiling_kw: Floats) -> tuple[float, Floats]:
        """Least cost without demand, CNY, and the move of each step [step], under a ceiling [step] on import."""
        steps, levels, most_down = len(self.cny), len(self.stored_kwh), int(-self.moves[0])
        most_up = int(self.moves[-1])
        cny = np.where(self.grid_kw > ceiling_kw[:, np.newaxis] + 1e-9, np.inf, self.cny)
        best = np.full(most_down + levels + most_up, np.inf)
        inside = slice(most_down, most_down + levels)
        best[inside] = self.end_cny
        chosen, level = np.zeros((steps, levels), np.int16), np.arange(levels)
        reached = sliding_window_view(best, len(self.moves))  # made once: it follows `best`
        for step in range(steps - 1, -1, -1):
            ways = reached + cny[step]
            if self.barred_cny is not None:
                ways += self.barred_cny
            chosen[step] = np.argmin(ways, axis=1)
            best[inside] = ways[level, chosen[step]]
        start_kwh = self.battery.soc_start * self.battery.energy_wh / 1000.0
        held = int(np.argmin(np.abs(self.stored_kwh - start_kwh)))
        least, taken = float(best[most_down + held]), np.zeros(steps)
        for step in range(steps):
            taken[step] = chosen[step, held]
            held = min(max(held + int(self.moves[chosen[step, held]]), 0), levels - 1)
        return least, taken


def best_modes(
    groups: tuple[Battery, ...], series: Series, prices: Prices, end_cny_per_kwh: float = 0.0
) -> Iterator[Modes]:
    """Directions worth a programme, of the best ceilings: first of the doubtful steps alone, then of all."""
    by_meter, by_loss = doubtful(groups, prices)
    search = _search(together(groups), series, prices, end_cny_per_kwh)
    for taken in _tried(search, series, prices)[:KEPT]:
        choice = taken.astype(np.int64)
        grid_kw, move = search.grid_kw[np.arange(len(series)), choice], search.moves[choice]
        importing, charging = grid_kw >= 0.0, move >= 0.0
        yield Modes(by_meter & importing, by_meter & ~importing, by_loss & charging, by_loss & (move < 0.0))
        yield Modes(importing, ~importing, charging, ~charging)


def settled(modes: Modes, meter_kw: Floats, store_kw: Floats) -> Modes | None:
    """These, and in steps where a programme within them still lets power flow both ways, the way of the greater flow;
    None where it does nowhere.

    Also at a good price it pays to burn what is stored, if prices below zero are to fill the store again. `meter_kw`
    [import or export, step], `store_kw` [group, charge or discharge, step].
    """
    meter = (meter_kw.min(axis=0) > BOTH_KW) & ~(modes.imports | modes.exports)
    store = (store_kw.min(axis=1) > BOTH_KW).any(axis=0) & ~(modes.charges | modes.discharges)
    if not (meter.any() or store.any()):
        return None
    importing, charging = meter_kw[0] >= meter_kw[1], store_kw[:, 0].sum(axis=0) >= store_kw[:, 1].sum(axis=0)
    return Modes(
        modes.imports | (meter & importing),
        modes.exports | (meter & ~importing),
        modes.charges | (store & charging),
        modes.discharges | (store & ~charging),
    )


def doubtful(groups: tuple[Battery, ...], prices: Prices) -> tuple[Bools, Bools]:
    """[step] where a programme would let power flow both ways: through the meter, and through the battery."""
    earned = np.where(outflow_w(groups[0], prices) > 0.0, prices.export_cny_per_kwh, 0.0)
    return earned > prices.import_cny_per_kwh, np.minimum(prices.import_cny_per_kwh, earned) < 0.0


def _search(battery: Battery, series: Series, prices: Prices, end_cny_per_kwh: float) -> _Search:
    step_h, net_kw = hours(series), series.net_w / 1000.0
    least_kwh, most_kwh = battery.floor_kwh, battery.ceiling_kwh
    up_kwh = battery.charge_w / 1000.0 * battery.charge_efficiency * step_h
    down_kwh = battery.discharge_w / 1000.0 / battery.discharge_efficiency * step_h
    finest = MOVES * (most_kwh - least_kwh) / max(min(up_kwh, down_kwh), 1e-9)
    stored_kwh = np.linspace(least_kwh, most_kwh, int(np.clip(finest, *LEVELS)))
    level_kwh = max(float(stored_kwh[1] - stored_kwh[0]), 1e-9)
    levels = len(stored_kwh)
    most_up, most_down = (min(int(each / level_kwh + 1e-9), levels) for each in (up_kwh, down_kwh))
    moves = np.arange(-most_down, most_up + 1)
    stored = moves * level_kwh / step_h
    taken_kw = np.where(stored > 0.0, stored / battery.charge_efficiency, stored * battery.discharge_efficiency)
    grid_kw = net_kw[:, np.newaxis] + taken_kw
    outflow_kw = outflow_w(battery, prices) / 1000.0
    leaves_kw = np.maximum(-net_kw, sends_at_w(battery, prices) / 1000.0)
    allowed = grid_kw >= -leaves_kw[:, np.newaxis] - 1e-9
    buy, sell = prices.import_cny_per_kwh[:, np.newaxis], prices.export_cny_per_kwh[:, np.newaxis]
    paid = paid_per_h(grid_kw, buy, sell, outflow_kw[:, np.newaxis])
    wear = np.maximum(-taken_kw, 0.0) * battery.wear_cny_per_kwh
    end_kwh = (battery.soc_end_min or 0.0) * battery.energy_wh / 1000.0
    end_cny = np.where(stored_kwh >= end_kwh - level_kwh / 2.0, -end_cny_per_kwh * stored_kwh, np.inf)
    cny = np.where(allowed, (paid + wear) * step_h, np.inf)
    barred = _barred_cny(battery, stored_kwh, moves, step_h)
    return _Search(battery, stored_kwh, moves.astype(np.float64), grid_kw, cny, end_cny, barred)


def _barred_cny(battery: Battery, stored_kwh: Floats, moves: Ints, step_h: float) -> Floats | None:
    """[level, move] infinite where SOC leaves less power than the move takes, to the nearest level."""
    if not (battery.charge_by_soc or battery.discharge_by_soc):
        return None
    level_kwh = max(float(stored_kwh[1] - stored_kwh[0]), 1e-9)
    up, down = (_most_kwh(pieces(battery, way, step_h), stored_kwh, step_h) / level_kwh for way in WAYS)
    within = (moves <= np.rint(up)[:, np.newaxis]) & (-moves <= np.rint(down)[:, np.newaxis])
    return np.where(within, 0.0, np.inf)


def _most_kwh(bounds: tuple[Piece, ...], stored_kwh: Floats, step_h: float) -> Floats:
    """[level] most that SOC lets into the store, or out of it, in a step; infinite where there are no bounds."""
    most = [[each.most_kw(held, step_h) * each.per_kwh * step_h for each in bounds] for held in stored_kwh.tolist()]
    return np.maximum(np.min(most, axis=1), 0.0) if bounds else np.full(len(stored_kwh), np.inf)


def _tried(search: _Search, series: Series, prices: Prices) -> list[Floats]:
    """The moves under the ceilings that were tried, cheapest first."""
    if not prices.demand.from_w:
        return [search.path(np.full(len(series), np.inf))[1]]
    windows = windows_of(series, prices.block_s, 0.0)
    month = windows.month[blocks_of(series, prices.block_s)]
    peaks_kw = windows.peaks(np.maximum(series.net_w, 0.0)) / 1000.0
    found: dict[float, tuple[float, Floats]] = {}

    def cost(share: float) -> float:
        if share not in found:
            least, moves = search.path((share * peaks_kw)[month])
            choice = moves.astype(np.int64)
            import_w = 1000.0 * np.maximum(search.grid_kw[np.arange(len(series)), choice], 0.0)
            found[share] = least + prices.demand_cny(windows.peaks(import_w)), moves
        return found[share][0]

    most = 1.0 + search.battery.charge_w / 1000.0 / max(float(peaks_kw.max()), 1e-9)
    shares = np.linspace(0.0, most, CEILINGS)
    best, apart = min(shares, key=cost), float(shares[1])
    for _ in range(CLOSER // 2):
        apart /= 2.0
        best = min((best - apart, best, best + apart), key=cost)
    return [moves for least, moves in sorted(found.values(), key=lambda each: each[0]) if least < np.inf]
