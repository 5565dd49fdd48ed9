"""Records the run that the replay test lives through again: `python -m tests.replay.record`.

Half a minute of the bench: start through precharge, self-consumption, a module that falls silent until its string
opens, its return, and the restart. The journal holds what was heard and what was told. A change of behaviour is
approved by recording anew in the same commit: the new journal says that it was meant.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ess_controller.daemon import Beat
from ess_controller.replay.journal import Journal
from sim.world import World
from tests.loop.story import Story

RECORDED = Path(__file__).with_name("module_silent.journal")
SECONDS = 32.0
SILENT_MODULE = 3
SILENT_FROM_S, SILENT_UNTIL_S = 8.0, 20.0


def break_a_module(beat: Beat, world: World) -> None:
    """One board is dead for a while."""
    if SILENT_FROM_S <= beat.tick.t_s < SILENT_UNTIL_S:
        world.faults.silent_modules.add(SILENT_MODULE)
    else:
        world.faults.silent_modules.discard(SILENT_MODULE)


def record(path: Path) -> Story:
    """Run the bench and keep its journal at `path`."""
    story = Story(SECONDS, happens=break_a_module, seed=7)
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder), story.site.plant, 100_000_000)
        for beat in story.beats:
            journal(beat)
        journal.close()
        (file,) = Path(folder).glob("*.journal")
        path.write_bytes(file.read_bytes())
    return story


if __name__ == "__main__":
    record(RECORDED)
    print(f"{RECORDED}: {RECORDED.stat().st_size} bytes", file=sys.stderr)  # noqa: T201
