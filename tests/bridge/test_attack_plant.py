"""Devices that tell less than they should, behind the whole plant."""

from datetime import UTC, datetime

import numpy as np

from firmware_bridge.dialects.sunspec.meter import MeterBank
from firmware_bridge.dialects.sunspec.pcs import PcsBank, PcsRatings
from firmware_bridge.dialects.sunspec.pv_bank import PvBank
from firmware_bridge.plant import Freshness, Plant
from firmware_bridge.records import (
    CabinetSpec,
    Commands,
    Contactor,
    Measurements,
    ModuleSpec,
    PlantSpec,
    PvSpec,
    StringSpec,
    Tick,
)
from firmware_bridge.wires.memory import MemoryCan, MemoryRegisters
from tests.bridge.test_sunspec_pcs import CountedClock

MODULE = ModuleSpec("M1", "modules", 0, 8, 232.0, 0.8)
SPEC = PlantSpec(
    {},
    (CabinetSpec("A", "pcs", (StringSpec("A1", "box", (MODULE,)),)),),
    "meter",
    (PvSpec("roof", "pv", 50_000.0),),
)


def after_ten_seconds(pv: PvBank, limit_w: float) -> Measurements:
    clock = CountedClock()
    banks = {"pcs": PcsBank(PcsRatings(50_000.0, 50_000.0)), "meter": MeterBank(), "pv": pv}
    can = {name: MemoryCan.pair(clock)[0] for name in ("modules", "box")}
    plant = Plant(SPEC, Freshness(0.5, 2.0), can, {name: MemoryRegisters(bank, clock) for name, bank in banks.items()})
    told = Commands(
        pcs_w=np.zeros(1),
        pcs_run=np.zeros(1, bool),
        contactor=np.array([int(Contactor.UNKNOWN)]),
        bleed=np.zeros(8, bool),
        pv_limit_w=np.array([limit_w]),
    )
    for beat in range(100):
        clock.now_s = 0.1 * beat
        pv.show(40_000.0, clock.now_s)
        now = Tick(clock.now_s, 0.1, clock.now_s, datetime(2026, 6, 1, tzinfo=UTC))
        seen = plant.read(plant.listen(now), now)
        plant.write(told, now)
    return seen


def test_a_solar_inverter_that_tells_no_rating_is_held_back_by_its_name_plate() -> None:
    mute = PvBank(50_000.0, (1, 103, 123))
    seen = after_ten_seconds(mute, 20_000.0)
    assert seen.pv_rated_w.tolist() == [50_000.0]
    assert mute.control(10.0) == 20_000.0


def test_what_a_solar_inverter_says_of_itself_counts_before_its_name_plate() -> None:
    assert after_ten_seconds(PvBank(60_000.0), np.inf).pv_rated_w.tolist() == [60_000.0]
