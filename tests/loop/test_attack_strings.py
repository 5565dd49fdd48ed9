"""Months in a cabinet of strings: contactors that do not obey, restarts at the worst moment, faults in pairs."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from ess_controller.core.health import DIAGNOSES
from ess_controller.core.step import first_state
from ess_controller.core.types import Mode, Order
from ess_controller.daemon import Beat, run
from firmware_bridge.dialects.sunspec.battery_map import DISABLE, ENABLE, offset
from firmware_bridge.plant import Freshness, Plant
from firmware_bridge.records import Contactor, Layout, PlantSpec, Tick
from sim.bench import Bench
from sim.faults import FAULTS
from sim.verdict import verdict
from sim.world import World
from sim.world.broken import Faults
from tests.core.pictures import Controller, plant_tuning, well
from tests.loop.story import Story
from tests.loop.test_dealership import A1, A2, B1, B2, MORNING, nature, place

OPEN, CLOSED = int(Contactor.OPEN), int(Contactor.CLOSED)
CHAINS = ("E-stop pressed", "interlock open")  # these open under load, by their own wires

Break = Callable[[Faults, PlantSpec, int], object]
OF_STRINGS: dict[str, tuple[Break, Break]] = {  # set, lift
    "welded": (lambda now, _, at: now.welded.add(at), lambda now, _, at: now.welded.discard(at)),
    "box silent": (lambda now, _, at: now.silent_boxes.add(at), lambda now, _, at: now.silent_boxes.discard(at)),
    "earth fault": (
        lambda now, _, at: now.insulation_ohm.__setitem__(at, 1e4),
        lambda now, _, at: now.insulation_ohm.pop(at, None),
    ),
}


class Watch:
    """Looks at the true world after every beat: how strings close, and onto what."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._contactor = np.zeros(layout.strings, np.int64)
        self._inrush_a = np.zeros(layout.strings)
        self.together = 0  # beats in which two strings of a cabinet closed
        self.onto_live_a = 0.0  # the largest inrush onto a bus that another string held up

    def __call__(self, world: World) -> None:
        """After a beat."""
        truth, layout = world.truth, self._layout
        closing = (truth.contactor == CLOSED) & (self._contactor != CLOSED)
        self.together += int(np.bincount(layout.string_cabinet[closing], minlength=1).max() > 1)
        for string in np.flatnonzero(closing & (truth.inrush_a > self._inrush_a)).tolist():
            members = layout.strings_of_cabinet[int(layout.string_cabinet[string])]
            if any(self._contactor[other] == CLOSED for other in members if other != string):
                self.onto_live_a = max(self.onto_live_a, float(truth.inrush_a[string]))
        self._contactor, self._inrush_a = truth.contactor.copy(), truth.inrush_a.copy()


def assert_unharmed(world: World, watch: Watch, join_a: float, closes_per_hour: int) -> None:
    harm = verdict(world, place("shanghai-dealer").tuning.envelope)
    assert (harm["cells_outside_limits"], harm["opened_under_load"], watch.together) == (0, 0, 0)
    assert watch.onto_live_a <= join_a
    assert world.truth.closes.max() <= closes_per_hour


# --- contactors that do not obey --------------------------------------------------------------------------------------


def test_a_string_that_cannot_close_does_not_take_its_neighbour_to_0_w_again_and_again() -> None:
    def happens(_: Beat, world: World) -> None:
        world.faults.stuck_open.add(A2)

    story = Story(120.0, 0.5, MORNING, None, place("shanghai-dealer"), nature("shanghai-dealer"), happens=happens)
    tries = np.diff(story.column(lambda beat: float(beat.state.mode[A2] == Mode.PRECHARGE))) > 0
    assert np.count_nonzero(tries) <= 2 * story.site.tuning.mode.closes_per_hour
    assert (story.set_w[120:] != 0.0).mean() > 0.9  # A1 is well all the time


def test_a_neighbour_does_not_stay_on_a_string_that_had_to_open_and_is_welded() -> None:
    def happens(beat: Beat, world: World) -> None:
        if beat.tick.t_s >= 20.0:
            world.faults.welded.add(A1)
            world.faults.insulation_ohm[A1] = 1e4

    story = Story(60.0, 0.5, MORNING, None, place("shanghai-dealer"), nature("shanghai-dealer"), happens=happens)
    assert story.world.truth.contactor[A1] == CLOSED
    assert story.set_w[-1] == 0.0
    assert story.world.truth.contactor[A2] == Contactor.OPEN  # else it feeds the fault for as long as it lasts
    assert story.world.truth.contactor[B1] == CLOSED


# --- restarts ---------------------------------------------------------------------------------------------------------


class Part:
    """The next beats of a clock that goes on: one life of the daemon."""

    late_beats = 0

    def __init__(self, ticks: Iterator[Tick], beats: int) -> None:
        self._ticks, self._beats = ticks, beats

    def ticks(self) -> Iterator[Tick]:
        """So many, or what is left."""
        for _ in range(self._beats):
            tick = next(self._ticks, None)
            if tick is None:
                return
            yield tick


@pytest.mark.parametrize(
    ("name", "lives_s", "down_s"),
    [
        ("shanghai-dealer", (9.0, 8.5), (2.0, 0.5)),  # one string closed, the other precharging
        ("shanghai-dealer", (25.0, 6.0), (13.0, 17.0)),  # the inverter has reverted; the boxes have opened
        ("shenzhen-dealer", (14.0, 11.0), (2.0, 5.0)),  # while a gateway closes by itself
        ("shenzhen-dealer", (16.0, 3.0), (0.5, 17.0)),
    ],
)
def test_a_daemon_killed_in_any_mode_comes_back_without_harm(
    name: str, lives_s: tuple[float, ...], down_s: tuple[float, ...]
) -> None:
    site, beat_s = place(name), 0.5
    bench = Bench(site, nature(name), MORNING, 240, beat_s, 7)
    ticks, plant, watch, kept = bench.ticks(), bench.plant, Watch(site.plant.layout), list[Beat]()
    first = first_state(site.tuning)

    def look(_: Beat) -> None:
        watch(bench.world)

    for life_s, dead_s in zip(lives_s, down_s, strict=True):
        part = Part(ticks, round(life_s / beat_s))
        run(site.tuning, plant, part, lambda _: Order(), (look, kept.append), first=first)
        for _ in range(round(dead_s / beat_s)):
            next(ticks)
            watch(bench.world)
        for can in bench.can.values():
            can.drain()  # what was said meanwhile nobody has heard
        for registers in bench.registers.values():
            registers.drain()
        plant = Plant(site.plant, Freshness(site.can_stale_s, site.register_stale_s), bench.can, bench.registers)
        first = replace(first_state(site.tuning), closed_t_s=kept[-1].state.closed_t_s)
    run(site.tuning, plant, Part(ticks, 240), lambda _: Order(), (look, kept.append), first=first)
    assert_unharmed(bench.world, watch, site.tuning.mode.join_a, site.tuning.mode.closes_per_hour)
    assert not any(beat.trips.any() for beat in kept)
    assert set(kept[-1].state.mode.tolist()) == {Mode.RUN}


# --- faults in pairs --------------------------------------------------------------------------------------------------


def chosen(rng: np.random.Generator, plant: PlantSpec) -> tuple[Break, Break, int]:
    """One way to break the site: how to set and to lift it, and what it befalls."""
    names = [name for name in FAULTS if name not in CHAINS and FAULTS[name].targets(plant)] + [*OF_STRINGS]
    name = names[rng.integers(len(names))]
    if name in FAULTS:
        return FAULTS[name].set, FAULTS[name].lift, int(rng.integers(FAULTS[name].targets(plant)))
    return *OF_STRINGS[name], int(rng.integers(plant.layout.strings))


@pytest.mark.parametrize("seed", range(6))
def test_two_faults_at_any_time_do_no_harm_and_leave_nothing_behind(seed: int) -> None:
    name, beat_s = ("shanghai-dealer", "shenzhen-dealer")[seed % 2], (0.5, 1.0, 10.0)[seed // 2]
    slow, rng, plant = max(beat_s, 1.0), np.random.default_rng(seed), place(name).plant
    begins_s = rng.uniform(5.0, 100.0, 2) * slow
    ends_s = begins_s + rng.choice([0.7, 3.0, 12.0, 40.0], 2) * slow
    rows = [(*chosen(rng, plant), begin, end) for begin, end in zip(begins_s, ends_s, strict=True)]
    watch = Watch(plant.layout)

    def happens(beat: Beat, world: World) -> None:
        for to_set, lift, target, begin, end in rows:
            (to_set if begin <= beat.tick.t_s < end else lift)(world.faults, plant, target)
        watch(world)

    def order(tick: Tick) -> Order:  # an operator has looked
        return Order(clear_latched=170.0 * slow <= tick.t_s < 170.0 * slow + 2 * beat_s)

    story = Story(260.0 * slow, beat_s, MORNING, seed, place(name), nature(name), order, happens)
    knobs = story.site.tuning.mode
    assert_unharmed(story.world, watch, knobs.join_a, knobs.closes_per_hour)
    assert not any(beat.trips.any() for beat in story.beats)
    assert Mode.FAULT not in story.beats[-1].state.mode.tolist()


# --- a gateway that takes its time ------------------------------------------------------------------------------------


def test_a_gateway_that_goes_on_precharging_at_level_voltage_is_waited_for() -> None:
    """Many precharge for a fixed time of some seconds, however level the bus is by then."""
    tuned = plant_tuning()
    tuning = replace(tuned, layout=replace(tuned.layout, gateway_cabinet=np.array([1])))
    lies = np.array([CLOSED, CLOSED, CLOSED, Contactor.OPEN], np.int64)
    controller, power_w = Controller(tuning), list[float]()
    modes = list[Mode]()
    for beat in range(120):
        seen = well(tuning.layout, string_contactor=lies.copy())
        decision = controller.beat(seen, Order(set_w=20_000.0))
        told = decision.commands.contactor[3]
        if told > Contactor.OPEN and lies[3] == Contactor.OPEN:
            lies[3], begins = Contactor.PRECHARGE, beat
        elif lies[3] == Contactor.PRECHARGE:
            power_w.append(float(decision.commands.pcs_w[1]))
            lies[3] = Contactor.OPEN if told == Contactor.OPEN else CLOSED if beat - begins >= 30 else lies[3]
        modes.append(Mode(int(controller.state.mode[3])))
    assert Mode.PRECHARGE in modes
    assert Mode.FAULT not in modes
    assert modes[-1] == Mode.RUN
    assert set(power_w) == {0.0}  # it may close at any moment: its cabinet rests until then


def test_a_string_disabled_at_its_gateway_stays_open_and_is_told_until_somebody_enables_it_there() -> None:
    row = [each.name for each in DIAGNOSES].index("disabled at gateway")

    def happens(beat: Beat, world: World) -> None:
        (gateway,) = world.devices.registers.gateways
        enable_at = int(gateway.bank.map.string_at[1]) + offset(804, "SetEna")
        if beat.tick.t_s in (0.5, 60.0):  # a technician, with a tool of his own
            gateway.bank.write(enable_at, (DISABLE if beat.tick.t_s < 60.0 else ENABLE,))
        lies.append(world.truth.contactor.tolist())

    lies = list[list[int]]()
    story = Story(90.0, 0.5, MORNING, None, place("shenzhen-dealer"), nature("shenzhen-dealer"), happens=happens)
    before, after = story.beats[118], story.beats[-1]
    assert {contactor[B2] for contactor in lies[:120]} == {OPEN}
    assert before.state.mode[[B1, B2]].tolist() == [Mode.RUN, Mode.FAULT]
    assert before.decision.active[row].tolist() == [False, False, False, True]
    assert lies[-1] == [CLOSED] * 4
    assert not after.decision.active[row].any()


# --- what stands against an inrush ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shanghai-dealer", "shenzhen-dealer"])
def test_an_inrush_is_predicted_with_no_more_than_what_stands_against_it_at_once(name: str) -> None:
    """Closing meets the ohmic part alone: 33 A have been seen where 24 A were predicted."""
    site, layout = place(name), place(name).plant.layout
    world = Bench(site, nature(name), MORNING, 1).world
    pack = world.scenario.pack
    ohmic_ohm = np.add.reduceat(world.nature.cells.r0_ohm + pack.busbar_ohm, layout.first_cell_of_string)
    true_ohm = ohmic_ohm + pack.cable_ohm + pack.link_ohm * np.bincount(layout.module_string)
    assert (site.tuning.string_at_once_ohm <= 1.05 * true_ohm).all()
