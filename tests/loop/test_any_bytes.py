"""Any byte on any bus, through the whole loop: nothing raises, and power is asked only where all is heard.

The long campaign is `python -m tests.loop.any_bytes_campaign --frames 10000000 --site shenzhen-dealer`.
"""

import pytest

from tests.loop.any_bytes_campaign import SITES, campaign, faint, loud


@pytest.mark.parametrize("seed", [0, 1], ids=["CRC off", "CRC on"])
def test_noise_among_real_traffic_raises_nothing_and_commands_stay_inside_the_envelope(seed: int) -> None:
    tally = campaign(50_000, [loud(200)], seed, beats=300)
    assert tally.noise >= 50_000


@pytest.mark.parametrize("seed", [0, 1], ids=["CRC off", "CRC on"])
def test_noise_that_hits_a_running_string_is_no_different(seed: int) -> None:
    tally = campaign(7_000, [faint(200)], seed, beats=500)
    assert tally.with_power > 5  # power flowed between the noise, so that this tests something


@pytest.mark.parametrize("name", ["shanghai-dealer", "shenzhen-dealer"])
def test_noise_on_every_bus_of_a_whole_site_raises_nothing_either(name: str) -> None:
    tally = campaign(100_000, [loud(200)], 0, beats=150, folder=SITES / name)
    assert tally.noise >= 100_000


@pytest.mark.parametrize("name", ["shanghai-dealer", "shenzhen-dealer"])
def test_noise_that_hits_strings_in_parallel_at_work_joins_none_outside_its_window(name: str) -> None:
    tally = campaign(10_000, [faint(200)], 1, beats=400, folder=SITES / name)
    assert tally.with_power > 5
