"""How often value dispatch turns the battery, and what damping costs: `python -m tests.bench.turns SITE --days 7`.

The site's load and sun as `ess simulate` plays them (measured quarter hours, motors and clouds within them); each
beat is decided on what was measured a beat before, with a new plan every half hour; a battery without cells. One row
for each price of a turn: 0 is undamped, the daemon's own comes last.
"""

import argparse
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from ess_controller.core.dispatch import turn_cny
from ess_controller.core.steady import Course, keep_course
from ess_controller.core.value import Moment, Value, options
from ess_controller.core.windows import LEAST_REST_S
from ess_controller.planning.given.groups import together
from ess_controller.planning.meter.book import Block
from ess_controller.planning.planner.site_battery import groups_of
from ess_controller.planning.planner.site_planner import SitePlanner
from ess_controller.site import Site, load
from firmware_bridge.records import Floats
from sim.scenario_file import load as load_scenario
from sim.world.premises import place

HISTORY_DAYS, PLAN_BLOCKS = 8, 2


@dataclass
class Outcome:
    """What a run came to."""

    turns: int = 0
    starts: int = 0
    moved_w: float = 0.0  # sum of all changes of power
    given_wh: float = 0.0
    peak_w: float = 0.0
    energy_cny: float = 0.0
    held_wh: float = 0.0


@dataclass(frozen=True, eq=False)
class Played:
    """What the site's meter would see without a battery."""

    begin: datetime
    beat_s: float
    load_w: Floats  # [beat]
    pv_w: Floats  # [beat]


def played(site: Site, path: Path, begin: datetime, days: float, beat_s: float) -> Played:
    """The site's load and sun from `begin` on."""
    scenario = load_scenario(path)
    there = place(scenario.premises, scenario.seed, [each.name for each in site.plant.pvs])
    beats = range(round(days * 86400.0 / beat_s))
    at = [there.at(datetime.fromtimestamp(begin.timestamp() + beat_s * beat, begin.tzinfo)) for beat in beats]
    return Played(begin, beat_s, np.array([each.load_w for each in at]), np.array([each.pv_w for each in at]))


class Run:
    """One battery through what was played."""

    def __init__(self, site: Site, what: Played, price: float | None) -> None:
        """`price` of a turn, CNY; None: the daemon's own."""
        self._site, self._what, self._price = site, what, price
        self._block_s = site.tuning.dispatch.block_s
        self._beats = round(self._block_s / what.beat_s)
        self._first = int(what.begin.timestamp() // self._block_s)
        self._battery, self._planner = together(groups_of(site)), SitePlanner(site)
        loads, suns = (each.reshape(-1, self._beats).mean(axis=1) for each in (what.load_w, what.pv_w))
        self._blocks = [
            Block(self._first + at, load_w, 1.0, pv_w, 1.0, max(load_w - pv_w, 0.0), max(pv_w - load_w, 0.0), 1.0)
            for at, (load_w, pv_w) in enumerate(zip(loads.tolist(), suns.tolist(), strict=True))
        ]

    def go(self) -> Outcome:
        """To the end."""
        battery, out, course = self._battery, Outcome(), Course()
        out.held_wh = battery.soc_start * battery.energy_wh
        power_w, idle_s, side, net_w = 0.0, np.inf, 0, self._what.load_w - self._what.pv_w
        knobs, beat_s = self._site.tuning.dispatch, self._what.beat_s
        for block in range(HISTORY_DAYS * round(86400.0 / self._block_s), len(self._blocks)):
            if block % PLAN_BLOCKS == 0:
                value = self._plan(block, out.peak_w)
                price = turn_cny(self._site.tuning, value) if self._price is None else self._price
            stage, gone_ws = self._first + block - value.origin, 0.0
            for beat in range(self._beats):
                at, left_s = block * self._beats + beat, max(self._block_s - beat * beat_s, LEAST_REST_S)
                gone_w = gone_ws / (beat * beat_s) if beat else 0.0
                held_wh = out.held_wh - battery.soc_min * battery.energy_wh + value.store.energy_wh[0]
                seen_w = float(net_w[at - 1])
                found = options(value, stage, Moment(seen_w, held_wh, out.peak_w, left_s / self._block_s, gone_w))
                if found is None:
                    raise ValueError("what was played is not a number")
                course = Course() if idle_s >= knobs.idle_stop_s and course.side else course
                wanted_w, course = keep_course(found, course, price, min(beat_s / left_s, 1.0))
                guarded_w = max(wanted_w, seen_w - max(knobs.peak_w * self._block_s - gone_ws, 0.0) / left_s)
                done_w = self._done(guarded_w, float(net_w[at]), out)
                grid_w = float(net_w[at]) - done_w
                gone_ws += max(grid_w, 0.0) * beat_s
                per_wh = (value.buy_cny_per_wh if grid_w > 0.0 else value.sell_cny_per_wh)[stage]
                out.energy_cny += float(per_wh) * grid_w * beat_s / 3600.0
                out.moved_w += abs(done_w - power_w)
                power_w, works = done_w, abs(done_w) >= knobs.idle_w
                out.starts += works and idle_s >= knobs.idle_stop_s
                out.turns += works and side * done_w < 0.0
                side = int(np.sign(done_w)) if works else side
                idle_s = 0.0 if works else idle_s + beat_s
            out.peak_w = max(out.peak_w, gone_ws / self._block_s)
        return out

    def _plan(self, block: int, peak_w: float) -> Value:
        utc = datetime.fromtimestamp((self._first + block) * self._block_s, self._what.begin.tzinfo)
        return self._planner.plan(utc, self._book, (self._battery,), peak_w).value

    def _book(self, first: int, end: int) -> list[Block]:
        return self._blocks[max(first - self._first, 0) : max(end - self._first, 0)]

    def _done(self, wanted_w: float, net_w: float, out: Outcome) -> float:
        """What the battery does of it."""
        battery, hours = self._battery, self._what.beat_s / 3600.0
        low, high = battery.soc_min * battery.energy_wh, battery.soc_max * battery.energy_wh
        most_w = battery.discharge_w if battery.export == "any" else max(net_w, 0.0)
        top = min(battery.discharge_w, most_w, max(out.held_wh - low, 0.0) * battery.discharge_efficiency / hours)
        bottom = -min(battery.charge_w, max(high - out.held_wh, 0.0) / battery.charge_efficiency / hours)
        done_w = min(max(wanted_w, bottom), top)
        flow_w = done_w / battery.discharge_efficiency if done_w > 0.0 else done_w * battery.charge_efficiency
        out.held_wh -= flow_w * hours
        out.given_wh += max(done_w, 0.0) * hours
        return done_w


HEADS = ("a turn, CNY", "turns", "starts", "changes, MW", "given, kWh", "peak, kW", "energy, CNY", "with stored, CNY")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("site", type=Path)
    asked.add_argument("--days", type=int, default=7)
    asked.add_argument("--start", default="2026-05-25T00:00:00+08:00", help="of the history; the run begins later")
    asked.add_argument("--beat", type=float, default=60.0, help="plant seconds a beat")
    asked.add_argument("--price", type=float, nargs="*", default=[0.0], help="of a turn, CNY: a row each")
    asked.add_argument("--stored", type=float, default=0.6, help="what a stored kWh is worth at the end, CNY")
    chosen = asked.parse_args()
    site, begin = load(chosen.site, {}), datetime.fromisoformat(chosen.start)
    what = played(site, chosen.site, begin, chosen.days + HISTORY_DAYS, chosen.beat)
    print("".join(f"{head:>18}" for head in HEADS))  # noqa: T201
    for price in [*chosen.price, None]:
        out = Run(site, what, price).go()
        cells = (
            "the daemon's" if price is None else f"{price:.2f}",
            str(out.turns),
            str(out.starts),
            f"{out.moved_w / 1e6:.2f}",
            f"{out.given_wh / 1e3:.0f}",
            f"{out.peak_w / 1e3:.1f}",
            f"{out.energy_cny:.1f}",
            f"{out.energy_cny - chosen.stored * out.held_wh / 1e3:.1f}",
        )
        print("".join(f"{cell:>18}" for cell in cells), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
