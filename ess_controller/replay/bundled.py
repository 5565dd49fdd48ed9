"""A support file of `ess bundle` as something to replay: its journal and its site, unpacked for as long as it lasts."""

import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ess_controller.errors import BadInputError

MANIFEST = "manifest.json"
FOLDERS = ("journal", "site", "files")
LARGEST = 4_000_000_000  # bytes unpacked


@contextmanager
def unbundled(files: Sequence[Path], site: Path | None) -> Iterator[tuple[tuple[Path, ...], Path | None]]:
    """What to replay, and by whose settings: a bundle brings both; a site that was given goes before its own."""
    (first, *more) = files
    if not zipfile.is_zipfile(first):
        yield tuple(files), site
        return
    if more:
        raise BadInputError(f"FILE: expected one bundle alone, as {first} is one")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            name = _unpacked(first, root)
        except (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError) as trouble:
            raise BadInputError(f"{first}: no support file of `ess bundle`: {trouble}") from None
        yield (root / "journal",), site or root / "site" / name


def _unpacked(file: Path, root: Path) -> str:
    """Unpack what a replay needs; returns the site's name. Nothing is written outside of `root`."""
    with zipfile.ZipFile(file) as bundle:
        told = json.loads(bundle.read(MANIFEST))
        if told["kind"] != "ess bundle":
            raise ValueError(f"expected the kind 'ess bundle', not {told['kind']!r}")
        wanted = [info for info in bundle.infolist() if PurePosixPath(info.filename).parts[0] in FOLDERS]
        if sum(info.file_size for info in wanted) > LARGEST:
            raise ValueError("it is larger than any bundle")
        for info in wanted:
            bundle.extract(info, root)  # which leaves out drives, roots and `..`
        return PurePosixPath(str(told["site"])).name
