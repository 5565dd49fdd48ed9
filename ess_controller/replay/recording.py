"""The files of a replay as something that can be lived through, and what is to be told of them by themselves."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ess_controller.errors import BadInputError
from ess_controller.replay.channels import Mapped, mapped, together
from ess_controller.replay.moments import (
    LONGEST_SILENCE_S,
    Life,
    capture_lives,
    is_journal,
    journal_files,
    journal_lives,
    last_file_before,
    silences,
)
from ess_controller.replay.survey import load_of
from ess_controller.replay.window import Window
from ess_controller.site import Site
from firmware_bridge.frames import Frames
from firmware_bridge.wires.captures import Capture, CaptureError, read_capture


class Recording:
    """Journals or captures, as often as need be. `channels`: bus -> channel of a capture."""

    def __init__(self, paths: Sequence[Path], window: Window, channels: Mapping[str, str], site: Site | None) -> None:
        self._window = window
        kinds = {os.path.isdir(path) or is_journal(path) for path in paths}
        if len(kinds) > 1:
            raise BadInputError("FILE: expected journals only, or captures only")
        self.is_journal = kinds == {True}
        self.captures: list[Capture] = []
        self.mapped: Mapped | None = None
        self.torn: dict[Path, int] = {}  # journal -> the byte at which it ends early
        if self.is_journal:
            files = journal_files(paths)
            self.files = last_file_before(files, window.begun) if window.begin is not None else files
            self.total = float(sum(path.stat().st_size for path in self.files))
            return
        try:
            self.captures = [read_capture(path) for path in paths]
        except CaptureError as trouble:
            raise BadInputError(str(trouble)) from None
        self.frames, self.channels = together(self.captures)
        self.total = float(self.frames.wire_s[-1] - self.frames.wire_s[0])
        if site is not None:
            self.mapped = mapped(self.frames, self.channels, site.plant, channels)

    def lives(self, site: Site, passed: Callable[[float], None]) -> Iterator[Life]:
        """All runs, from the beginning."""
        if self.is_journal:
            return self._window.cut(journal_lives(self.files, site.plant, passed, self.torn.__setitem__))
        assert self.mapped is not None
        absolute = self.captures[0].absolute
        return self._window.cut(capture_lives(self.mapped.frames, site.plant, site.period_s, absolute=absolute))

    @property
    def troubles(self) -> list[str]:
        """What a reader of the answer must know, one line each."""
        told = [line for capture in self.captures for line in capture.troubles]
        if self.mapped is not None:
            told += [*self.mapped.notes, *_silences(self.mapped.frames)]
        for path, at in self.torn.items():
            left = path.stat().st_size - at
            told.append(f"{path}: torn at byte {at}: the beats before it are whole, {left} bytes after it are not read")
        return told

    def told(self) -> dict[str, Any]:
        """What was read of captures, file by file, and where their channels went."""
        files = [
            {
                "path": str(capture.path),
                "kind": capture.kind,
                "lines": capture.tally.lines,
                "frames": capture.tally.frames,
                "repaired": sum(capture.tally.repaired.values()),
                "refused": capture.tally.refused,
                "skipped": sum(capture.tally.skipped.values()),
                "silent": capture.tally.silent,
            }
            for capture in self.captures
        ]
        found = self.mapped
        placed = {"channel_of": dict(found.channel_of), "foreign_frames": found.foreign} if found else {}
        channels = [
            {"name": name, "frames": len(mine), "load": load_of(mine, self.total)}
            for at, name in enumerate(self.channels)
            for mine in (self.frames[self.frames.bus == at],)
        ]
        return {"read": files, "troubles": self.troubles, "channels": channels, **placed}


def _silences(frames: Frames) -> Iterator[str]:
    """Where a capture is begun anew."""
    for first in silences(frames):
        before_s, after_s = frames.wire_s[first - 1 : first + 1]
        yield (
            f"no frame of the site for {after_s - before_s:.0f} s from {before_s:.6f} s on: "
            f"{LONGEST_SILENCE_S:.0f} s of it are lived through, then the controller begins anew"
        )
