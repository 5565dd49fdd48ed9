"""What the fuel gauge has learnt of cells, apart from how full they are: what must outlive a restart and a move to
another slot. Relative to the intake test: who tests a module anew begins anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ess_controller.core.gauge.anchors import Anchors, solved_anew
from ess_controller.core.gauge.filter import LN_Q, RHO, Belief
from ess_controller.core.gauge.kin import alone
from ess_controller.core.gauge.look import LARGEST_LN_Q
from ess_controller.core.gauge.setup import Setup
from ess_controller.core.gauge.state import Gauge
from firmware_bridge.records import Bools, Floats, Ints

SWING_S = 3600.0  # a swing is gone on with after so long: within it nobody charges a module elsewhere
LARGEST_BEND = 0.6  # of a curve, slide or stretch: what is more does not rise any more
_UPPER = np.triu_indices(3)  # of a symmetric matrix of (p, slide, stretch)


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """Of all cells, or of one module's: the last axis of each field is the cell."""

    intake_ah: Floats  # [cell] that all this is relative to
    ln_q: Floats  # [cell] logarithm of capacity over that
    ln_q_var: Floats  # [cell]
    rho_ohm: Floats  # [cell] resistance that the tables do not know
    rho_var: Floats  # [cell]
    both: Floats  # [horizon, cell] sums of `stiffness.Stiffness`
    told: Floats  # [horizon, cell]
    information: Floats  # [6, cell] upper triangle, of (p, slide, stretch)
    evidence: Floats  # [3, cell]
    at_v: Floats  # [cell] rested voltage before the swing under way; NaN: it is not gone on with
    swing_ah: Floats  # [cell] discharged since
    swing_s: Floats  # [cell] how long ago

    @classmethod
    def of(cls, setup: Setup, gauge: Gauge, still: Bools) -> "Learnt":
        """Of all cells. The swing of a cell is told where nothing flows any more, `still` [cell]: what flows later and
        is counted by nobody would spoil it."""
        belief, anchors = gauge.belief, gauge.anchors
        return cls(
            intake_ah=setup.capacity_ah,
            ln_q=belief.mean[LN_Q],
            ln_q_var=belief.cov[LN_Q, LN_Q],
            rho_ohm=belief.mean[RHO],
            rho_var=belief.cov[RHO, RHO],
            both=gauge.stiffness.both,
            told=gauge.stiffness.told,
            information=anchors.information[_UPPER],
            evidence=anchors.evidence,
            at_v=np.where(still, anchors.at_v, np.nan),
            swing_ah=np.where(still, anchors.swing_ah + gauge.moved_as / 3600.0, 0.0),
            swing_s=np.where(still, anchors.swing_s + gauge.moved_s, 0.0),
        )

    def of_cells(self, which: Ints) -> "Learnt":
        """Of some of them, in this order; `which` [n]: indices of cells."""
        return Learnt(**{field.name: getattr(self, field.name)[..., which] for field in fields(self)})

    def fits(self, intake: "Learnt") -> bool:
        """Whether it can be of the cells that have this intake test, and holds nothing that no cell can be."""
        shapes = [(getattr(self, field.name).shape, getattr(intake, field.name).shape) for field in fields(self)]
        if any(mine != its for mine, its in shapes) or not np.allclose(self.intake_ah, intake.intake_ah, rtol=1e-6):
            return False
        numbers = [getattr(self, field.name) for field in fields(self) if field.name != "at_v"]
        if not all(np.isfinite(each).all() for each in numbers):
            return False
        variances = np.concatenate([self.ln_q_var, self.rho_var, self.told.ravel(), self.both.ravel()])
        largest_ohm = 20.0 * np.sqrt(intake.rho_var)
        return bool(
            (variances > 0.0).all()
            and (np.abs(self.ln_q) <= LARGEST_LN_Q).all()
            and (np.abs(self.rho_ohm) <= largest_ohm).all()
            and (np.abs(self.both / self.told - 1.0) < 5.0).all()
            and (np.linalg.eigvalsh(_square(self.information).transpose(2, 0, 1)) > -1e-3).all()
        )


def joined(parts: Sequence[Learnt]) -> Learnt:
    """One after the other."""
    names = [field.name for field in fields(Learnt)]
    return Learnt(**{name: np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in names})


def restored(setup: Setup, fresh: Gauge, learnt: Learnt, age_s: Floats) -> Gauge:
    """The fresh gauge of all cells with what was learnt `age_s` [cell] ago; doubts have grown since as in the filter.

    A swing is gone on with only when it is young; a record from the future is of unknown age.
    """
    knobs, tens = setup.knobs, np.maximum(age_s, 0.0) / 10.0
    mean, cov = fresh.belief.mean.copy(), fresh.belief.cov.copy()
    r0_ohm = setup.cell.tables.mid_r0_ohm * setup.ohm_factor
    mean[LN_Q], mean[RHO] = learnt.ln_q, learnt.rho_ohm
    grown = learnt.ln_q_var + knobs.filter.ln_q**2 * tens
    cov[LN_Q, LN_Q] = np.minimum(grown, np.maximum(learnt.ln_q_var, cov[LN_Q, LN_Q]))
    grown = learnt.rho_var + (knobs.filter.rho_share * r0_ohm) ** 2 * tens
    cov[RHO, RHO] = np.minimum(grown, np.maximum(learnt.rho_var, cov[RHO, RHO]))
    stiffness = replace(fresh.stiffness, both=learnt.both, told=learnt.told)
    capacity_ah = setup.capacity_ah * np.exp(mean[LN_Q])
    return replace(
        fresh,
        belief=Belief(mean, cov, fresh.belief.hysteresis),
        anchors=_anchors(setup, fresh.anchors, learnt, age_s),
        stiffness=stiffness,
        capacity_ah=capacity_ah,
        capacity_sd_ah=capacity_ah * np.sqrt(cov[LN_Q, LN_Q] + knobs.capacity_floor_sd**2),
        capacity_apart_sd_ah=capacity_ah * np.sqrt(cov[LN_Q, LN_Q] + knobs.capacity_floor_sd**2),
        ratio=stiffness.ratio(),
    )


def _anchors(setup: Setup, fresh: Anchors, learnt: Learnt, age_s: Floats) -> Anchors:
    """What rests have said, and the swing where it is young."""
    young = (age_s >= 0.0) & (age_s <= SWING_S) & ~np.isnan(learnt.at_v)
    anchors = replace(
        fresh,
        information=_square(learnt.information),
        evidence=learnt.evidence,
        at_v=np.where(young, learnt.at_v, np.nan),
        swing_ah=np.where(young, learnt.swing_ah, 0.0),
        swing_s=np.where(young, learnt.swing_s + age_s, 0.0),
    )
    knobs, kin = setup.knobs.anchors, setup.kin
    best = alone(knobs.kin, kin, anchors.information, anchors.evidence)
    sane = (
        np.abs(best - np.array((1.0, 0.0, 0.0))[:, None]) < np.array((2.0, LARGEST_BEND, LARGEST_BEND))[:, None]
    ).all(axis=0)
    information, evidence = (np.where(sane, each, 0.0) for each in (anchors.information, anchors.evidence))
    return solved_anew(knobs, kin, replace(anchors, information=information, evidence=evidence))


def _square(upper: Floats) -> Floats:
    """[3, 3, cell] from an upper triangle [6, cell]."""
    square = np.zeros((3, 3, upper.shape[-1]))
    square[_UPPER] = upper
    square[_UPPER[::-1]] = upper
    return square
