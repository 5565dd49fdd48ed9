"""One run of `ess match`: the grouping, what it is held against, and how sure the gain is."""

from dataclasses import dataclass

import numpy as np

from ess_controller.intake.match.seats import Seats
from ess_controller.intake.match.swaps import settled, swaps
from ess_controller.intake.matching import Drain, Modules, Usable, best, dealt, drawn, shuffled, usable
from firmware_bridge.records import Floats, Ints

DRAWS = 2000  # random groupings, and capacities as they may truly be
WITHIN = (5.0, 95.0)  # percentiles of what is told as an interval


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """What came out."""

    modules: Modules
    seats: Seats
    place: Ints  # [module] -> string or SHELF, the best
    given: Usable
    sorted: Usable  # the largest into the first string of the file, and so on
    best: Usable
    random_wh: Floats  # [draw] of the site, grouped at random
    gain: Floats | None  # [draw] best over given as capacities may truly be, a share; None: nobody told their doubt
    swaps: list[tuple[int, int]]  # modules that change places, in turn; none where nothing is built
    after_wh: list[float]  # [swap] what the site can use after each


def carry_out(modules: Modules, there: Seats, drain: Drain, seed: int) -> Match:
    """Group modules and say what it brings."""

    def at(place: Ints, capacity_ah: Floats, order: Ints) -> Usable:
        return usable(drain, capacity_ah[..., order], modules.cells[order], place[order], len(there.names))

    place, pairs = best(drain, modules, there.shapes), list[tuple[int, int]]()
    order, measured_ah = modules.order, modules.capacity_ah
    if there.built:
        place = settled(modules, there.shapes, there.given, place)
        pairs = swaps(modules, there.given, place)
    mixed_ah, where = shuffled(modules, DRAWS, seed)
    mixed = usable(drain, mixed_ah, modules.cells[where], place[where], len(there.names))
    return Match(
        modules=modules,
        seats=there,
        place=place,
        given=at(there.given, measured_ah, order),
        sorted=at(dealt(modules, there.shapes, range(len(there.names))), measured_ah, order),
        best=at(place, measured_ah, order),
        random_wh=mixed.site_wh,
        gain=_gain(modules, there, place, drain, seed),
        swaps=pairs,
        after_wh=[float(at(each, measured_ah, order).site_wh) for each in _steps(there.given, pairs)],
    )


def _gain(modules: Modules, there: Seats, place: Ints, drain: Drain, seed: int) -> Floats | None:
    """Both groupings with the same draws: what is off of a module is off wherever it stands."""
    if np.isnan(modules.sd_ah).any():
        return None
    drawn_ah, where = drawn(modules, DRAWS, seed)
    new, old = (
        usable(drain, drawn_ah, modules.cells[where], each[where], len(there.names)).site_wh
        for each in (place, there.given)
    )
    return np.asarray(new / old - 1.0)


def _steps(given: Ints, pairs: list[tuple[int, int]]) -> list[Ints]:
    """Where modules are after each swap."""
    steps, place = [], given
    for one, other in pairs:
        place = place.copy()
        place[one], place[other] = place[other], place[one]
        steps.append(place)
    return steps
