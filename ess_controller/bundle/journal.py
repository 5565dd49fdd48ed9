"""The journal's minutes before an event as a journal of its own, with the moment before its first beat."""

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ess_controller.core.types import Order
from ess_controller.daemon import Beat
from ess_controller.errors import BadInputError
from ess_controller.replay.journal import BLOCK, MAGIC, packed, read
from ess_controller.replay.moments import Life, Moment, journal_files
from ess_controller.replay.player import play
from ess_controller.replay.recording import Recording
from ess_controller.replay.signals import vocabulary
from ess_controller.replay.snapshot import Snapshot, WireMemory
from ess_controller.replay.window import Window
from ess_controller.site import Site
from ess_controller.told.arbitrated import Since
from firmware_bridge.plant import Heard

_BEATS_A_BLOCK = 50
Text = Callable[[str], str]


class _File:
    """One journal being written: of one run of the daemon."""

    def __init__(self, folder: Path, number: int, before: Snapshot, moment: Moment, plant: dict[str, Any]) -> None:
        path = folder / f"{number:08d}-{moment.tick.utc:%Y%m%dT%H%M%S}.journal"
        self._file = path.open("wb")
        head = {"plant": plant, "names": vocabulary(), "before": before.pack()}
        self._file.write(MAGIC + json.dumps(head).encode() + b"\n")
        self._waiting: list[bytes] = []

    def put(self, beat: bytes) -> None:
        """One more beat."""
        self._waiting.append(beat)
        if len(self._waiting) >= _BEATS_A_BLOCK:
            self._write()

    def _write(self) -> None:
        data = zlib.compress(b"".join(self._waiting), level=6)
        self._file.write(BLOCK.pack(len(data), zlib.crc32(data)) + data)
        self._waiting.clear()

    def close(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._write()
        self._file.close()


class Cut:
    """Lives through the journal up to the event and writes what lies in the minutes before it."""

    def __init__(self, site: Site, begin: datetime, folder: Path, plant: dict[str, Any], text: Text) -> None:
        """`plant`: as it may be told; `text`: takes out of an answer's trouble what may not."""
        self._site, self._begin, self._folder, self._plant, self._text = site, begin, folder, plant, text
        self._since = Since(site.plant.layout.cabinets)
        self.beats, self._files = 0, 0
        self.last: Beat | None = None

    @property
    def since(self) -> Since:
        """Since when rules act, as far as was lived through."""
        return self._since

    def live(self, life: Life) -> None:
        """One run of the daemon."""
        memory, before = WireMemory(), life.before or Snapshot()
        memory.hear(Heard(before.frames, before.answers))
        file: _File | None = None
        last: Beat | None = None

        def look(moment: Moment, beat: Beat) -> None:
            nonlocal file, last
            self._since(beat)
            if beat.tick.utc >= self._begin:
                if file is None:
                    moment_before = before if last is None else memory.snapshot(last, None)
                    file = _File(self._folder, self._files, moment_before, moment, self._plant)
                    self._files += 1
                file.put(self._packed(moment))
                self.beats += 1
                self.last = beat
            memory.hear(moment.heard)
            last = beat

        try:
            play(self._site, [life], look)
        finally:
            if file is not None:
                file.close()

    def _packed(self, moment: Moment) -> bytes:
        """As it was recorded, but for what may not be told."""
        assert moment.entry is not None
        answers = tuple(
            tuple(replace(one, trouble=self._text(one.trouble)) if one.trouble else one for one in device)
            for device in moment.heard.answers
        )
        order = moment.entry.order or Order()
        return packed(moment.tick, Heard(moment.heard.frames, answers), moment.entry.signals, order)


def cut(
    site: Site, journal: Path, at: datetime, minutes: float, folder: Path, plant: dict[str, Any], text: Text
) -> Cut:
    """Write the minutes up to `at` into `folder`. BadInputError where the journal holds none of them."""
    begin = at - timedelta(minutes=minutes)
    recording = Recording([journal], Window(begin, at), {}, site)
    done = Cut(site, begin, folder, plant, text)
    for life in recording.lives(site, lambda _: None):
        done.live(life)
    if done.last is None:
        raise BadInputError(f"{journal}: knows no beat of the {minutes:g} min before {at.isoformat()}")
    return done


def last_beat(journal: Path) -> datetime:
    """When the journal's last beat was. BadInputError where there is none."""
    if not journal.is_dir():
        raise BadInputError(f"{journal}: is not there: expected the journal that `ess run` keeps")
    for path in reversed(journal_files([journal])):
        utc = max(_times(path), default=None)
        if utc is not None:
            return utc
    raise BadInputError(f"{journal}: holds no beat")


def _times(path: Path) -> Iterator[datetime]:
    try:
        yield from (entry.tick.utc for entry in read(path))
    except (OSError, ValueError):  # torn before its first beat
        return


def told_plant(site: Site, address: Callable[[Any], Any]) -> dict[str, Any]:
    """The plant as a journal's head has it, its buses without their addresses."""
    plant = asdict(site.plant)
    return plant | {"buses": address(plant["buses"])}
