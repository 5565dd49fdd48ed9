"""What one weak cell costs, over 100 cycles: `python -m tests.core.weak_cell_campaign`, `--sigmas` for the SOC margin.

Strings of ninety cells, one of them 30 % smaller and twice as stiff as its module (SOH 0.72 to 0.88, 15 to 32 C), are
charged and discharged at 0.2 to 0.5 C with pauses, between the limits that the controller itself sets, rests between.
Every other string's intake sheet knows the weak cell, as its module's SOH; the others' do not. Cell voltages are off by
up to 5 mV with 2 mV of noise, the current by 0.3 %, temperatures by 1 K. Told, cycle by cycle: what was discharged over
what somebody who knows everything gets out of the same string when asked for the same currents (more than 100 %: the
SOC window was overstepped), how near the worst true cell came to its voltage limits, how far its true SOC left the
site's window, what the gauge had learnt of the weak cell.
"""

import argparse
from dataclasses import astuple, dataclass
from unittest import mock

import numpy as np

from ess_controller.core import limits
from firmware_bridge.records import Bools, Floats, Ints
from tests.core.sop_campaign import CELLS, MODULES
from tests.core.weak_cell import (
    BEAT_S,
    CHARGES,
    Asked,
    Cycle,
    Driven,
    Operated,
    drawn,
    perfect_a,
    true_others,
)

REFERENCE_BEAT_S = 30.0
TOLD = (1, 2, 3, 5, 10, 20, 50, 100)
SETTLED_AH = 0.025  # capacity is known to a share of itself
SIGMAS = (0.0, 1.0, 2.0, 3.0)


@dataclass(frozen=True, slots=True)
class Round:
    """One string's cycle."""

    out_wh: float
    over_v: float  # how far the worst true cell left its voltage limits; below zero: room left
    over_soc: float  # and the site's SOC window, full end
    under_soc: float  # empty end
    capacity_off: float  # of the weak cell, shares of the truth
    capacity_sd: float
    r10_off: float
    age_moved_a: float  # between the highest and the lowest word of the rule of age within the cycle
    hours: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Of all strings; the first cycle begins with their first charge."""

    knows: Bools  # [string] the intake sheet does
    ideal_wh: Floats  # [string, cycle]
    rounds: dict[str, Floats]  # [string, cycle] each

    @property
    def share(self) -> Floats:
        """[string, cycle] of what the true cells allow."""
        return np.asarray(self.rounds["out_wh"] / self.ideal_wh)

    def settled_after(self) -> Ints:
        """[string] cycles until the weak cell's capacity was, and stayed, within `SETTLED_AH`."""
        off = np.abs(self.rounds["capacity_off"]) > SETTLED_AH
        cycles = off.shape[1]
        return np.where(off.any(axis=1), cycles - np.argmax(off[:, ::-1], axis=1), 0)


def campaign(strings: int, cycles: int, seed: int) -> Outcome:
    """The same strings twice: by somebody who knows everything, and by the controller."""
    rng = np.random.default_rng(seed)
    knows = np.arange(strings) % 2 == 1
    tuning, truth, nature = drawn(strings, knows, rng)
    first = tuning.layout.first_cell_of_string
    asked = Asked.drawn(np.add.reduceat(truth.cells.capacity_ah, first) / (MODULES * CELLS), cycles, rng)

    def begun() -> Driven:
        nothing = np.zeros(strings)
        return Driven(tuning, truth, nature, Cycle.begun(asked), nature.ocv_v, nothing, nothing)

    ideal_wh = ideal(begun())
    return Outcome(knows, ideal_wh, operated(Operated.of(begun(), rng)))


def ideal(driven: Driven) -> Floats:
    """[string, cycle] what is discharged by somebody who knows everything, Wh."""
    others_a, cycle = true_others(driven.tuning, driven.truth), driven.cycle
    out_wh = np.zeros(cycle.asked.rate_a.shape[:2])
    while not cycle.over:
        wanted_a = np.clip(cycle.wanted_a(), -others_a[0], others_a[1])
        flows_a = perfect_a(driven, wanted_a, REFERENCE_BEAT_S)
        driven.flowed(flows_a, REFERENCE_BEAT_S)
        held_a = np.where(np.abs(flows_a) < np.abs(wanted_a), np.abs(flows_a), np.inf)
        done = cycle.passed(np.array((held_a, held_a)), REFERENCE_BEAT_S)
        for string in np.flatnonzero(done & (cycle.number > 0)):
            out_wh[string, cycle.number[string] - 1] = driven.out_wh[string]
        driven.out_wh = np.where(done, 0.0, driven.out_wh)
    return out_wh


def operated(run: Operated) -> dict[str, Floats]:
    """What the controller makes of it, [string, cycle] each; see Round."""
    tuning, cycle, first = run.tuning, run.cycle, run.tuning.layout.first_cell_of_string
    rounds: dict[tuple[int, int], Round] = {}
    strings = len(run.string_a)
    fresh = np.array((-np.inf, -np.inf, -np.inf, np.inf, -np.inf))[:, None]  # over_v, over_soc, under_soc, age
    worst: Floats = np.broadcast_to(fresh, (5, strings)).copy()
    while not cycle.over:
        may_a = run.looked(BEAT_S)
        run.flowed(np.clip(cycle.wanted_a(), -may_a[0], may_a[1]), BEAT_S)
        high_v, low_v = np.maximum.reduceat(run.cell_v, first), np.minimum.reduceat(run.cell_v, first)
        full, empty = np.maximum.reduceat(run.nature.soc, first), np.minimum.reduceat(run.nature.soc, first)
        over_v = np.maximum(high_v - tuning.limits.cell_v_max, tuning.limits.cell_v_min - low_v)
        now = np.array((over_v, full - tuning.full_soc, tuning.empty_soc - empty, run.age_a, run.age_a))
        began = (cycle.phase == CHARGES) & (cycle.since_s <= BEAT_S)
        worst = np.where(began, fresh, worst)
        worst[:3], worst[3], worst[4] = (
            np.maximum(worst[:3], now[:3]),
            np.minimum(worst[3], now[3]),
            np.maximum(worst[4], now[4]),
        )
        done = cycle.passed(may_a, BEAT_S)
        off, sd, ohm_off = run.learnt() if done.any() else (run.age_a,) * 3
        for string in map(int, np.flatnonzero(done)):
            over, soc_over, soc_under, least_a, most_a = worst[:, string].tolist()
            learnt = (float(off[string]), float(sd[string]), float(ohm_off[string]))
            wh, hours = float(run.out_wh[string]), run.t_s / 3600.0
            rounds[string, int(cycle.number[string]) - 1] = Round(
                wh, over, soc_over, soc_under, *learnt, most_a - least_a, hours
            )
        run.out_wh = np.where(done, 0.0, run.out_wh)
    cycles = cycle.asked.rate_a.shape[1]
    table = np.array([[astuple(rounds[string, number]) for number in range(cycles)] for string in range(strings)])
    return {name: table[:, :, column] for column, name in enumerate(Round.__dataclass_fields__)}


def lines(outcome: Outcome) -> list[str]:
    """The table: each variant, at some cycles and over all."""
    found = []
    for name, mine in (("not on the sheet", ~outcome.knows), ("on the sheet", outcome.knows)):
        share, rows = outcome.share[mine], {key: table[mine] for key, table in outcome.rounds.items()}
        settled = outcome.settled_after()[mine]
        found.append(f"weak cell {name}: {mine.sum()} strings")
        found.append(f"{'cycle':>8}{'energy':>9}{'worst':>9}{'capacity':>10}{'its sd':>9}{'R10s':>9}")
        for cycle in (number for number in TOLD if number <= share.shape[1]):
            at = cycle - 1
            found.append(
                f"{cycle:>8}{share[:, at].mean():>9.1%}{share[:, at].min():>9.1%}"
                f"{np.sqrt((rows['capacity_off'][:, at] ** 2).mean()):>10.1%}{rows['capacity_sd'][:, at].mean():>9.1%}"
                f"{np.sqrt((rows['r10_off'][:, at] ** 2).mean()):>9.1%}"
            )
        found.append(
            f"  all cycles: energy {share.mean():.1%}, worst cycle {share.min():.1%}; voltage: "
            f"{int((rows['over_v'] > 0.0).sum())} of {share.size} cycles outside, "
            f"nearest {1e3 * rows['over_v'].max():.1f} mV"
        )
        found.append(
            f"  true SOC past the window by {max(rows['over_soc'].max(), 0.0):.1%} (full), "
            f"{max(rows['under_soc'].max(), 0.0):.1%} (empty); capacity within {SETTLED_AH:.1%} for good after "
            f"{', '.join(map(str, settled))} cycles; "
            f"rule of age moved {rows['age_moved_a'][:, -1].max():.1f} A in the last"
        )
    return found


def by_sigmas(strings: int, cycles: int, seed: int) -> list[str]:
    """What so many standard deviations of SOC kept from the window's ends hold and cost."""
    found = [f"{'sigmas':>8}{'energy':>9}{'worst':>9}{'last':>9}{'past full':>11}{'past empty':>12}{'nearest, mV':>13}"]
    for sigmas in SIGMAS:
        with mock.patch.object(limits, "SOC_SIGMAS", sigmas):
            outcome = campaign(strings, cycles, seed)
        share, rows = outcome.share, outcome.rounds
        found.append(
            f"{sigmas:>8.0f}{share.mean():>9.1%}{share.min():>9.1%}{share[:, -1].mean():>9.1%}"
            f"{rows['over_soc'].max():>11.1%}{rows['under_soc'].max():>12.1%}{1e3 * rows['over_v'].max():>13.1f}"
        )
    return found


def main() -> None:
    """Print the table that was asked for."""
    words = argparse.ArgumentParser(description="What one weak cell costs.")
    words.add_argument("--cycles", type=int, default=100)
    words.add_argument("--strings", type=int, default=4, choices=range(2, 65), metavar="2..64")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--sigmas", action="store_true", help="a row for each margin of SOC")
    asked = words.parse_args()
    if asked.sigmas:
        told = by_sigmas(asked.strings, asked.cycles, asked.seed)
    else:
        told = lines(campaign(asked.strings, asked.cycles, asked.seed))
    print("\n".join(told))  # noqa: T201


if __name__ == "__main__":
    main()
