"""The backward pass of the value function on plain numpy, for the small box in the cabinet."""

import numpy as np

from ess_controller.core.value import paid_per_h, store_flows_w
from ess_controller.planning.value.problem import Steps, Store
from firmware_bridge.records import Floats, Ints


def backward(store: Store, steps: Steps, peak_w: Floats, last: Floats) -> Floats:
    """[step + 1, state, energy, peak] least expected cost from the begin of each step on, CNY.

    `last` [state, energy, peak] is the value after the last step; `peak_w` [peak] is even. The state of a step is known
    when its power is chosen.
    """
    values = np.empty((len(steps.net_w) + 1, *last.shape))
    values[-1] = last
    held_cny = store.held_cny_per_h[:, None] * steps.hours
    for at in range(len(steps.net_w) - 1, -1, -1):
        expected = np.ascontiguousarray(np.einsum("un,nez->uze", steps.follow, values[at + 1]))
        values[at] = _step(store, steps, at, peak_w, expected) + held_cny
    return values


def _targets(store: Store, expected: Floats, buy: float, sell: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Stored energy worth going to, each [state, peak]: by buying, for own use, by keeping sun, for selling.

    Cost after the step is convex in stored energy, so all powers short of the target are better the nearer to it.
    """
    held = store.energy_wh
    slopes = (
        buy / store.charge_efficiency,
        (buy - store.wear_cny_per_wh) * store.discharge_efficiency,
        sell / store.charge_efficiency,
        (sell - store.wear_cny_per_wh) * store.discharge_efficiency,
    )
    by_buying, for_use, by_sun, for_sale = (held[(expected + slope * held).argmin(axis=2)] for slope in slopes)
    return by_buying, for_use, by_sun, for_sale


def _step(store: Store, steps: Steps, at: int, peak_w: Floats, expected: Floats) -> Floats:
    """[state, energy, peak] value of a step from `expected` [state, peak, energy] after it."""
    hours, held = steps.hours, store.energy_wh[:, None]
    buy, sell = steps.buy_cny_per_wh[at], steps.sell_cny_per_wh[at]
    net = steps.net_w[at][:, None, None]  # [state, energy, peak]
    top = np.minimum(store.may_give_w(net, sell), store.most_discharge_w(held, hours))
    bottom = -store.most_charge_w(held, hours)
    bottom = np.minimum(np.maximum(bottom, net - store.import_w), top)  # the site's guard
    lowest = np.maximum(bottom, net - peak_w)
    can = peak_w >= net - top  # the least import that there can be

    state, every = np.arange(len(net))[:, None, None], np.arange(len(peak_w))

    def total(power: Floats, z: Ints) -> Floats:
        return _total(store, steps, at, net, held, power, expected, (state, z))

    by_buying, for_use, by_sun, for_sale = (target[:, None, :] for target in _targets(store, expected, buy, sell))
    bought = np.maximum(np.minimum(_toward(store, hours, held, by_buying, for_use), np.minimum(top, net)), lowest)
    sold = _toward(store, hours, held, by_sun, for_sale)
    if (beyond := net + store.flows_out_w(sell)).min() < 0.0:  # sun that would be curtailed is stored for nothing
        freest = store.energy_wh[expected.argmin(axis=2)][:, None, :]
        free = np.maximum(_toward(store, hours, held, freest, held), np.minimum(sold, beyond))
        sold = np.where(beyond < 0.0, free, sold)
    sold = np.minimum(np.maximum(sold, np.maximum(lowest, net)), top)
    least = np.where(can & (net >= bottom), total(bought, every), np.inf)
    least = np.minimum(least, np.where(can & (net < top), total(sold, every), np.inf))
    least = np.minimum(least, _raised(store, steps, at, peak_w, expected, top[..., 0], bottom[..., 0]))
    return np.asarray(np.minimum.accumulate(least[..., ::-1], axis=2)[..., ::-1])


def _raised(
    store: Store, steps: Steps, at: int, peak_w: Floats, expected: Floats, top: Floats, bottom: Floats
) -> Floats:
    """[state, energy, peak] least value of what raises the peak to somewhere between this level and the next.

    Looked at: all that can be given (the import that cannot be helped), nothing (or what the site's guard asks for),
    and going to a level of the store.
    Anything from a lower running peak may do the same. `top` and `bottom` [state, energy] bound the power.
    """
    hours, held, states = steps.hours, store.energy_wh, np.arange(len(top))
    drawn = (held[:, None] - held) / hours  # [energy, to level]
    to_level = np.where(drawn > 0.0, drawn * store.discharge_efficiency, drawn / store.charge_efficiency)
    least = np.maximum(bottom, 0.0)
    power = np.concatenate((top[..., None], least[..., None], np.tile(to_level, (len(top), 1, 1))), axis=2)
    import_w = steps.net_w[at][:, None, None] - power
    can = (power >= bottom[..., None]) & (power <= top[..., None]) & (import_w >= peak_w[0])
    u, e, way = np.nonzero(can)
    power, import_w = power[u, e, way], import_w[u, e, way]
    place = (import_w - peak_w[0]) / (peak_w[1] - peak_w[0])
    from_level = np.minimum(place.astype(np.int64), len(peak_w) - 1)
    under = np.minimum(from_level, len(peak_w) - 2)
    net = steps.net_w[at][u]
    a, b = (_total(store, steps, at, net, held[e], power, expected, (states[u], z)) for z in (under, under + 1))
    least = np.full((*top.shape, len(peak_w)), np.inf)
    np.minimum.at(least, (u, e, from_level), a + (place - under) * (b - a))
    return least


def _toward(store: Store, hours: float, held: Floats, charge_to: Floats, discharge_to: Floats) -> Floats:
    given = np.maximum(held - discharge_to, 0.0) * store.discharge_efficiency / hours
    return np.where(given > 0.0, given, np.minimum(held - charge_to, 0.0) / store.charge_efficiency / hours)


def _total(
    store: Store,
    steps: Steps,
    at: int,
    net: Floats,
    held: Floats,
    power: Floats,
    expected: Floats,
    where: tuple[Ints, Ints],
) -> Floats:
    """Cost of a step at these powers and of what follows in these states with these peaks of the grid."""
    grid, hours, levels = net - power, steps.hours, store.energy_wh
    buy, sell = steps.buy_cny_per_wh[at], steps.sell_cny_per_wh[at]
    cost = paid_per_h(grid, buy, sell, store.flows_out_w(sell)) + store.wear_cny_per_wh * np.maximum(power, 0.0)
    drawn = store_flows_w(store, power) * hours
    place = np.clip((held - drawn - levels[0]) / (levels[1] - levels[0]), 0.0, len(levels) - 1.0)
    left = np.minimum(place.astype(np.int64), len(levels) - 2)
    share = place - left
    state, z = where
    at_left, flat = (state * expected.shape[1] + z) * len(levels) + left, expected.reshape(-1)  # twice as fast as [,,]
    return np.asarray(cost * hours + (1.0 - share) * flat.take(at_left) + share * flat.take(at_left + 1))
