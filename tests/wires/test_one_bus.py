"""However a bus is written, it is seen to be one; and buses that are two stay two."""

from pathlib import Path

import pytest

from firmware_bridge.wires.one_bus import one_bus

HOME = Path("/srv/ess")


@pytest.mark.parametrize(
    "urls",
    [
        ("pcan:PCAN_USBBUS1?bitrate=500000", "pcan:PCAN_USBBUS1", "pcan:pcan_usbbus1?fd=true"),
        (
            *("slcan:/dev/ttyS9", "slcan:/dev/ttyS9?bitrate=500000", "slcan:/dev//ttyS9@115200"),
            *("rtu:/dev/ttyS9?unit=7&baud=9600", "rtu:/dev/../dev/ttyS9"),
        ),
        ("unix:x.can", "unix:./x.can", "unix:/srv/ess/x.can", "unix:/srv/../srv/ess/y/../x.can"),
        ("tcp://Inv.local:502/1", "tcp://inv.LOCAL:0502/2", "tcp://inv.local.:502/1"),
        ("tcp://localhost:502/1", "tcp://127.0.0.1:502/1", "tcp://127.1:502/3", "tcp://0x7f.0.0.1:502/1"),
        ("tcp://[::1]:502/1", "tcp://[0:0:0::1]:502/1"),
        ("socketcand:can0?host=A&port=29536", "socketcand:can0?port=29536&host=a&tcp_tune=true"),
    ],
)
def test_one_bus_has_one_form(urls: tuple[str, ...]) -> None:
    assert len({one_bus(url, HOME) for url in urls}) == 1


@pytest.mark.parametrize(
    "urls",
    [
        ("socketcan:can0", "socketcan:Can0", "socketcan:can1", "pcan:can0", "unix:can0"),
        ("unix:a?b", "unix:a?c", "unix:A?b"),
        ("tcp://127.0.0.1:502/1", "tcp://127.0.0.2:502/1", "tcp://127.0.0.1:503/1", "tcp://[::1]:502/1"),
        ("tcp://5:502/1", "tcp://host5:502/1", "tcp://\N{LATIN SMALL LETTER A WITH RING ABOVE}:502/1"),
        ("udp_multicast:239.74.163.2?port=7", "udp_multicast:239.74.163.2?port=8", "udp_multicast:239.74.163.3?port=7"),
        ("socketcand:can0?host=a", "socketcand:can0?host=b"),
        ("vector:0?serial=1", "vector:0?serial=2", "vector:1?serial=1"),
    ],
)
def test_buses_that_are_two_have_two_forms(urls: tuple[str, ...]) -> None:
    assert len({one_bus(url, HOME) for url in urls}) == len(urls)


def test_a_device_is_known_by_the_link_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-id").symlink_to("ttyUSB0")
    assert one_bus(f"rtu:{tmp_path}/by-id", HOME) == one_bus(f"slcan:{tmp_path}/ttyUSB0", HOME)
