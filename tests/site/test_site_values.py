"""A right site file becomes the records that the rest works with."""

import math
import shutil
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.site import load
from tests.site.site_files import BENCH_TEXT, SITES, bench, cell, loaded, problems_of, with_value

BENCH = SITES / "bench"


def every_site() -> list[Path]:
    return sorted(file.parent for file in SITES.glob("*/site.toml"))


@pytest.mark.parametrize("folder", every_site(), ids=lambda folder: folder.name)
def test_every_site_of_the_checkout_is_right(folder: Path) -> None:
    assert load(folder, {}).plant.layout.cells > 0


def test_the_four_sites_are_as_large_as_they_say() -> None:
    """Cells, cabinets, strings, solar inverters, remote I/Os, gateways."""
    sizes = {}
    for folder in every_site():
        site = load(folder, {})
        layout = site.plant.layout
        gateways = len(layout.gateway_cabinet)
        sizes[site.name] = (layout.cells, layout.cabinets, layout.strings, layout.pvs, layout.ios, gateways)
    assert sizes["shanghai-dealer"] == (376, 2, 4, 1, 2, 0)
    assert sizes["shenzhen-dealer"] == (376, 2, 4, 2, 2, 1)
    assert sizes["chongqing-dealer"] == (188, 1, 2, 1, 1, 0)
    assert sizes["shenyang-plant"] == (1880, 10, 20, 4, 10, 3)


def test_no_module_is_at_two_sites_and_no_address_is_served_twice() -> None:
    """So that all shipped sites can be played on one machine at once; unix sockets lie in each site's own folder."""
    sites = [load(folder, {}) for folder in every_site()]
    codes = [code for site in sites for code in site.origins]
    assert len(set(codes)) == len(codes) == 310
    served = [url for site in sites for url in (*site.plant.buses.values(), site.serve_url) if url.startswith("tcp:")]
    ports = [(site.name, url.split("/")[2]) for site in sites for url in site.plant.buses.values() if "tcp:" in url]
    assert len(set(served)) == len(served)
    assert len({port for _, port in ports}) == len(set(ports))


def test_strings_of_one_cabinet_are_of_similar_age() -> None:
    for folder in every_site():
        site = load(folder, {})
        layout = site.plant.layout
        soh = np.add.reduceat(site.tuning.module_soh, layout.first_module) / np.bincount(layout.module_string)
        for members in layout.strings_of_cabinet:
            assert np.ptp(soh[list(members)]) < 0.03


def test_the_bench_site_is_one_string_of_94_cells() -> None:
    site = load(BENCH, {})
    assert (site.name, site.time_zone, site.folder) == ("bench", ZoneInfo("Asia/Shanghai"), BENCH)
    assert (site.period_s, site.can_stale_s, site.register_stale_s) == (0.1, 0.5, 2.0)
    layout = site.plant.layout
    assert (layout.cells, layout.modules, layout.strings, layout.cabinets) == (94, 10, 1, 1)
    module = site.plant.modules[3]
    assert (module.code, module.bus, module.slot, module.cells, module.crc) == ("BMW-IX3-02152", "modules", 3, 10, "on")


def test_tuning_holds_the_numbers_of_the_files() -> None:
    tuning = load(BENCH, {}).tuning
    assert tuning.envelope.cell_v_max == 4.2
    assert tuning.limits.charge_by_cell_v.x.tolist() == [4.05, 4.12, 4.15]
    assert tuning.limits.charge_by_cell_v.y.tolist() == [1.0, 0.3, 0.0]
    assert tuning.mode.closes_per_hour == 3
    assert tuning.dispatch.rule == "self_consumption"
    assert tuning.cell.ocv(np.array([0.49]))[0] == 3.6774
    assert tuning.cell.ohm(10.0) == pytest.approx(0.000447, abs=1e-6)
    assert tuning.cell.circuit.rc_s == (3.0, 45.0)
    assert tuning.cell.resistance_by_c(np.array([25.0]))[0] == tuning.cell.resistance_by_soh(np.array([1.0]))[0] == 1.0
    assert tuning.module_soh[:2].tolist() == [0.78, 0.74]
    assert tuning.module_nameplate_ah[0] == 232.0
    assert tuning.cell_ah[[0, 9, 10]].tolist() == [232.0 * 0.78, 232.0 * 0.78, 232.0 * 0.74]


def test_nothing_in_a_site_can_be_changed() -> None:
    tuning = load(BENCH, {}).tuning
    arrays = (tuning.cell_ah, tuning.module_soh, tuning.cell.ocv.x, tuning.limits.charge_by_c.y)
    assert not any(array.flags.writeable for array in arrays)


def test_a_site_is_its_folder_or_its_file(tmp_path: Path) -> None:
    shutil.copytree(SITES, tmp_path / "s")
    by_file = load(tmp_path / "s" / "bench" / "site.toml", {})
    assert by_file.folder == load(tmp_path / "s" / "bench", {}).folder == tmp_path / "s" / "bench"


def test_a_whole_number_will_do_for_a_fraction(tmp_path: Path) -> None:
    site = loaded(tmp_path, with_value(bench(), ("beat", "period_s"), 1))
    assert isinstance(site.period_s, float)
    limits = loaded(tmp_path, with_value(bench(), ("limits", "rated_a"), 150)).tuning.limits
    assert isinstance(limits.rated_a, float)


def test_inf_is_no_peak_guard(tmp_path: Path) -> None:
    site = loaded(tmp_path, with_value(bench(), ("dispatch", "peak_w"), math.inf))
    assert site.tuning.dispatch.peak_w == math.inf


def test_a_bus_is_moved_from_the_command_line() -> None:
    site = load(BENCH, {"modules": "socketcan:can0", "pcs": "tcp://10.0.0.2:502/3"})
    assert site.plant.buses["modules"] == "socketcan:can0"
    assert site.plant.buses["pcs"] == "tcp://10.0.0.2:502/3"
    assert site.plant.buses["box"] == "unix:box.can"


def test_an_editor_s_byte_order_mark_and_line_ends_do_no_harm(tmp_path: Path) -> None:
    text = BENCH_TEXT.replace("../cells/nmc811-2p-232ah.toml", "cell.toml").replace("\n", "\r\n")
    assert problems_of(tmp_path, b"\xef\xbb\xbf" + text.encode()) == []


def test_a_larger_site_numbers_its_cells_in_the_order_of_the_file(tmp_path: Path) -> None:
    table = bench()
    table["buses"] |= {"modules2": "unix:modules2.can", "box2": "unix:box2.can", "pcs2": "tcp://127.0.0.1:15020/2"}
    second = bench()["cabinet"][0]
    second["name"], second["pcs"]["bus"] = "B", "pcs2"
    second["string"][0]["name"], second["string"][0]["box"]["bus"] = "B1", "box2"
    for module in second["string"][0]["module"]:
        module["code"], module["bus"] = module["code"] + "-B", "modules2"
    site = loaded(tmp_path, table | {"cabinet": [*table["cabinet"], second]}, cell())
    assert site.plant.layout.cells == 188
    assert site.plant.layout.cell_name(94) == "B1/M01/C01"
