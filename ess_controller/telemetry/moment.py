"""One beat as rows of numbers: what the table of points takes its fields from."""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np

from ess_controller.core.arbitration import Arbitration, arbitration
from ess_controller.core.sop import Sop, told
from ess_controller.core.types import Tuning
from ess_controller.core.worst import highest, lowest
from ess_controller.core.worth import Worth, worth
from ess_controller.daemon import Beat
from ess_controller.told.arbitrated import WAYS, Since
from ess_controller.told.picture import limits
from firmware_bridge.records import Contactor, Floats, Ints

NOTHING: Mapping[str, float] = MappingProxyType({})


class Moment:
    """A beat, and what is worked out of it at most once. `own`: what stands beside the beat: the daemon about itself,
    the price, the plan's age; `since`: since when rules act."""

    def __init__(
        self, beat: Beat, tuning: Tuning, own: Mapping[str, float] = NOTHING, since: Since | None = None
    ) -> None:
        self.beat, self.seen, self.now, self.state = beat, beat.seen, beat.decision.estimate, beat.state
        self.tuning, self.layout = tuning, tuning.layout
        self._own, self._since = own, since

    def outside(self, name: str) -> Floats:
        """[1] what stands beside the beat; NaN where it is not known."""
        return np.array([self._own.get(name, np.nan)])

    @property
    def load_w(self) -> float:
        """What the site uses, grid + battery + sun; NaN where one is not known."""
        seen = self.seen
        return float(seen.grid_w + seen.pcs_w.sum() + (seen.pv_w.sum() if self.layout.pvs else 0.0))

    @property
    def month_peak_w(self) -> float:
        """Highest billing window of the month so far; NaN where nobody has planned with it."""
        return self.beat.decision.order.month_peak_w or np.nan

    @cached_property
    def arbitration(self) -> dict[str, Arbitration]:
        """[way] what each rule takes."""
        both = arbitration(self.tuning, self.state, self.seen, self.beat.decision)
        return dict(zip(WAYS, both, strict=True))

    @cached_property
    def worth(self) -> Worth | None:
        """What the plan goes by."""
        return worth(self.tuning, self.state, self.beat.decision)

    def since_s(self, way: str) -> Floats:
        """[cabinet] how long the rule that acts has done so; NaN where that is not known."""
        if self._since is None:
            return np.full(self.layout.cabinets, np.nan)
        moments = [self._since.of(way, cabinet) for cabinet in range(self.layout.cabinets)]
        now = self.beat.tick.utc
        return np.array([np.nan if each is None else max((now - each).total_seconds(), 0.0) for each in moments])

    @cached_property
    def limits(self) -> list[dict[str, object]]:
        """[cabinet] how far power may go and why."""
        return [limits(self.beat.decision, cabinet, self.layout) for cabinet in range(self.layout.cabinets)]

    @cached_property
    def sop(self) -> tuple[Sop, ...]:
        """[horizon] what may be carried for so long."""
        return told(self.tuning, self.state, self.seen, self.beat.decision)

    def by(self, way: str) -> list[tuple[str, str]]:
        """[cabinet] the rule that bounds one way, "charge" or "discharge", and where; "" where it names no place."""
        parted = (str(each[f"{way}_by"]).partition(", ") for each in self.limits)
        return [(rule, place) for rule, _, place in parted]

    @cached_property
    def heard_box(self) -> Floats:
        """[string] 1 where its box's bits are fresh, else NaN."""
        return np.where(self.seen.string_contactor == int(Contactor.UNKNOWN), np.nan, 1.0)

    @cached_property
    def heard_module(self) -> Floats:
        """[module] 1 where its error bits are fresh, else NaN."""
        return np.where(np.isnan(self.seen.module_board_c + self.seen.module_hot_c), np.nan, 1.0)

    @cached_property
    def module_soc(self) -> Floats:
        """[module] mean over its cells."""
        return mean(self.now.soc, self.layout.first_cell)

    @cached_property
    def module_soh(self) -> tuple[Floats, Floats]:
        """[module] what its smallest cell is believed to hold over the nameplate, and the standard deviation."""
        layout, nameplate_ah = self.layout, self.tuning.module_nameplate_ah
        smallest_ah, at = lowest(self.now.capacity_ah, layout.first_cell, layout.cell_module)
        return smallest_ah / nameplate_ah, self.now.capacity_sd_ah[at] / nameplate_ah

    @cached_property
    def cabinet_io(self) -> Ints:
        """[cabinet] the number of its remote I/O, -1 where it has none (or none has been heard of yet)."""
        at = np.full(self.layout.cabinets, -1, np.int64)
        count = len(self.seen.io_age_s)
        at[self.layout.io_cabinet[:count]] = np.arange(count)
        return at

    def of_io(self, values: Ints | Floats) -> Floats:
        """[io] as [cabinet]; NaN where there is none, or where it is -1: not heard."""
        told = np.append(np.where(np.asarray(values) == -1, np.nan, values), np.nan)
        return told[self.cabinet_io] if len(told) > 1 else np.full(self.layout.cabinets, np.nan)

    def least(self, values: Floats, *, of_cells: bool) -> Floats:
        """[string] the lowest of its cells or modules; inf (left out) where none is heard."""
        return lowest(values, *self._groups(of_cells))[0]

    def most(self, values: Floats, *, of_cells: bool) -> Floats:
        """[string] the highest; -inf (left out) where none is heard."""
        return highest(values, *self._groups(of_cells))[0]

    def _groups(self, of_cells: bool) -> tuple[Ints, Ints]:
        layout = self.layout
        if of_cells:
            return layout.first_cell_of_string, layout.cell_string
        return layout.first_module, layout.module_string

    @cached_property
    def pv_limit_w(self) -> Floats:
        """[pv] what each may generate; inf (left out) where it is not curtailed."""
        told = self.beat.commands.pv_limit_w
        return told if len(told) == self.layout.pvs else np.full(self.layout.pvs, np.nan)

    def of_pv(self, values: Floats) -> Floats:
        """[pv] values of solar inverters; NaN before any was read."""
        return values if len(values) == self.layout.pvs else np.full(self.layout.pvs, np.nan)


def mean(values: Floats, first: Ints) -> Floats:
    """[group] NaN where any member is not known."""
    counts = np.diff(np.append(first, len(values)))
    sums: Floats = np.add.reduceat(values, first)
    return sums / counts
