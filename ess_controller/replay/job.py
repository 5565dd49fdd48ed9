"""One `ess replay`: the files read, lived through once or twice, and what is to be told of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ess_controller.clock import wall_s
from ess_controller.daemon import Beat
from ess_controller.errors import BadInputError
from ess_controller.replay import against as other_versions
from ess_controller.replay.diff import Comparison
from ess_controller.replay.dump import Dump, undump
from ess_controller.replay.health import Health
from ess_controller.replay.moments import Moment
from ess_controller.replay.player import play
from ess_controller.replay.recording import Recording
from ess_controller.replay.series import Series
from ess_controller.replay.settings import load_with
from ess_controller.replay.signals import Signals, signals_of
from ess_controller.replay.survey import survey
from ess_controller.replay.window import Window
from ess_controller.site import Site
from ess_controller.terminal.progress import Bar

SCHEMA_VERSION = 1
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for on the command line."""

    files: tuple[Path, ...]
    site: Path | None = None
    settings: tuple[str, ...] = ()
    against: Path | None = None
    window: Window = field(default_factory=Window)
    channels: Mapping[str, str] = field(default_factory=dict)  # bus -> channel of a capture
    out: Path | None = None
    dump: Path | None = None
    battery: bool = False  # the report of cells and devices for a journal, too
    show: bool = False  # a progress bar


@dataclass(slots=True)
class Result:
    """What there is to tell: `answer` for --json; the rest for people."""

    answer: dict[str, Any]
    names: tuple[str, str] = ("recorded", "now")
    comparison: Comparison | None = None
    troubles: list[str] = field(default_factory=list)


def carry_out(job: Job) -> Result:
    """Do it. Raises BadInputError."""
    if job.site is None:
        return _without_site(job)
    plain, site = load_with(job.site, ()), load_with(job.site, job.settings)
    recording = Recording(job.files, job.window, job.channels, site)
    began_s = wall_s()
    beats, looked, result = 0, 0, Result({})
    with ExitStack() as held:
        bar = held.enter_context(Bar(recording.total * (2 if job.settings or job.against else 1), show=job.show))
        folder = Path(held.enter_context(TemporaryDirectory()))
        one, result.names, other = _sides(job, plain, site, recording, folder, bar)
        comparison = Comparison(site.plant.layout) if one is not None or recording.is_journal else None
        health = Health(other, alone=not recording.is_journal) if job.battery or not recording.is_journal else None
        series = Series(job.out, site.plant.layout) if job.out else None
        dump = Dump(_open(job.dump, held)) if job.dump else None

        def look(moment: Moment, beat: Beat) -> None:
            nonlocal beats, looked
            beats += 1
            bar(beat.tick.t_s if not recording.is_journal else 0.0)
            if dump is not None:
                dump.add(beat)
            before = _told(one, moment)
            if not job.window.begun(beat.tick):
                return
            looked += 1
            if comparison is not None:
                comparison.add(beat.tick, before, signals_of(beat))
            for tee in (health, series):
                if tee is not None:
                    tee(moment, beat)

        lives = play(other, recording.lives(other, bar), look)
        written = series.close() if series is not None else None
    if not looked:
        where = " ".join((*map(str, job.files), *job.window.words))
        told = [*recording.troubles, f"{where}: expected a beat to look at, but there is none"]
        raise BadInputError("\n".join(told))
    wall = wall_s() - began_s
    result.comparison = comparison
    result.troubles = recording.troubles
    result.answer = {
        "schema_version": SCHEMA_VERSION,
        "kind": "journal" if recording.is_journal else "capture",
        "files": [str(path) for path in (recording.files if recording.is_journal else job.files)],
        "site": plain.name,
        "lives": lives,
        "beats": beats,
        "torn": [{"path": str(path), "at_byte": at} for path, at in recording.torn.items()],
        "beats_per_s": round(beats / max(wall, 1e-9), 1),
        "capture": None if recording.is_journal else recording.told(),
        "battery": health.summary() if health is not None else None,
        "diff": comparison.summary(result.names) if comparison is not None else None,
        "series": str(written) if written else None,
    }
    return result


def _told(one: Iterator[tuple[float, Signals]] | None, moment: Moment) -> Signals:
    """What was told in this beat then, or by the other side."""
    if one is None:
        return moment.entry.signals if moment.entry else {}
    t_s, signals = next(one, (nan, {}))
    if t_s != moment.tick.t_s:
        raise BadInputError(
            f"--against: expected the same beats from both sides: {t_s:g} s is not {moment.tick.t_s:g} s"
        )
    return signals


def _sides(
    job: Job, plain: Site, site: Site, recording: Recording, folder: Path, bar: Bar
) -> tuple[Iterator[tuple[float, Signals]] | None, tuple[str, str], Site]:
    """What to compare with (None: what the journal says was told), how both are called, and the site to play last."""
    assert job.site is not None
    here = str(job.site) if not job.settings else f"{job.site} with {', '.join(job.settings)}"
    if job.against is None and not job.settings:
        return None, ("recorded", "now"), site
    into = folder / "one.jsonl"
    if job.against is not None and other_versions.is_checkout(job.against):
        words = [*map(str, (path.resolve() for path in job.files)), "--site", str(_its_own(job.against, job.site))]
        words += [word for bus, channel in job.channels.items() for word in ("--bus", f"{bus}={channel}")]
        words += [word for setting in job.settings for word in ("--set", setting)]
        words += job.window.words
        other_versions.dump_of(job.against, words, into)
        return undump(into), (str(job.against), "here"), site
    first, names, second = plain, (str(job.site), here), site
    if job.against is not None:
        first, names, second = site, (here, str(job.against)), load_with(job.against, ())
    _dump(first, recording, into, bar)
    return undump(into), names, second


def _its_own(checkout: Path, site: Path) -> Path:
    """The site file that goes with another version: its own where it has one of that name, else ours."""
    try:
        own = checkout.resolve() / site.resolve().relative_to(ROOT)
    except ValueError:
        return site.resolve()
    return own if own.exists() else site.resolve()


def _dump(site: Site, recording: Recording, into: Path, bar: Bar) -> None:
    with into.open("w", encoding="utf-8") as file:
        dump = Dump(file)
        play(site, recording.lives(site, bar), lambda _, beat: dump.add(beat))


def _open(path: Path, held: ExitStack) -> Any:
    try:
        return held.enter_context(path.open("w", encoding="utf-8"))
    except OSError as trouble:
        raise BadInputError(f"--dump {path}: cannot be written: {trouble.strerror or trouble}") from None


def _without_site(job: Job) -> Result:
    """Statistics of captures by themselves."""
    asked: Sequence[tuple[str, object]] = (
        ("--set", job.settings),
        ("--against", job.against),
        ("--out", job.out),
        ("--dump", job.dump),
        ("--bus", job.channels),
    )
    for option, value in asked:
        if value:
            raise BadInputError(f"{option}: expected --site too")
    recording = Recording(job.files, job.window, job.channels, None)
    if recording.is_journal:
        raise BadInputError("FILE: expected --site too: a journal is lived through by a site's settings")
    answer = {
        "schema_version": SCHEMA_VERSION,
        "kind": "capture",
        "files": [str(path) for path in job.files],
        "capture": recording.told() | survey(recording.frames, recording.channels),
    }
    return Result(answer, troubles=recording.troubles)
