"""Where the lines are between keeping a module and recycling it: the table [health] of a site file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """Thresholds of the verdicts, and what is believed of fading before anything is measured."""

    line_soh: float  # end of use here: the forecast says when a module meets it
    recycle_soh: float  # surely below: raw material
    light_within_days: float  # meets the line so soon: lighter duty
    regroup_gap: float  # so far below the middle module of its string, in SOH: it holds the others down
    derate_soh: float
    derate_resistance: float  # 10-s resistance over that of a new cell
    recycle_resistance: float
    leak_per_month: float  # self-discharge over that of its string, a share of capacity: a soft short is suspected
    recycle_leak_per_month: float
    knee_probability: float  # fading that has surely sped up
    fade_per_year: float  # median of what modules of this kind lose, in SOH
    fade_spread: float  # standard deviation of its natural logarithm between modules
