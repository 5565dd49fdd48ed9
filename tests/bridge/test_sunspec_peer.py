"""Our registers against pysunspec2's, an implementation by others: what one writes the other reads, and back."""

import struct
from collections.abc import Iterator
from math import nan
from typing import Any

import pytest

from firmware_bridge.dialects.sunspec.bank import SunSpecBank
from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.meter import MeterBank
from firmware_bridge.dialects.sunspec.model import Words, load_model
from firmware_bridge.dialects.sunspec.pcs import PcsBank, PcsRatings
from firmware_bridge.records import PcsState
from firmware_bridge.wires.register_server import RegisterServer

device = pytest.importorskip("sunspec2.device")
client = pytest.importorskip("sunspec2.modbus.client")

VALUES: dict[int, dict[str, float]] = {
    701: {"W_SF": 1, "Hz_SF": -3, "Tmp_SF": -1, "ACType": 2, "St": 1, "InvSt": 3, "Alrm": 0x81}
    | {"W": -12_340, "Hz": 49.987, "TmpCab": 31.5},
    702: {"W_SF": 1, "WMaxRtg": 60_000, "WMax": 55_000, "WChaRteMaxRtg": 50_000, "WDisChaRteMax": 60_000},
    704: {
        "WSet_SF": 0,
        "WSetEna": 1,
        "WSetMod": 1,
        "WSet": -20_000,
        "WSetRvrt": 0,
        "WSetEnaRvrt": 1,
        "WSetRvrtTms": 12,
        "WSetRvrtRem": 9,
    },
    713: {"WH_SF": 1, "Pct_SF": -1, "WHRtg": 160_000, "WHAvail": 80_000, "SoC": 50.3, "SoH": 71.2, "Sta": 0},
    715: {"LocRemCtl": 1, "DERHb": 70_000, "ControllerHb": 5, "AlarmReset": 0, "OpCtl": 1},
    203: {"W_SF": 1, "A_SF": -1, "V_SF": -1, "Hz_SF": -2, "TotWh_SF": 0, "Evt": 0}
    | {"W": -12_340, "A": 53.6, "PhV": 230.4, "Hz": 50.01, "TotWhImp": 1_234_567, "TotWhExp": 7},
}


def theirs(model_id: int) -> Any:
    """A model object of pysunspec2 holding our values; scale factors first, as it scales on assignment."""
    model = device.Model(model_id)
    for name, value in VALUES[model_id].items():
        point = model.points[name]
        point.cvalue = value if point.pdef.get("sf") else int(value)
    return model


def words_of(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(packed) // 2}H", packed)


def part(block: Block, words: Words) -> Words:
    return words[block.first : block.first + block.count]


@pytest.mark.parametrize("model_id", VALUES)
def test_we_read_what_the_peer_writes(model_id: int) -> None:
    words = words_of(theirs(model_id).get_mb())
    names = list(VALUES[model_id])
    scales = {name: words[point.offset] for name, point in load_model(model_id).points.items() if name.endswith("_SF")}
    for name in names:
        block = Block(model_id, (name,))
        assert list(block.decode(part(block, words), scales)) == pytest.approx([VALUES[model_id][name]])


@pytest.mark.parametrize("model_id", VALUES)
def test_the_peer_reads_what_we_write(model_id: int) -> None:
    bank = SunSpecBank([load_model(model_id)])
    bank.put(model_id, VALUES[model_id])
    words = bank.read(bank.address(model_id), load_model(model_id).length + 2) or ()
    model = device.Model(model_id, data=struct.pack(f">{len(words)}H", *words))
    for name in load_model(model_id).points:
        if "." in name or name in ("ID", "L"):
            continue
        said = model.points[name].cvalue
        if name in VALUES[model_id]:
            assert said == pytest.approx(VALUES[model_id][name]), name
        else:
            assert said in (None, "", 0x8000), name  # it does not know that a pad is nothing


@pytest.mark.parametrize("model_id", VALUES)
def test_registers_that_both_write_are_the_same(model_id: int) -> None:
    bank = SunSpecBank([load_model(model_id)])
    bank.put(model_id, VALUES[model_id])
    words = bank.read(bank.address(model_id), load_model(model_id).length + 2) or ()
    peer = words_of(theirs(model_id).get_mb())
    for name in VALUES[model_id]:
        point = load_model(model_id).points[name]
        assert words[point.offset : point.offset + point.size] == peer[point.offset : point.offset + point.size], name


@pytest.fixture
def served() -> Iterator[tuple[PcsBank, MeterBank, int]]:
    """An inverter (unit 1) and a meter (unit 2) on loopback, read by the peer's own Modbus client."""
    bank, meter = PcsBank(PcsRatings(50_000, 60_000, 160_000)), MeterBank()
    server = RegisterServer({("127.0.0.1", 0): {1: bank, 2: meter}})
    yield bank, meter, server.ports["127.0.0.1", 0]
    server.close()


def test_the_peer_finds_reads_and_sets_our_inverter_over_tcp(served: tuple[PcsBank, MeterBank, int]) -> None:
    bank, _, port = served
    bank.show(-12_340, 345.6, PcsState.RUNNING, 0.0, ac_hz=49.987, soc=0.503, cabinet_c=nan)
    peer = client.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=5)
    try:
        peer.scan()
        assert {1, 701, 702, 703, 704, 713, 714, 715} <= set(peer.models)
        measured = peer.models[701][0]
        assert (measured.W.cvalue, measured.InvSt.value, measured.Hz.cvalue) == (-12_340, 3, pytest.approx(49.987))
        assert measured.TmpCab.cvalue is None
        assert peer.models[714][0].Prt[0].DCV.cvalue == pytest.approx(345.6)
        control = peer.models[704][0]
        control.WSetRvrt.cvalue, control.WSetEnaRvrt.value, control.WSetRvrtTms.value = 0, 1, 12
        control.WSetMod.value, control.WSet.cvalue, control.WSetEna.value = 1, 15_000, 1
        control.write()
        assert bank.control(5.0).set_w == 15_000
        control.read()
        assert control.WSetRvrtRem.value == 7
        assert bank.control(12.5).set_w == 0
    finally:
        peer.close()


def test_the_peer_reads_our_meter_over_tcp(served: tuple[PcsBank, MeterBank, int]) -> None:
    _, meter, port = served
    meter.show(-98_760, 231.2, 50.02, 1_000_000, 2_000_000)
    peer = client.SunSpecModbusClientDeviceTCP(slave_id=2, ipaddr="127.0.0.1", ipport=port, timeout=5)
    try:
        peer.scan()
        model = peer.models[203][0]
        assert (model.W.cvalue, model.TotWhImp.cvalue, model.TotWhExp.cvalue) == (-98_760, 1_000_000, 2_000_000)
        assert (model.PhV.cvalue, model.Hz.cvalue) == (pytest.approx(231.2), pytest.approx(50.02))
        assert model.VAR.cvalue is None
    finally:
        peer.close()
