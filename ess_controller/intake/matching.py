"""Which modules belong into one string: what a string can use, and the grouping that uses the most.

A string in series gives the charge of its smallest cell group when all are full together (aligned at the top). Its
energy is that charge at the voltage of every group on the way: a larger group is not emptied and stays higher. With a
group's energy e(q, Q) = q (W(1) - W(1 - Q/q)), W the integral of OCV over SOC:

- Deal the modules out from the best on, string by string. In any grouping, order strings by their charge: the first j
  of them hold modules of at least the j-th charge, so that the j-th string dealt in this order has no less.
- e grows with Q and with q, and most with both (OCV rises): the larger charge belongs to the larger modules.

So for strings alike in size dealing out is the best there is, each kind of module (by its count of cell groups) by
itself, and the smallest stay on the shelf. For strings that are not alike the order of their shapes is searched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np

from ess_controller.core.cell_model import KNOTS, Curve
from firmware_bridge.records import Floats, Ints

SHELF = -1  # where a spare module is
MOST_STATES = 20_000  # of the search; strings of two shapes, ten of each, have 121
LEAST_SHARE = 0.05  # of its measured capacity that a drawn module keeps


@dataclass(frozen=True, eq=False)
class Modules:
    """What there is to be grouped."""

    codes: tuple[str, ...]
    capacity_ah: Floats  # [module] of its smallest cell group; all its groups count as this one
    sd_ah: Floats  # [module] of the capacity; NaN: nobody said
    cells: Ints  # [module] groups in series
    r10_ohm: Floats  # [module] of one cell group over 10 s; NaN: unknown
    nameplate_ah: Floats  # [module] NaN: unknown
    weakest: tuple[str, ...]  # [module] which cell group is the smallest; "": unknown

    @cached_property
    def order(self) -> Ints:
        """Module indices from the largest capacity on; like ones by resistance, then by code."""
        return np.asarray(np.lexsort((np.array(self.codes), self.r10_ohm, -self.capacity_ah)))

    @cached_property
    def kind(self) -> Ints:
        """[module] -> kind: modules of as many cell groups fit each other's places."""
        return np.unique(self.cells, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Drain:
    """Mean voltages on the way down: W(soc), the integral of OCV from empty on."""

    w: Curve

    @classmethod
    def flat(cls, volts: float) -> "Drain":
        """A cell of the same voltage all the way."""
        return cls(Curve(np.array([0.0, 1.0]), np.array([0.0, volts])))

    @classmethod
    def of(cls, ocv: Curve) -> "Drain":
        """By open-circuit voltage."""
        soc = np.linspace(0.0, 1.0, KNOTS)
        volts = ocv(soc)
        steps = 0.5 * (volts[1:] + volts[:-1]) / (KNOTS - 1)
        return cls(Curve(soc, np.concatenate(([0.0], np.cumsum(steps)))))

    def wh(self, capacity_ah: Floats, charge_ah: Floats) -> Floats:
        """Energy of one cell group of `capacity_ah` that gives `charge_ah` from full; arrays that broadcast."""
        return np.asarray(capacity_ah * (self.w.y[-1] - self.w(1.0 - charge_ah / capacity_ah)))


@dataclass(frozen=True, slots=True, eq=False)
class Usable:
    """What strings can give."""

    charge_ah: Floats  # [..., string]
    energy_wh: Floats  # [..., string]

    @property
    def site_wh(self) -> Floats:
        """[...] of all strings."""
        return np.asarray(self.energy_wh.sum(axis=-1))


def usable(drain: Drain, capacity_ah: Floats, cells: Ints, place: Ints, strings: int) -> Usable:
    """What each string can use: `capacity_ah` [..., module], `cells` [module], `place` [module] -> string or SHELF."""
    charge_ah = np.empty((*capacity_ah.shape[:-1], strings))
    energy_wh = np.empty_like(charge_ah)
    for string in range(strings):
        members = place == string
        theirs_ah = capacity_ah[..., members]
        least_ah = theirs_ah.min(axis=-1, keepdims=True)
        charge_ah[..., string] = least_ah[..., 0]
        energy_wh[..., string] = (cells[members] * drain.wh(theirs_ah, least_ah)).sum(axis=-1)
    return Usable(charge_ah, energy_wh)


def dealt(modules: Modules, shapes: Ints, order: Sequence[int]) -> Ints:
    """Where modules go when strings are filled one after the other, `order` of strings, the best modules first.

    `shapes` [string, kind]: how many modules of each kind a string takes. Returns [module] -> string or SHELF.
    """
    place = np.full(len(modules.codes), SHELF)
    for kind in range(shapes.shape[1]):
        ranked = modules.order[modules.kind[modules.order] == kind]
        filled = np.repeat(order, shapes[order, kind])
        place[ranked[: len(filled)]] = filled
    return place


def best(drain: Drain, modules: Modules, shapes: Ints) -> Ints:
    """The grouping with the most usable energy: [module] -> string or SHELF."""
    alike, of = np.unique(shapes, axis=0, return_inverse=True)
    queues = [list(np.flatnonzero(of == each)) for each in range(len(alike))]
    order = [int(queues[each].pop(0)) for each in _best_order(drain, modules, alike, [len(each) for each in queues])]
    return dealt(modules, shapes, order)


def states(shapes: Ints) -> int:
    """How many steps the search for the best order of these strings takes."""
    return prod(int(count) + 1 for count in np.unique(shapes, axis=0, return_counts=True)[1])


def _best_order(drain: Drain, modules: Modules, alike: Ints, counts: Sequence[int]) -> list[int]:
    """In which order to fill strings of the shapes `alike` [shape, kind], `counts` of each.

    What the next string gets depends on how many of each shape are filled, not on their order: the best way to each
    such state comes from the best ways to the states before it.
    """
    ranked = [modules.order[modules.kind[modules.order] == kind] for kind in range(alike.shape[1])]
    ways: dict[tuple[int, ...], tuple[float, list[int]]] = {tuple(0 for _ in counts): (0.0, [])}
    for state in list(product(*(range(count + 1) for count in counts)))[1:]:
        found = []
        for shape in np.flatnonzero(state):
            before = tuple(count - (at == shape) for at, count in enumerate(state))
            skipped = np.array(before) @ alike
            rows = zip(ranked, skipped, alike[shape], strict=True)
            taken = np.concatenate([row[skip : skip + count] for row, skip, count in rows])
            here = usable(drain, modules.capacity_ah[taken], modules.cells[taken], np.zeros(len(taken), np.int64), 1)
            energy_wh, way = ways[before]
            found.append((energy_wh + float(here.site_wh), [*way, int(shape)]))
        ways[state] = max(found, key=lambda each: each[0])
    return ways[tuple(counts)][1]


def shuffled(modules: Modules, draws: int, seed: int) -> tuple[Floats, Ints]:
    """Groupings at random: capacities [draw, module], each kind shuffled in itself, and which module stands where.

    Modules stand in their order of capacity, so that the order of the file does not matter.
    """
    rng = np.random.default_rng(seed)
    capacity_ah = np.tile(modules.capacity_ah[modules.order], (draws, 1))
    kind = modules.kind[modules.order]
    for each in range(kind.max() + 1):
        capacity_ah[:, kind == each] = rng.permuted(capacity_ah[:, kind == each], axis=1)
    return capacity_ah, modules.order


def drawn(modules: Modules, draws: int, seed: int) -> tuple[Floats, Ints]:
    """Capacities as they may truly be: [draw, module], and which module stands where, as in `shuffled`."""
    rng = np.random.default_rng(seed)
    capacity_ah, sd_ah = modules.capacity_ah[modules.order], modules.sd_ah[modules.order]
    off_ah = sd_ah * rng.standard_normal((draws, len(capacity_ah)))
    return np.maximum(capacity_ah + off_ah, LEAST_SHARE * capacity_ah), modules.order
