"""Any byte on any bus, through the whole loop: nothing raises, and power is asked only where all is heard.

The long campaign is `python -m tests.loop.any_bytes_campaign --frames 10000000`.
"""

import pytest

from tests.loop.any_bytes_campaign import campaign, faint, loud


@pytest.mark.parametrize("seed", [0, 1], ids=["CRC off", "CRC on"])
def test_noise_among_real_traffic_raises_nothing_and_commands_stay_inside_the_envelope(seed: int) -> None:
    tally = campaign(50_000, [loud(200)], seed, beats=300)
    assert tally.noise >= 50_000


@pytest.mark.parametrize("seed", [0, 1], ids=["CRC off", "CRC on"])
def test_noise_that_hits_a_running_string_is_no_different(seed: int) -> None:
    tally = campaign(7_000, [faint(200)], seed, beats=500)
    assert tally.with_power > 5  # power flowed between the noise, so that this tests something
