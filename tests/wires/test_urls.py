"""What a bus's URL may look like, and that each opens the wire it names."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.wires.can_hub import UnixCanHub
from firmware_bridge.wires.can_socket import SocketCan, UnixCan
from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.rtu import SerialSettings
from firmware_bridge.wires.urls import (
    ADAPTERS,
    SerialDevice,
    TcpDevice,
    check_url,
    open_can,
    open_registers,
    parse_device,
    serve_can,
    serve_registers,
)
from tests.wires.worlds import HandClock, Registers


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("socketcan:can0", "can"),
        ("unix:run/cabinet1.sock", "can"),
        ("unix:/run/ess/cabinet1.sock", "can"),
        ("virtual:bench", "can"),
        ("udp_multicast:239.74.163.2", "can"),
        ("slcan:/dev/ttyACM0?bitrate=500000&rtscts=true", "can"),
        ("pcan:PCAN_USBBUS1?bitrate=500000", "can"),
        ("tcp://192.168.1.20:502/1", "registers"),
        ("tcp://pcs1.local:502/126", "registers"),
        ("tcp://[::1]:1502/1", "registers"),
        ("rtu:/dev/ttyUSB0", "registers"),
        ("rtu:run/io?unit=247&baud=9600&parity=none&stop=2", "registers"),
    ],
)
def test_a_good_url_names_its_kind(url: str, kind: str) -> None:
    assert check_url(url) == kind


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "is no bus"),
        ("can0", "expected socketcan:NAME"),
        ("socketcan:", "is no bus"),
        ("socketcan:a-name-that-is-too-long", "no interface name"),
        ("unix:", "is no bus"),
        ("unix:folder/", "path of a socket file"),
        ("carrier_pigeon:7", "is no bus"),
        ("pcan:?bitrate=5", "expected a channel"),
        ("pcan:USB?bitrate", "'bitrate' is no option"),
        ("pcan:USB?interface=virtual", "is no option"),
        ("tcp://host/1", "expected tcp://HOST:PORT/UNIT"),
        ("tcp://host:502", "expected tcp://HOST:PORT/UNIT"),
        ("tcp://host:70000/1", "port 70000"),
        ("tcp://host:0/1", "port 0"),
        ("tcp://host:502/256", "unit 256"),
        ("tcp:host:502/1", "expected tcp://HOST:PORT/UNIT"),
        ("rtu:", "expected the path of a serial device"),
        ("rtu:?unit=1", "expected the path of a serial device"),
        ("rtu:/dev/", "expected the path of a serial device"),
        ("rtu:/dev/ttyS0?unit=0", "unit '0', expected 1..247"),
        ("rtu:/dev/ttyS0?unit=248", "unit '248', expected 1..247"),
        ("rtu:/dev/ttyS0?unit=one", "unit 'one', expected 1..247"),
        ("rtu:/dev/ttyS0?unit=1&unit=2", "unit is given twice"),
        ("rtu:/dev/ttyS0?baud=9601", "baud '9601', expected 1200, 2400, "),
        ("rtu:/dev/ttyS0?parity=E", "parity 'E', expected none, even or odd"),
        ("rtu:/dev/ttyS0?stop=3", "stop '3', expected 1 or 2"),
        ("rtu:/dev/ttyS0?bits=8", "'bits=8' is no option, expected unit, baud, parity, stop"),
        ("rtu:/dev/ttyS0?unit=", "'unit=' is no option"),
    ],
)
def test_a_bad_url_is_refused_in_one_sentence_that_names_it(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is outside|is no") as refusal:
        check_url(url)
    assert repr(url) in str(refusal.value)
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(st.sampled_from(["", "tcp://", "unix:", "rtu:", "rtu:x?unit="]), st.text(max_size=40))
def test_any_text_is_a_url_or_refused(scheme: str, text: str) -> None:
    with suppress(ValueError):
        assert check_url(scheme + text) in ("can", "registers")


def test_a_device_url_is_taken_apart() -> None:
    assert parse_device("tcp://[::1]:1502/7") == TcpDevice("::1", 1502, 7)
    assert parse_device("tcp://127.0.0.1:0/7", serving=True) == TcpDevice("127.0.0.1", 0, 7)
    serial = parse_device("rtu:/dev/ttyUSB0?unit=7&baud=9600&parity=none&stop=2")
    assert serial == SerialDevice("/dev/ttyUSB0", 7)
    assert serial.settings == SerialSettings(9600, "none", 2)
    assert str(serial.settings) == "9600 8N2"
    assert parse_device("rtu:/dev/ttyUSB0").settings == SerialSettings(19200, "even", 1)


def test_a_device_is_the_same_whatever_is_said_of_its_line() -> None:
    """Two URLs of one unit clash; two units of one line must agree on its speed."""
    one, same = parse_device("rtu:/dev/ttyUSB0?unit=1"), parse_device("rtu:/dev/ttyUSB0?baud=9600")
    other = parse_device("rtu:/dev/ttyUSB0?unit=2&baud=9600")
    assert len({one, same, other, parse_device("tcp://h:1/1"), parse_device("tcp://h:1/2")}) == 4
    assert one.line == other.line
    assert one.settings != other.settings


def test_a_line_has_one_speed_for_all_its_units(tmp_path: Path) -> None:
    fast, slow = "rtu:bus?unit=1", "rtu:bus?unit=2&baud=9600"
    with pytest.raises(ValueError, match="served with 19200 8E1 already"):
        serve_registers([(fast, Registers()), (slow, Registers())], tmp_path)
    pool = RegisterPool(HandClock())
    open_registers(fast, HandClock(), pool, tmp_path)
    with pytest.raises(ValueError, match="in use with 19200 8E1, not 9600 8E1"):
        open_registers(slow, HandClock(), pool, tmp_path)
    with pytest.raises(ValueError, match="in use twice"):
        open_registers(fast, HandClock(), pool, tmp_path)
    pool.close()


def test_each_can_url_opens_its_wire(tmp_path: Path) -> None:
    clock = HandClock()
    hub = serve_can("unix:run/bus.sock", tmp_path, clock)
    wire = open_can("unix:run/bus.sock", tmp_path, clock, {0x100})
    can0 = open_can("socketcan:nosuchbus0", tmp_path, clock)
    assert isinstance(hub, UnixCanHub)
    assert isinstance(wire, UnixCan)
    assert wire.health.up
    assert isinstance(can0, SocketCan)
    assert not can0.health.up
    assert "nosuchbus0" in can0.health.trouble
    assert len(can0.drain()) == 0
    for opened in (hub, wire, can0):
        opened.close()


def test_a_url_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no CAN bus"):
        open_can("tcp://127.0.0.1:502/1", tmp_path, HandClock())
    with pytest.raises(ValueError, match="expected tcp"):
        open_registers("unix:bus.sock", HandClock())


def test_every_python_can_interface_has_its_url() -> None:
    import can

    assert can.VALID_INTERFACES - {"socketcan"} <= ADAPTERS


def test_checking_urls_loads_no_bus_library() -> None:
    code = "import sys; from firmware_bridge.wires.urls import check_url; check_url('virtual:x'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"can", "pymodbus", "serial", "asyncio"} & set(loaded)


@pytest.mark.parametrize("url", ["socketcan:nosuch0", "unix:nosuch.sock"])
def test_a_bus_that_is_absent_from_the_start_is_down_and_says_why_in_one_phrase(url: str, tmp_path: Path) -> None:
    wire = open_can(url, tmp_path, HandClock())
    assert not wire.health.up
    phrase = wire.health.trouble.rpartition("nosuch")[2].partition(": ")[2]
    assert phrase in (
        "nobody keeps this bus",
        "there is no such interface",
        "the kernel has no CAN (load the modules can and can_raw)",
    )
    wire.close()
