"""Any byte on any bus, for as long as you like: `python -m tests.loop.any_bytes_campaign --frames 10000000`.

`--site shanghai-dealer`: on a shipped site instead of the bench, with all that hangs on its buses. What looks at each
beat (page, reports, change log, what others read) is shown it too, and may raise as little as the controller.

Exit 0 and one JSON line when nothing raised and no command left the envelope; a traceback with seed and beat otherwise.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ess_controller.core.types import Order
from ess_controller.daemon import Beat, Tee, run
from ess_controller.doors.served import Served
from ess_controller.site import Site, load
from ess_controller.tees import ChangeLog, Totals
from ess_controller.telemetry.recorder import Recorder
from ess_controller.told.picture import picture
from firmware_bridge.records import CrcMode
from sim.scenario_file import load as load_scenario
from tests.loop.noise import Mood, NoisyBench, check, with_crc
from tests.loop.story import BENCH, NOON

BEATS_A_RUN = 1000
SITES = BENCH.parent
ANY_PORT = "tcp://127.0.0.1:0/1"
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


def onlookers(site: Site, bench: NoisyBench, served: Served) -> Sequence[Tee]:
    """Everything that is shown a beat in the field, without a disk."""
    tuning, recorder = site.tuning, Recorder(site.tuning, site.name)

    def report(beat: Beat) -> None:
        for _, line in recorder.lines(beat):
            assert line.endswith("\n")

    def show(beat: Beat) -> None:
        health = {name: wire.health for name, wire in bench.plant.wires().items()}
        json.dumps(picture(site.name, tuning, beat, health, beat.tick.wire_s), allow_nan=False)

    return (Totals(tuning.layout), ChangeLog(tuning, bench.plant), report, show, served)


def campaign(
    frames: int, moods: Sequence[Mood], seed: int, beats: int = BEATS_A_RUN, folder: Path = BENCH, beat_s: float = 0.1
) -> Tally:
    """Runs of `beats` beats of the site in `folder` until so much noise was heard, each in the next mood.

    Half of them run with CRCs off, so that all of it gets in. Raises EnoughError where a law was broken.
    """
    tally, plain, nature = Tally(), load(folder, {}), load_scenario(folder)
    while tally.noise < frames:
        crc: CrcMode = "on" if seed // len(moods) % 2 else "off"
        place = with_crc(plain, crc)
        bench = NoisyBench(place, nature, NOON, beats, beat_s, seed)
        bench.make_noise(moods[seed % len(moods)], seed)
        served = Served(ANY_PORT, place.name, place.plant, place.tuning, folder)
        try:
            _one_run(place, bench, served, tally, f"seed {seed}")
        finally:
            served.close()
        tally.noise += bench.noise
        seed += 1
    return tally


def _one_run(place: Site, bench: NoisyBench, served: Served, tally: Tally, named: str) -> None:
    broken: list[str] = []
    told = onlookers(place, bench, served)

    def look(beat: Beat) -> None:
        tally.beats += 1
        tally.guard_trips += int(beat.trips.any())
        try:
            tally.with_power += check(beat, place.tuning)
            for tee in told:
                tee(beat)
        except Exception:  # noqa: BLE001  the loop would only leave out a tee that raises
            broken.append(f"{named}, beat at {beat.tick.t_s:.1f} s: {traceback.format_exc()}")
            bench.clock.stop()

    run(place.tuning, bench.plant, bench, lambda tick: ORDERS[int(tick.t_s) % 4], [look])
    if broken:
        raise EnoughError(broken[0])


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000, help="frames and answers of noise")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames-a-beat", type=int, default=1000)
    parser.add_argument("--site", default=BENCH.name, help="a folder of sites/")
    parser.add_argument("--beat", type=float, default=0.1, help="plant seconds a beat")
    asked = parser.parse_args()
    moods = (loud(asked.frames_a_beat), faint(asked.frames_a_beat))
    tally = campaign(asked.frames, moods, asked.seed, folder=SITES / asked.site, beat_s=asked.beat)
    print(json.dumps({"schema_version": 1} | vars(tally)))  # noqa: T201  the answer of this command
    return 0


if __name__ == "__main__":
    sys.exit(main())
