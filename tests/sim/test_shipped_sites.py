"""Each shipped site and its world belong together: every panel has an inverter, and the roof gives what it can."""

import pytest

from ess_controller.errors import BadInputError
from ess_controller.site import load as load_site
from sim.bench import Bench
from sim.scenario_file import load
from sim.world import World
from sim.world.scenario import OnRecord
from tests.sim.sites import BENCH, NOON

SITES = sorted(folder.name for folder in BENCH.parent.iterdir() if (folder / "world.toml").is_file())


@pytest.mark.parametrize("name", SITES)
def test_a_site_and_its_world_fit(name: str) -> None:
    site, scenario = load_site(BENCH.parent / name, {}), load(BENCH.parent / name)
    world = World(site.plant, scenario, NOON)
    world.advance(4.0, 0.2)
    assert set(world.banks) == set(site.plant.register_buses)
    assert len(world.truth.cell_v) == site.plant.layout.cells


def test_the_world_of_another_site_is_refused_in_words() -> None:
    site = load_site(BENCH.parent / "shanghai-dealer", {})
    with pytest.raises(BadInputError, match=r"^shanghai-dealer: world.toml: premises.sun: .* \(roof\), .* hall-1"):
        Bench(site, load(BENCH.parent / "shenyang-plant"), NOON, 1)


@pytest.mark.parametrize("name", [name for name in SITES if name != "bench"])
def test_panels_reach_what_their_kilowatts_peak_and_their_inverter_allow(name: str) -> None:
    site, scenario = load_site(BENCH.parent / name, {}), load(BENCH.parent / name)
    assert isinstance(scenario, OnRecord)
    assert [sun.pv for sun in scenario.premises.sun] == list(site.plant.layout.pv_names)
    for sun, pv, arrays in zip(scenario.premises.sun, site.plant.pvs, site.pv_arrays, strict=True):
        peak_w = sum(array.kwp for array in arrays) * 1000.0
        assert 0.7 * peak_w < sun.peak_w <= min(peak_w, pv.rated_w), sun.pv
