"""What the fuel gauge remembers from beat to beat, and its tuning."""

from dataclasses import dataclass, field

import numpy as np

from ess_controller.core.cell_model import HORIZONS_S
from ess_controller.core.gauge.anchors import Anchors, AnchorTuning
from ess_controller.core.gauge.filter import BIAS, LN_Q, RHO, SOC, STATES, Belief, FilterTuning
from ess_controller.core.gauge.kin import Kin, KinTuning
from ess_controller.core.gauge.sensors import SensorTuning, Watched
from ess_controller.core.gauge.stiffness import Stiffness, StiffnessTuning
from firmware_bridge.records import Bools, Floats, Ints, Layout


@dataclass(frozen=True, slots=True)
class GaugeTuning:
    """Of all parts; the numbers and their reasons stand with each part."""

    every_s: float = 1.0  # the filter looks so often, however short a beat is
    filter: FilterTuning = field(default_factory=FilterTuning)
    anchors: AnchorTuning = field(default_factory=AnchorTuning)
    stiffness: StiffnessTuning = field(default_factory=StiffnessTuning)
    sensors: SensorTuning = field(default_factory=SensorTuning)
    soc_floor_sd: float = 0.003  # truth on real cells is no better known
    loaded_soc_sd: float = 0.02  # real cells met in mid-discharge: 1 to 3 % rms, 8 % at worst
    loaded_capacity_sd: float = 0.04  # the same: 2 to 9 % off after a discharge of half the charge
    sensor_sd_v: float = 0.003  # of a cell's voltage sensor alone
    capacity_floor_sd: float = 0.008  # the same
    filter_sd: float = 0.02  # of the filter's capacity, beside what rests say
    rho_sd: float = 0.3  # of R0
    zeroed_a: float = 2.0  # more than this is no sensor's offset
    zeroing_s: float = 30.0

    @classmethod
    def of(
        cls, capacity_sd: float, capacity_common_sd: float, voltage_sd_v: float, current_gain_sd: float
    ) -> "GaugeTuning":
        """With what a site says of its instruments and its intake test."""
        anchors = AnchorTuning(kin=KinTuning(capacity_sd, capacity_common_sd), gain=current_gain_sd)
        return cls(filter=FilterTuning(bias_v=voltage_sd_v), anchors=anchors)


@dataclass(frozen=True, slots=True, eq=False)
class Gauge:
    """Of all cells."""

    belief: Belief
    moved_as: Floats  # [cell] charge since the filter's last look, A s
    moved_s: float
    zero_a: Floats  # [string] what the current sensor shows when nothing flows
    loaded: Bools  # [cell] first met under load, and not at rest since: what its drop hides was never seen
    anchors: Anchors
    stiffness: Stiffness
    watched: Watched
    quality: Ints  # [cell] Quality bits
    soc_sd: Floats  # [cell] so far for the last look, and so the next four
    soc_apart_sd: Floats  # [cell] of that, what it does not share with the others
    capacity_ah: Floats  # [cell]
    capacity_sd_ah: Floats  # [cell]
    capacity_apart_sd_ah: Floats  # [cell] of that, what it does not share with the others
    ratio: Floats  # [horizon, cell] resistance over the table's

    @property
    def soc(self) -> Floats:
        """[cell] now, 0..1; charge since the last look included. NaN: no voltage was ever heard."""
        counted = self.belief.mean[SOC] - self.moved_as / (3600.0 * self.capacity_ah)
        return np.asarray(np.minimum(np.maximum(counted, 0.0), 1.0))


def fresh(
    knobs: GaugeTuning, layout: Layout, kin: Kin, capacity_ah: Floats, r0_ohm: Floats, soc: Floats, soc_sd: Floats
) -> Gauge:
    """Knows nothing but the intake test, R0 by the table and SOC (NaN: not even that), each [cell]."""
    mean, cov = np.zeros((STATES, layout.cells)), np.zeros((STATES, STATES, layout.cells))
    mean[SOC] = soc
    cov[SOC, SOC] = soc_sd**2
    cov[1, 1] = cov[2, 2] = 1e-6  # (1 mV)^2: a cabinet long at rest
    cov[LN_Q, LN_Q] = knobs.anchors.kin.capacity_sd**2
    cov[RHO, RHO] = (knobs.rho_sd * r0_ohm) ** 2
    cov[BIAS, BIAS] = knobs.filter.bias_v**2
    return Gauge(
        Belief(mean, cov, np.zeros(layout.cells)),
        np.zeros(layout.cells),
        0.0,
        np.zeros(layout.strings),
        np.zeros(layout.cells, bool),
        Anchors.fresh(knobs.anchors, kin),
        Stiffness.fresh(knobs.stiffness, layout.cells),
        Watched.fresh(layout),
        np.zeros(layout.cells, np.int64),
        soc_sd,
        soc_sd,
        capacity_ah,
        capacity_ah * knobs.anchors.kin.capacity_sd,
        capacity_ah * knobs.anchors.kin.capacity_sd,
        np.ones((len(HORIZONS_S), layout.cells)),
    )
