"""Our cabinets as others read them: what the daemon sees and allows, spread over its beats, and nothing taken."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ess_controller.core.health import DIAGNOSES
from ess_controller.daemon import Beat
from ess_controller.doors.served import REFRESH_S, Served, unit_url
from ess_controller.errors import BadInputError, TroubleError
from firmware_bridge.dialects.sunspec.battery import BatteryMaster, BatteryPicture, BatterySeat
from firmware_bridge.dialects.sunspec.battery_bank import BatteryBank
from firmware_bridge.dialects.sunspec.battery_faults import Event, Warn
from firmware_bridge.dialects.sunspec.battery_map import offset
from firmware_bridge.frames import NO_FRAMES
from firmware_bridge.plant import Heard
from firmware_bridge.records import CabinetSpec, ModuleSpec, PlantSpec, StringSpec
from firmware_bridge.wires.memory import MemoryRegisters
from tests.bridge.test_sunspec_pcs import CountedClock
from tests.core.pictures import Controller, plant_tuning, running, tick, well

ANYWHERE = "tcp://127.0.0.1:0/1"


def plant(cabinets: int = 2, strings: int = 2, modules: int = 2, cells: int = 8) -> PlantSpec:
    """By default that of `plant_tuning`: two cabinets of two strings of two modules of eight cells."""
    made = [
        StringSpec(
            f"S{string}",
            "can",
            tuple(ModuleSpec(f"M{string * modules + at}", "can", 0, cells, 232.0, 0.8) for at in range(modules)),
        )
        for string in range(cabinets * strings)
    ]
    return PlantSpec(
        {},
        tuple(
            CabinetSpec(name, f"pcs {name}", tuple(made[at * strings : (at + 1) * strings]))
            for at, name in enumerate("ABCDEFGHIJ"[:cabinets])
        ),
        "meter",
    )


def beats(controller: Controller, seconds: float, **changes: Any) -> Iterator[Beat]:
    """Beats of a tenth of a second in which the plant looks well, except for the changes."""
    seen = well(plant_tuning().layout, **changes)
    for _ in range(round(seconds * 10)):
        decision = controller.beat(seen)
        trips = np.zeros(2, np.int64)
        heard = Heard(NO_FRAMES, ())
        now = tick(controller.t_s)
        yield Beat(now, heard, seen, controller.state, decision, decision.commands, trips, 0)


def told(served: Served, controller: Controller, seconds: float, **changes: Any) -> Beat:
    """Serve so many seconds; the last beat."""
    beat: Beat | None = None
    for beat in beats(controller, seconds, **changes):
        served(beat)
    assert beat is not None
    return beat


def read(bank: BatteryBank, cabinet: int = 0) -> tuple[BatteryPicture, list[str]]:
    """The cabinet as another controller reads it, and what it is told."""
    clock = CountedClock()
    wire, master = MemoryRegisters(bank, clock), BatteryMaster(BatterySeat.of(plant().cabinets[cabinet]))
    for _ in range(30):
        clock.now_s += 0.1
        master.hear(wire.drain(), clock.now_s)
        wire.ask(master.ask(np.zeros(2, np.int64), clock.now_s))
    return master.picture(clock.now_s), master.take_events()


def point(bank: BatteryBank, model: int, at: int, name: str) -> int:
    return (bank.read(at + offset(model, name), 1) or (-1,))[0]


def event_bits(bank: BatteryBank, string: int = 0) -> int:
    high, low = bank.read(int(bank.map.string_at[string]) + offset(804, "Evt1"), 2) or (-1, -1)
    return high << 16 | low


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(ANYWHERE, "dealer", plant(), plant_tuning(), tmp_path)
    yield made
    made.close()


def test_another_controller_reads_each_cabinet_as_the_daemon_sees_it(served: Served) -> None:
    layout = plant_tuning().layout
    cell_v = 3.6 + np.arange(layout.cells) / 1000
    module_c = 20.0 + np.arange(layout.modules * 4).reshape(-1, 4) / 10
    seen = told(served, running(tuned=plant_tuning()), 2.0, cell_v=cell_v, module_c=module_c).seen
    for cabinet, bank in enumerate(served.banks):
        picture, events = read(bank, cabinet)
        assert events[0] == "gateway found: 2 strings, 32 cells"
        assert "gateway switched to local: not written to" in events
        cells, modules, strings = slice(cabinet * 32, cabinet * 32 + 32), slice(cabinet * 4, cabinet * 4 + 4), slice(2)
        assert picture.cell_v == pytest.approx(seen.cell_v[cells])
        assert picture.module_c == pytest.approx(seen.module_c[modules])
        assert picture.string_v == pytest.approx(seen.string_v[strings], abs=0.051)
        assert picture.contactor.tolist() == [2, 2]
        assert picture.fault.tolist() == [0, 0]


def test_limits_soc_and_soh_are_served(served: Served) -> None:
    beat = told(served, running(tuned=plant_tuning()), 2.0)
    for cabinet, bank in enumerate(served.banks):
        bound, at = beat.decision.cabinet_bound, bank.map.bank_at
        assert bound.charge[cabinet] > 0
        charge_a = bound.charge[cabinet] / beat.seen.string_v[0]
        assert point(bank, 802, at, "AChaMax") / 10 == pytest.approx(charge_a, abs=0.051)
        assert point(bank, 802, at, "SoH") == 8000
        soc = beat.decision.estimate.soc[cabinet * 32 : cabinet * 32 + 32].mean()
        assert point(bank, 802, at, "SoC") / 10_000 == pytest.approx(soc, abs=0.0001)
        assert point(bank, 713, bank.map.storage_at, "SoC") == point(bank, 802, at, "SoC")


@pytest.mark.parametrize(
    ("changes", "bit"),
    [
        ({"string_fault": np.array([4, 0, 0, 0])}, Event.OVER_DISCHARGE_CURRENT),
        ({"string_a": np.array([400.0, 0, 0, 0])}, Event.OVER_DISCHARGE_CURRENT),
        ({"string_a": np.array([-400.0, 0, 0, 0])}, Event.OVER_CHARGE_CURRENT),
        ({"string_insulation_ohm": np.array([1000.0, 1e6, 1e6, 1e6])}, Event.GROUND_FAULT),
        ({"string_contactor": np.array([-1, 2, 2, 2]), "string_a": np.array([np.nan, 0, 0, 0])}, Event.COMMUNICATION),
        ({"module_error": np.array([1, 0, 0, 0, 0, 0, 0, 0])}, Warn.OTHER),
        ({"cell_v": np.where(np.arange(64) == 3, 4.4, 3.7)}, Event.OVER_VOLTAGE),
        ({"cell_v": np.where(np.arange(64) == 3, 2.0, 3.7)}, Event.UNDER_VOLTAGE),
        ({"module_c": np.where(np.arange(32).reshape(8, 4) == 1, 90.0, 25.0)}, Event.OVER_TEMPERATURE),
    ],
)
def test_what_is_wrong_with_a_string_is_served_as_its_event(
    served: Served, changes: dict[str, Any], bit: Event | Warn
) -> None:
    told(served, running(tuned=plant_tuning()), 15.0, **changes)
    assert event_bits(served.banks[0]) >> bit & 1
    assert event_bits(served.banks[0], 1) >> bit & 1 == 0
    assert event_bits(served.banks[1]) == 0


def test_every_diagnosis_shows_as_some_event(served: Served) -> None:
    *_, beat = beats(running(tuned=plant_tuning()), 0.1)
    for row, diagnosis in enumerate(DIAGNOSES):
        active = np.zeros((len(DIAGNOSES), 4), np.bool_)
        active[row, 1] = True
        view = served._places[0].view(replace(beat, decision=replace(beat.decision, active=active)), plant_tuning())
        assert view.events is not None
        assert view.events[0] == 0, diagnosis.name
        assert view.events[1] > 0, diagnosis.name


def test_a_silent_string_is_served_as_unknown_and_not_as_zero(served: Served) -> None:
    nothing = np.array([np.nan, 0, 0, 0])
    told(
        served,
        Controller(plant_tuning()),
        2.0,
        cell_v=np.where(np.arange(64) < 16, np.nan, 3.7),
        string_a=nothing,
        string_v=np.array([np.nan, 59.2, 59.2, 59.2]),
        string_contactor=np.array([-1, 0, 0, 0]),
    )
    picture, _ = read(served.banks[0])
    assert np.isnan(picture.cell_v[:16]).all()
    assert not np.isnan(picture.cell_v[16:]).any()
    assert np.isnan(picture.string_a).tolist() == [True, False]
    assert picture.contactor.tolist() == [-1, 0]
    assert point(served.banks[0], 802, served.banks[0].map.bank_at, "A") == 0x8000


def count_refreshes(served: Served) -> list[int]:
    """Which cabinets are refreshed, as they are."""
    refreshed: list[int] = []

    def noted(cabinet: int, show: Callable[..., None]) -> Callable[..., None]:
        def note(*given: Any) -> None:
            refreshed.append(cabinet)
            show(*given)

        return note

    for cabinet, bank in enumerate(served.banks):
        bank.show = noted(cabinet, bank.show)  # type: ignore[method-assign]
    return refreshed


def test_cabinets_take_turns_each_once_a_second_never_all_in_one_beat(served: Served) -> None:
    refreshed = count_refreshes(served)
    most = 0
    for beat in beats(running(tuned=plant_tuning()), 10.0):
        before = len(refreshed)
        served(beat)
        most = max(most, len(refreshed) - before)
    assert most == 1
    assert refreshed == [0, 1] * (len(refreshed) // 2)
    assert len(refreshed) == 20


@pytest.mark.parametrize("gap_s", [0.0, 3.0, 3600.0])
def test_after_a_pause_each_cabinet_is_refreshed_but_once(served: Served, gap_s: float) -> None:
    refreshed = count_refreshes(served)
    controller = running(tuned=plant_tuning())
    told(served, controller, 2.0)
    refreshed.clear()
    controller.t_s += gap_s
    told(served, controller, 0.2)
    assert len(refreshed) <= 2


def test_the_heartbeat_counts_while_the_daemon_lives(served: Served) -> None:
    controller = running(tuned=plant_tuning())
    bank = served.banks[0]
    heard = []
    for _ in range(5):
        told(served, controller, REFRESH_S)
        heard.append(point(bank, 802, bank.map.bank_at, "Hb"))
    assert heard == [0, 1, 2, 3, 4]


def test_a_cabinet_that_does_not_fit_a_unit_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"cabinet A cannot be served: 25 strings .* split the cabinet"):
        Served(ANYWHERE, "large", plant(1, 25, 10, 9), plant_tuning(), tmp_path)


def test_a_port_that_is_taken_is_told(served: Served, tmp_path: Path) -> None:
    url = f"tcp://127.0.0.1:{served.ports[0]}/1"
    with pytest.raises(TroubleError, match=rf"serve\.url {url}: port {served.ports[0]} on 127.0.0.1 is taken"):
        Served(url, "dealer", plant(), plant_tuning(), tmp_path)


@pytest.mark.parametrize(
    ("url", "third"),
    [
        ("tcp://0.0.0.0:502/1", "tcp://0.0.0.0:502/3"),
        ("tcp://[::1]:502/1", "tcp://[::1]:502/3"),
        ("rtu:/dev/ttyUSB0", "rtu:/dev/ttyUSB0?unit=3"),
        ("rtu:ems.tty?baud=9600&unit=1&parity=none", "rtu:ems.tty?unit=3&baud=9600&parity=none"),
    ],
)
def test_a_cabinet_has_a_unit_of_its_own_on_the_same_line(url: str, third: str) -> None:
    assert unit_url(url, 3) == third


@pytest.mark.parametrize("url", ["tcp://nowhere", "socketcan:can0", "rtu:"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        unit_url(url, 1)


def test_served_lines_are_gone_after_close(tmp_path: Path) -> None:
    made = Served("rtu:ems.tty", "dealer", plant(), plant_tuning(), tmp_path)
    assert (tmp_path / "ems.tty").is_symlink()
    made.close()
    assert not (tmp_path / "ems.tty").is_symlink()
