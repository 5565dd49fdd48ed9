"""What a quarter of an hour was like, cabinet by cabinet: energy, charge, the extremes of cells. Sums.

Energy is added up every beat; SOC and cells are looked at every LOOK_S of plant time, for they change slowly. What each
rule took is in the rollups.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from math import isfinite
from typing import Any

import numpy as np

from ess_controller.core.cell_model import CellModel
from ess_controller.core.stock import stock
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from firmware_bridge.records import Floats, Layout

QUARTER_S = 900.0
LOOK_S = 10.0  # of plant time
LONGEST_LOOK_S = 60.0  # what was seen stands for no longer
FLOWS = ("ac_in_wh", "ac_out_wh", "dc_in_wh", "dc_out_wh", "string_in_wh", "string_out_wh", "in_ah", "out_ah")
"""The first four where both sides of an inverter are heard, so that they tell its losses; the rest where its strings
are."""

OF_STORE = ("given_wh", "stored_wh", "stored_sd_wh", "capacity_doubt", "capacity_ah")  # as last seen
EXTREMES = ("cell_v_min", "cell_v_max", "cell_c_min", "cell_c_max")

Extreme = tuple[float, str, str, str]  # the value, its place, the module's code, ISO time


@cache
def _energy_of(cell: CellModel) -> tuple[Floats, Floats]:
    """SOC, and the mean voltage at rest up to there times it: Wh of each Ah of a cell's capacity."""
    soc = np.linspace(0.0, 1.0, 101)
    volts = cell.ocv(soc)
    return soc, np.concatenate(([0.0], np.cumsum((volts[1:] + volts[:-1]) / 2.0 * np.diff(soc))))


@dataclass(slots=True, eq=False)
class Quarter:
    """Sums over the heard part of a quarter of an hour; its number counts quarters since the epoch."""

    number: int
    layout: Layout
    flows: list[list[float]]  # [cabinet][FLOWS]; lists, for a beat adds few numbers, and numpy takes longer to call
    flowed_s: list[float]  # [cabinet] heard, both the inverter and its strings
    heard_s: float = 0.0
    looked_s: float = 0.0
    soc: list[tuple[float, float, float]] = field(default_factory=list)  # [cabinet] least, most, last mean
    given_wh: list[float] = field(default_factory=list)  # [cabinet] that could be given, as last seen
    stored_wh: list[float] = field(default_factory=list)  # [cabinet] in all its cells above SOC 0, at rest voltage
    stored_sd_wh: list[float] = field(default_factory=list)  # [cabinet] doubt of that by SOC: its cells err together
    capacity_doubt: list[float] = field(default_factory=list)  # [cabinet] standard deviation over capacity
    capacity_ah: list[float] = field(default_factory=list)  # [cabinet] of all its strings
    extremes: dict[str, Extreme] = field(default_factory=dict)

    @classmethod
    def empty(cls, number: int, layout: Layout) -> "Quarter":
        """Of which nothing was heard yet."""
        flows, flowed_s = [[0.0] * len(FLOWS) for _ in range(layout.cabinets)], [0.0] * layout.cabinets
        return cls(number, layout, flows, flowed_s)

    def add(self, beat: Beat) -> None:
        """What flowed in a beat."""
        seen, dt_s = beat.seen, beat.tick.dt_s
        hours, volts, amperes = dt_s / 3600.0, seen.string_v.tolist(), seen.string_a.tolist()
        for at, (ac_w, strings) in enumerate(zip(seen.pcs_w.tolist(), self.layout.strings_of_cabinet, strict=True)):
            row = self.flows[at]
            dc_w = sum([volts[string] * amperes[string] for string in strings])
            string_a = sum([amperes[string] for string in strings])
            if isfinite(ac_w + dc_w):
                row[ac_w > 0.0] += abs(ac_w) * hours
                row[2 + (dc_w > 0.0)] += abs(dc_w) * hours
                self.flowed_s[at] += dt_s
            if isfinite(dc_w):
                row[4 + (dc_w > 0.0)] += abs(dc_w) * hours
                row[6 + (string_a > 0.0)] += abs(string_a) * hours
        self.heard_s += beat.tick.dt_s

    def look(self, tuning: Tuning, beat: Beat, for_s: float) -> None:
        """At SOC and cells, standing for so many seconds."""
        self.looked_s += for_s
        self._stored(tuning, beat)
        self._cells(beat)

    def _stored(self, tuning: Tuning, beat: Beat) -> None:
        now, layout = beat.decision.estimate, self.layout
        given_wh, _ = stock(tuning, now, beat.state.mode)
        self.given_wh = given_wh.tolist()
        first, count = layout.first_cell_of_cabinet, layout.cells_of_cabinet
        rows = [each.reduceat(now.soc, first) for each in (np.fmin, np.fmax, np.add)]
        before = self.soc or [(np.inf, -np.inf, np.nan)] * layout.cabinets
        self.soc = [
            (float(np.fmin(low, old[0])), float(np.fmax(high, old[1])), float(total / cells))
            for low, high, total, cells, old in zip(*rows, count, before, strict=True)
        ]
        of_string = np.minimum.reduceat(now.capacity_ah, layout.first_cell_of_string)
        self.capacity_ah = np.add.reduceat(of_string, layout.first_string).tolist()
        stored_wh = now.capacity_ah * np.interp(now.soc, *_energy_of(tuning.cell))
        self.stored_wh = np.add.reduceat(stored_wh, first).tolist()
        volts = np.asarray(tuning.cell.ocv(np.clip(now.soc, 0.0, 1.0)))
        self.stored_sd_wh = np.add.reduceat(now.capacity_ah * volts * now.soc_sd, first).tolist()
        self.capacity_doubt = (np.add.reduceat(now.capacity_sd_ah / now.capacity_ah, first) / count).tolist()

    def _cells(self, beat: Beat) -> None:
        seen, layout, utc = beat.seen, self.layout, beat.tick.utc
        for name, values, of_cell, lowest in (
            ("cell_v_min", seen.cell_v, True, True),
            ("cell_v_max", seen.cell_v, True, False),
            ("cell_c_min", seen.module_cold_c, False, True),
            ("cell_c_max", seen.module_hot_c, False, False),
        ):
            if not np.isfinite(values).any():
                continue
            at = int(np.nanargmin(values) if lowest else np.nanargmax(values))
            value, before = float(values[at]), self.extremes.get(name)
            if before is None or (value < before[0] if lowest else value > before[0]):
                module = int(layout.cell_module[at]) if of_cell else at
                place = layout.cell_name(at) if of_cell else layout.module_place(module)
                self.extremes[name] = (value, place, layout.module_names[module], utc.isoformat(timespec="seconds"))

    def copy(self) -> "Quarter":
        """As far as it has come; what is added later is not in it."""
        own = Quarter.empty(self.number, self.layout)
        own.flows, own.flowed_s = [row.copy() for row in self.flows], self.flowed_s.copy()
        own.heard_s, own.looked_s = self.heard_s, self.looked_s
        for name in ("soc", *OF_STORE):  # replaced whole, each time
            setattr(own, name, getattr(self, name))
        own.extremes = dict(self.extremes)
        return own

    @property
    def begin(self) -> datetime:
        """When it begins, UTC."""
        return datetime.fromtimestamp(self.number * QUARTER_S, UTC)

    def told(self) -> dict[str, Any]:
        """As JSON."""
        names = self.layout.cabinet_names
        return {
            "heard_s": round(self.heard_s, 3),
            "looked_s": round(self.looked_s, 3),
            "cabinets": [
                {"name": name, "flowed_s": round(self.flowed_s[at], 3)}
                | {flow: round(value, 4) for flow, value in zip(FLOWS, self.flows[at], strict=True)}
                | (self._of_store(at) if self.soc else {})
                for at, name in enumerate(names)
            ],
            "extremes": {name: list(each) for name, each in self.extremes.items()},
        }

    def _of_store(self, at: int) -> dict[str, float | None]:
        low, high, last = (None if not np.isfinite(each) else round(each, 5) for each in self.soc[at])
        told: dict[str, float | None] = {"soc_min": low, "soc_max": high, "soc": last}
        for name in OF_STORE:
            value = getattr(self, name)[at]
            told[name] = round(value, 4) if np.isfinite(value) else None
        return told

    def gone_on_with(self, told: dict[str, Any]) -> bool:
        """Take up what an earlier run has told of this quarter; False where it was of other cabinets."""
        names = self.layout.cabinet_names
        if [each["name"] for each in told["cabinets"]] != list(names):
            return False
        self.heard_s, self.looked_s = told["heard_s"], told["looked_s"]
        for at, each in enumerate(told["cabinets"]):
            self.flowed_s[at] = each["flowed_s"]
            self.flows[at] = [each[flow] for flow in FLOWS]
        if all(each.get("soc") is not None for each in told["cabinets"]):
            self.soc = [(each["soc_min"], each["soc_max"], each["soc"]) for each in told["cabinets"]]
            for name in OF_STORE:
                setattr(self, name, [np.nan if each.get(name) is None else each[name] for each in told["cabinets"]])
        self.extremes = {name: tuple(each) for name, each in told["extremes"].items()}
        return True
