"""One text for every way to write one bus, so that two names of a device are seen to be one device."""

import os
import socket
from pathlib import Path

from firmware_bridge.wires.urls import TcpDevice, parse_device

_WHICH = frozenset(  # options of python-can that say which adapter is meant; the others say how it is set up
    (
        *("address", "app_name", "bus", "device", "device_id", "device_number", "host", "index", "port", "serial"),
        "unique_hardware_id",
    )
)


def one_bus(url: str, home: Path) -> str:
    """The same for all URLs of one line: units of a Modbus line or port, settings of an adapter make no difference.

    Relative paths start at `home`. A host's name and its address stay two. For URLs that `check_url` lets pass;
    ValueError for some of the others.
    """
    device = parse_device(url) if url.startswith("tcp:") else None
    if isinstance(device, TcpDevice):
        return f"tcp:{one_host(device.host)}:{device.port}"
    scheme, _, rest = url.partition(":")
    place, _, options = rest.partition("?")
    if scheme == "unix":
        return f"file:{os.path.realpath(home / rest)}"
    if scheme == "rtu" or place.startswith("/"):  # one serial device, be it asked for as an adapter or as a Modbus line
        file = place.partition("@")[0] if scheme == "slcan" else place  # slcan:/dev/ttyUSB0@115200
        return f"file:{os.path.realpath(home / file)}"
    if scheme == "socketcan":
        return url
    which = sorted(pair for pair in options.split("&") if pair.partition("=")[0] in _WHICH)
    return "&".join((f"{scheme}:{place}", *which)).lower()


def one_host(host: str) -> str:
    """An address as the system would write it, a name in small letters."""
    name = host.lower().removesuffix(".")
    name = "127.0.0.1" if name == "localhost" else name
    try:
        if ":" in name:
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, name))
        return socket.inet_ntoa(socket.inet_aton(name))  # 127.1 is 127.0.0.1
    except (OSError, ValueError):
        return name
