"""Self-discharge: drift from rest to rest is told in mA, whatever is bled, however large cells are; noise is none."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_controller.ageing.history import History, ModuleDay
from ess_controller.ageing.leak import Leak, leaks
from firmware_bridge.records import Floats
from tests.ageing.world import NAMEPLATE_AH, day_of

MODULES, CELLS = 4, 10


def string(  # a string of modules that rest once a day
    leak_ma: Floats, days: int = 60, *, seed: int = 1, bled_ah_per_day: Floats | None = None, noise: float = 0.002
) -> list[History]:
    rng = np.random.default_rng(seed)
    n = MODULES * CELLS
    q_ah = NAMEPLATE_AH * rng.uniform(0.68, 0.80, n)
    told_ah = q_ah * (1.0 + 0.01 * rng.standard_normal(n))
    bled = np.zeros(n) if bled_ah_per_day is None else bled_ah_per_day
    offset = 0.005 * rng.standard_normal(n)  # of each voltage sensor, in SOC
    found: list[list[ModuleDay]] = [[] for _ in range(MODULES)]
    for at in range(days):
        missing = 20.0 + 40.0 * rng.random() + (leak_ma / 1000.0 * 24.0 + bled) * at  # rests at any SOC
        soc = 1.0 - missing / q_ah + offset + noise * rng.standard_normal(n)
        for module in range(MODULES):
            mine = slice(CELLS * module, CELLS * (module + 1))
            day = day_of(f"M{module}", at, told_ah[mine] / NAMEPLATE_AH)
            rested = replace(day, rest_s=7200.0, rest_soc=soc[mine], rest_soc_sd=np.full(CELLS, 0.005))
            found[module].append(replace(rested, rest_bled_ah=bled[mine] * at))
    return [History.of(each) for each in found]


def of_all(found: dict[str, Leak]) -> tuple[Floats, Floats]:
    return np.concatenate([each.ma for each in found.values()]), np.concatenate([each.ma_sd for each in found.values()])


def sorted_by_module(found: dict[str, Leak]) -> dict[str, Leak]:
    return dict(sorted(found.items()))


def short(cell: int, ma: float) -> Floats:
    leak_ma = np.zeros(MODULES * CELLS)
    leak_ma[cell] = ma
    return leak_ma


def test_a_soft_short_is_found_and_measured_and_no_other_cell_is_accused() -> None:
    found = sorted_by_module(leaks(string(short(13, 8.0))))
    ma, sd = of_all(found)
    assert abs(ma[13] - 8.0) < 3.0 * sd[13]
    assert sd[13] < 1.5
    assert [code for code, each in found.items() if each.suspected(0.01).any()] == ["M1"]
    assert np.flatnonzero(found["M1"].suspected(0.01)).tolist() == [3]
    assert found["M1"].per_month[3] == pytest.approx(ma[13] * 0.72 / 170.0, rel=0.15)


def test_what_balancing_burns_is_no_leak() -> None:
    bled = np.zeros(MODULES * CELLS)
    bled[[2, 30]] = 0.3
    found = sorted_by_module(leaks(string(short(13, 8.0), bled_ah_per_day=bled)))
    ma, sd = of_all(found)
    assert (np.abs(ma[[2, 30]]) < 3.0 * sd[[2, 30]]).all()
    assert not found["M0"].suspected(0.01).any()
    assert found["M1"].suspected(0.01)[3]


def test_a_cell_that_leaks_hides_behind_no_balancing() -> None:
    """The others are bled down to it: its charge to full stands still, and yet it is the one."""
    bled = np.full(MODULES * CELLS, 0.2)
    bled[13] = 0.0
    found = sorted_by_module(leaks(string(short(13, 0.2 / 24.0 * 1000.0), bled_ah_per_day=bled)))
    assert np.flatnonzero(np.concatenate([each.suspected(0.01) for each in found.values()])).tolist() == [13]


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_string_without_a_short_is_left_in_peace(seed: int) -> None:
    found = leaks(string(np.zeros(MODULES * CELLS), seed=seed))
    assert not any(each.suspected(0.01).any() for each in found.values())


def test_a_module_that_has_just_come_is_not_judged_and_blinds_nobody() -> None:
    histories = string(short(13, 8.0))
    new = histories[3]
    found = leaks([*histories[:3], new.since(new.day[-1] - 2.0)])
    assert np.isnan(found["M3"].ma).all()
    assert np.flatnonzero(found["M1"].suspected(0.01)).tolist() == [3]


@pytest.mark.parametrize("seed", range(5))
def test_a_gauge_whose_errors_wander_makes_no_cell_a_suspect(seed: int) -> None:
    """Every cell's SOC is off by 0.5 % more or less after some weeks: only what stands out of the others is a leak."""
    histories = string(short(13, 9.0), days=40, seed=seed)
    rng = np.random.default_rng(100 + seed)
    wandering = [
        replace(each, rest_soc=each.rest_soc + 0.0008 * rng.standard_normal(each.rest_soc.shape).cumsum(axis=0))
        for each in histories
    ]
    found = sorted_by_module(leaks(wandering))
    ma, sd = of_all(found)
    off = (ma - short(13, 9.0)) / sd
    assert np.sqrt((off**2).mean()) < 1.5
    suspected = np.flatnonzero(np.concatenate([each.suspected(0.01) for each in found.values()]))
    assert set(suspected.tolist()) <= {13}


def test_its_standard_deviation_means_what_it_says() -> None:
    within = []
    for seed in range(20):
        ma, sd = of_all(leaks(string(np.zeros(MODULES * CELLS), seed=seed)))
        within.append(np.abs(ma - np.median(ma)) < 2.0 * sd)
    assert 0.90 <= np.mean(within) <= 0.99


@given(ma=st.floats(4.0, 100.0))
@settings(max_examples=10)
def test_a_larger_short_is_told_larger(ma: float) -> None:
    small, large = (leaks(string(short(13, each)))["M1"].ma[3] for each in (ma, 1.2 * ma))
    assert large > small


def test_few_rests_say_nothing() -> None:
    for days in (1, 5, 9):
        ma, sd = of_all(leaks(string(np.zeros(MODULES * CELLS), days=days)))
        assert np.isnan(ma).all()
        assert np.isnan(sd).all()
    assert leaks([]) == {}


def test_a_module_that_came_from_another_string_begins_anew() -> None:
    histories = string(short(13, 8.0), days=30)
    moved = replace(histories[1], strings=("B2",) * 25 + ("A1",) * 5)
    assert np.isnan(leaks([histories[0], moved])["M1"].ma).all()
