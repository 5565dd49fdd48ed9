"""Capacity, and how an aged cell's curve has moved, from rests: what a cell's voltage says before and after a swing.

At rest the voltage tells the SOC, between two rests the current tells the charge. With x = OCV^-1(V) of a new cell and
an aged cell's displacement (`filter.Shape`), each swing from rest a to rest b is one line

    x_a - x_b = dAh / Qn * p + slide (w_a - w_b) + stretch (w_a l_a - w_b l_b),   w = z (1-z),   l = 1 - 2z

in p = Qn / Q, slide and stretch: weighted least squares with a prior and forgetting. Both sides are measured, so the
weight is 1 / (var(x) + p^2 var(dAh) / Qn^2), the effective variance of a straight line with errors in both coordinates
(York, Am. J. Phys. 72 (2004) 367; for capacity Plett, J. Power Sources 196 (2011) 2319). Loss of lithium slides the
curves of the electrodes against each other, loss of active material stretches one of them; seen from outside both
displace the features of the cell's curve between its two ends.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ess_controller.core.cell_model import KNOTS, Tables
from ess_controller.core.gauge.filter import Shape, ocv
from ess_controller.core.gauge.kin import SLIDE, STRETCH, Kin, KinTuning, P, solved
from firmware_bridge.records import Bools, Floats

_BEND = (SLIDE, SLIDE, STRETCH), (SLIDE, STRETCH, STRETCH)


@dataclass(frozen=True, slots=True)
class AnchorTuning:
    """How far a rest, a counter and a guess are trusted."""

    kin: KinTuning = field(default_factory=KinTuning)
    rest_v: float = 0.002  # of a rested voltage: noise, what has not relaxed
    curve_soc: float = 0.01  # how far a real aged curve is from any that slide and stretch make, in SOC
    gain: float = 0.003  # of the current sensor
    offset_c: float = 5e-4  # C: of the current sensor, that zeroing has left; 0.1 A for 200 Ah
    smallest: float = 0.10  # a shallower swing, in SOC, says nothing
    repeats: float = 8.0  # of a swing at the same places, after which the next one says nothing new
    cycles: float = 60.0  # of full throughput, after which a swing counts 1/e


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """What the rests have said so far."""

    information: Floats  # [3, 3, cell] of (p, slide, stretch)
    evidence: Floats  # [3, cell] information times estimate
    at_v: Floats  # [cell] rested voltage before the present swing; NaN: none yet
    swing_ah: Floats  # [cell] discharged since
    swing_s: Floats  # [cell] how long ago
    rest_v: Floats  # [cell] mean voltage of the present rest
    rest_n: Floats  # [cell] how many readings that is
    # what comes of it
    p: Floats  # [cell] the intake test's capacity over the true one
    p_var: Floats  # [cell]
    p_own_var: Floats  # [cell] of that, what cells do not share
    slide: Floats  # [cell] for the filter's curve
    stretch: Floats  # [cell]
    bend_cov: Floats  # [3, cell] variance of slide, covariance, variance of stretch
    bend_own_cov: Floats  # [3, cell] of that, what cells do not share

    @classmethod
    def fresh(cls, knobs: AnchorTuning, kin: Kin) -> "Anchors":
        """Nothing was ever heard."""
        cells = len(kin.lost)
        nothing, zero = np.full(cells, np.nan), np.zeros(cells)
        line, lines = np.zeros((3, cells)), np.zeros((3, 3, cells))
        silent = cls(lines, line, nothing, zero, zero, zero, zero, zero, zero, zero, zero, zero, line, line)
        return solved_anew(knobs, kin, silent)


def solved_anew(knobs: AnchorTuning, kin: Kin, anchors: Anchors) -> Anchors:
    """The anchors with what comes of all rests."""
    found = solved(knobs.kin, kin, anchors.information, anchors.evidence)
    return replace(
        anchors,
        p=found.best[P],
        p_var=found.covariance[P, P],
        p_own_var=found.own[P, P],
        slide=found.best[SLIDE],
        stretch=found.best[STRETCH],
        bend_cov=found.covariance[_BEND],
        bend_own_cov=found.own[_BEND],
    )


def counted(anchors: Anchors, discharged_ah: Floats, dt_s: float) -> Anchors:
    """Charge that has flowed since the last rest [cell], and time."""
    return replace(anchors, swing_ah=anchors.swing_ah + discharged_ah, swing_s=anchors.swing_s + dt_s)


def rested(
    tables: Tables, knobs: AnchorTuning, kin: Kin, anchors: Anchors, resting: Bools, rested_v: Floats, qn_ah: Floats
) -> tuple[Anchors, Bools]:
    """Take in rests: `rested_v` [cell] is read while `resting` [cell]; when a rest ends, its swing becomes a line.

    Returns the anchors and which cells have learnt [cell]. A swing too shallow to tell anything goes on.
    """
    reads = resting & ~np.isnan(rested_v)
    ends = ~resting & (anchors.rest_n > 0.0)
    if reads.any():
        rest_n = anchors.rest_n + reads
        mean_v = anchors.rest_v + (rested_v - anchors.rest_v) / np.maximum(rest_n, 1.0)
        anchors = replace(anchors, rest_v=np.where(reads, mean_v, anchors.rest_v), rest_n=rest_n)
    if not ends.any():
        return anchors, ends
    first = np.isnan(anchors.at_v)
    deep = np.abs(anchors.swing_ah) >= knobs.smallest * qn_ah
    learns = ends & deep & ~first
    if learns.any():
        anchors = _learn(tables, knobs, kin, anchors, learns, qn_ah)
    moves = ends & (deep | first)
    ended = replace(
        anchors,
        at_v=np.where(moves, anchors.rest_v, anchors.at_v),
        swing_ah=np.where(moves, 0.0, anchors.swing_ah),
        swing_s=np.where(moves, 0.0, anchors.swing_s),
        rest_v=np.where(ends, 0.0, anchors.rest_v),
        rest_n=np.where(ends, 0.0, anchors.rest_n),
    )
    return ended, learns


def _learn(tables: Tables, knobs: AnchorTuning, kin: Kin, anchors: Anchors, learns: Bools, qn_ah: Floats) -> Anchors:
    """One more line for each cell that learns, and what comes of it."""
    share = anchors.swing_ah / qn_ah
    ends_x = [np.where(learns, inverse(tables, v), 0.5) for v in (anchors.at_v, anchors.rest_v)]
    before, after = (undone(Shape(anchors.slide, anchors.stretch), x) for x in ends_x)
    line = np.where(learns, np.array((share, *(_bent(before) - _bent(after)))), 0.0)
    said = np.where(learns, ends_x[0] - ends_x[1], 0.0)
    new = Shape(np.zeros_like(share), np.zeros_like(share))
    variance = 2 * knobs.curve_soc**2 + sum((knobs.rest_v / ocv(tables, new, x)[1]) ** 2 for x in ends_x)
    drift_ah = np.hypot(knobs.gain * anchors.swing_ah, knobs.offset_c * qn_ah * anchors.swing_s / 3600.0)
    weight = np.where(learns, 1.0 / (variance + (anchors.p * drift_ah / qn_ah) ** 2), 0.0)
    keep = np.where(learns, np.exp(-np.abs(share) / knobs.cycles), 1.0)
    information, evidence = _made_room(knobs, anchors, line)
    learnt = replace(
        anchors,
        information=information * keep + weight * line[:, None] * line[None],
        evidence=evidence * keep + weight * line * said,
    )
    return solved_anew(knobs, kin, learnt)


def _made_room(knobs: AnchorTuning, anchors: Anchors, line: Floats) -> tuple[Floats, Floats]:
    """Information and evidence before one more line, `line` [3, cell], for a swing that says again what others have:
    what the curve and a sensor are off by at a place is the same each time, and does not average out.

    Forgetting in the direction of the line alone: Cao and Schwartz, Automatica 36 (2000) 1725.
    """
    along = np.einsum("ijn,jn->in", anchors.information, line)
    known = np.add.reduce(line * along)
    share = np.where(known > 0.0, 1.0 / knobs.repeats, 0.0) / np.where(known > 0.0, known, 1.0)
    said = np.add.reduce(line * anchors.evidence)
    return anchors.information - share * along[:, None] * along[None], anchors.evidence - share * along * said


def _bent(soc: Floats) -> Floats:
    """[2, cell] what slide and stretch displace a curve by at this SOC."""
    bow = soc * (1.0 - soc)
    return np.array((bow, bow * (1.0 - 2.0 * soc)))


def undone(shape: Shape, x: Floats) -> Floats:
    """[cell] SOC of an aged cell whose voltage a new one has at SOC x [cell]: inverts `Shape.place`, whose displacement
    is small, so that three rounds settle it."""
    soc = x
    for _ in range(3):
        bent = _bent(soc)
        soc = x - shape.slide * bent[0] - shape.stretch * bent[1]
    return soc


def bend_var(bend_cov: Floats, soc: Floats) -> Floats:
    """Variance of the SOC [cell] that a voltage is read as, for the doubt about the bend, `bend_cov` [3, cell]."""
    soc = np.minimum(np.maximum(soc, 0.0), 1.0)
    bow, lean = _bent(soc)
    slide, both, stretch = bend_cov
    return np.asarray(bow * bow * slide + 2.0 * bow * lean * both + lean * lean * stretch)


def inverse(tables: Tables, volts: Floats) -> Floats:
    """[n] SOC at which a new cell rests at `volts` [n]: on below 0 and above 1, straight beyond both ends; NaN for
    NaN."""
    v = tables.ocv_v
    soc = np.interp(volts, v, np.linspace(0.0, 1.0, KNOTS))
    above = np.maximum(volts - v[-1], 0.0) / ((v[-1] - v[-2]) * (KNOTS - 1))
    below = np.minimum(volts - v[0], 0.0) / ((v[1] - v[0]) * (KNOTS - 1))
    return np.asarray(soc + above + below)
