"""Modules of a site that have no history yet: one day of it, made of the record of their cells or the intake test."""

from collections.abc import Sequence
from datetime import date

import numpy as np

from ess_controller.ageing.history import History, ModuleDay
from ess_controller.ageing.known_modules import Known
from ess_controller.site import Site


def without_history(site: Site, known: Sequence[Known], histories: Sequence[History], today: date) -> list[History]:
    """Of the modules `known` at the site; the day is the newest of the others' histories, else `today`."""
    there = {history.code for history in histories}
    day = date.fromordinal(int(max(float(each.day[-1]) for each in histories))) if histories else today
    return [_first_day(site, each, day) for each in known if each.code not in there]


def _first_day(site: Site, known: Known, day: date) -> History:
    cell = site.tuning.cell
    unknown = np.full(len(known.capacity_ah), np.nan)
    return History.of(
        [
            ModuleDay(
                *(known.code, day, known.string, known.nameplate_ah),
                cell.ohm(10.0) * cell.nameplate_ah / known.nameplate_ah,
                *(0.0, np.nan, np.nan, 0.0),
                *(known.capacity_ah, known.capacity_sd_ah, known.r10_ohm, known.r10_sd_ohm, np.zeros(len(unknown))),
                *(np.nan, unknown, unknown, unknown),
            )
        ]
    )
