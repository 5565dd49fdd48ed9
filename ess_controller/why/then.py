"""What the daemon saw and decided at an earlier moment: the journal lived through again up to there."""

from collections import deque
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ess_controller.daemon import Beat
from ess_controller.errors import BadInputError
from ess_controller.replay.moments import Moment
from ess_controller.replay.player import play
from ess_controller.replay.recording import Recording
from ess_controller.replay.window import Window
from ess_controller.site import Site
from ess_controller.told.arbitrated import Since
from ess_controller.told.picture import picture


def picture_at(site: Site, journal: Path, when: datetime, back: timedelta) -> dict[str, Any]:
    """The picture of the last beat at or before `when`, at most `back` before it. BadInputError where there is none."""
    if not journal.is_dir():
        raise BadInputError(f"{journal}: is not there: expected the journal that `ess run` keeps")
    since = Since(site.plant.layout.cabinets)
    beats: deque[Beat] = deque(maxlen=1)

    def show(moment: Moment, beat: Beat) -> None:
        since(beat)
        beats.append(beat)

    recording = Recording([journal], Window(when, when), {}, site)
    play(site, recording.lives(site, lambda _: None), show)
    last = beats[0] if beats else None
    if last is None or when - last.tick.utc > back:
        known = (
            "the journal begins later" if last is None else f"its last beat before is of {last.tick.utc.isoformat()}"
        )
        raise BadInputError(f"{journal}: knows no beat within {back.total_seconds():.0f} s before {when}: {known}")
    local = last.tick.utc.astimezone(site.time_zone)
    more = {"local": {"time": local.isoformat(timespec="seconds"), "zone": site.time_zone.key}}
    return picture(site.name, site.tuning, last, {}, last.tick.wire_s, more, since)
