"""What is told once a day: what each day cost with and without the battery, and each module's health and verdict.

Made by the uploader's process from what daemon and planner keep in the home, so that no beat waits for a forecast.
"""

import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ess_controller.ageing.history import History
from ess_controller.ageing.report import Module, assess
from ess_controller.ageing.store import FILE as HISTORY
from ess_controller.ageing.store import HistoryError
from ess_controller.ageing.store import Store as HistoryStore
from ess_controller.site import Site
from ess_controller.site.health import HealthSettings
from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import milliseconds
from ess_controller.telemetry.points_apart import HEALTH, VALUE, line
from ess_controller.telemetry.store import Store

log = logging.getLogger("ess")

SAVINGS = "savings.json"  # `planning.daily_report.FILE`, without the planner
SAVINGS_VERSION = 1
EVERY_S = 600.0  # of wall time, between two looks
LOOK_BACK_DAYS = 400.0
TROUBLES = (OSError, sqlite3.Error, HistoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a site is needed here."""

    site: str
    zone: str
    places: dict[str, list[str]]  # module -> cabinet, string, place
    health: dict[str, float] | None  # HealthSettings

    @classmethod
    def of(cls, site: Site) -> "Facts":
        """For another process."""
        layout = site.tuning.layout
        strings = [
            (layout.cabinet_names[c], s) for c, s in zip(layout.string_cabinet, layout.string_names, strict=True)
        ]
        places = {
            code: [*strings[layout.module_string[number]], layout.module_place(number)]
            for number, code in enumerate(layout.module_names)
        }
        return cls(site.name, site.time_zone.key, places, asdict(site.health) if site.health else None)

    def midnight_ms(self, day: date) -> int:
        """The time stamp of a day: its local begin."""
        return milliseconds(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)))


class Daily:
    """`step` looks and puts what is new; it never raises for a file that is missing, broken or locked."""

    def __init__(self, store: Store, home: Path, facts: Facts) -> None:
        self._store, self._home, self._facts = store, home, facts
        self._told: dict[str, str] = {}  # trouble of each, as told

    def step(self) -> float:
        """Returns how many seconds to wait before the next."""
        for name, lines in (("value", self._value), ("health", self._health)):
            trouble = ""
            try:
                for day, group in groupby(lines(self._store.mark(name)), key=lambda each: each[0]):
                    text = "".join(told for _, told in group)
                    if text:
                        self._store.put([Batch.of(text.encode(), Kind.EVENT)], marks={name: day})
            except FileNotFoundError:
                pass
            except TROUBLES as found:
                trouble = " ".join(str(found).split())[:200]
            if trouble and trouble != self._told.get(name):
                log.warning("influx: a day's %s cannot be told: %s", name, trouble)
            self._told[name] = trouble
        return EVERY_S

    def _value(self, mark: str) -> Iterator[tuple[str, str]]:
        """(day, line) of each day that is priced and not told. One that was told and is not priced any more was of a
        clock gone astray: then all are told again, which costs nothing, as they are the same points."""
        told = json.loads((self._home / SAVINGS).read_bytes())
        if told["schema_version"] != SAVINGS_VERSION:
            raise ValueError(f"{SAVINGS}: expected schema_version {SAVINGS_VERSION}")
        is_astray = mark > max(told["days"], default=mark)
        for day, found in sorted(told["days"].items()):
            if day > mark or is_astray:
                stamp_ms = self._facts.midnight_ms(date.fromisoformat(day))
                yield day, line(VALUE, {"site": self._facts.site}, value_row(found), stamp_ms)

    def _health(self, mark: str) -> Iterator[tuple[str, str]]:
        """(day, line) of every module on the last day that is over, if it is not told."""
        facts = self._facts
        if facts.health is None or not (self._home / HISTORY).exists():
            return
        store = HistoryStore(self._home / HISTORY, make=False)
        try:
            histories = store.histories(LOOK_BACK_DAYS)
        finally:
            store.close()
        newest = max((each.day[-1] for each in histories), default=0.0)
        day = date.fromordinal(max(int(newest) - 1, 1))
        if day.isoformat() <= mark < date.fromordinal(max(int(newest), 1)).isoformat():  # later: of a clock gone astray
            return
        over = [each.until(day.toordinal()) for each in histories if each.day[0] <= day.toordinal()]
        for module in assess(over, HealthSettings(**facts.health)) if over else ():
            cabinet, string, place = facts.places.get(module.history.code, ["", module.history.string, ""])
            tags = {"site": facts.site, "cabinet": cabinet, "string": string, "module": module.history.code}
            stamp_ms = facts.midnight_ms(day)
            yield day.isoformat(), line(HEALTH, tags, health_row(module) | {"place": place}, stamp_ms)


def value_row(told: Mapping[str, Any]) -> dict[str, float]:
    """A day of savings.json as the fields of `points_apart.VALUE`."""
    with_, without = told["with_battery"], told["without_battery"]
    return {
        "known_share": told["known_share"],
        "with_energy_cny": with_["energy_cny"],
        "without_energy_cny": without["energy_cny"],
        "saved_energy_cny": told["saved_energy_cny"],
        "with_month_demand_cny": with_["month_demand_cny"],
        "without_month_demand_cny": without["month_demand_cny"],
        "saved_month_demand_cny": told["saved_month_demand_cny"],
        "with_peak_kw": with_["peak_kw"],
        "without_peak_kw": without["peak_kw"],
        "billed_peak_kw": with_.get("billed_peak_kw", with_["peak_kw"]),  # kept where windows slide
    }


def health_row(module: Module) -> dict[str, Any]:
    """A module's last day as the fields of `points_apart.HEALTH`."""
    history: History = module.history
    known, smallest = module.known, int(np.argmin(history.soh[-1]))
    low, middle, high = known.soh
    ohm = history.r10_ohm[-1]
    return {
        "soh": middle,
        "soh_sd": float(history.soh_sd[-1][smallest]),
        "soh_low": low,
        "soh_high": high,
        "r10_ohm": float(np.nanmax(ohm)) if np.isfinite(ohm).any() else None,
        "r10_over_new": known.resistance,
        "line_days": known.line_days[1],
        "throughput_ah": float(history.throughput_ah[-1]),
        "mean_c": float(history.mean_c[-1]),
        "verdict": module.judged.verdict.words,
        "because": module.judged.because[0],
    }
