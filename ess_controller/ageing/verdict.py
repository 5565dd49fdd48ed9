"""What is to become of a module: keep, derate, regroup, lighter duty or recycle, with the evidence in words.

The gravest that its evidence calls for counts. To recycle cannot be undone, so it takes a whole interval beyond the
line; the others can, and take the middle of it.
"""

from dataclasses import dataclass
from enum import IntEnum

from ess_controller.site.health import HealthSettings


class Verdict(IntEnum):
    """From mild to grave."""

    KEEP = 0
    DERATE = 1
    REGROUP = 2
    LIGHTER_DUTY = 3
    RECYCLE = 4

    @property
    def words(self) -> str:
        """`lighter duty`."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a module. Intervals are 80 %; NaN: not known, which calls for nothing."""

    soh: tuple[float, float, float]  # low, middle, high: of its smallest cell
    string_soh: float  # of the middle module of its string
    resistance: float  # its stiffest cell's over a new one's, 10 s
    resistance_sd: float
    line_days: tuple[float, float, float]  # until the line is met: early, middle, late; inf: not in sight
    knee: float  # highest probability among its cells that a knee lies behind
    knee_cell: int  # from 1
    sped_up: float  # that cell's rate of fading, over what it was
    leak_per_month: float  # of the cell that leaks most among those that surely do; else NaN
    leak_ma: float
    leak_cell: int  # from 1


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict and why: one sentence for each threshold that is passed, the gravest first."""

    verdict: Verdict
    because: tuple[str, ...]


def judge(known: Evidence, lines: HealthSettings) -> Judged:
    """A module's verdict. All else equal, a smaller SOH never makes it milder."""
    found = sorted(
        (*_by_soh(known, lines), *_by_time(known, lines), *_by_defects(known, lines)),
        key=lambda each: -each[0],
    )
    if not found:
        low, middle, high = known.soh
        return Judged(Verdict.KEEP, (f"SOH {middle:.3f} ({low:.3f} to {high:.3f}), nothing speaks against it",))
    return Judged(found[0][0], tuple(words for _, words in found))


_Found = list[tuple[Verdict, str]]


def _by_soh(known: Evidence, lines: HealthSettings) -> _Found:
    low, middle, high = known.soh
    told = f"SOH {middle:.3f} ({low:.3f} to {high:.3f})"
    found: _Found = []
    if high < lines.recycle_soh:
        found.append((Verdict.RECYCLE, f"{told} is surely below recycle_soh {lines.recycle_soh:g}"))
    elif middle < lines.line_soh:
        found.append((Verdict.LIGHTER_DUTY, f"{told} is below line_soh {lines.line_soh:g}"))
    elif middle < lines.derate_soh:
        found.append((Verdict.DERATE, f"{told} is below derate_soh {lines.derate_soh:g}"))
    gap = known.string_soh - middle
    if gap > lines.regroup_gap:
        found.append((Verdict.REGROUP, f"holds its string down: {gap:.3f} SOH below the middle module of it"))
    return found


def _by_time(known: Evidence, lines: HealthSettings) -> _Found:
    early, middle, late = known.line_days
    found: _Found = []
    if 0.0 < middle < lines.light_within_days:
        words = f"meets SOH {lines.line_soh:g} in {middle:.0f} days ({early:.0f} to {late:.0f})"
        found.append((Verdict.LIGHTER_DUTY, words.replace(" to inf)", " or much later)")))
    if known.knee > lines.knee_probability:
        words = f"cell {known.knee_cell} fades {known.sped_up:.1f} times as fast as it did: a knee ({known.knee:.0%})"
        found.append((Verdict.LIGHTER_DUTY, words))
    return found


def _by_defects(known: Evidence, lines: HealthSettings) -> _Found:
    found: _Found = []
    ohm = f"10-s resistance {known.resistance:.2f} of a new cell's"
    if known.resistance - 2.0 * known.resistance_sd > lines.recycle_resistance:
        found.append((Verdict.RECYCLE, f"{ohm} is surely above recycle_resistance {lines.recycle_resistance:g}"))
    elif known.resistance > lines.derate_resistance:
        found.append((Verdict.DERATE, f"{ohm} is above derate_resistance {lines.derate_resistance:g}"))
    leak = (
        f"cell {known.leak_cell} loses {known.leak_per_month:.2%} a month ({known.leak_ma:.1f} mA) more than its string"
    )
    if known.leak_per_month > lines.recycle_leak_per_month:
        found.append((Verdict.RECYCLE, f"{leak}: a soft short, beyond recycle_leak_per_month"))
    elif known.leak_per_month > lines.leak_per_month:
        found.append((Verdict.LIGHTER_DUTY, f"{leak}: a soft short is suspected"))
    return found
