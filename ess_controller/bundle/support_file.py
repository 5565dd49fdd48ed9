"""The support file of `ess bundle`: what was so in the minutes before an event, replayable, without secrets.

A zip: `journal/` (the minutes, with the moment before them), `site/NAME/site.toml` and `files/` (what it names),
`then.json` and `why.txt` (the last of those beats as a picture and in words), `status.json` (the daemon now, where it
runs), `plans.sqlite` (the plan of then and what it was made from), the planner's jobs, summary and savings, the last
lines of the log, and `manifest.json`. Everything passes `redacted`.
"""

import json
import platform
import sqlite3
import subprocess
import sys
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ess_controller.bundle.journal import Cut, cut, last_beat, told_plant
from ess_controller.bundle.redacted import Redaction, toml
from ess_controller.clock import utc_now
from ess_controller.doors.live import NoDaemonError, ask
from ess_controller.errors import BadInputError
from ess_controller.planning.planner.kept_plans import FILE as PLANS
from ess_controller.planning.planner.kept_plans import KeptPlans
from ess_controller.replay.journal import BLOCK, MAGIC
from ess_controller.site import Site
from ess_controller.told.picture import picture
from ess_controller.why.words import lines

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
PLAIN_FILES = ("planner.json", "summary.json", "savings.json", "memory.json")
FOLLOWED_BY = "followed_by"  # of a tariff file
LARGEST_COMPANION = 5_000_000  # bytes of a file that the site file names
LOG_LINES, LOG_WITHIN_S = 500, 5.0
PACKAGES = ("ess-controller", "numpy", "highspy", "pymodbus", "python-can")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

    home: Path
    at: datetime | None  # None: the journal's last beat
    minutes: float
    out: Path | None


def make(site: Site, wanted: Wanted) -> dict[str, Any]:
    """Write the file. Returns its manifest and where it is. BadInputError where the journal does not know the time, or
    a secret would be left in it."""
    journal = wanted.home / "journal"
    at = wanted.at or last_beat(journal)
    redaction = Redaction()
    with TemporaryDirectory() as folder:
        root = Path(folder)
        site_files(site, root, redaction)
        (root / "journal").mkdir()
        plant = told_plant(site, redaction.table)
        done = cut(site, journal, at, wanted.minutes, root / "journal", plant, redaction.text)
        _then(site, done, root, redaction)
        _now(site, wanted.home, root, redaction)
        _plans(wanted.home / PLANS, at, root / PLANS)
        manifest = _manifest(site, at, wanted.minutes, done, root)
        _put(root / MANIFEST, json.dumps(manifest, indent=1), redaction)
        _check(root, redaction)
        out = wanted.out or Path(f"{site.name}-{at:%Y%m%dT%H%M%S}.zip")
        _zipped(root, out, at)
    return manifest | {"out": str(out)}


def _put(path: Path, text: str, redaction: Redaction) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(redaction.text(text), encoding="utf-8")


# --- what is in it ----------------------------------------------------------------------------------------------------


def site_files(site: Site, root: Path, redaction: Redaction) -> None:
    """The site file and those that it names, written anew; where they lie is rewritten in it."""
    table = redaction.table(tomllib.loads(site.file.read_text(encoding="utf-8-sig")))
    table["buses"] = redaction.table(dict(site.plant.buses), "buses")  # as they were put elsewhere on the command line
    named: dict[Path, str] = {}

    def placed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: placed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [placed(each) for each in value]
        name = _companion(site.folder, value, root, redaction, named) if isinstance(value, str) else None
        return value if name is None else f"../../files/{name}"

    path = root / "site" / site.name / "site.toml"
    path.parent.mkdir(parents=True)
    path.write_text(toml(placed(table)), encoding="utf-8")


def _companion(folder: Path, value: str, root: Path, redaction: Redaction, named: dict[Path, str]) -> str | None:
    """What a file that another in `folder` names is called among the bundle's files; None: it names none. Where a
    tariff names the one that follows it, that is there too."""
    source = folder / value
    try:
        if not source.is_file() or source.stat().st_size > LARGEST_COMPANION:
            return None
        source, text = source.resolve(), source.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):  # no path at all
        return None
    if source not in named:
        named[source] = f"{len(named) + 1}-{source.name}"
        if source.suffix == ".toml":
            table = redaction.table(tomllib.loads(text))
            following = _companion(source.parent, table.get(FOLLOWED_BY, ""), root, redaction, named)
            text = toml(table if following is None else table | {FOLLOWED_BY: following})
        _put(root / "files" / named[source], text, redaction)
    return named[source]


def _then(site: Site, done: Cut, root: Path, redaction: Redaction) -> None:
    """The last beat, as `ess status` and `ess why` would have told it."""
    assert done.last is not None
    local = done.last.tick.utc.astimezone(site.time_zone)
    more = {"local": {"time": local.isoformat(timespec="seconds"), "zone": site.time_zone.key}}
    told = picture(site.name, site.tuning, done.last, {}, done.last.tick.wire_s, more, done.since)
    _put(root / "then.json", json.dumps(told, indent=1), redaction)
    _put(root / "why.txt", "\n".join(lines(told)) + "\n", redaction)


def _now(site: Site, home: Path, root: Path, redaction: Redaction) -> None:
    """The daemon's own word where it runs (with the depth of its outbox), what lies in its home, its last words."""
    with suppress(NoDaemonError):
        _put(root / "status.json", json.dumps(ask(home / "live.sock", {"get": "picture"}), indent=1), redaction)
    for name in PLAIN_FILES:
        with suppress(OSError, ValueError):
            _put(root / name, (home / name).read_text(encoding="utf-8"), redaction)
    _put(root / "home.json", json.dumps(dict(_sizes(home)), indent=1), redaction)
    _put(root / "log.txt", _log_lines(site.name), redaction)
    for path in sorted(home.glob("*.log")):
        with suppress(OSError):
            last = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            _put(root / "log" / path.name, "\n".join(last) + "\n", redaction)


def _sizes(home: Path) -> Iterator[tuple[str, int]]:
    """Of each file; the daemon may be running: journals and drafts come and go meanwhile."""
    for path in sorted(home.rglob("*")):
        with suppress(OSError):
            found = path.stat()
            if S_ISREG(found.st_mode):
                yield path.relative_to(home).as_posix(), found.st_size


def _log_lines(name: str) -> str:
    """The service's last lines in the system's journal, systemd-journald(8); else why there are none."""
    command = ["journalctl", "--unit", f"ess@{name}", "--lines", str(LOG_LINES), "--no-pager", "--output", "short-iso"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=LOG_WITHIN_S
        )
    except (OSError, subprocess.TimeoutExpired) as trouble:
        return f"no log: journalctl cannot be asked: {trouble}\n"
    host = platform.node()
    return (done.stdout or done.stderr or "no lines\n").replace(f" {host} ", " host ")


def _plans(kept: Path, at: datetime, into: Path) -> None:
    """The plan that was in force, and what the planner knew before it that day."""
    if not kept.exists():
        return
    with suppress(sqlite3.Error, ValueError, KeyError, TypeError), closing(KeptPlans(kept, make=False)) as plans:
        found = plans.at(at)
        if found:
            with closing(KeptPlans(into, make=True)) as own:
                for each in found:
                    own.put(each)


def _manifest(site: Site, at: datetime, minutes: float, done: Cut, root: Path) -> dict[str, Any]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "ess bundle",
        "site": site.name,
        "at": at.isoformat(),
        "minutes": minutes,
        "made": utc_now().isoformat(timespec="seconds"),
        "beats": done.beats,
        "versions": {"python": sys.version.split()[0], "machine": platform.machine(), "system": platform.system()}
        | {name: version(name) for name in PACKAGES},
        "numpy_simd": np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", []),
        "kept": "names of site, cabinets, strings and modules; its location; contract and tariff",
        "files": {path.relative_to(root).as_posix(): path.stat().st_size for path in files},
        "sha256": {path.relative_to(root).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files},
    }


# --- the last look ----------------------------------------------------------------------------------------------------


def _check(root: Path, redaction: Redaction) -> None:
    """Nothing goes out in which a password or a token stands, packed or not."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and redaction.left_in(name.encode() + b"\n" + unpacked(path.read_bytes())):
            raise BadInputError(f"{path.name}: a secret of the site file stands in it: nothing is written")


def unpacked(data: bytes) -> bytes:
    """A file's bytes; of a journal what its blocks hold, too."""
    if not data.startswith(MAGIC):
        return data
    at = data.index(b"\n", len(MAGIC)) + 1
    parts = [data]
    while at < len(data):
        length, _ = BLOCK.unpack_from(data, at)
        parts.append(zlib.decompress(data[at + BLOCK.size : at + BLOCK.size + length]))
        at += BLOCK.size + length
    return b"".join(parts)


def _zipped(root: Path, out: Path, at: datetime) -> None:
    draft = out.with_name(out.name + ".part")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(root.rglob("*")):
                if path.is_file():
                    info = zipfile.ZipInfo(path.relative_to(root).as_posix(), at.timetuple()[:6])
                    info.compress_type = zipfile.ZIP_DEFLATED
                    file.writestr(info, path.read_bytes())
        draft.replace(out)
    except OSError as trouble:
        draft.unlink(missing_ok=True)
        raise BadInputError(f"--out {out}: cannot be written: {trouble.strerror or trouble}") from None
