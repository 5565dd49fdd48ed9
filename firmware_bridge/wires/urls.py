"""From a bus's URL in the site file to its wire, and what a URL may look like.

`socketcan:can0`, `unix:PATH` and `INTERFACE:CHANNEL?bitrate=500000` for any python-can interface are CAN buses;
`tcp://HOST:PORT/UNIT` and `rtu:/dev/ttyUSB0?unit=1&baud=19200&parity=even&stop=1` are Modbus devices. Heavy libraries
are imported only when a wire needs them.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from firmware_bridge.wires import CanWire, RegisterBank, RegisterWire, WireClock
from firmware_bridge.wires.rtu import BAUDS, UNITS, Parity, SerialSettings

if TYPE_CHECKING:
    from firmware_bridge.wires.register_pool import RegisterPool
    from firmware_bridge.wires.register_server import RegisterServer, ServedLine

ADAPTERS = frozenset(  # python-can 4.6, can.interfaces; SocketCAN has a wire of its own here
    (
        *("canalystii", "cantact", "etas", "gs_usb", "iscan", "ixxat", "kvaser", "neousys", "neovi", "nican"),
        *("nixnet", "pcan", "robotell", "seeedstudio", "serial", "slcan", "socketcand", "systec"),
        *("udp_multicast", "usb2can", "vector", "virtual"),
    )
)
_TCP = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]]+):(?P<port>\d+)/(?P<unit>\d+)")
_WHOLE = re.compile(r"[0-9]{1,7}")
_SERIAL_KEYS = ("unit", "baud", "parity", "stop")
_INTERFACE_NAME = re.compile(r"[^\s/:?]{1,15}")  # IFNAMSIZ of linux/if.h is 16 with the closing zero
Option = str | int | float | bool
_PARITIES: dict[str, Parity] = {"none": "none", "even": "even", "odd": "odd"}


@dataclass(frozen=True, slots=True)
class TcpDevice:
    """Where a Modbus device is. Two that are equal are one device."""

    host: str
    port: int
    unit: int

    @property
    def line(self) -> tuple[str, int]:
        """What it shares with other units."""
        return self.host, self.port

    @property
    def settings(self) -> None:
        """TCP has none that the units of a line could differ in."""
        return


@dataclass(frozen=True, slots=True)
class SerialDevice:
    """Where a Modbus RTU device is. Two that are equal are one device, whatever their settings."""

    path: str  # absolute: a serial device; relative: a line between two programs, under the site's home
    unit: int
    settings: SerialSettings = field(default=SerialSettings(), compare=False)

    @property
    def line(self) -> str:
        """What it shares with other units; they must not differ in their settings."""
        return self.path

    @property
    def is_ours(self) -> bool:
        """A line between two programs, made by the one that serves it."""
        return not self.path.startswith("/")


RegisterDevice = TcpDevice | SerialDevice


def check_url(url: str) -> Literal["can", "registers"]:
    """What kind of wire a URL names. Raises ValueError with one clear sentence."""
    scheme, colon, rest = url.partition(":")
    if scheme in ("tcp", "rtu"):
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


def parse_device(url: str, serving: bool = False) -> RegisterDevice:
    """The Modbus device that a URL names; port 0 (any free one) only when serving. Raises ValueError."""
    if url.startswith("rtu:"):
        return _serial_device(url)
    match = _TCP.fullmatch(url)
    if match is None:
        raise ValueError(f"{url!r}: expected tcp://HOST:PORT/UNIT, such as tcp://192.168.1.20:502/1, or rtu:PATH")
    device = TcpDevice(match["host"].strip("[]"), int(match["port"]), int(match["unit"]))
    if not (0 if serving else 1) <= device.port <= 65535:
        raise ValueError(f"{url!r}: port {device.port} is outside 1..65535")
    if device.unit > 255:
        raise ValueError(f"{url!r}: unit {device.unit} is outside 0..255")
    return device


def _serial_device(url: str) -> SerialDevice:
    path, _, query = url.removeprefix("rtu:").partition("?")
    if not path or path.endswith("/") or "\0" in path:
        raise ValueError(f"{url!r}: expected the path of a serial device after rtu:, such as rtu:/dev/ttyUSB0?unit=1")
    given: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        key, _, text = pair.partition("=")
        if key not in _SERIAL_KEYS or not text:
            raise ValueError(f"{url!r}: {pair!r} is no option, expected {', '.join(_SERIAL_KEYS)} with a value")
        if key in given:
            raise ValueError(f"{url!r}: {key} is given twice, expected once")
        given[key] = text
    parity = given.get("parity", "even")
    if parity not in _PARITIES:
        raise ValueError(f"{url!r}: parity {parity!r}, expected none, even or odd")
    unit = _one_of(url, "unit", given, UNITS, 1, "1..247")
    baud = _one_of(url, "baud", given, BAUDS, 19200, ", ".join(map(str, BAUDS)))
    stop = _one_of(url, "stop", given, (1, 2), 1, "1 or 2")
    return SerialDevice(path, unit, SerialSettings(baud, _PARITIES[parity], stop))


def _one_of(url: str, key: str, given: dict[str, str], allowed: Collection[int], default: int, words: str) -> int:
    text = given.get(key, str(default))
    if not _WHOLE.fullmatch(text) or int(text) not in allowed:
        raise ValueError(f"{url!r}: {key} {text!r}, expected {words}")
    return int(text)


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


def open_registers(
    url: str, clock: WireClock, pool: "RegisterPool | None" = None, home: Path | None = None
) -> RegisterWire:
    """One Modbus device. Wires of one process share a `RegisterPool(clock)`; without one the wire brings its own.

    An absent device is no error: the wire is down until it comes. Relative paths start at `home`. Raises ValueError
    where the URL names no device, or one that the pool has open already.
    """
    device = parse_device(url)
    from firmware_bridge.wires.register_pool import OwnPoolWire, RegisterPool  # noqa: PLC0415

    opened = pool or RegisterPool(clock)
    if isinstance(device, TcpDevice):
        wire = opened.open(device.host, device.port, device.unit)
    else:
        path = (home or Path()) / device.path
        wire = opened.open_serial(path, device.settings, device.unit, is_ours=device.is_ours)
    return wire if pool is not None else OwnPoolWire(opened, wire)


def serve_registers(banks: Sequence[tuple[str, RegisterBank]], home: Path | None = None) -> "RegisterServer":
    """Serve Modbus devices, each at its URL, until the server's `close()`.

    An `rtu:` URL with a relative path is a line made here, for programs that look for it under the same `home`.
    Raises OSError, in one sentence, when a port or line is taken; ValueError for a bad URL, one given twice, or
    units of one line that differ in its settings.
    """
    from firmware_bridge.wires.register_server import RegisterServer  # noqa: PLC0415

    by_port: dict[tuple[str, int], dict[int, RegisterBank]] = {}
    by_line: dict[str, tuple[SerialDevice, dict[int, RegisterBank]]] = {}
    for url, bank in banks:
        device = parse_device(url, serving=True)
        if isinstance(device, TcpDevice):
            units = by_port.setdefault(device.line, {})
        else:
            first, units = by_line.setdefault(device.line, (device, {}))
            if first.settings != device.settings:
                raise ValueError(f"{url!r}: the line is served with {first.settings} already, expected the same")
        if device.unit in units:
            raise ValueError(f"{url!r} is served twice")
        units[device.unit] = bank
    return RegisterServer(by_port, [_served_line(first, units, home) for first, units in by_line.values()])


def _served_line(device: SerialDevice, units: dict[int, RegisterBank], home: Path | None) -> "ServedLine":
    from firmware_bridge.wires.register_server import ServedLine  # noqa: PLC0415

    return ServedLine((home or Path()) / device.path, device.settings, device.is_ours, units)


_EXPECTED = (
    "socketcan:NAME, unix:PATH, tcp://HOST:PORT/UNIT, rtu:PATH, "
    "or a python-can INTERFACE:CHANNEL such as pcan:PCAN_USBBUS1"
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
    if not channel or "\0" in channel:
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
