"""Makes the capture samples that ship with the tests: `python -m tests.replay.record_captures`.

A second of the bench's two CAN buses in three formats, and once more as a spreadsheet leaves it: SavvyCAN's CSV with
semicolons, and with ids such as 2E0 and 2E8 (string box feedback and insulation) taken for numbers. Readers are proven
on what they are given by others, so these files are kept and not made anew by each test.
"""

import re
import sys
from pathlib import Path

from firmware_bridge.frames import Frames
from tests.replay.formats import by_python_can, frames, savvycan

CAPTURES = Path(__file__).with_name("captures")
SECONDS = 4.0  # from the first to the last second of which the samples are cut
DAMAGED_ID = re.compile(r"^(\d+),0*([1-7])E(\d),", re.MULTILINE)


def last_second() -> Frames:
    """What is recorded."""
    some = frames(SECONDS)
    return some[some.wire_s > SECONDS - 0.9]


def record() -> None:
    """Write all samples."""
    some = last_second()
    CAPTURES.mkdir(exist_ok=True)
    for ending in (".log", ".asc", ".blf"):
        by_python_can(CAPTURES / f"bench{ending}", some)
    path = CAPTURES / "spreadsheet.csv"
    savvycan(path, some)
    text = DAMAGED_ID.sub(lambda found: f"{found[1]},{found[2]}.00E+0{found[3]},", path.read_text())
    path.write_bytes(text.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"))


if __name__ == "__main__":
    record()
    for file in sorted(CAPTURES.iterdir()):
        print(f"{file}: {file.stat().st_size} bytes", file=sys.stderr)  # noqa: T201
