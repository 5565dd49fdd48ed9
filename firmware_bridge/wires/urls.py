"""From a bus's URL in the site file to its wire, and what a URL may look like.

`socketcan:can0`, `unix:PATH`, `tcp://HOST:PORT/UNIT`, and `INTERFACE:CHANNEL?bitrate=500000` for any python-can
interface. Heavy libraries are imported only when a wire needs them.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from firmware_bridge.wires import CanWire, RegisterBank, RegisterWire, WireClock

if TYPE_CHECKING:
    from firmware_bridge.wires.register_pool import RegisterPool
    from firmware_bridge.wires.register_server import RegisterServer

ADAPTERS = frozenset(  # python-can 4.6, can.interfaces; SocketCAN has a wire of its own here
    (
        *("canalystii", "cantact", "etas", "gs_usb", "iscan", "ixxat", "kvaser", "neousys", "neovi", "nican"),
        *("nixnet", "pcan", "robotell", "seeedstudio", "serial", "slcan", "socketcand", "systec"),
        *("udp_multicast", "usb2can", "vector", "virtual"),
    )
)
_TCP = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]]+):(?P<port>\d+)/(?P<unit>\d+)")
_INTERFACE_NAME = re.compile(r"[^\s/:?]{1,15}")  # IFNAMSIZ of linux/if.h is 16 with the closing zero
Option = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Device:
    """Where a Modbus device is."""

    host: str
    port: int
    unit: int


def check_url(url: str) -> Literal["can", "registers"]:
    """What kind of wire a URL names. Raises ValueError with one clear sentence."""
    scheme, colon, rest = url.partition(":")
    if scheme == "tcp":
        parse_device(url)
        return "registers"
    if not colon or not rest:
        raise ValueError(f"{url!r} is no bus: expected {_EXPECTED}")
    if scheme == "socketcan":
        if not _INTERFACE_NAME.fullmatch(rest):
            raise ValueError(f"{url!r}: {rest!r} is no interface name, expected one such as socketcan:can0")
    elif scheme == "unix":
        if "\0" in rest or rest.endswith("/"):
            raise ValueError(f"{url!r}: expected the path of a socket file after unix:")
    elif scheme in ADAPTERS:
        _adapter(url)
    else:
        raise ValueError(f"{url!r} is no bus: expected {_EXPECTED}")
    return "can"


def parse_device(url: str, serving: bool = False) -> Device:
    """Host, port and unit of `tcp://HOST:PORT/UNIT`; port 0 (any free one) only when serving. Raises ValueError."""
    match = _TCP.fullmatch(url)
    if match is None:
        raise ValueError(f"{url!r}: expected tcp://HOST:PORT/UNIT, such as tcp://192.168.1.20:502/1")
    device = Device(match["host"].strip("[]"), int(match["port"]), int(match["unit"]))
    if not (0 if serving else 1) <= device.port <= 65535:
        raise ValueError(f"{url!r}: port {device.port} is outside 1..65535")
    if device.unit > 255:
        raise ValueError(f"{url!r}: unit {device.unit} is outside 0..255")
    return device


def open_can(url: str, home: Path, clock: WireClock, ids: Collection[int] = ()) -> CanWire:
    """A participant of a CAN bus that hears `ids` (none given: all). Relative paths start at `home`.

    An absent bus is no error: the wire is down until it comes. Raises ValueError where the URL names no CAN bus.
    """
    _check_is(url, "can")
    scheme, _, rest = url.partition(":")
    if scheme == "socketcan":
        from firmware_bridge.wires.can_socket import SocketCan  # noqa: PLC0415  only what the site uses is loaded

        return SocketCan(rest, clock, ids)
    if scheme == "unix":
        from firmware_bridge.wires.can_socket import UnixCan  # noqa: PLC0415

        return UnixCan(home / rest, clock, ids)
    from firmware_bridge.wires.can_adapter import AdapterCan  # noqa: PLC0415

    channel, options = _adapter(url)
    return AdapterCan(scheme, channel, options, clock, ids)


def serve_can(url: str, home: Path, clock: WireClock) -> CanWire:
    """The world's end of a CAN bus: keeps it where it is a local socket, takes part where the bus is there already.

    Raises OSError, in one sentence, when another process keeps the socket; ValueError where the URL names no CAN bus.
    """
    _check_is(url, "can")
    if not url.startswith("unix:"):
        return open_can(url, home, clock)
    from firmware_bridge.wires.can_hub import UnixCanHub  # noqa: PLC0415

    return UnixCanHub(home / url.removeprefix("unix:"), clock)


def open_registers(url: str, clock: WireClock, pool: "RegisterPool | None" = None) -> RegisterWire:
    """One Modbus device. Wires of one process share a `RegisterPool(clock)`; without one the wire brings its own.

    An absent device is no error: the wire is down until it comes. Raises ValueError where the URL names no device.
    """
    device = parse_device(url)
    from firmware_bridge.wires.register_pool import OwnPoolWire, RegisterPool  # noqa: PLC0415

    if pool is not None:
        return pool.open(device.host, device.port, device.unit)
    return OwnPoolWire(RegisterPool(clock), device.host, device.port, device.unit)


def serve_registers(banks: Sequence[tuple[str, RegisterBank]]) -> "RegisterServer":
    """Serve Modbus devices, each at its `tcp://HOST:PORT/UNIT`, until the server's `close()`.

    Raises OSError, in one sentence, when a port is taken; ValueError for a bad URL or one given twice.
    """
    from firmware_bridge.wires.register_server import RegisterServer  # noqa: PLC0415

    by_port: dict[tuple[str, int], dict[int, RegisterBank]] = {}
    for url, bank in banks:
        device = parse_device(url, serving=True)
        units = by_port.setdefault((device.host, device.port), {})
        if device.unit in units:
            raise ValueError(f"{url!r} is served twice")
        units[device.unit] = bank
    return RegisterServer(by_port)


_EXPECTED = (
    "socketcan:NAME, unix:PATH, tcp://HOST:PORT/UNIT, or a python-can INTERFACE:CHANNEL such as pcan:PCAN_USBBUS1"
)


def _check_is(url: str, kind: str) -> None:
    if check_url(url) != kind:
        raise ValueError(f"{url!r} is no CAN bus")


def _adapter(url: str) -> tuple[str, dict[str, Option]]:
    """Channel and options of `INTERFACE:CHANNEL?KEY=VALUE&...`. Raises ValueError."""
    channel, _, query = url.partition(":")[2].partition("?")
    options: dict[str, Option] = {}
    for pair in filter(None, query.split("&")):
        key, equals, text = pair.partition("=")
        if not (key.isidentifier() and equals and text) or key in ("interface", "channel"):
            raise ValueError(f"{url!r}: {pair!r} is no option, expected KEY=VALUE such as bitrate=500000")
        options[key] = _value(text)
    if not channel:
        raise ValueError(f"{url!r}: expected a channel after {url.partition(':')[0]}:")
    return channel, options


def _value(text: str) -> Option:
    """A number where it reads as one, a truth value for true and false, else the text."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
