"""What is rolled up: one table of quantities of site, cabinet, string, module and rule, and how a beat tells them.

Powers are added up at every beat, so that energies are those that flowed; slow things each second; what each rule takes
every ten seconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ess_controller.core.arbitration import RULES, Arbitration, arbitration
from ess_controller.core.types import Tuning
from ess_controller.core.worst import highest, lowest
from ess_controller.daemon import Beat
from firmware_bridge.records import Floats

LEVELS = ("site", "cabinet", "string", "module", "limit")
RESOLUTIONS = {
    "1m": 60,
    "15m": 900,
    "1d": 86400,
}  # s; a day is one of the site's calendar, and may be longer or shorter
ALL = ("mean", "min", "max")
LEAST_W = 1.0  # less that is taken is rounding


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of each row of a level."""

    level: str
    name: str
    unit: str
    digits: int
    says: str
    stats: tuple[str, ...] = ALL
    plus: str = ""  # name of the energy while it is above 0, Wh
    minus: str = ""  # and below

    def columns(self) -> Iterator[tuple[str, str]]:
        """Its columns by name, each with the statistic that it is."""
        alone = len(self.stats) == 1
        for stat in self.stats:
            yield (self.name if alone or stat == "mean" else f"{self.name}_{stat}"), stat
        for name, stat in ((self.plus, "plus"), (self.minus, "minus")):
            if name:
                yield name, stat


_OUT, _IN = "discharged_wh", "charged_wh"
EVERY_BEAT = (
    Quantity("site", "grid_w", "W", 1, "at the meter, importing +", plus="import_wh", minus="export_wh"),
    Quantity("site", "load_w", "W", 1, "grid + battery + sun", plus="used_wh"),
    Quantity("site", "pv_w", "W", 1, "all solar inverters", plus="generated_wh"),
    Quantity("site", "battery_w", "W", 1, "all inverters, discharging +", plus=_OUT, minus=_IN),
    Quantity("cabinet", "pcs_w", "W", 1, "its inverter, discharging +", plus=_OUT, minus=_IN),
    Quantity("string", "a", "A", 2, "discharging +"),
    Quantity("string", "w", "W", 1, "behind its contactors, discharging +", plus=_OUT, minus=_IN),
    Quantity("module", "w", "W", 1, "its cells times its string's current, discharging +", plus=_OUT, minus=_IN),
)
EVERY_SECOND = (
    Quantity("site", "soc", "1", 5, "mean over all cells"),
    Quantity("cabinet", "charge_limit_w", "W", 1, "what may flow", ("mean", "min")),
    Quantity("cabinet", "discharge_limit_w", "W", 1, "what may flow", ("mean", "min")),
    Quantity("string", "v", "V", 2, "battery side of the contactors"),
    Quantity("string", "soc", "1", 5, "mean over its cells"),
    Quantity("string", "cell_v_min", "V", 4, "lowest of its cells, ever in it", ("min",)),
    Quantity("string", "cell_v_max", "V", 4, "highest of its cells, ever in it", ("max",)),
    Quantity("string", "cell_c_min", "C", 1, "coldest of its sensors, ever in it", ("min",)),
    Quantity("string", "cell_c_max", "C", 1, "hottest of its sensors, ever in it", ("max",)),
    Quantity("module", "v", "V", 3, "sum of its cells"),
    Quantity("module", "soc", "1", 5, "mean over its cells"),
    Quantity("module", "cell_v_min", "V", 4, "lowest of its cells, ever in it", ("min",)),
    Quantity("module", "cell_v_max", "V", 4, "highest of its cells, ever in it", ("max",)),
    Quantity("module", "c_min", "C", 1, "coldest of its sensors, ever in it", ("min",)),
    Quantity("module", "c_max", "C", 1, "hottest of its sensors, ever in it", ("max",)),
)
EVERY_TEN_SECONDS = (
    Quantity("limit", "lost_w", "W", 1, "what the rule takes of an inverter's power", ("mean", "max"), "lost_wh"),
    Quantity("limit", "acting_share", "1", 4, "share of the time in which it was the rule that acts", ("mean",)),
    Quantity("limit", "bound_share", "1", 4, "share of the time in which it acted and took something", ("mean",)),
    Quantity("limit", "missed_w", "W", 1, "wanted, and not to be had while it acted", ("mean",), "missed_wh"),
)


def at_every_beat(tuning: Tuning, beat: Beat) -> Floats:
    """[value] of EVERY_BEAT, row after row; NaN where it is not known."""
    seen, layout = beat.seen, tuning.layout
    pv_w = float(seen.pv_w.sum()) if len(seen.pv_w) == layout.pvs else np.nan
    battery_w = float(seen.pcs_w.sum())
    load_w = seen.grid_w + battery_w + pv_w
    module_v = np.add.reduceat(seen.cell_v, layout.first_cell)
    return np.concatenate(
        (
            (seen.grid_w, load_w, pv_w if layout.pvs else np.nan, battery_w),
            seen.pcs_w,
            seen.string_a,
            seen.string_a * seen.string_v,
            seen.string_a[layout.module_string] * module_v,
        )
    )


def at_every_second(tuning: Tuning, beat: Beat) -> Floats:
    """[value] of EVERY_SECOND; where nothing was heard of a group, NaN or an infinity."""
    seen, now, layout, bound = beat.seen, beat.decision.estimate, tuning.layout, beat.decision.cabinet_bound
    strings, modules = (layout.first_cell_of_string, layout.cell_string), (layout.first_cell, layout.cell_module)
    of_string = (layout.first_module, layout.module_string)
    return np.concatenate(
        (
            (float(now.soc.mean()),),
            bound.charge,
            bound.discharge,
            seen.string_v,
            _means(now.soc, layout.first_cell_of_string),
            lowest(seen.cell_v, *strings)[0],
            highest(seen.cell_v, *strings)[0],
            lowest(seen.module_cold_c, *of_string)[0],
            highest(seen.module_hot_c, *of_string)[0],
            np.add.reduceat(seen.cell_v, layout.first_cell),
            _means(now.soc, layout.first_cell),
            lowest(seen.cell_v, *modules)[0],
            highest(seen.cell_v, *modules)[0],
            seen.module_cold_c,
            seen.module_hot_c,
        )
    )


def at_every_ten_seconds(tuning: Tuning, beat: Beat) -> Floats:
    """[value] of EVERY_TEN_SECONDS: ways, in each its rules, in each its cabinets."""
    both = arbitration(tuning, beat.state, beat.seen, beat.decision)
    wanted_w = beat.decision.wanted_w if np.isfinite(beat.decision.wanted_w) else 0.0
    rules = np.arange(len(RULES))[:, None]
    lost_w = [each.lost_w.ravel() for each in both]
    acting = [(rules == each.acting).astype(np.float64) for each in both]
    taken_w = [taken_from_w(each) for each in both]
    bound = [(share * (taken > LEAST_W)).ravel() for share, taken in zip(acting, taken_w, strict=True)]
    missed_w = [
        (share * missed_w_of(each, taken, sign * wanted_w)).ravel()
        for share, each, taken, sign in zip(acting, both, taken_w, (-1.0, 1.0), strict=True)
    ]
    return np.concatenate((*lost_w, *(share.ravel() for share in acting), *bound, *missed_w))


def taken_from_w(found: Arbitration) -> Floats:
    """[cabinet] of the nameplate, by all rules together."""
    word_w: Floats = found.word_w[found.acting, np.arange(len(found.acting))]
    return found.nameplate_w - np.minimum(word_w, found.nameplate_w)


def missed_w_of(found: Arbitration, taken_w: Floats, wanted_w: float) -> Floats:
    """[cabinet] what was wanted of the site beyond what may flow, shared by what is taken of each."""
    short_w = min(max(wanted_w - float((found.nameplate_w - taken_w).sum()), 0.0), float(taken_w.sum()))
    return taken_w * (short_w / taken_w.sum() if short_w > LEAST_W else 0.0)


def _means(values: Floats, first: "np.typing.NDArray[np.int64]") -> Floats:
    sums: Floats = np.add.reduceat(values, first)
    return sums / np.diff(np.append(first, len(values)))


@dataclass(frozen=True, slots=True)
class Group:
    """Quantities that are looked at together."""

    every_s: float
    quantities: tuple[Quantity, ...]
    read: Callable[[Tuning, Beat], Floats] = field(compare=False)


GROUPS = (
    Group(0.0, EVERY_BEAT, at_every_beat),
    Group(1.0, EVERY_SECOND, at_every_second),
    Group(10.0, EVERY_TEN_SECONDS, at_every_ten_seconds),
)
