"""From the strings as they are to the strings that are wanted: which string becomes which, and what changes places."""

from collections import deque

import numpy as np
from scipy.optimize import linear_sum_assignment

from ess_controller.intake.matching import SHELF, Modules
from firmware_bridge.records import Ints


def settled(modules: Modules, shapes: Ints, given: Ints, wanted: Ints) -> Ints:
    """The grouping `wanted` [module] -> string, as close to `given` as it can be without giving less.

    Strings of one shape change names so that most modules stay; of modules alike in kind and capacity those stay that
    are there. What is still on the way is left to `swaps`.
    """
    strings = len(shapes)
    _, like = np.unique(np.stack((modules.kind, modules.capacity_ah)), axis=1, return_inverse=True)
    now, then = _counts(like, given, strings), _counts(like, wanted, strings)
    stay = np.minimum(now[:, :strings, None], then[:, None, :strings]).sum(axis=0)
    alike = (shapes[:, None] == shapes[None]).all(axis=-1)
    old, new = linear_sum_assignment(np.where(alike, stay, -len(like) * strings - 1), maximize=True)
    then[:, old] = then[:, new]
    place = np.full(len(like), SHELF)
    for each in np.unique(like):
        here, left = np.flatnonzero(like == each), then[each].copy()
        waiting = []
        for module in here:
            if left[given[module]] > 0:
                left[given[module]] -= 1
                place[module] = given[module]
            else:
                waiting.append(module)
        place[waiting] = np.repeat([*range(strings), SHELF], left)
    return place


def _counts(like: Ints, place: Ints, strings: int) -> Ints:
    """[class of like modules, string; the last is the shelf] how many."""
    counts = np.zeros((like.max() + 1, strings + 1), np.int64)
    np.add.at(counts, (like, place), 1)
    return counts


def swaps(modules: Modules, given: Ints, wanted: Ints) -> list[tuple[int, int]]:
    """Pairs of modules that change places, one after the other, until `given` is `wanted`.

    Modules that must move are arrows between strings, and a ring of n arrows takes n - 1 swaps: the more rings, the
    fewer swaps. The shortest rings first is the fewest for up to three places, and close to it for more.
    """
    place, done = given.copy(), []
    for kind in np.unique(modules.kind):
        mine, least = modules.kind == kind, 2
        while (mine & (place != wanted)).any():
            ring = _shortest_ring(np.flatnonzero(mine & (place != wanted)), place, wanted, least)
            least = len(ring)  # with this ring gone there are no shorter ones than before
            first = ring[0]
            for other in ring[1:]:  # the first goes home, then each that took the place of the one before
                done.append((first, other))
                place[first], place[other] = place[other], place[first]
                first = other
    return done


def _shortest_ring(moving: Ints, place: Ints, wanted: Ints, least: int) -> list[int]:
    """Modules each of which wants to where the next one is, the last to where the first is; none is below `least`."""
    shortest: list[int] = []
    for start in moving:
        ring = _ring_from(int(start), moving, place, wanted)
        if len(ring) == least:
            return ring
        shortest = min(shortest or ring, ring, key=len)
    return shortest


def _ring_from(start: int, moving: Ints, place: Ints, wanted: Ints) -> list[int]:
    """The shortest ring through `start`: every string that a module leaves, another enters, so there is one."""
    before: dict[int, int] = {start: start}
    ahead = deque([start])
    seen: set[int] = set()
    while ahead:
        module = ahead.popleft()
        if wanted[module] == place[start]:
            break
        if wanted[module] in seen:
            continue
        seen.add(int(wanted[module]))
        for other in moving[place[moving] == wanted[module]]:
            if int(other) not in before:
                before[int(other)] = module
                ahead.append(int(other))
    ring = [module]
    while ring[-1] != start:
        ring.append(before[ring[-1]])
    return ring[::-1]
