"""The daemon's daybook: sums up each module's plant day from the beats, for history.sqlite. Pure but for its totals."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, tzinfo

import numpy as np

from ess_controller.ageing.history import ModuleDay
from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.core.gauge.setup import resistance
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from firmware_bridge.records import Contactor, Floats, Layout

_OPEN = int(Contactor.OPEN)
_TEN = HORIZONS_S.index(10.0)
LOOK_S = 60.0  # temperature, SOC and rests change slowly


@dataclass(slots=True)
class _Sums:
    """Of one plant day, and totals since a module's first. Changed by the beat's thread only."""

    throughput_ah: Floats  # [module] total
    bled_ah: Floats  # [cell] total
    seconds: Floats  # [module] of the day, as are the rest
    c_s: Floats  # [module] sums of value times seconds
    c_seconds: Floats  # [module] in which a temperature was known
    soc_s: Floats  # [module]
    soc_seconds: Floats  # [module]
    rest_s: Floats  # [module] second of the day of the last rest; NaN: none
    rest_soc: Floats  # [cell]
    rest_soc_sd: Floats  # [cell]
    rest_bled_ah: Floats  # [cell]

    @classmethod
    def fresh(cls, layout: Layout) -> "_Sums":
        """Of modules that are new here."""
        of_module, of_cell = (layout.modules,), (layout.cells,)
        shapes = (of_module, of_cell, *6 * (of_module,), *3 * (of_cell,))
        sums = cls(*map(np.zeros, shapes))
        sums.new_day()
        return sums

    def new_day(self) -> None:
        """Begin a day; totals go on."""
        for sums in (self.seconds, self.c_s, self.c_seconds, self.soc_s, self.soc_seconds):
            sums[:] = 0.0
        for rest in (self.rest_s, self.rest_soc, self.rest_soc_sd, self.rest_bled_ah):
            rest[:] = np.nan


class Daybook:
    """Adds up beats. `kept`: the newest day of each module as it is on disk; a day that is not over is gone on with."""

    def __init__(self, tuning: Tuning, zone: tzinfo, kept: Mapping[str, ModuleDay]) -> None:
        self._tuning, self._zone, self._kept = tuning, zone, kept
        self._day: date | None = None
        self._sums = _Sums.fresh(tuning.layout)
        self._pending_s = np.inf  # since the last look; the first beat looks

    def add(self, beat: Beat) -> list[ModuleDay]:
        """Take a beat in. Returns the day that is over with it, which is most often none."""
        local = beat.tick.utc.astimezone(self._zone)
        over: list[ModuleDay] = []
        if self._day is None:
            self._go_on(local.date())
        elif local.date() != self._day:
            over = self.days(beat)
            self._sums.new_day()
        self._day = local.date()
        self._count(beat)
        self._pending_s += beat.tick.dt_s
        if self._pending_s >= LOOK_S:
            since_s = min(self._pending_s, max(LOOK_S, beat.tick.dt_s))
            self._pending_s = 0.0
            self._look(beat, since_s, local.hour * 3600.0 + local.minute * 60.0 + local.second)
        return over

    def days(self, beat: Beat) -> list[ModuleDay]:
        """The present day as far as it has come, of each module; `beat` is the last."""
        if self._day is None:
            return []
        tuning, sums, now, gauge = self._tuning, self._sums, beat.decision.estimate, beat.state.gauge
        layout, setup = tuning.layout, tuning.cells
        r10 = resistance(setup, gauge.ratio, 0.5, 25.0)[_TEN]
        r10_sd = r10 * gauge.stiffness.sd(setup.knobs.stiffness)[_TEN]
        new_ohm = tuning.cell.ohm(10.0) * tuning.cell.nameplate_ah / tuning.module_nameplate_ah
        mean_c, mean_soc = _mean(sums.c_s, sums.c_seconds), _mean(sums.soc_s, sums.soc_seconds)
        told = (
            *(now.capacity_ah, now.capacity_sd_ah, r10, r10_sd, sums.bled_ah),
            *(sums.rest_soc, sums.rest_soc_sd, sums.rest_bled_ah),
        )
        by_module = zip(*(np.split(each, layout.first_cell[1:]) for each in told), strict=True)
        return [
            ModuleDay(
                code=layout.module_names[at],
                day=self._day,
                string=layout.string_names[int(layout.module_string[at])],
                nameplate_ah=float(tuning.module_nameplate_ah[at]),
                new_r10_ohm=float(new_ohm[at]),
                seconds=float(sums.seconds[at]),
                mean_c=float(mean_c[at]),
                mean_soc=float(mean_soc[at]),
                throughput_ah=float(sums.throughput_ah[at]),
                capacity_ah=cells[0].copy(),
                capacity_sd_ah=cells[1].copy(),
                r10_ohm=cells[2].copy(),
                r10_sd_ohm=cells[3].copy(),
                bled_ah=cells[4].copy(),
                rest_s=float(sums.rest_s[at]),
                rest_soc=cells[5].copy(),
                rest_soc_sd=cells[6].copy(),
                rest_bled_ah=cells[7].copy(),
            )
            for at, cells in enumerate(by_module)
        ]

    def _count(self, beat: Beat) -> None:
        """What flows, beat by beat."""
        layout, seen, hours = self._tuning.layout, beat.seen, beat.tick.dt_s / 3600.0
        flows = np.where(seen.string_contactor == _OPEN, 0.0, np.abs(np.nan_to_num(seen.string_a)))
        self._sums.throughput_ah += (flows * hours)[layout.module_string]
        if seen.cell_bleeding.any():
            amperes = np.where(seen.cell_bleeding, seen.cell_v, 0.0) / self._tuning.estimate.bleed_ohm
            self._sums.bled_ah += np.nan_to_num(amperes) * hours

    def _look(self, beat: Beat, since_s: float, second: float) -> None:
        """What changes slowly, once in LOOK_S."""
        layout, sums, gauge = self._tuning.layout, self._sums, beat.state.gauge
        mean_c = 0.5 * (beat.seen.module_cold_c + beat.seen.module_hot_c)
        sizes = np.diff(layout.first_cell, append=layout.cells)
        mean_soc = np.add.reduceat(gauge.soc, layout.first_cell) / sizes
        sums.seconds += since_s
        sums.c_s += np.nan_to_num(mean_c) * since_s
        sums.c_seconds += np.isfinite(mean_c) * since_s
        sums.soc_s += np.nan_to_num(mean_soc) * since_s
        sums.soc_seconds += np.isfinite(mean_soc) * since_s
        resting = beat.state.rest_s >= self._tuning.estimate.rest_s
        if resting.any():
            modules, cells = resting[layout.module_string], resting[layout.cell_string]
            sums.rest_s[modules] = second
            sums.rest_soc[cells] = gauge.soc[cells]
            sums.rest_soc_sd[cells] = gauge.soc_sd[cells]
            sums.rest_bled_ah[cells] = sums.bled_ah[cells]

    def _go_on(self, today: date) -> None:
        """From what is on disk: totals of modules that are known, and their day if it is still today."""
        layout, sums = self._tuning.layout, self._sums
        for module, code in enumerate(layout.module_names):
            cells = np.flatnonzero(layout.cell_module == module)
            kept = self._kept.get(code)
            if kept is None or len(kept.bled_ah) != len(cells):
                continue
            sums.throughput_ah[module] = np.nan_to_num(kept.throughput_ah)
            sums.bled_ah[cells] = np.nan_to_num(kept.bled_ah)
            if kept.day != today:
                continue
            sums.seconds[module], sums.rest_s[module] = kept.seconds, kept.rest_s
            sums.c_s[module] = np.nan_to_num(kept.mean_c) * kept.seconds
            sums.c_seconds[module] = np.isfinite(kept.mean_c) * kept.seconds
            sums.soc_s[module] = np.nan_to_num(kept.mean_soc) * kept.seconds
            sums.soc_seconds[module] = np.isfinite(kept.mean_soc) * kept.seconds
            sums.rest_soc[cells], sums.rest_soc_sd[cells] = kept.rest_soc, kept.rest_soc_sd
            sums.rest_bled_ah[cells] = kept.rest_bled_ah


def _mean(total: Floats, seconds: Floats) -> Floats:
    return np.divide(total, seconds, out=np.full_like(total, np.nan), where=seconds > 0.0)
