"""The battery side of a replay: cells, sensors, strings and devices over time, and what the controller made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np

from ess_controller.core.health import DIAGNOSES
from ess_controller.core.limits import STRING_RULES
from ess_controller.core.types import Mode, Rule
from ess_controller.core.worst import highest, lowest
from ess_controller.daemon import Beat
from ess_controller.replay.moments import Moment
from ess_controller.site import Site
from firmware_bridge.dialects.csc import CscMaster
from firmware_bridge.dialects.frame_check import FrameCounters
from firmware_bridge.dialects.sbox import SboxMaster
from firmware_bridge.guard import in_words
from firmware_bridge.plant import box_seats, module_seats
from firmware_bridge.records import Contactor, Floats

MOST_EVENTS = 500  # of one kind; the rest is counted
MOVED_BY_OTHERS = ("contactors welded", "contactors not closed")
NOT_IN_A_CAPTURE = (
    "no inverter is in a capture: modes are those of a controller that may not close, and commands are 0 W"
)


@dataclass
class Spread:
    """Lowest, highest and mean of many values over time; NaN is not counted."""

    size: int

    def __post_init__(self) -> None:
        self.low = np.full(self.size, np.inf)
        self.high = np.full(self.size, -np.inf)
        self._sum = np.zeros(self.size)
        self._weight = np.zeros(self.size)

    def add(self, values: Floats, weight: float) -> None:
        """One beat of `weight` seconds; values [size]."""
        self.low = np.fmin(self.low, values)
        self.high = np.fmax(self.high, values)
        heard = ~np.isnan(values)
        self._sum += np.where(heard, values, 0.0) * weight
        self._weight += heard * weight

    @property
    def mean(self) -> Floats:
        """NaN where nothing was ever heard."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: Floats = self._sum / self._weight
        return mean

    @property
    def heard_s(self) -> Floats:
        """How long each was heard."""
        return self._weight


@dataclass
class Events:
    """What happened when; the first MOST_EVENTS in full, the others counted."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def add(self, t_s: float, **what: Any) -> None:
        """One more."""
        self.count += 1
        if len(self.rows) < MOST_EVENTS:
            self.rows.append({"t_s": round(t_s, 3), **what})


class Health:
    """A tee that gathers the report of the battery side.

    `alone`: of a capture. There is no inverter in it and no meter, and whoever moved the contactors was not we: what
    follows from that is no news.
    """

    def __init__(self, site: Site, *, alone: bool) -> None:
        self._layout = layout = site.plant.layout
        self._alone = alone
        self._rules = [row for row, rule in enumerate(STRING_RULES) if not (alone and rule == Rule.SETTLING)]
        self._rule_ids = np.array([int(STRING_RULES[row]) for row in self._rules])
        self.seconds = 0.0
        self.beats = 0
        self.cell_v, self.module_c = Spread(layout.cells), Spread(layout.modules)
        self.coldest_c = Spread(layout.modules)
        self.string_a, self.string_v, self.string_bus_v = (Spread(layout.strings) for _ in range(3))
        self.cell_silent_s, self.cell_gaps = np.zeros(layout.cells), np.zeros(layout.cells, np.int64)
        self.longest_age_s = np.zeros(layout.cells)
        self.ah_in, self.ah_out = np.zeros(layout.strings), np.zeros(layout.strings)
        self.in_mode_s = np.zeros((layout.strings, len(Mode)))
        self.contactor_s = np.zeros((layout.strings, len(Contactor)))
        self.limited_s = np.zeros((2, layout.strings, len(Rule)))  # charge, discharge
        self.cell_limits_s = np.zeros((2, len(STRING_RULES), layout.cells))
        self.modes, self.diagnoses, self.contactors, self.guard = Events(), Events(), Events(), Events()
        self._silent = np.ones(layout.cells, np.bool_)
        self._mode = np.full(layout.strings, int(Mode.WAKE))
        self._contactor = np.full(layout.strings, int(Contactor.UNKNOWN))
        self._active = np.zeros((len(DIAGNOSES), layout.strings), np.bool_)
        self._trips = np.zeros(layout.cabinets, np.int64)
        # masters of our own, for their counters: a plant shows pictures only; behind a gateway there are no frames
        modules, boxes = module_seats(site.plant), box_seats(site.plant)
        self._modules = CscMaster(modules) if modules else None
        self._boxes = SboxMaster(boxes) if boxes else None
        self._can_module = [at for at, module in enumerate(site.plant.modules) if module.bus]
        self._can_string = [at for at, string in enumerate(site.plant.strings) if string.box_bus]

    def __call__(self, moment: Moment, beat: Beat) -> None:
        """Take in a beat."""
        dt_s, seen = beat.tick.dt_s, beat.seen
        self.beats += 1
        self.seconds += dt_s
        for master in (self._modules, self._boxes):
            if master is not None:
                master.hear(moment.heard.frames, beat.tick.wire_s)
        self.cell_v.add(seen.cell_v, dt_s)
        self.module_c.add(seen.module_hot_c, dt_s)
        self.coldest_c.add(seen.module_cold_c, dt_s)
        self.string_a.add(seen.string_a, dt_s)
        self.string_v.add(seen.string_v, dt_s)
        self.string_bus_v.add(seen.string_bus_v, dt_s)
        ampere_hours = np.nan_to_num(seen.string_a) * dt_s / 3600.0
        self.ah_out += np.maximum(ampere_hours, 0.0)
        self.ah_in -= np.minimum(ampere_hours, 0.0)
        silent = np.isnan(seen.cell_v)
        self.cell_silent_s += silent * dt_s
        self.cell_gaps += silent & ~self._silent
        self._silent = silent
        age_s = np.where(np.isfinite(seen.cell_age_s), seen.cell_age_s, 0.0)
        self.longest_age_s = np.maximum(self.longest_age_s, age_s)
        self._limits(beat)
        self._happened(beat)

    def _limits(self, beat: Beat) -> None:
        """Which rule is the strictest on each string, and on account of which cell."""
        layout, dt_s, rules = self._layout, beat.tick.dt_s, beat.decision.rules
        each = np.arange(layout.strings)
        for side, words in enumerate((rules.charge[self._rules], rules.discharge[self._rules])):
            of_strings = np.minimum.reduceat(words, layout.first_cell_of_string, axis=1)
            row = of_strings.argmin(axis=0)
            self.limited_s[side, each, self._rule_ids[row]] += dt_s
            strictest = words[row[layout.cell_string], np.arange(layout.cells)]
            cell = lowest(strictest, layout.first_cell_of_string, layout.cell_string)[1]
            self.cell_limits_s[side, row, cell] += dt_s

    def _happened(self, beat: Beat) -> None:
        t_s, layout, mode, contactor = beat.tick.t_s, self._layout, beat.state.mode, beat.seen.string_contactor
        each = np.arange(layout.strings)
        self.in_mode_s[each, mode] += beat.tick.dt_s
        self.contactor_s[each, contactor + 1] += beat.tick.dt_s
        for string in np.flatnonzero(mode != self._mode):
            before, after = Mode(int(self._mode[string])), Mode(int(mode[string]))
            self.modes.add(
                t_s, string=layout.string_names[string], before=before.name.lower(), after=after.name.lower()
            )
        for string in np.flatnonzero(contactor != self._contactor):
            word = Contactor(int(contactor[string])).name.lower()
            self.contactors.add(t_s, string=layout.string_names[string], seen=word)
        active = beat.decision.active
        for row, string in zip(*np.nonzero(active != self._active), strict=True):
            if self._alone and DIAGNOSES[row].name in MOVED_BY_OTHERS:
                continue
            on = bool(active[row, string])
            self.diagnoses.add(t_s, string=layout.string_names[string], name=DIAGNOSES[row].name, on=on)
        for cabinet in np.flatnonzero(beat.trips != self._trips):
            words = in_words(int(beat.trips[cabinet])) or "nothing any more"
            self.guard.add(t_s, cabinet=layout.cabinet_names[cabinet], what=words)
        self._mode, self._contactor, self._active, self._trips = mode, contactor, active, beat.trips

    # --- the report -----------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Plain numbers and words; keys may be added, none renamed."""
        layout, boxes = self._layout, self._boxes
        return {
            "beats": self.beats,
            "seconds": round(self.seconds, 3),
            "note": NOT_IN_A_CAPTURE if self._alone else "",
            "strings": [self._string(string) for string in range(layout.strings)],
            "modules": [self._module(module) for module in range(layout.modules)],
            "boxes": [
                {"string": layout.string_names[string], "frames": _counted(boxes.counters, number)}
                for number, string in enumerate(self._can_string)
                if boxes is not None
            ],
            "modes": self.modes.rows,
            "contactors": self.contactors.rows,
            "diagnoses": self.diagnoses.rows,
            "guard": self.guard.rows,
        }

    def _string(self, string: int) -> dict[str, Any]:
        layout = self._layout
        cells = (layout.first_cell_of_string, layout.cell_string)
        modules = (layout.first_module, layout.module_string)
        low_v, low_at = lowest(_known(self.cell_v.low), *cells)
        high_v, high_at = highest(_known(self.cell_v.high), *cells)
        cold_c, cold_at = lowest(_known(self.coldest_c.low), *modules)
        hot_c, hot_at = highest(_known(self.module_c.high), *modules)
        mine = layout.cell_string == string
        mean_v = self.cell_v.mean[mine]
        return {
            "name": layout.string_names[string],
            "cell_v_min": number(low_v[string]),
            "cell_v_min_at": layout.cell_name(int(low_at[string])),
            "cell_v_max": number(high_v[string]),
            "cell_v_max_at": layout.cell_name(int(high_at[string])),
            "cell_v_mean": number(float(np.nanmean(mean_v)) if np.isfinite(mean_v).any() else nan),
            "cell_c_min": number(cold_c[string]),
            "cell_c_min_at": layout.module_place(int(cold_at[string])),
            "cell_c_max": number(hot_c[string]),
            "cell_c_max_at": layout.module_place(int(hot_at[string])),
            "string_a": _spread(self.string_a, string),
            "string_v": _spread(self.string_v, string),
            "string_bus_v": _spread(self.string_bus_v, string),
            "ah_in": number(self.ah_in[string]),
            "ah_out": number(self.ah_out[string]),
            "contactor_s": _seconds(self.contactor_s[string], Contactor, -1),
            "mode_s": _seconds(self.in_mode_s[string], Mode, 0),
            "limited": [*self._limited(0, string), *self._limited(1, string)],
        }

    def _limited(self, side: int, string: int) -> list[dict[str, Any]]:
        """Rules by the hours that they were the strictest, and the cell that made them so most of the time."""
        layout = self._layout
        hours, found = self.limited_s[side, string] / 3600.0, []
        for rule in np.argsort(-hours, kind="stable"):
            if hours[rule] <= 0.0:
                break
            row = int(np.flatnonzero(self._rule_ids == rule)[0])
            mine = np.where(layout.cell_string == string, self.cell_limits_s[side, row], -1.0)
            found.append(
                {
                    "way": ("charge", "discharge")[side],
                    "rule": Rule(int(rule)).name.lower().replace("_", " "),
                    "hours": round(float(hours[rule]), 5),
                    "cell": layout.cell_name(int(mine.argmax())),
                }
            )
        return found

    def _module(self, module: int) -> dict[str, Any]:
        layout = self._layout
        mine = layout.cell_module == module
        return {
            "code": layout.module_names[module],
            "place": layout.module_place(module),
            "cell_v_min": number(float(np.fmin.reduce(_known(self.cell_v.low)[mine]))),
            "cell_v_max": number(float(np.fmax.reduce(_known(self.cell_v.high)[mine]))),
            "cell_c_max": number(_known(self.module_c.high)[module]),
            "heard_s": number(float(self.cell_v.heard_s[mine].min())),
            "silent_s": number(float(self.cell_silent_s[mine].max())),
            "gaps": int(self.cell_gaps[mine].max()),
            "longest_age_s": number(float(self.longest_age_s[mine].max())),
            "frames": self._frames(module),
        }

    def _frames(self, module: int) -> dict[str, int] | None:
        """What became of its frames; None behind a gateway, where there are none."""
        if self._modules is None or module not in self._can_module:
            return None
        return _counted(self._modules.counters, self._can_module.index(module))


def _known(values: Floats) -> Floats:
    """Infinity, where nothing was ever heard, as NaN."""
    known: Floats = np.where(np.isfinite(values), values, nan)
    return known


def _spread(spread: Spread, at: int) -> dict[str, float | None]:
    return {
        "min": number(_known(spread.low)[at]),
        "mean": number(spread.mean[at]),
        "max": number(_known(spread.high)[at]),
    }


def _seconds(row: Floats, kind: type[Mode] | type[Contactor], shift: int) -> dict[str, float]:
    return {kind(at + shift).name.lower(): round(float(s), 3) for at, s in enumerate(row) if s > 0.0}


def _counted(counters: FrameCounters, device: int) -> dict[str, int]:
    names: Sequence[str] = ("believed", "wrong_length", "wrong_crc", "unavailable", "frozen", "lost")
    return {name: int(getattr(counters, name)[device]) for name in names}


def number(value: float) -> float | None:
    """For JSON: what is not known is null."""
    return round(float(value), 5) if np.isfinite(value) else None
