"""A run of the real daemon on the bench, kept beat by beat, for tests that tell what happened."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.core.types import Mode, Order
from ess_controller.daemon import Beat, run
from ess_controller.site import Site, load
from firmware_bridge.records import Floats, Tick
from sim.bench import Bench
from sim.fast import Digest
from sim.scenario_file import load as load_scenario
from sim.world import World
from sim.world.scenario import Scenario

BENCH = Path(__file__).parents[2] / "sites/bench"
NOON = datetime(2026, 1, 15, 4, tzinfo=UTC)  # a Thursday, 12:00 in Shanghai


bench_site, bench_scenario = cache(lambda: load(BENCH, {})), cache(lambda: load_scenario(BENCH))  # frozen


def site(**dispatch: Any) -> Site:
    """The bench site, with other dispatch settings."""
    found = bench_site()
    tuned = replace(found.tuning, dispatch=replace(found.tuning.dispatch, **dispatch))
    return replace(found, tuning=tuned)


def scenario(**tables: dict[str, Any]) -> Scenario:
    """The bench site's world with some keys of some tables replaced."""
    found = bench_scenario()
    changed = {name: getattr(found, name).model_copy(update=values) for name, values in tables.items()}
    return found.model_copy(update=changed)


@dataclass
class Story:
    """One run. `happens` is called after every beat with the beat and the world, and may break it."""

    seconds: float
    beat_s: float = 0.1
    start: datetime = NOON
    seed: int | None = None
    site: Site = field(default_factory=site)
    scenario: Scenario = field(default_factory=scenario)
    order: Callable[[Tick], Order] = lambda _: Order()
    happens: Callable[[Beat, World], None] = lambda _, __: None
    beats: list[Beat] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = round(self.seconds / self.beat_s)
        self.bench = Bench(self.site, self.scenario, self.start, count, self.beat_s, self.seed)
        self.world, self.digest = self.bench.world, Digest()
        tees = (self.digest, self.beats.append, lambda beat: self.happens(beat, self.world))
        run(self.site.tuning, self.bench.plant, self.bench, self.order, tees)
        assert len(self.beats) == count

    def column(self, value: Callable[[Beat], float]) -> Floats:
        """One number of every beat."""
        return np.array([value(beat) for beat in self.beats])

    @property
    def t_s(self) -> Floats:
        """Plant time of every beat."""
        return self.column(lambda beat: beat.tick.t_s)

    @property
    def set_w(self) -> Floats:
        """What the inverter was told, W."""
        return self.column(lambda beat: float(beat.commands.pcs_w[0]))

    @property
    def modes(self) -> list[Mode]:
        """The string's mode in every beat."""
        return [Mode(int(beat.state.mode[0])) for beat in self.beats]

    @property
    def trips(self) -> Floats:
        """The guard's trip bits in every beat."""
        return self.column(lambda beat: float(beat.trips[0]))
