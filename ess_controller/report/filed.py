"""Reports written by themselves: yesterday's, and last month's, as HTML into `reports/` in the daemon's home."""

import logging
from datetime import datetime, timedelta
from pathlib import Path

from ess_controller.errors import BadInputError
from ess_controller.kept import whole_file
from ess_controller.report.gather import Span, gather
from ess_controller.report.page import page
from ess_controller.report.words import Lang
from ess_controller.site import Site

log = logging.getLogger("ess")

FOLDER = "reports"
LANG: Lang = "zh"
KEEP = {"day": 60, "month": 36}  # files of each kind
BACK_DAYS = 7  # days without a report that are made up for


def missing(folder: Path, site: Site, utc: datetime) -> list[Span]:
    """Days and the month that are over and have no file yet, the oldest first."""
    today = site.day(utc)
    spans = [Span.month(today.replace(day=1) - timedelta(days=1))]
    spans += [Span.day(today - timedelta(days=back)) for back in range(BACK_DAYS, 0, -1)]
    return [span for span in spans if not _path(folder, site, span).exists()]


def file_reports(site: Site, home: Path, utc: datetime) -> list[Path]:
    """Write what is missing, as far as anything is known of it; let go of the oldest. Raises OSError."""
    folder, written = home / FOLDER, []
    _forget_unfinished(folder, site, utc)
    for span in missing(folder, site, utc):
        try:
            told = gather(site, home, span)
        except BadInputError as trouble:  # the daemon did not run then
            log.debug("%s", trouble)
            continue
        folder.mkdir(exist_ok=True)
        path = _path(folder, site, span)
        whole_file.put(path, page(told, LANG).encode())
        written.append(path)
    for kind, most in KEEP.items():
        for path in sorted(folder.glob(f"{kind}-*.html"))[:-most]:
            path.unlink(missing_ok=True)
    return written


def _forget_unfinished(folder: Path, site: Site, utc: datetime) -> None:
    """A page of the day or month that goes on is of a clock gone astray: it knew half of it, and is written again once
    that is over. Later ones in their turn: a clock that is behind must not cost all that is later."""
    today = site.day(utc)
    for span in (Span.day(today), Span.month(today)):
        _path(folder, site, span).unlink(missing_ok=True)


def _path(folder: Path, site: Site, span: Span) -> Path:
    return folder / f"{span.kind}-{span.name}-{site.name}.html"
