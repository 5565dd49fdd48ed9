"""What a daemon believes of what the one before it left behind: deep cells, faults that wait, closes, how full; and of
what has ever been learnt of its modules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from ess_controller.core.gauge.learnt import Learnt, joined, restored
from ess_controller.core.gauge.state import Gauge, fresh
from ess_controller.core.health import DIAGNOSES, MEMORY_LOST
from ess_controller.core.types import Tuning
from firmware_bridge.records import Bools, Floats, Ints, Layout

HOUR_S = 3600.0
SOC_S = 3600.0  # an older SOC is no better than a voltage
DRIFT_PER_HOUR = 0.002  # growth of SOC's standard deviation while nobody counts: as `gauge.filter.FilterTuning` has it
MOST_SD = 0.5  # of a share: nothing is known
UNCOUNTED_S = 75.0  # a killed daemon's last note is up to 60 s old, and its inverter goes on for up to 15 s


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was left behind, by names: a module that has changed its slot takes its own along, and names that this site
    does not have mean nothing here. Plant time, counted from this daemon's start."""

    deep: frozenset[tuple[str, int]] = frozenset()  # module code, cell from 1: was found deeply discharged
    latched: frozenset[tuple[str, str]] = frozenset()  # diagnosis, string: waits for an operator
    closed_t_s: Mapping[str, Sequence[float]] = field(default_factory=dict)  # string: when it closed, below 0
    soc: Mapping[str, Sequence[float]] = field(default_factory=dict)  # module code: its cells, 0..1; NaN = unknown
    soc_sd: Mapping[str, Sequence[float]] = field(default_factory=dict)
    soc_age_s: float = inf
    learnt: Mapping[str, Learnt] = field(default_factory=dict)  # module code: its cells
    learnt_age_s: Mapping[str, float] = field(default_factory=dict)  # module code
    zero_a: Mapping[str, float] = field(default_factory=dict)  # string: what its sensor shows when nothing flows
    lost: bool = False  # there was more, and nobody knows what


NOTHING, LOST = Recalled(), Recalled(lost=True)


def deep_cells(layout: Layout, recalled: Recalled) -> Bools:
    """[cell] found deeply discharged."""
    number = np.arange(layout.cells) - layout.first_cell[layout.cell_module] + 1
    places = zip(layout.cell_module.tolist(), number.tolist(), strict=True)
    return np.array([(layout.module_names[module], cell) in recalled.deep for module, cell in places])


def latched(layout: Layout, recalled: Recalled) -> Bools:
    """[diagnosis, string] waits for an operator. A diagnosis that no longer latches waits for nobody; a memory that is
    lost keeps every string."""
    waits = np.array(
        [
            [row.latched and (row.name, string) in recalled.latched for string in layout.string_names]
            for row in DIAGNOSES
        ]
    )
    waits[MEMORY_LOST] |= recalled.lost
    return waits


def closes(tuning: Tuning, recalled: Recalled) -> Floats:
    """[string, closes_per_hour] plant time of the last closes, s, oldest first; none in the future or over an hour
    ago."""
    kept = tuning.mode.closes_per_hour
    rows = []
    for string in tuning.layout.string_names:
        within = sorted(t_s for t_s in recalled.closed_t_s.get(string, ()) if -HOUR_S <= t_s <= 0.0)
        rows.append(([-inf] * kept + within)[-kept:])
    return np.array(rows)


def gauge(tuning: Tuning, recalled: Recalled) -> Gauge:
    """The fuel gauge as it was left. What is not recalled begins with the intake test, SOC with the first voltage."""
    layout = tuning.layout
    new, intake = _new(tuning, *_soc(tuning, recalled))
    known, parts, age_s = fitting(tuning, recalled), [], np.zeros(layout.cells)
    for code, mine in cells_of_modules(layout):
        parts.append(known[code] if code in known else intake.of_cells(mine))
        age_s[mine] = recalled.learnt_age_s[code] if code in known else 0.0
    told_a = np.array([recalled.zero_a.get(string, 0.0) for string in layout.string_names])
    zero_a = np.where(np.abs(told_a) <= tuning.cells.knobs.zeroed_a, told_a, 0.0)  # NaN is no offset
    return replace(restored(tuning.cells, new, joined(parts), age_s), zero_a=zero_a)


def fitting(tuning: Tuning, recalled: Recalled) -> dict[str, Learnt]:
    """What was learnt of this site's modules, by code, where it can be of the cells that the site file tells of."""
    unknown = np.full(tuning.layout.cells, np.nan)
    _, intake = _new(tuning, unknown, unknown)
    told = recalled.learnt
    return {
        code: told[code]
        for code, mine in cells_of_modules(tuning.layout)
        if code in told and told[code].fits(intake.of_cells(mine))
    }


def cells_of_modules(layout: Layout) -> list[tuple[str, Ints]]:
    """Each module's code and its cells, indices [cell of the module]."""
    return [(code, np.flatnonzero(layout.cell_module == module)) for module, code in enumerate(layout.module_names)]


def _new(tuning: Tuning, so_full: Floats, sd: Floats) -> tuple[Gauge, Learnt]:
    """A gauge that knows SOC [cell] at most, and what it has learnt: the intake test."""
    setup = tuning.cells
    r0_ohm = setup.cell.tables.mid_r0_ohm * setup.ohm_factor
    new = fresh(setup.knobs, setup.layout, setup.kin, setup.capacity_ah, r0_ohm, so_full, sd)
    return new, Learnt.of(setup, new, np.zeros(setup.layout.cells, bool))


def _soc(tuning: Tuning, recalled: Recalled) -> tuple[Floats, Floats]:
    """SOC and its standard deviation [cell]; NaN where nothing is believed.

    The deviation grows by the age, and by what may have flowed while nobody counted.
    """
    layout, knobs, age_s = tuning.layout, tuning.estimate, recalled.soc_age_s
    so_full, sd = np.full(layout.cells, np.nan), np.full(layout.cells, knobs.start_sd)
    if not 0.0 <= age_s <= SOC_S:
        return so_full, sd
    flowed_ah = tuning.limits.rated_a * min(age_s, UNCOUNTED_S) / HOUR_S
    grown_by = DRIFT_PER_HOUR * age_s / HOUR_S + flowed_ah / tuning.cell_ah
    for code, mine in cells_of_modules(layout):
        told, told_sd = recalled.soc.get(code, ()), recalled.soc_sd.get(code, ())
        if len(told) == len(told_sd) == len(mine):
            so_full[mine] = told
            grown = np.minimum(np.array(told_sd) + grown_by[mine], MOST_SD)
            sd[mine] = np.where(np.isnan(so_full[mine]), knobs.start_sd, grown)
    return so_full, sd
