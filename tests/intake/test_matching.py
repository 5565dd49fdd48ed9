"""The grouping of modules: the best there is, by trying all; and what must hold whatever the modules are."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.core.cell_model import Curve
from ess_controller.intake.match.swaps import settled, swaps
from ess_controller.intake.matching import SHELF, Drain, Modules, best, dealt, drawn, shuffled, states, usable
from firmware_bridge.records import Ints

OCV = Curve(np.array([0.0, 0.05, 0.2, 0.6, 1.0]), np.array([2.6, 3.2, 3.45, 3.8, 4.2]))
DRAINS = (Drain.flat(3.7), Drain.of(OCV))
NAN = float("nan")


def modules(capacity_ah: Sequence[float], cells: Sequence[int] | None = None) -> Modules:
    count = len(capacity_ah)
    unknown = np.full(count, NAN)
    codes = tuple(f"M{each:02d}" for each in range(count))
    of = np.array(cells if cells is not None else [10] * count)
    return Modules(codes, np.array(capacity_ah, np.float64), unknown, of, unknown, unknown, ("",) * count)


def site_wh(drain: Drain, those: Modules, place: Ints, strings: int) -> float:
    return float(usable(drain, those.capacity_ah, those.cells, place, strings).site_wh)


def every_grouping(kind: Ints, shapes: Ints) -> Iterator[Ints]:
    """All ways to fill the strings, whoever stays out."""

    def fill(string: int, left: frozenset[int], place: Ints) -> Iterator[Ints]:
        if string == len(shapes):
            yield place
            return
        for chosen in choices(sorted(left), shapes[string]):
            there = place.copy()
            there[list(chosen)] = string
            yield from fill(string + 1, left - set(chosen), there)

    def choices(left: Sequence[int], shape: Ints) -> Iterator[tuple[int, ...]]:
        found: list[tuple[int, ...]] = [()]
        for each, count in enumerate(shape):
            of_kind = [module for module in left if kind[module] == each]
            found = [(*one, *more) for one in found for more in combinations(of_kind, count)]
        yield from found

    yield from fill(0, frozenset(range(len(kind))), np.full(len(kind), SHELF))


AH = st.floats(20.0, 250.0).map(lambda ah: round(ah, 1))
CASES = [  # cells of modules, strings' shapes by kind
    ([10] * 6, [[3], [3]]),
    ([10] * 6, [[2], [2], [2]]),
    ([10] * 7, [[3], [3]]),  # one stays out
    ([10] * 7, [[4], [3]]),  # strings of unlike length
    ([10] * 8, [[2], [3], [2]]),
    ([9] * 4 + [10] * 4, [[2, 2], [2, 2]]),
    ([9] * 4 + [10] * 3, [[2, 1], [1, 1]]),  # unlike, and some stay out
    ([9] * 3 + [10] * 3, [[3, 0], [0, 3]]),
]


@pytest.mark.parametrize("drain", DRAINS, ids=["flat", "curve"])
@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_no_grouping_whatever_uses_more(
    drain: Drain, case: tuple[list[int], list[list[int]]], data: st.DataObject
) -> None:
    cells, shapes = case[0], np.array(case[1])
    those = modules(data.draw(st.lists(AH, min_size=len(cells), max_size=len(cells))), cells)
    found = best(drain, those, shapes)
    most_wh = max(site_wh(drain, those, each, len(shapes)) for each in every_grouping(those.kind, shapes))
    assert site_wh(drain, those, found, len(shapes)) == pytest.approx(most_wh, rel=1e-12)
    for string, shape in enumerate(shapes):
        assert list(np.bincount(those.kind[found == string], minlength=len(shape))) == list(shape)


MANY = st.lists(AH, min_size=12, max_size=12)
SHAPES = np.array([[4], [4], [3]])


@given(MANY, st.permutations(range(12)))
def test_it_is_never_worse_than_the_order_given(capacity_ah: list[float], order: list[int]) -> None:
    those = modules(capacity_ah)
    place = np.array([0] * 4 + [1] * 4 + [2] * 3 + [SHELF])[order]
    for drain in DRAINS:
        found_wh = site_wh(drain, those, best(drain, those, SHAPES), 3)
        assert found_wh >= site_wh(drain, those, place, 3) * (1.0 - 1e-12)


@given(MANY, st.permutations(range(12)))
def test_the_order_of_the_modules_changes_nothing(capacity_ah: list[float], order: list[int]) -> None:
    those = modules(capacity_ah)
    turned = replace(those, codes=tuple(those.codes[at] for at in order), capacity_ah=those.capacity_ah[order])
    found, again = best(DRAINS[1], those, SHAPES), best(DRAINS[1], turned, SHAPES)
    assert dict(zip(those.codes, found, strict=True)) == dict(zip(turned.codes, again, strict=True))
    assert np.array_equal(shuffled(those, 5, 1)[0], shuffled(turned, 5, 1)[0])


@given(MANY, st.integers(0, 11), st.floats(0.0, 100.0))
def test_a_better_module_never_uses_less(capacity_ah: list[float], which: int, more_ah: float) -> None:
    better = [ah + more_ah * (at == which) for at, ah in enumerate(capacity_ah)]
    for drain in DRAINS:
        before, after = (
            site_wh(drain, those, best(drain, those, SHAPES), 3) for those in (modules(capacity_ah), modules(better))
        )
        assert after >= before * (1.0 - 1e-12)


def test_the_energy_of_a_group_is_its_charge_at_the_voltage_it_has_on_the_way() -> None:
    assert DRAINS[0].wh(np.array(200.0), np.array(150.0)) == pytest.approx(150.0 * 3.7)
    soc = np.linspace(0.25, 1.0, 20001)
    expected = 150.0 * np.interp(soc, OCV.x, OCV.y).mean()
    assert DRAINS[1].wh(np.array(200.0), np.array(150.0)) == pytest.approx(expected, rel=1e-4)


def test_like_modules_are_dealt_out_by_resistance() -> None:
    those = replace(modules([100.0] * 4), r10_ohm=np.array([3.0, 1.0, 2.0, 4.0]))
    assert list(dealt(those, np.array([[2], [2]]), (0, 1))) == [1, 0, 0, 1]


def test_the_search_grows_with_unlike_shapes_only() -> None:
    assert states(np.tile([4, 6], (20, 1))) == 21
    assert states(np.array([[4, 6]] * 10 + [[5, 5]] * 10)) == 121


def test_drawn_capacities_have_the_doubt_that_was_told_and_stay_above_nothing() -> None:
    those = replace(modules([100.0, 50.0, 10.0]), sd_ah=np.array([5.0, 0.0, 20.0]))
    capacity_ah, where = drawn(those, 4000, 1)
    by_code = {those.codes[each]: capacity_ah[:, at] for at, each in enumerate(where)}
    assert by_code["M00"].std() == pytest.approx(5.0, rel=0.05)
    assert (by_code["M01"] == 50.0).all()
    assert by_code["M02"].min() == pytest.approx(0.5)


# --- swaps ------------------------------------------------------------------------------------------------------------


def carried_out(place: Ints, pairs: Sequence[tuple[int, int]]) -> Ints:
    place = place.copy()
    for one, other in pairs:
        place[one], place[other] = place[other], place[one]
    return place


@given(st.lists(AH.map(round), min_size=12, max_size=12), st.permutations(range(12)))
def test_swaps_lead_from_what_is_built_to_what_is_best(capacity_ah: list[float], order: list[int]) -> None:
    those = modules(capacity_ah, [9] * 6 + [10] * 6)
    shapes = np.array([[1, 2], [1, 2], [2, 1]])
    built = np.array([0, 1, 2, 2, SHELF, SHELF, 0, 0, 1, 1, 2, SHELF])
    built[:6], built[6:] = built[:6][np.argsort(order[:6])], built[6:][np.argsort(order[6:])]
    drain = DRAINS[1]
    ideal = best(drain, those, shapes)
    wanted = settled(those, shapes, built, ideal)
    assert site_wh(drain, those, wanted, 3) == pytest.approx(site_wh(drain, those, ideal, 3), rel=1e-12)
    pairs = swaps(those, built, wanted)
    assert list(carried_out(built, pairs)) == list(wanted)
    assert all(those.cells[one] == those.cells[other] for one, other in pairs)
    moved = int((built != wanted).sum())
    assert moved / 2 <= len(pairs) <= max(moved - 1, 0)
    assert not swaps(those, wanted, settled(those, shapes, wanted, ideal))


def fewest(start: Ints, those: Modules, shapes: Ints, most_wh: float) -> int:
    """By trying all swaps, one more each time."""
    reached, tried, count = {tuple(start)}, {tuple(start)}, 0
    while not any(site_wh(DRAINS[1], those, np.array(each), len(shapes)) >= most_wh * (1 - 1e-12) for each in reached):
        following = set()
        for each in reached:
            for one, other in combinations(range(len(each)), 2):
                following.add(tuple(carried_out(np.array(each), [(one, other)])))
        reached, count = following - tried, count + 1
        tried |= reached
    return count


@settings(max_examples=15, deadline=None)
@given(st.lists(AH, min_size=6, max_size=6, unique=True), st.permutations([0, 0, 1, 1, 2, 2]))
def test_no_fewer_swaps_would_do(capacity_ah: list[float], start: list[int]) -> None:
    those, shapes, built = modules(capacity_ah), np.array([[2], [2], [2]]), np.array(start)
    ideal = best(DRAINS[1], those, shapes)
    pairs = swaps(those, built, settled(those, shapes, built, ideal))
    assert len(pairs) == fewest(built, those, shapes, site_wh(DRAINS[1], those, ideal, 3))


def test_four_strings_in_a_ring_take_three_swaps() -> None:
    those = modules([100.0, 90.0, 80.0, 70.0])
    assert len(swaps(those, np.arange(4), np.array([1, 2, 3, 0]))) == 3
