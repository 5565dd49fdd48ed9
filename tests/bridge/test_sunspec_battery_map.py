"""The map of a cabinet against the models' own lengths and against pysunspec2: every register is where they say."""

import struct
from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
import pytest

from firmware_bridge.dialects.sunspec.battery_bank import BatteryBank, BatteryRatings, CabinetView
from firmware_bridge.dialects.sunspec.battery_map import BASE, BatteryMap, BatterySeat, offset
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.records import CabinetSpec, ModuleSpec, StringSpec
from tests.bridge.battery_talk import DEALER, IX3, RATINGS, seat, view

device = pytest.importorskip("sunspec2.device")


def shown(given: CabinetView | None = None, of: BatterySeat = DEALER, *, writable: bool = False) -> BatteryBank:
    bank = BatteryBank(of, RATINGS, writable=writable, model_name="Dealer", serial_number="A")
    bank.show(view(of) if given is None else given, 5.0)
    return bank


def peers(bank: BatteryBank) -> dict[int, list[Any]]:
    """Every model of the map as pysunspec2 reads its words."""
    found: dict[int, list[Any]] = {}
    for model, length, address in bank.map.models:
        words = bank.read(address, length + 2) or ()
        found.setdefault(model, []).append(
            device.Model(model, model_len=length, data=struct.pack(f">{len(words)}H", *words))
        )
    return found


def test_each_model_is_as_long_as_its_table_says_with_the_repeats_it_needs() -> None:
    where = BatteryMap(seat((8, 16, 9), (10, 12)))
    assert [(model, length) for model, length, _ in where.models] == [
        (1, 66),
        (802, load_model(802).length),
        (803, load_model(803, 2).length),
        (804, load_model(804, 3).length),
        (805, load_model(805, 8).length),
        (805, load_model(805, 16).length),
        (805, load_model(805, 9).length),
        (804, load_model(804, 2).length),
        (805, load_model(805, 10).length),
        (805, load_model(805, 12).length),
        (713, 7),
    ]
    assert load_model(805, 16).length == 42 + 4 * 16


def test_a_map_is_one_chain_from_mark_to_end() -> None:
    bank = shown()
    assert bank.read(BASE, 2) == (0x5375, 0x6E53)
    at, models = BASE + 2, []
    while (head := bank.read(at, 2) or (0, 0))[0] != 0xFFFF:
        models.append((*head, at))
        at += head[1] + 2
    assert tuple(models) == bank.map.models
    assert bank.read(at, 2) == (0xFFFF, 0)
    assert bank.read(at, 3) is None
    assert bank.read(BASE - 1, 1) is None
    assert bank.read(BASE, 0) is None


@pytest.mark.parametrize(("strings", "modules", "fits"), [(24, IX3, True), (25, IX3, False), (12, (16,) * 16, True)])
def test_a_cabinet_that_needs_more_registers_than_there_are_is_refused(
    strings: int, modules: tuple[int, ...], fits: bool
) -> None:
    if fits:
        assert len(BatteryMap(seat(*[modules] * strings)).blank()) <= 0x10000 - BASE
        return
    with pytest.raises(ValueError, match=r"25 strings with 250 modules and 2350 cells need 26573 registers; .* 25536"):
        BatteryMap(seat(*[modules] * strings))


@pytest.mark.parametrize("cells", [0, 21])
def test_a_module_that_does_not_fit_one_read_is_refused(cells: int) -> None:
    with pytest.raises(ValueError, match=rf"module 02IEM100: {cells} cells, expected 1..20"):
        seat((cells,))


def test_an_empty_cabinet_is_a_mistake_of_ours() -> None:
    for cells in ((), ((),)):
        with pytest.raises(ValueError, match="at least one"):
            seat(*cells)


def test_a_seat_is_what_the_records_say() -> None:
    module = ModuleSpec("M1", "", 0, 9, 232.0, 0.8)
    spec = CabinetSpec("A", "pcs", (StringSpec("A1", "", (module, replace(module, code="M2", cells=10))),))
    assert BatterySeat.of(spec) == BatterySeat(("A1",), (("M1", "M2"),), ((9, 10),))


def test_cells_as_a_peer_reads_them() -> None:
    given, bank = view(), shown()
    models = peers(bank)[805]
    assert [model.SN.value for model in models] == [*DEALER.codes[0], *DEALER.codes[1]]
    assert [(model.StrIdx.value, model.ModIdx.value) for model in models[9:11]] == [(1, 10), (2, 1)]
    cells = [cell for model in models for cell in model.groups["lithium-ion-module-cell"]]
    assert [cell.CellV.cvalue for cell in cells] == pytest.approx(given.cell_v.tolist())
    assert [cell.CellSt.value for cell in cells] == given.cell_bleeding.astype(int).tolist()
    first = [cell.CellTmp.cvalue for cell in models[0].groups["lithium-ion-module-cell"]]
    assert first == pytest.approx(np.repeat(given.module_c[0], [3, 2, 3, 2]).tolist())


def test_modules_as_a_peer_reads_them() -> None:
    given, bank = view(), shown()
    where = bank.map
    for module, model in enumerate(peers(bank)[805]):
        cell_v = given.cell_v[where.cell_module == module]
        assert model.NCell.value == len(cell_v)
        assert model.V.cvalue == pytest.approx(cell_v.sum(), abs=0.051)
        assert model.CellVMax.cvalue == pytest.approx(cell_v.max())
        assert model.CellVMaxCell.value == cell_v.argmax() + 1
        assert model.CellVMin.cvalue == pytest.approx(cell_v.min())
        assert model.CellVMinCell.value == cell_v.argmin() + 1
        assert model.CellVAvg.cvalue == pytest.approx(cell_v.mean(), abs=0.00051)
        assert model.CellTmpMax.cvalue == pytest.approx(given.module_c[module].max())
        assert model.CellTmpMin.cvalue == pytest.approx(given.module_c[module].min())
        assert given.module_soh is not None
        assert model.SoH.cvalue == pytest.approx(100 * given.module_soh[module])
        assert model.NCellBal.value == given.cell_bleeding[where.cell_module == module].sum()


def test_strings_as_a_peer_reads_them() -> None:
    given, bank = view(), shown()
    models = peers(bank)
    where = bank.map
    for string, (model, above) in enumerate(zip(models[804], models[803][0].groups["string"], strict=True)):
        cell_v = given.cell_v[where.module_string[where.cell_module] == string]
        assert (model.Idx.value, model.NMod.value, above.StrNMod.value) == (string + 1, 10, 10)
        for volts in (model.CellVMax, above.StrCellVMax):
            assert volts.cvalue == pytest.approx(cell_v.max())
        for amperes in (model.A, above.StrA):
            assert amperes.cvalue == pytest.approx(given.string_a[string])
        assert model.CellVMaxMod.value == where.place[where.cell_module[string * 94 + cell_v.argmax()]] + 1
        assert model.V.cvalue == pytest.approx(given.string_v[string])
        assert model.St.value == 0b11  # enabled, connected
        assert model.ConFail.value == 0
        assert [each.ModNCell.value for each in model.groups["lithium_ion_string_module"]] == list(IX3)
        assert given.cell_soc is not None
        assert model.SoC.cvalue == pytest.approx(100 * given.cell_soc[string * 94 :][:94].mean(), abs=0.0051)


def test_the_bank_as_a_peer_reads_it() -> None:
    given, bank = view(), shown()
    models = peers(bank)
    whole, strings, storage = models[802][0], models[803][0], models[713][0]
    total_a = given.string_a.sum()
    assert whole.A.cvalue == pytest.approx(total_a)
    assert whole.V.cvalue == pytest.approx(given.string_bus_v[0])
    assert whole.W.cvalue == pytest.approx(total_a * given.string_bus_v[0], abs=5.1)
    assert (whole.AChaMax.cvalue, whole.ADisChaMax.cvalue) == (150, 180)
    assert (whole.AHRtg.cvalue, whole.WHRtg.cvalue) == (464, 160_000)
    assert (whole.WChaRteMax.cvalue, whole.WDisChaRteMax.cvalue) == (100_000, 120_000)
    assert (whole.State.value, whole.Typ.value, whole.LocRemCtl.value) == (3, 4, 1)  # connected, lithium-ion, local
    assert whole.ChaSt.value == (3 if total_a > 1 else 4 if total_a < -1 else 6)
    at = int(given.cell_v.argmax())
    assert (whole.CellVMaxStr.value, whole.CellVMaxMod.value) == (
        at // 94 + 1,
        bank.map.place[bank.map.cell_module[at]] + 1,
    )
    assert (strings.NStr.value, strings.NStrCon.value) == (2, 2)
    assert strings.ModTmpMax.cvalue == pytest.approx(given.module_c.max())
    assert strings.StrVMax.cvalue == pytest.approx(given.string_v.max())
    assert strings.StrAMin.cvalue == pytest.approx(given.string_a.min())
    assert strings.NCellBal.value == given.cell_bleeding.sum()
    assert given.cell_soc is not None
    assert given.module_soh is not None
    soc, soh = given.cell_soc.mean(), given.module_soh.min()
    assert storage.SoC.cvalue == pytest.approx(100 * soc, abs=0.0051)
    assert storage.SoH.cvalue == pytest.approx(100 * soh, abs=0.0051)
    assert storage.WHAvail.cvalue == pytest.approx(160_000 * soc * soh, rel=1e-3)
    assert (models[1][0].Mn.value, models[1][0].Md.value, models[1][0].SN.value) == ("ESS Controller", "Dealer", "A")


def test_a_cabinet_of_which_nothing_is_known_shows_nothing_as_a_number() -> None:
    empty = CabinetView(
        cell_v=np.full(188, nan),
        cell_bleeding=np.zeros(188, bool),
        module_c=np.full((20, 4), nan),
        string_a=np.full(2, nan),
        string_v=np.full(2, nan),
        string_bus_v=np.full(2, nan),
        contactor=np.full(2, -1),
        fault=np.full(2, -1),
        insulation_ohm=np.full(2, nan),
    )
    models = peers(shown(empty))
    known = {"NCell", "StrIdx", "ModIdx", "NCellBal", "SN", "ID", "L"}
    for model in models[805]:
        assert all(
            point.cvalue is None
            for name, point in model.points.items()
            if name not in known and not name.endswith("_SF")
        )
        assert all(cell.CellV.cvalue is cell.CellTmp.cvalue is None for cell in model.groups["lithium-ion-module-cell"])
    for string in models[804]:
        numbers = (string.A, string.V, string.SoC, string.SoH, string.CellVMax, string.CellVMaxMod, string.ModTmpMin)
        assert all(point.cvalue is None for point in numbers)
        assert string.Evt1.value == 1  # communication error
    whole = models[802][0]
    numbers = (whole.A, whole.W, whole.V, whole.SoC, whole.CellVMax, whole.CellVMinStr, whole.AChaMax)
    assert all(point.cvalue is None for point in numbers)
    assert whole.State.value == 99
    assert models[713][0].WHAvail.cvalue is None


def test_numbers_beyond_a_register_are_clipped_and_never_wrap() -> None:
    given = replace(view(), string_a=np.array([1e6, -1e6]), cell_v=np.full(188, 1e6), string_v=np.array([-5.0, 1e9]))
    models = peers(shown(given))
    assert [model.A.cvalue for model in models[804]] == [3276.7, -3276.7]
    assert [model.V.cvalue for model in models[804]] == [0, 6553.4]
    assert models[805][0].groups["lithium-ion-module-cell"][0].CellV.cvalue == pytest.approx(65.534)


def test_a_served_cabinet_refuses_every_write_and_a_gateway_all_but_its_commands() -> None:
    served, gateway = shown(), shown(writable=True)
    commands = [gateway.map.bank_at + offset(802, name) for name in ("CtrlHb", "SetOp")]
    commands += [at + offset(804, name) for at in gateway.map.string_at.tolist() for name in ("SetEna", "SetCon")]
    before = gateway.read(BASE, 2285)
    taken = [at for at in range(BASE - 2, BASE + 2290) if gateway.write(at, (1,))]
    assert taken == sorted(commands)
    assert not any(served.write(at, (1,)) for at in range(BASE - 2, BASE + 2290))
    changed = [
        at for at, (was, now) in enumerate(zip(before or (), gateway.read(BASE, 2285) or (), strict=True)) if was != now
    ]
    assert changed == [commands[0] - BASE]  # the heartbeat; all other commands are carried out and read 0


@pytest.mark.parametrize(
    ("words", "taken"),
    [((2, 1), True), ((1, 2), True), ((0, 1), False), ((1, 3), False), ((1, 1, 0), False), ((), False)],
)
def test_a_gateway_takes_whole_commands_or_nothing(words: tuple[int, ...], taken: bool) -> None:
    bank = shown(writable=True)
    assert bank.write(int(bank.map.string_at[0]) + offset(804, "SetEna"), words) is taken


def test_one_word_connects_all_strings() -> None:
    bank = shown(writable=True)
    bank.write(bank.map.bank_at + offset(802, "CtrlHb"), (1,))
    bank.write(bank.map.bank_at + offset(802, "SetOp"), (1,))
    assert bank.wanted(6.0).tolist() == [2, 2]
    bank.write(bank.map.bank_at + offset(802, "SetOp"), (2,))
    assert bank.wanted(6.0).tolist() == [0, 0]


def test_a_cabinet_without_a_name_plate_says_so() -> None:
    bank = BatteryBank(DEALER, BatteryRatings(), writable=False)
    bank.show(view(), 1.0)
    models = peers(bank)
    assert models[802][0].WHRtg.cvalue is models[713][0].WHRtg.cvalue is models[713][0].WHAvail.cvalue is None
