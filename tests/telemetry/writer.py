"""A daemon's outbox to be killed: shows a due beat every 0.1 s and says which and when."""

import sys
from pathlib import Path
from threading import Event

from ess_controller.clock import WallClock, wall_s
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.outbox import Outbox
from tests.telemetry.beats import SITE, every_10_s, tuning


def main() -> None:
    outbox = Outbox(Path(sys.argv[1]), 50.0, WallClock(0.1))
    report = outbox.tee(tuning(), SITE)
    pause = Event()
    for beat in every_10_s(10_000):
        report(beat)
        print(milliseconds(beat.tick.utc), wall_s(), flush=True)  # noqa: T201
        pause.wait(0.1)


if __name__ == "__main__":
    main()
