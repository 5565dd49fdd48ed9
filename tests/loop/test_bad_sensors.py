"""Sensors that lie, from bytes to status: each kind is told by name, poisons no state, and is over by itself."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from ess_controller.core.cell_model import Curve
from ess_controller.core.gauge.sensors import Quality
from ess_controller.core.types import Order
from ess_controller.daemon import Beat
from ess_controller.told.picture import picture
from firmware_bridge.records import Floats, Ints, Tick
from sim.faults import FAULTS
from sim.world import World
from sim.world.broken import Faults
from tests.loop.story import Story, scenario, site

SET_S, LIFT_S, END_S = 300.0, 600.0, 900.0
ALL = list(range(94))
SWINGS = np.random.default_rng(7).uniform(-30_000.0, 30_000.0, 100)


def swinging(tick: Tick) -> Order:
    """Another power every 40 s."""
    return Order(set_w=float(SWINGS[int(tick.t_s // 40.0)]))


class Told:
    """What status says, every 5 s; and how far SOC, as believed, is from the truth."""

    def __init__(self) -> None:
        self.at: dict[int, list[dict[str, Any]]] = {}
        self.off: list[Floats] = []
        self.quality: list[Ints] = []

    def __call__(self, beat: Beat, world: World) -> None:
        self.off.append(np.abs(beat.decision.estimate.soc - world.truth.cell_soc))
        self.quality.append(beat.decision.estimate.quality)
        assert np.isfinite(beat.state.gauge.belief.mean[:, beat.decision.estimate.soc >= 0.0]).all()
        if round(beat.tick.t_s) % 5 == 0:
            shown = picture("bench", site().tuning, beat, {}, beat.tick.wire_s)
            self.at[round(beat.tick.t_s)] = shown["strings"][0]["diagnoses"]

    def when(self, name: str) -> list[int]:
        """Seconds at which a diagnosis stood there."""
        return [t_s for t_s, rows in self.at.items() if name in [row["name"] for row in rows]]

    def cells(self, name: str) -> set[str]:
        """Cells it has named."""
        return {cell for rows in self.at.values() for row in rows if row["name"] == name for cell in row["cells"]}

    def largest(self, from_s: float, cells: list[int]) -> float:
        """The largest error of these cells' SOC from then on."""
        return float(np.nanmax(np.array(self.off)[int(from_s) :, cells]))

    def just_before(self, cells: list[int]) -> float:
        """The largest in the minute before anything broke."""
        return float(np.array(self.off)[int(SET_S) - 60 : int(SET_S), cells].max())


def lived(breaks: Any, *, from_s: float = SET_S, until_s: float = END_S, **changes: Any) -> tuple[Told, Story]:
    """A run of a second a beat; `breaks(faults, t_s)` is told the time after each beat from `from_s` on."""
    told = Told()

    def happens(beat: Beat, world: World) -> None:
        told(beat, world)
        if beat.tick.t_s >= from_s:
            breaks(world.faults, beat.tick.t_s)

    arguments = {"order": swinging, "scenario": scenario(start={"soc_sd": 0.03})} | changes
    return told, Story(seconds=until_s, beat_s=1.0, happens=happens, **arguments)


def during(set_: Any, lift: Any) -> Any:
    """From SET_S to LIFT_S."""
    return lambda faults, t_s: (set_ if t_s < LIFT_S else lift)(faults)


@cache
def truth_v() -> Floats:
    """Voltages at rest of the cells that all stories here begin with."""
    return Story(seconds=1.0, beat_s=1.0, scenario=scenario(start={"soc_sd": 0.03})).world.truth.cell_ocv_v


def apart() -> int:
    """The cell that is the farthest from its neighbour in the module."""
    plant = site().plant
    gaps = np.abs(np.diff(truth_v())) * (np.diff(plant.layout.cell_module) == 0)
    return int(gaps[:93].argmax())


def test_swapped_sense_wires_are_told_with_both_cells_and_poison_neither() -> None:
    one, plant, fault = apart(), site().plant, FAULTS["sense wires swapped"]
    assert abs(truth_v()[one + 1] - truth_v()[one]) > 0.025
    told, story = lived(
        during(lambda faults: fault.set(faults, plant, one), lambda faults: fault.lift(faults, plant, one))
    )
    name, layout = "sense wires swapped", plant.layout
    stood = told.when(name)
    assert SET_S + 10.0 <= stood[0] <= SET_S + 25.0
    assert LIFT_S <= stood[-1] <= LIFT_S + 20.0
    assert told.cells(name) == {f"{layout.cell_name(one)} <-> {layout.cell_name(one + 1)}"}
    assert told.largest(SET_S, [one, one + 1]) < told.just_before([one, one + 1]) + 0.005
    assert told.quality[-1].max() == 0
    assert story.modes[-1] == story.modes[int(SET_S)]


def test_swapped_harnesses_are_told_by_the_places_that_changed() -> None:
    plant, fault = site().plant, FAULTS["harnesses swapped"]
    told, _ = lived(during(lambda faults: fault.set(faults, plant, 4), lambda faults: fault.lift(faults, plant, 4)))
    first, layout = plant.layout.first_cell, plant.layout
    mine = np.arange(first[4], first[4] + 9)
    seen = np.abs(truth_v()[mine] - truth_v()[mine + 9]) > 0.02
    assert seen.sum() >= 3
    sure = {f"{layout.cell_name(int(cell))} <-> {layout.cell_name(int(cell) + 9)}" for cell in mine[seen]}
    assert sure <= told.cells("sense wires swapped")
    assert all(names.count("A1/M05") == names.count("A1/M06") == 1 for names in told.cells("sense wires swapped"))
    assert told.largest(SET_S, [*mine, *(mine + 9)]) < 0.04
    assert told.quality[-1].max() == 0


def test_cells_that_are_in_their_places_are_not_accused() -> None:
    told, _ = lived(lambda faults, t_s: None)
    assert not told.when("sense wires swapped")
    assert not any((bits & int(Quality.SWAPPED | Quality.STUCK)).any() for bits in told.quality)


def test_a_stuck_sensor_is_told_with_its_cell() -> None:
    told, _ = lived(
        during(
            lambda faults: faults.cell_shows_v.setdefault(20, round(float(truth_v()[20]), 3)),
            lambda faults: faults.cell_shows_v.clear(),
        )
    )
    stood = told.when("cell readings odd")
    assert SET_S + 30.0 <= stood[0] <= SET_S + 120.0
    assert stood[-1] <= LIFT_S + 5.0
    assert told.cells("cell readings odd") == {"A1/M03/C01"}
    assert told.largest(SET_S, [20]) < 0.06  # read anew once, before a step of the current showed that it sticks
    assert told.largest(END_S - 60.0, [20]) < told.just_before([20]) + 0.01
    assert told.quality[-1].max() == 0


def test_a_jumping_sensor_is_told_with_its_cell() -> None:
    dice = np.random.default_rng(3)

    def jump(faults: Faults) -> None:
        faults.cell_offset_v[20] = float(dice.choice([0.0, 0.18, -0.18, 0.15]))

    told, _ = lived(during(jump, lambda faults: faults.cell_offset_v.clear()))
    assert told.cells("cell readings odd") == {"A1/M03/C01"}
    assert SET_S + 30.0 <= told.when("cell readings odd")[0] <= SET_S + 150.0
    assert told.largest(0.0, [20]) < 0.05
    assert told.quality[-1].max() == 0


def test_a_broken_sense_wire_opens_the_string_and_all_comes_back() -> None:
    told, story = lived(
        during(lambda faults: faults.cell_offset_v.update({20: np.nan}), lambda faults: faults.cell_offset_v.clear())
    )
    assert told.when("cells silent")[0] >= SET_S + 10.0
    assert told.when("cells silent")[-1] <= LIFT_S + 5.0
    assert (story.modes[int(LIFT_S) - 10].name, story.modes[-1].name) == ("FAULT", "RUN")
    assert told.largest(0.0, ALL) < 0.05


def test_wires_crossed_at_installation_keep_the_string_open() -> None:
    """One cell shows the sum of two, its neighbour less than nothing, which a board sends as 0."""

    def cross(beat: Beat, world: World) -> None:
        told(beat, world)
        world.faults.cell_shows_v |= {20: 7.3, 21: -3.65}

    told = Told()
    crossed = Story(seconds=60.0, beat_s=1.0, happens=cross, order=lambda _: Order(set_w=10_000.0))
    assert "RUN" not in [mode.name for mode in crossed.modes[3:]]
    assert told.when("cell over-voltage")
    assert told.when("cell under-voltage")


@pytest.mark.parametrize("seconds", [8.0, 120.0])
def test_a_gap_in_the_frames_costs_no_more_soc_than_what_flowed(seconds: float) -> None:
    bus = site().plant.can_buses[0]

    def silence(faults: Faults, t_s: float) -> None:
        (faults.silent_buses.add if t_s < SET_S + seconds else faults.silent_buses.discard)(bus)

    told, story = lived(silence)
    assert bool(told.when("cells silent")) == (seconds > 10.0)
    assert story.modes[-1].name == "RUN"
    assert told.largest(SET_S, ALL) < told.just_before(ALL) + 0.01


@pytest.mark.parametrize("from_s", [0.0, SET_S])
def test_a_current_sensor_that_counts_backwards_stops_its_string_until_it_is_cleared(from_s: float) -> None:
    """From the start eight steps of current tell it; later 20, as it has been seen to count well."""
    lift_s = 1300.0

    def order(tick: Tick) -> Order:
        return replace(swinging(tick), clear_latched=lift_s + 60.0 <= tick.t_s < lift_s + 62.0)

    told, story = lived(
        lambda faults, t_s: faults.current_gain.update({0: -1.0 if from_s <= t_s < lift_s else 1.0}),
        from_s=from_s,
        order=order,
        until_s=2200.0,
    )
    stood = told.when("current counts backwards")
    assert from_s < stood[0] <= from_s + (400.0 if from_s == 0.0 else 900.0)
    assert lift_s + 50.0 <= stood[-1] <= lift_s + 65.0
    assert story.modes[-1].name == "RUN"
    assert told.largest(2100.0, ALL) < 0.05


def test_a_cell_file_of_another_chemistry_is_told() -> None:
    """The bench's cells with a file of iron phosphate: flat at 3.3 V, which none of them shows."""
    here = site()
    soc = np.array([0.0, 0.05, 0.1, 0.3, 0.6, 0.9, 0.97, 1.0])
    iron = replace(here.tuning.cell, ocv=Curve(soc, np.array([2.5, 3.1, 3.2, 3.28, 3.31, 3.34, 3.40, 3.65])))
    other = replace(here, tuning=replace(here.tuning, cell=iron))
    told, _ = lived(lambda faults, t_s: None, until_s=1500.0, site=other)
    assert told.when("cell file doubtful")
    right, _ = lived(lambda faults, t_s: None, until_s=1500.0)
    assert not right.when("cell file doubtful")
