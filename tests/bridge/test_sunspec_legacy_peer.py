"""Solar and old battery inverters against pysunspec2, an implementation by others: registers, and talk over TCP."""

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from firmware_bridge.dialects.sunspec.bank import SunSpecBank
from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.dialects.sunspec.pcs_legacy import LegacyPcsBank
from firmware_bridge.dialects.sunspec.pv import PvBank
from firmware_bridge.dialects.sunspec.pv_bank import DER
from firmware_bridge.records import PcsState
from firmware_bridge.wires.register_server import RegisterServer
from tests.bridge.test_sunspec_pcs import RATINGS

device = pytest.importorskip("sunspec2.device")
client = pytest.importorskip("sunspec2.modbus.client")

VALUES: dict[int, dict[str, float]] = {
    103: {"W_SF": 1, "Hz_SF": -2, "V_SF": -1, "DCV_SF": -1, "W": -12_340, "Hz": 49.98, "PhVphA": 230.4, "DCV": 345.6}
    | {"St": 4, "Evt1": 0x81},
    113: {"W": -12_340.5, "Hz": 49.9875, "St": 4, "Evt1": 0x81},
    120: {"DERTyp": 82, "WRtg_SF": 1, "WRtg": 60_000.0, "MaxChaRte_SF": 1, "MaxChaRte": 50_000.0}
    | {"WHRtg_SF": 1, "WHRtg": 160_000.0, "MaxDisChaRte_SF": 1, "MaxDisChaRte": 60_000.0},
    121: {"WMax_SF": 1, "WMax": 55_000},
    123: {"WMaxLimPct_SF": -2, "WMaxLimPct": 33.33, "WMaxLimPct_RvrtTms": 60, "WMaxLim_Ena": 1, "Conn": 1},
    124: {"WChaMax_SF": 1, "WChaMax": 60_000, "InOutWRte_SF": -2, "OutWRte": -33.33, "InWRte": 33.33}
    | {"StorCtl_Mod": 3, "InOutWRte_RvrtTms": 12, "ChaState_SF": -2, "ChaState": 50.3, "ChaGriSet": 1},
    704: {"WMaxLimPct_SF": -2, "WMaxLimPctEna": 1, "WMaxLimPct": 33.33, "WMaxLimPctRvrt": 100}
    | {"WMaxLimPctEnaRvrt": 1, "WMaxLimPctRvrtTms": 60, "WMaxLimPctRvrtRem": 55},
}


def theirs(model_id: int) -> tuple[int, ...]:
    """Registers of pysunspec2 holding our values; scale factors come first, as it scales on assignment."""
    model = device.Model(model_id)
    for name, value in VALUES[model_id].items():
        point = model.points[name]
        point.cvalue = value if point.pdef.get("sf") or point.pdef["type"].startswith("float") else int(value)
    packed = model.get_mb()
    return struct.unpack(f">{len(packed) // 2}H", packed)


@pytest.mark.parametrize("model_id", VALUES)
def test_we_read_what_the_peer_writes_and_write_the_same_registers(model_id: int) -> None:
    words = theirs(model_id)
    points = load_model(model_id).points
    scales = {name: words[point.offset] for name, point in points.items() if name.endswith("_SF")}
    bank = SunSpecBank([load_model(model_id)])
    bank.put(model_id, VALUES[model_id])
    ours = bank.read(bank.address(model_id), load_model(model_id).length + 2) or ()
    for name, value in VALUES[model_id].items():
        block, point = Block(model_id, (name,)), points[name]
        assert list(block.decode(words[block.first : block.first + block.count], scales)) == pytest.approx([value])
        place = slice(point.offset, point.offset + point.size)
        assert ours[place] == words[place], name


@pytest.fixture
def served() -> Iterator[tuple[LegacyPcsBank, PvBank, PvBank, int]]:
    """A battery inverter (unit 1) and two solar inverters (units 2 and 3) on loopback."""
    pcs, old, new = LegacyPcsBank(RATINGS), PvBank(80_000, inputs=3), PvBank(80_000, DER)
    server = RegisterServer({("127.0.0.1", 0): {1: pcs, 2: old, 3: new}})
    yield pcs, old, new, server.ports["127.0.0.1", 0]
    server.close()


def peer_of(port: int, unit: int) -> Any:
    peer = client.SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr="127.0.0.1", ipport=port, timeout=5)
    peer.scan()
    return peer


def test_the_peer_forces_our_old_inverter_to_charge(served: tuple[LegacyPcsBank, PvBank, PvBank, int]) -> None:
    bank, _, _, port = served
    bank.show(-12_340, 345.6, PcsState.RUNNING, 0.0, ac_hz=49.98, soc=0.503)
    peer = peer_of(port, 1)
    try:
        assert {1, 103, 120, 121, 123, 124} <= set(peer.models)
        measured, storage = peer.models[103][0], peer.models[124][0]
        assert (measured.W.cvalue, measured.St.value, measured.DCV.cvalue) == (-12_340, 4, pytest.approx(345.6))
        assert (storage.ChaState.cvalue, storage.WChaMax.cvalue) == (pytest.approx(50.3), 60_000)
        storage.InOutWRte_RvrtTms.value = 12
        storage.OutWRte.cvalue, storage.InWRte.cvalue, storage.StorCtl_Mod.value = -50, 50, 3
        storage.write()
        peer.models[123][0].Conn.value = 1
        peer.models[123][0].write()
        control = bank.control(5.0)
        assert (control.set_w, control.run) == (-30_000, True)
        assert bank.control(12.5).set_w == 0
    finally:
        peer.close()


@pytest.mark.parametrize("unit", [2, 3])
def test_the_peer_reads_and_limits_our_solar_inverters(
    served: tuple[LegacyPcsBank, PvBank, PvBank, int], unit: int
) -> None:
    bank, port = served[unit - 1], served[3]
    assert isinstance(bank, PvBank)
    bank.show(56_780, 0.0, phase_v=231.2, ac_hz=50.02, input_w=(30_000, 20_000, 8_000), input_v=620.0)
    peer = peer_of(port, unit)
    try:
        if unit == 2:
            limit, measured = peer.models[123][0], peer.models[103][0]
            assert [module.DCW.cvalue for module in peer.models[160][0].module] == [30_000, 20_000, 8_000]
            limit.WMaxLimPct.cvalue, limit.WMaxLimPct_RvrtTms.value, limit.WMaxLim_Ena.value = 25, 60, 1
        else:
            limit, measured = peer.models[704][0], peer.models[701][0]
            limit.WMaxLimPctRvrt.cvalue, limit.WMaxLimPctEnaRvrt.value = 100, 1
            limit.WMaxLimPct.cvalue, limit.WMaxLimPctRvrtTms.value, limit.WMaxLimPctEna.value = 25, 60, 1
        assert (measured.W.cvalue, measured.Hz.cvalue) == (56_780, pytest.approx(50.02))
        limit.write()
        assert bank.control(59.0) == 20_000
        assert bank.control(61.0) >= 80_000
    finally:
        peer.close()
