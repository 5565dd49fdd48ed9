"""What the rests of all cells say together: what aged cells of a kind have in common, and what is each one's own.

Each cell is asked for three numbers, (p, slide, stretch) of `anchors`. One cell's rests can hardly tell a smaller
capacity from a curve that has bent: seen between 0.2 and 0.8 a stretch of 0.08 looks like 2 % of capacity. But intake
tests err each for itself, the bend is one of the kind and of the age, and so is what rests err by (the same curve is
read, at the same places). So there are two questions:

    kin     what the mean cell is, by the mean of all rests; its capacity is as sure as the mean of all intake tests
    own     how far a cell lies from that, by how far its rests differ from the mean of all rests

A linear Gaussian model with random effects (Laird and Ware, Biometrics 38 (1982) 963), the error of the rests counted
as common to all cells. With one cell alone it is the plain least squares with a prior.
"""

from dataclasses import dataclass

import numpy as np

from firmware_bridge.records import Floats

P, SLIDE, STRETCH = range(3)
UNBENT = 0.02  # no cell is so new that nothing at all is lost
TAIL = 4.0  # degrees of freedom: one cell in a hundred is further off than 4.6 standard deviations
ROUNDS = 3
_NEW: Floats = np.array((1.0, 0.0, 0.0))


@dataclass(frozen=True, slots=True)
class KinTuning:
    """What is known before any rest. Slide and stretch are for each unit of capacity that is lost."""

    capacity_sd: float = 0.10  # of one cell by its intake test
    capacity_common_sd: float = 0.015  # of all intake tests together
    slide_sd: float = 0.07  # of one cell around its kin: a third of that
    stretch_sd: float = 0.07
    slide_common_sd: float = (
        0.2  # at half charge at most 7 mV for 10 % of capacity lost (48 cells, RWTH), taken as 2 sd
    )
    stretch_common_sd: float = 0.2  # assumed alike


@dataclass(frozen=True, slots=True, eq=False)
class Kin:
    """Cells of one kind."""

    lost: Floats  # [cell] 1 - SOH by the intake test
    cells_a_test: float  # that share one intake test

    @classmethod
    def of(cls, soh: Floats, modules: int) -> "Kin":
        """`soh` [cell] by intake tests of so many modules."""
        return cls(np.minimum(np.maximum(1.0 - soh, UNBENT), 0.6), len(soh) / modules)

    def bent(self) -> Floats:
        """[cell, 3] how far each one is bent, relative to the mean cell; capacity is not."""
        relative = self.lost / self.lost.mean()
        return np.column_stack((np.ones(len(relative)), relative, relative))


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """What rests make of all cells."""

    best: Floats  # [3, cell] (p, slide, stretch)
    covariance: Floats  # [3, 3, cell] of them
    own: Floats  # [3, 3, cell] of that, what cells do not share


def solved(knobs: KinTuning, kin: Kin, information: Floats, evidence: Floats) -> Solved:
    """From what the rests of each cell have said: normal equations `information` [3, 3, cell] and `evidence` [3, cell],
    zero before a cell's first swing."""
    data = information.transpose(2, 0, 1)  # [cell, 3, 3]
    said = evidence.T - data[:, :, P]  # [cell, 3] beyond (1, 0, 0)
    told, bent = data[:, P, P] > 0.0, kin.bent()
    own_var = _own_var(knobs, kin.lost)
    mean, mean_cov, shared = _mean_cell(knobs, kin, data[told], said[told], bent[told])
    surprise = said - np.einsum("nij,nj->ni", data, bent * mean) - data[:, P, P, None] * shared / bent
    own_dev, alone = _own(own_var, data, surprise)
    estimate = _NEW + bent * mean + own_dev
    others = np.where(told, 1.0 - 1.0 / max(told.sum(), 1), 1.0)  # a cell alone is its kin
    own = alone * others[:, None, None]
    covariance = own + bent[:, :, None] * mean_cov * bent[:, None, :]
    return Solved(np.asarray(estimate.T), *(np.asarray(each.transpose(1, 2, 0)) for each in (covariance, own)))


def _own(var: Floats, data: Floats, surprise: Floats) -> tuple[Floats, Floats]:
    """How far each cell lies from its kin [cell, 3], and the covariance of that [cell, 3, 3], by a prior of variances
    `var` [cell, 3].

    That of capacity has the tails of Student's t: an intake test speaks of a module, and overlooks one weak cell in it
    (iterated weights: Lange, Little and Taylor, JASA 84 (1989) 881).
    """
    wide = var.copy()
    for _ in range(ROUNDS):
        covariance = np.linalg.inv(data + _diagonal(1.0 / wide))
        own = np.einsum("nij,nj->ni", covariance, surprise)
        squared = (own[:, P] ** 2 + covariance[:, P, P]) / var[:, P]
        wide[:, P] = var[:, P] * np.maximum((TAIL + squared) / (TAIL + 1.0), 1.0)
    return np.asarray(own), np.asarray(covariance)


def alone(knobs: KinTuning, kin: Kin, information: Floats, evidence: Floats) -> Floats:
    """(p, slide, stretch) [3, cell] of each cell by its own rests, whatever the others say."""
    data = information.transpose(2, 0, 1)
    prior_var = _own_var(knobs, kin.lost) + _common_var(knobs, kin.lost)
    posterior = np.linalg.inv(data + _diagonal(1.0 / prior_var))
    return np.asarray((_NEW + np.einsum("nij,nj->ni", posterior, evidence.T - data[:, :, P])).T)


def _mean_cell(knobs: KinTuning, kin: Kin, data: Floats, said: Floats, bent: Floats) -> tuple[Floats, Floats, Floats]:
    """Of the cells that have swung: the mean cell [3] beyond (1, 0, 0), its covariance [3, 3], and what rests say
    beyond that [3], for each unit of information about p: the error that they share."""
    lost = np.array([kin.lost.mean()])
    own_var, common_var = _own_var(knobs, lost)[0], _common_var(knobs, lost)[0]
    if not len(data):
        return np.zeros(3), np.diag(common_var), np.zeros(3)
    tests = max(len(data) / kin.cells_a_test, 1.0)
    heard = (bent[:, :, None] * data * bent[:, None, :]).mean(axis=0)
    says = (bent * said).mean(axis=0)
    covariance = np.linalg.inv(heard + np.diag(1.0 / (common_var + own_var / tests)))
    mean = covariance @ says
    return mean, covariance, (says - heard @ mean) / heard[P, P]


def _own_var(knobs: KinTuning, lost: Floats) -> Floats:
    """[cell, 3] of a cell around its kin."""
    return _variances(knobs.capacity_sd, np.array((knobs.slide_sd, knobs.stretch_sd)), lost)


def _common_var(knobs: KinTuning, lost: Floats) -> Floats:
    """[cell, 3] of the kin of such a cell."""
    return _variances(knobs.capacity_common_sd, np.array((knobs.slide_common_sd, knobs.stretch_common_sd)), lost)


def _variances(capacity_sd: float, bend_sd: Floats, lost: Floats) -> Floats:
    return np.asarray(np.column_stack((np.full(len(lost), capacity_sd), bend_sd * lost[:, None])) ** 2)


def _diagonal(values: Floats) -> Floats:
    """[cell, 3, 3] from [cell, 3]."""
    return np.asarray(values[:, :, None] * np.eye(3))
