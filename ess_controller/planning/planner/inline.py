"""The planner within the loop, for fast-forward: learns from the beats and plans anew when it is due, at once.

Where time is counted nobody waits for it; in the field the planner is a process of its own.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ess_controller.core.stock import stock
from ess_controller.daemon import Beat
from ess_controller.errors import BadInputError
from ess_controller.planning.meter.book import Block, BlockSums, MonthPeak
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import SitePlanner
from ess_controller.planning.value.slot import EVERY_S, SitePlan
from ess_controller.site import Site

NOTHING_STORED = "nothing can be given or taken"


class InlinePlanner:
    """Shown every beat; holds the newest plan as the slot of the field does."""

    def __init__(self, site: Site, known: Iterable[Block] = ()) -> None:
        """`known`: blocks that were measured before. BadInputError for a site without a tariff."""
        self._site, self._planner = site, SitePlanner(site)
        billing = site.tuning.billing
        self._sums = BlockSums(billing)
        self._peak = MonthPeak(billing.block_s, site.time_zone, billing.likeliest_s)
        self._blocks: dict[int, Block] = {}
        self._held: tuple[SitePlan | None, str] = (None, "no plan yet")
        self.plans = 0
        for block in known:
            self._keep(block)

    def __call__(self, beat: Beat) -> None:
        """Add a beat; plan anew with a new block, when it is due."""
        over = self._sums.add(beat)
        if over is not None:
            self._keep(over)
        if self._sums.present is not None:
            self._peak.add(self._sums.present, over=False)
        held, utc = self._held[0], beat.tick.utc
        if held is None or (over is not None and not timedelta(0) <= utc - held.made < timedelta(seconds=EVERY_S)):
            self._plan(beat)

    def slot(self) -> tuple[SitePlan | None, str]:
        """The plan, and what is wrong where there is none."""
        return self._held

    def month_peak_w(self, utc: datetime) -> float:
        """Highest mean import of a billing block of the month so far."""
        return self._peak.of(utc)

    def book(self, first: int, end: int) -> list[Block]:
        """What was measured of the blocks first..end-1."""
        return [self._blocks[number] for number in range(first, end) if number in self._blocks]

    def _keep(self, block: Block) -> None:
        self._peak.add(block)
        before = self._blocks.get(block.number)
        if before is None or block.knows_more_than(before):
            self._blocks[block.number] = block

    def _plan(self, beat: Beat) -> None:
        tuning, utc = self._site.tuning, beat.tick.utc
        rows = (each.tolist() for each in stock(tuning, beat.decision.estimate, beat.state.mode))
        try:
            groups = groups_of(self._site, list(zip(*rows, strict=True)))
        except BadInputError:
            self._held = self._held[0], NOTHING_STORED
            return
        self._held = self._planner.plan(utc, self.book, groups, self._peak.of(utc)), ""
        self.plans += 1
