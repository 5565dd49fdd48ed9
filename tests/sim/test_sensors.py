import numpy as np
import pytest

from sim.world.sensors import CELL_OFFSET_CUT_V, Instruments
from tests.sim.sites import plant, scenario

SITE = plant(2)
SPEC = scenario().sensors
TRUE_V = np.full(188, 3.7)


def instruments(seed: int = 1) -> Instruments:
    return Instruments(SITE.layout, SPEC, seed)


def test_a_cell_reads_off_by_its_own_fixed_offset_and_some_noise() -> None:
    board = instruments()
    read_v = np.stack([board.cell_v(TRUE_V, np.zeros(188)) for _ in range(2000)])
    offset_v = read_v.mean(axis=0) - TRUE_V
    assert np.abs(offset_v).max() <= CELL_OFFSET_CUT_V + 2e-4
    assert offset_v.std() == pytest.approx(SPEC.cell_offset_v_sd, rel=0.15)
    assert read_v.std(axis=0) == pytest.approx(np.full(188, SPEC.cell_noise_v), rel=0.1)


def test_the_mean_of_many_current_samples_keeps_gain_and_offset_and_loses_noise() -> None:
    box = instruments()
    one = np.array([box.string_a(np.array([100.0, 100.0]), 1) for _ in range(3000)])
    ten = np.array([box.string_a(np.array([100.0, 100.0]), 10) for _ in range(3000)])
    assert one.std(axis=0) == pytest.approx(np.full(2, SPEC.current_noise_a), rel=0.1)
    assert ten.std(axis=0) == pytest.approx(np.full(2, SPEC.current_noise_a / np.sqrt(10)), rel=0.1)
    assert ten.mean(axis=0) == pytest.approx(one.mean(axis=0), abs=0.02)
    assert np.abs(one.mean(axis=0) - 100).max() < 100 * 4 * SPEC.current_gain_sd


def test_temperature_sensors_sit_on_cells_of_their_own_module() -> None:
    cell_c = SITE.layout.cell_module.astype(np.float64) * 10
    read_c = instruments().module_c(cell_c)
    assert read_c == pytest.approx(np.arange(20)[:, None] * 10.0 + np.zeros((1, 4)), abs=4.0)


def test_volts_and_hertz_of_a_living_meter_waver() -> None:
    meter = instruments()
    readings = [meter.meter(20000.0) for _ in range(50)]
    assert len({round(volts, 1) for _, volts, _ in readings}) > 5
    assert np.mean([w for w, _, _ in readings]) == pytest.approx(20000.0, rel=0.01)


def test_the_same_seed_reads_the_same_and_another_does_not() -> None:
    here, same, other = (instruments(seed).cell_v(TRUE_V, np.zeros(188)) for seed in (1, 1, 2))
    assert here.tobytes() == same.tobytes()
    assert here.tobytes() != other.tobytes()
