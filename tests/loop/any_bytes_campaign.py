"""Any byte on any bus, for as long as you like: `python -m tests.loop.any_bytes_campaign --frames 10000000`.

Exit 0 and one JSON line when nothing raised and no command left the envelope; a traceback with seed and beat otherwise.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ess_controller.core.types import Order
from ess_controller.daemon import Beat, run
from firmware_bridge.records import CrcMode
from tests.loop.noise import Mood, NoisyBench, check, with_crc
from tests.loop.story import NOON, scenario, site

BEATS_A_RUN = 1000
ORDERS = (Order(), Order(set_w=-20_000.0), Order(clear_latched=True), Order())  # one a second, in turn


class EnoughError(Exception):
    """A law was broken; says where."""


@dataclass
class Tally:
    """What a campaign saw."""

    beats: int = 0
    noise: int = 0
    with_power: int = 0
    guard_trips: int = 0


def loud(frames_a_beat: int) -> Mood:
    """Hardly a beat without noise: the controller seldom believes anything."""
    return Mood(frames_a_beat)


def faint(frames_a_beat: int) -> Mood:
    """Noise now and then: the string runs, power flows, and the noise hits it there."""
    return Mood(frames_a_beat, silent=0.02, flipped=0.01, spoilt=0.02, clear=0.9)


def campaign(frames: int, moods: Sequence[Mood], seed: int, beats: int = BEATS_A_RUN) -> Tally:
    """Runs of `beats` beats until so much noise was heard, each in the next mood.

    Half of them run with CRCs off, so that all of it gets in. Raises EnoughError where a law was broken.
    """
    tally = Tally()
    while tally.noise < frames:
        crc: CrcMode = "on" if seed // len(moods) % 2 else "off"
        place = with_crc(site(), crc)
        bench = NoisyBench(place, scenario(), NOON, beats, seed=seed)
        bench.make_noise(moods[seed % len(moods)], seed)
        broken: list[str] = []

        def look(beat: Beat, at: int = seed, broken: list[str] = broken, bench: NoisyBench = bench) -> None:
            tally.beats += 1
            tally.guard_trips += int(beat.trips.any())
            try:
                tally.with_power += check(beat, bench.site.plant.layout, bench.site.tuning.envelope.pcs_w_max)
            except AssertionError as why:  # the loop leaves out a tee that raises: keep it and stop
                broken.append(f"seed {at}, beat at {beat.tick.t_s:.1f} s: {why}")
                bench.clock.stop()

        run(place.tuning, bench.plant, bench, lambda tick: ORDERS[int(tick.t_s) % 4], [look])
        if broken:
            raise EnoughError(broken[0])
        tally.noise += bench.noise
        seed += 1
    return tally


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000, help="frames and answers of noise")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames-a-beat", type=int, default=1000)
    asked = parser.parse_args()
    tally = campaign(asked.frames, (loud(asked.frames_a_beat), faint(asked.frames_a_beat)), asked.seed)
    print(json.dumps({"schema_version": 1} | vars(tally)))  # noqa: T201  the answer of this command
    return 0


if __name__ == "__main__":
    sys.exit(main())
