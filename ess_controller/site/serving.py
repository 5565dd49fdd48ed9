"""Where our own cabinets may be served to others: at a Modbus address that is no device's of ours."""

from collections.abc import Iterator
from typing import Any

from ess_controller.site.buses import ANY_HOME, url_expected
from ess_controller.site.errors import Finding
from firmware_bridge.wires.one_bus import one_bus
from firmware_bridge.wires.urls import parse_device

Table = dict[str, Any]

NOWHERE = "none"  # for --serve
_PATH = ("serve", "url")
_MODBUS = "tcp://HOST:PORT/1 or rtu:PATH: Modbus, not CAN"
_EVERYWHERE = ("0.0.0.0", "::")  # all addresses of this machine
_HERE = ("127.0.0.1", "::1")


def serve_findings(site: Table) -> Iterator[Finding]:
    """What is wrong with the address at which our own cabinets are served."""
    url = site.get("serve", {}).get("url")
    if url is None:
        return
    if not url.startswith(("tcp:", "rtu:")):
        yield Finding(_PATH, _MODBUS)
        return
    try:
        unit = parse_device(url).unit
    except ValueError as error:
        yield Finding(_PATH, url_expected(url, str(error)))
        return
    if unit != 1:
        yield Finding(_PATH, f"unit 1, that of the first cabinet, not {unit}")
    else:
        yield from _served_twice(site, url)


def _served_twice(site: Table, served: str) -> Iterator[Finding]:
    """A port or serial line on which we are to hear a device cannot be where we answer ourselves."""
    taken = _taken(one_bus(served, ANY_HOME))
    for name, url in site.get("buses", {}).items():
        try:
            is_taken = one_bus(url, ANY_HOME) in taken
        except ValueError:
            continue
        if is_taken:
            yield Finding(_PATH, f"a port or line on which no device is; buses.{name} is {url}")
            return


def _taken(served: str) -> set[str]:
    """The forms of all buses that would lead to ourselves."""
    host, _, port = served.removeprefix("tcp:").rpartition(":")
    return {served, *(f"tcp:{here}:{port}" for here in _HERE if host in _EVERYWHERE)}
