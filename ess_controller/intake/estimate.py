"""The daemon's fuel gauge over recorded traces of one cell, with gaps of unknown length between them.

The very function of the daemon, `core.gauge.look.look`, on a site of one cell. What is done beside it is what a daemon
gets from its instruments: rests are noticed, values that no cell can have are unknown.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S, CellModel
from ess_controller.core.gauge.filter import Step, expect, predict
from ess_controller.core.gauge.gap import after_gap
from ess_controller.core.gauge.kin import Kin
from ess_controller.core.gauge.look import look, shape_of
from ess_controller.core.gauge.setup import Readings, Setup, resistance
from ess_controller.core.gauge.state import Gauge, GaugeTuning, fresh
from ess_controller.intake.traces import Trace
from firmware_bridge.records import Bools, CabinetSpec, Floats, Ints, Layout, ModuleSpec, PlantSpec, StringSpec

CAPACITY_SD = 0.2  # of what the estimator is told: retired cells have lost 15 to 35 % of the nameplate
TOLD_SOC_SD = 0.15  # a told SOC is a hint: the first believed voltages decide
RESTED_SD, LOADED_SD = 0.03, 0.05  # of SOC read from a first voltage, at rest and under load
REST_SHARE, REST_S = 1 / 50, 1200.0  # less than this share of the capacity in 1/h, for so long, is a rest
MOST_C = 10.0  # no vehicle cell bears more: such a current is a sensor's fault
HOLE_S = 300.0  # without samples for longer: a gap
RESTING_HOLE_S = 7200.0  # rests are often recorded thinly
RESTING_HOLE_V = 0.02  # and then the voltage stands where it stood


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What the estimator said at each sample it took in."""

    trace: Trace
    skipped: int  # samples at the time of the one before
    gaps: int  # holes within the trace
    sample: Ints  # [step] index of the sample in its trace
    dt_s: Floats  # [step] since the one before; 0 after a gap
    current_a: Floats  # [step] NaN: unknown, or more than a cell bears
    soc: Floats  # [step]
    soc_sd: Floats  # [step]
    capacity_ah: Floats  # [step]
    capacity_sd_ah: Floats  # [step]
    model_v: Floats  # [step] expected before the voltage was read; NaN: SOC was unknown
    ohm: Floats  # [step, horizon] at 50 % SOC and the temperature of the sample; NaN: finer than the samples
    ohm_sd: Floats  # [step, horizon]
    now_ohm: Floats  # [step, horizon] at the SOC of the sample
    quality: Ints  # [step]

    @property
    def t_s(self) -> Floats:
        """[step] time in its trace."""
        return self.trace.t_s[self.sample]


def setup_of(cell: CellModel, capacity_ah: float) -> Setup:
    """A site of one cell: `capacity_ah` is what it is told, resistances are those of the cell file."""
    module = ModuleSpec("cell", "", 0, 1, capacity_ah, 1.0)
    string = StringSpec("cell", "", (module,))
    layout = Layout.of(PlantSpec({}, (CabinetSpec("cell", "", (string,)),), ""))
    knobs = GaugeTuning()
    anchors = replace(knobs.anchors, kin=replace(knobs.anchors.kin, capacity_sd=CAPACITY_SD))
    return Setup(
        layout=layout,
        cell=cell,
        knobs=replace(knobs, anchors=anchors),
        capacity_ah=np.array([capacity_ah]),
        kin=Kin.of(np.ones(1), modules=1),  # the curve is this cell's own
        ohm_factor=np.ones(1),
        start_sd=LOADED_SD,
        bleed_ohm=np.inf,
    )


def run(
    setup: Setup, traces: Iterable[Trace], first_soc: float, moves_on: Callable[[int], None] = lambda _: None
) -> list[Track]:
    """One trace after the other; `first_soc`: what it is told of the first one, NaN for nothing.

    `moves_on` is told how many samples are done.
    """
    told = np.array([first_soc])
    sd = np.full(1, TOLD_SOC_SD if np.isfinite(first_soc) else setup.start_sd)
    gauge = fresh(
        setup.knobs, setup.layout, setup.kin, setup.capacity_ah, np.full(1, setup.cell.tables.mid_r0_ohm), told, sd
    )
    tracks: list[Track] = []
    for number, trace in enumerate(traces):
        follower = _Follower(setup, trace, after_gap(setup.knobs, gauge) if number else gauge)
        tracks.append(follower.track(moves_on))
        gauge = follower.gauge
    return tracks


class _Follower:
    """Takes one trace to the gauge, sample by sample."""

    def __init__(self, setup: Setup, trace: Trace, gauge: Gauge) -> None:
        self.gauge = gauge
        self._setup, self._trace = setup, trace
        self._rest_a = REST_SHARE * float(setup.capacity_ah[0])
        possible = np.abs(trace.current_a) <= MOST_C * setup.capacity_ah[0]
        self._current_a = np.where(possible, trace.current_a, np.nan)
        self._cell_c = _held(trace.temperature_c)
        self._rest_s = 0.0
        self._unseen: Bools = np.array(HORIZONS_S) * 1.15 < _usual_s(trace.t_s)

    def track(self, moves_on: Callable[[int], None]) -> Track:
        """What was said of all samples."""
        t_s = self._trace.t_s
        rows: list[tuple[object, ...]] = []
        last, skipped, gaps = -1, 0, 0
        for at in range(len(t_s)):
            dt_s = float(t_s[at] - t_s[last]) if last >= 0 else 0.0
            if last >= 0 and not dt_s > 0.0:
                skipped += 1
                continue
            if self._is_gap(last, at, dt_s):
                self.gauge, self._rest_s, dt_s = after_gap(self._setup.knobs, self.gauge), 0.0, 0.0
                gaps += 1
            rows.append((at, dt_s, self._current_a[at], *self._step(at, dt_s)))
            last = at
            moves_on(1)
        columns: list[Any] = [np.array(column) for column in zip(*rows, strict=True)]
        return Track(self._trace, skipped, gaps, *columns)

    def _is_gap(self, last: int, at: int, dt_s: float) -> bool:
        if last < 0 or dt_s <= HOLE_S:
            return False
        trace = self._trace
        rests = max(abs(self._current_a[last]), abs(self._current_a[at])) < self._rest_a
        stands = abs(trace.voltage_v[at] - trace.voltage_v[last]) < RESTING_HOLE_V
        return not (rests and stands and dt_s <= RESTING_HOLE_S)

    def _step(self, at: int, dt_s: float) -> tuple[object, ...]:
        """Take in one sample. Returns the columns of Track."""
        setup, a = self._setup, float(self._current_a[at])
        self._rest_s = (self._rest_s + dt_s) * (abs(a) < self._rest_a)
        cell_v = np.array([self._trace.voltage_v[at]])
        readings = Readings(
            string_a=np.array([a]),
            open=np.zeros(1, bool),
            resting=np.array([self._rest_s >= REST_S]),
            cell_v=np.where(np.isfinite(cell_v), cell_v, np.nan),
            bled=np.zeros(1, bool),
            cell_c=np.array([self._cell_c[at]]),
        )
        model_v = _foretold(setup, self.gauge, readings, dt_s) if dt_s else np.nan
        if not dt_s and abs(a) < self._rest_a:
            setup = replace(setup, start_sd=RESTED_SD)
        gauge = self.gauge = look(setup, self.gauge, readings, float(self._trace.t_s[at]), dt_s)
        ratio, ratio_sd = gauge.ratio, gauge.stiffness.sd(setup.knobs.stiffness)
        mid_ohm = resistance(setup, np.ones_like(ratio), 0.5, readings.cell_c)
        now_ohm = resistance(setup, ratio, np.nan_to_num(gauge.soc, nan=0.5), readings.cell_c)
        ohms = ((mid_ohm * ratio)[:, 0], (mid_ohm * ratio_sd)[:, 0], now_ohm[:, 0])
        return (
            gauge.soc[0],
            gauge.soc_sd[0],
            gauge.capacity_ah[0],
            gauge.capacity_sd_ah[0],
            model_v,
            *(np.where(self._unseen, np.nan, each) for each in ohms),
            gauge.quality[0],
        )


def _foretold(setup: Setup, gauge: Gauge, readings: Readings, dt_s: float) -> float:
    """What the next voltage should be, V; NaN where SOC or current is unknown."""
    if np.isnan(gauge.soc[0] + readings.string_a[0]):
        return np.nan
    factor = setup.ohm_factor * setup.cell.resistance_by_c(readings.cell_c)
    moved_s = gauge.moved_s + dt_s
    step = Step((gauge.moved_as + readings.string_a * dt_s) / moved_s, readings.string_a, factor, moved_s)
    knobs = setup.knobs.filter
    belief = predict(setup.cell, knobs, setup.capacity_ah, gauge.belief, step)
    unread = np.full(1, np.nan)
    return float(expect(setup.cell, knobs, setup.capacity_ah, shape_of(gauge.anchors), belief, step, unread).volts[0])


def _held(cell_c: Floats) -> Floats:
    """Temperatures, one that is unknown as the one before it [sample]; 25 C before any is known."""
    known = np.isfinite(cell_c)
    at = np.maximum.accumulate(np.where(known, np.arange(len(cell_c)), -1))
    return np.where(at >= 0, cell_c[np.maximum(at, 0)], 25.0)


def _usual_s(t_s: Floats) -> float:
    """How far apart samples usually are; 0 for a single one."""
    apart_s = np.diff(t_s)
    apart_s = apart_s[apart_s > 0.0]
    return float(np.median(apart_s)) if len(apart_s) else 0.0
