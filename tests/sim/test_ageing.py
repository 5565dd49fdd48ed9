import numpy as np
import pytest

from firmware_bridge.records import CabinetSpec, ModuleSpec, PlantSpec, StringSpec
from sim.world.ageing import Seeded, seeded
from tests.sim.sites import plant, scenario


def many(soh: float, seed: int = 5) -> Seeded:
    """Five hundred modules of one SOH."""
    modules = tuple(ModuleSpec(f"M{n}", "can", n % 16, 10, 232.0, soh) for n in range(500))
    site = PlantSpec({"can": "unix:a"}, (CabinetSpec("A", "p", (StringSpec("A1", "can", modules),)),), "m")
    return seeded(site, scenario(), np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("soh", "cell_cv", "r_mean"),
    [(0.876, 0.014, 1.124), (0.82, 0.030, 1.18), (0.79, 0.047, 1.21), (0.746, 0.071, 1.254), (0.695, 0.093, 1.305)],
)
def test_pairs_of_cells_spread_as_48_measured_cells_do(soh: float, cell_cv: float, r_mean: float) -> None:
    cells = many(soh).cells
    capacity = cells.capacity_ah / 232
    assert capacity.mean() == pytest.approx(soh, rel=0.01)
    assert capacity.std() / capacity.mean() == pytest.approx(cell_cv / np.sqrt(2), rel=0.05)
    assert cells.resistance_ohm(10.0).mean() / 0.000375 == pytest.approx(r_mean, rel=0.01)


def test_within_a_module_the_weaker_cell_resists_more() -> None:
    cells = many(0.75).cells
    capacity, ohm = cells.capacity_ah.reshape(500, 10), cells.r0_ohm.reshape(500, 10)
    own_capacity = capacity - capacity.mean(axis=1, keepdims=True)
    own_ohm = ohm / ohm.mean(axis=1, keepdims=True) - 1
    assert np.corrcoef(own_capacity.ravel(), own_ohm.ravel())[0, 1] == pytest.approx(-0.95, abs=0.02)


def test_modules_of_equal_soh_differ_in_resistance_by_their_history() -> None:
    ohm = many(0.95).cells.r0_ohm.reshape(500, 10).mean(axis=1)
    assert ohm.std() / ohm.mean() == pytest.approx(0.03, rel=0.15)


def test_without_spread_all_cells_of_a_module_are_alike() -> None:
    cells = seeded(plant(), scenario(ageing={"spread": 0.0}), np.random.default_rng(1)).cells
    layout = plant().layout
    assert cells.capacity_ah == pytest.approx(232 * np.array([m.soh for m in plant().modules])[layout.cell_module])


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    one, same, other = many(0.75).cells, many(0.75).cells, many(0.75, seed=6).cells
    assert one.capacity_ah.tobytes() == same.capacity_ah.tobytes()
    assert one.curves.knot_v.tobytes() == same.curves.knot_v.tobytes()
    assert one.capacity_ah.tobytes() != other.capacity_ah.tobytes()


def test_cells_start_apart_by_the_stated_spread() -> None:
    soc = many(0.75).soc
    assert soc.mean() == pytest.approx(0.55, abs=0.001)
    assert soc.std() == pytest.approx(0.015, rel=0.05)


def test_a_few_cells_leak_many_times_as_much_as_others() -> None:
    cells = many(0.75).cells
    month = cells.leak_a / cells.capacity_ah * 720
    assert np.median(month) == pytest.approx(0.002, rel=0.05)
    assert 0.002 < (month > 0.012).mean() < 0.015
