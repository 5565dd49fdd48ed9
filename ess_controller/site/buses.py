"""Who sits on which bus of a site, and whether they can live there together: names, URLs, slots, CAN ids.

Works on what has passed the models, like `rules`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ess_controller.site.errors import Finding, shown
from ess_controller.site.places import KeyPath, spell
from firmware_bridge.dialects.csc import csc_ids
from firmware_bridge.dialects.sbox import SBOX_IDS
from firmware_bridge.wires.one_bus import one_bus
from firmware_bridge.wires.urls import RegisterDevice, check_url, parse_device

Table = dict[str, Any]

_CAN_DIALECTS = ("csc", "sbox")
BEHIND_GATEWAY = "sunspec_battery"
ANY_HOME = Path("/-")  # paths from the daemon's folder, wherever it will lie, are none of the absolute ones
_KIND = {"can": "a CAN bus", "registers": "a Modbus device"}


@dataclass(frozen=True, slots=True)
class Device:
    """Something on a bus: where the file speaks of it, and its table there."""

    path: KeyPath
    table: Table


def bus_findings(site: Table, names: Collection[str], intact: bool) -> Iterator[Finding]:
    """Buses and devices against each other. `names`: all buses of the file, also those whose URL is wrong;
    `intact`: no device was left out because of other mistakes.
    """
    buses: Table = site.get("buses", {})
    kinds: dict[str, str] = {}
    for name, url in buses.items():
        try:
            kinds[name] = check_url(url)
        except ValueError as error:
            yield Finding(("buses", name), url_expected(url, str(error)))
    everything = list(devices(site))
    seated = [device for device in everything if device.table.get("bus") in buses]
    for device in everything:
        if names and "bus" in device.table and device.table["bus"] not in names:
            yield Finding((*device.path, "bus"), f"one of the names under [buses]: {', '.join(names)}")
    for name, kind in kinds.items():
        users = [device for device in seated if device.table["bus"] == name]
        yield from _kind_findings(name, buses[name], kind, users)
    if intact and len(seated) == len(everything):
        for name in sorted(buses.keys() - {device.table["bus"] for device in seated}):
            yield Finding(("buses", name), "a device that uses this bus, or no such key")
    yield from _two_kinds(kinds, buses)
    yield from _shared_registers([device for device in seated if _sits_well(device, kinds, "registers")], buses)
    yield from _shared_ids([device for device in seated if _sits_well(device, kinds, "can")], buses)


def name_findings(site: Table) -> Iterator[Finding]:
    """Names and codes that stand twice, and parallel strings of different length."""
    cabinets = list(enumerate(site.get("cabinet", [])))
    strings: list[tuple[KeyPath, Table]] = [
        (("cabinet", at, "string", index), string)
        for at, cabinet in cabinets
        for index, string in enumerate(cabinet.get("string", []))
    ]
    modules: list[tuple[KeyPath, Table]] = [
        ((*path, "module", index), module)
        for path, string in strings
        for index, module in enumerate(string.get("module", []))
    ]
    yield from _unique("name", [(("cabinet", at), cabinet) for at, cabinet in cabinets])
    yield from _unique("name", [(("pv", at), pv) for at, pv in enumerate(site.get("pv", []))])
    yield from _unique("name", strings)
    yield from _unique("code", modules)
    for at, cabinet in cabinets:
        yield from _length_findings(("cabinet", at), cabinet)


def devices(site: Table) -> Iterator[Device]:
    """Everything of the site that sits on a bus, in the order of the file."""
    if "meter" in site:
        yield Device(("meter",), site["meter"])
    for at, pv in enumerate(site.get("pv", [])):
        yield Device(("pv", at), pv)
    for at, cabinet in enumerate(site.get("cabinet", [])):
        for key in ("pcs", "io", "battery"):
            if key in cabinet:
                yield Device(("cabinet", at, key), cabinet[key])
        if "battery" in cabinet:  # its gateway speaks for them
            continue
        for index, string in enumerate(cabinet.get("string", [])):
            yield from _of_string(("cabinet", at, "string", index), string)


def _of_string(path: KeyPath, string: Table) -> Iterator[Device]:
    if "box" in string:
        yield Device((*path, "box"), string["box"])
    for place, module in enumerate(string.get("module", [])):
        if module.get("dialect") != BEHIND_GATEWAY:
            yield Device((*path, "module", place), module)


def url_expected(url: str, reason: str) -> str:
    """The reason of `check_url` without what stands before it in the line anyway."""
    said = reason.removeprefix(repr(url)).strip(": ")
    left, found, right = said.partition("expected ")
    return right if found and (not left or "is no " in left) else f"a bus URL; {said}"


def _speaks(device: Device) -> str:
    """The kind of bus a device needs; empty while its dialect is wrong."""
    dialect = device.table.get("dialect", "")
    return "can" if dialect in _CAN_DIALECTS else "registers" if dialect else ""


def _sits_well(device: Device, kinds: dict[str, str], kind: str) -> bool:
    return kinds.get(device.table["bus"]) == kind == _speaks(device)


def _kind_findings(name: str, url: str, kind: str, users: list[Device]) -> Iterator[Finding]:
    """Devices on a bus of the wrong kind. Where all of them are, it is the bus that is wrong, told once."""
    wrong = [device for device in users if _speaks(device) not in (kind, "")]
    if wrong and len(wrong) == len(users):
        yield Finding(("buses", name), f"{_KIND[_speaks(wrong[0])]}, for {spell(wrong[0].path)}")
        return
    for device in wrong:
        wanted = f"{_KIND[_speaks(device)]} for {device.table['dialect']}"
        yield Finding((*device.path, "bus"), f"{wanted}; {url} is {_KIND[kind]}")


def _two_kinds(kinds: dict[str, str], buses: Table) -> Iterator[Finding]:
    """A serial device is an adapter for CAN or a Modbus line."""
    first: dict[str, str] = {}
    for name, kind in kinds.items():
        other = first.setdefault(one_bus(buses[name], ANY_HOME), name)
        if kinds[other] != kind:
            expected = f"a device of its own; buses.{other} is {buses[other]}, {_KIND[kinds[other]]}"
            yield Finding(("buses", name), expected)


def _shared_registers(seated: list[Device], buses: Table) -> Iterator[Finding]:
    """Two devices of one address, and units of one line that are set, or written, differently."""
    first: dict[tuple[str, int], Device] = {}
    lines: dict[str, tuple[RegisterDevice, Device]] = {}
    for device in seated:
        url = buses[device.table["bus"]]
        address, line = parse_device(url), one_bus(url, ANY_HOME)
        other = first.setdefault((line, address.unit), device)
        neighbour, owner = lines.setdefault(line, (address, device))
        name = owner.table["bus"]
        if other is not device:
            expected = f"a bus of its own; {url} is already that of {spell(other.path)}"
            yield Finding((*device.path, "bus"), expected)
        elif neighbour.settings != address.settings:
            expected = f"baud, parity and stop bits of buses.{name}, which is on the same line"
            yield Finding(("buses", device.table["bus"]), expected)
        elif neighbour.line != address.line:  # else it is opened twice
            expected = f"the line to be written as in buses.{name} = {shown(buses[name])}"
            yield Finding(("buses", device.table["bus"]), expected)


def _shared_ids(seated: list[Device], buses: Table) -> Iterator[Finding]:
    """CAN ids that two devices of one bus would both use."""
    owners: dict[str, dict[int, Device]] = defaultdict(dict)
    for device in seated:
        taken = owners[one_bus(buses[device.table["bus"]], ANY_HOME)]
        ids = _ids(device.table)
        clash = min((can_id for can_id in ids if can_id in taken), default=None)
        if clash is None:
            taken.update(dict.fromkeys(ids, device))
            continue
        other = taken[clash]
        if device.table["dialect"] == other.table["dialect"] == "csc":
            yield Finding((*device.path, "slot"), f"a slot of its own on this bus; {spell(other.path)} has it")
        else:
            expected = f"a bus without {spell(other.path)}: both use CAN id 0x{clash:03X}"
            yield Finding((*device.path, "bus"), expected)


def _ids(device: Table) -> frozenset[int]:
    """Every CAN id a device says or hears; nothing while its slot or length is wrong."""
    if device["dialect"] == "sbox":
        return frozenset(SBOX_IDS)
    return frozenset(csc_ids(device["slot"], device["cells"])) if {"slot", "cells"} <= device.keys() else frozenset()


def _unique(key: str, tables: list[tuple[KeyPath, Table]]) -> Iterator[Finding]:
    first: dict[str, KeyPath] = {}
    for path, table in tables:
        if key in table and first.setdefault(table[key], path) != path:
            yield Finding((*path, key), f"a {key} of its own; {spell(first[table[key]])} has it")


def _length_findings(path: KeyPath, cabinet: Table) -> Iterator[Finding]:
    """Parallel strings have as many cells in series as each other, or they discharge into each other."""
    lengths = [cells_in_series(string) for string in cabinet.get("string", [])]
    known = [length for length in lengths if length]
    usual = Counter(known).most_common(1)[0][0] if known else 0
    for index, length in enumerate(lengths):
        if length and length != usual:
            expected = f"modules of {usual} cells in all, like the other strings of the cabinet, not {length}"
            yield Finding((*path, "string", index), expected)


def cells_in_series(string: Table) -> int:
    """Cells in series; 0 where not all are known."""
    cells = [module.get("cells", 0) for module in string.get("module", [])]
    return sum(cells) if all(cells) else 0
