"""Whole sites (gateways, solar inverters, remote I/O, legacy inverters) are lived through exactly, from anywhere."""

from pathlib import Path

import pytest

from ess_controller.core.types import Mode, Order
from ess_controller.daemon import Beat, run
from ess_controller.replay.job import Job, Result, carry_out
from ess_controller.replay.journal import Journal
from ess_controller.replay.report import report
from ess_controller.site import Site, load
from sim.bench import Bench
from sim.scenario_file import load as load_scenario
from tests.loop.story import BENCH, NOON

SITES = BENCH.parent
BEATS = 160


def lived(place: Path, folder: Path) -> tuple[Site, list[Beat]]:
    """Sixteen seconds of a site, journalled in several files."""
    site = load(place, {})
    beats: list[Beat] = []
    bench = Bench(site, load_scenario(place), NOON, BEATS)
    run(site.tuning, bench.plant, bench, lambda _: Order(), [beats.append])
    journal = Journal(folder, site.plant, 1_000_000_000, file_bytes=200_000)
    for beat in beats:
        journal(beat)
    journal.close()
    return site, beats


def differences(result: Result) -> str:
    """Nothing, or what differs, for people."""
    assert result.comparison is not None
    return "\n".join(report(result)) if result.comparison.differences else ""


@pytest.mark.parametrize("name", ["shanghai-dealer", "shenzhen-dealer"])
def test_a_site_is_lived_through_exactly_from_each_of_its_files_on(name: str, tmp_path: Path) -> None:
    _, beats = lived(SITES / name, tmp_path)
    assert (beats[-1].state.mode == Mode.RUN).any()
    files = sorted(tmp_path.glob("*.journal"))
    assert len(files) >= 2
    whole = carry_out(Job((tmp_path,), SITES / name, battery=True))
    assert not differences(whole)
    assert whole.answer["beats"] == BEATS
    for start in range(1, len(files)):
        rest = carry_out(Job(tuple(files[start:]), SITES / name))
        assert not differences(rest), start
        assert rest.answer["beats"] > 0


def test_modules_behind_a_gateway_are_reported_without_frames(tmp_path: Path) -> None:
    place = SITES / "shenzhen-dealer"
    site, _ = lived(place, tmp_path)
    found = carry_out(Job((tmp_path,), place, battery=True))
    frames = [module["frames"] for module in found.answer["battery"]["modules"]]
    assert [one is None for one in frames] == [not module.bus for module in site.plant.modules]
    assert any(line.rstrip().endswith("  -") for line in report(found))
