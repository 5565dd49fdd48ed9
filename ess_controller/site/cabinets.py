"""What the tables of a cabinet must be to each other: on CAN or behind a gateway, its inverter, its contacts.

Works on what has passed the models, like `rules`: a key that only some dialects need is missed or refused here.
"""

from collections.abc import Collection, Iterator
from typing import Any

from ess_controller.site.errors import Finding
from ess_controller.site.places import KeyPath, spell

Table = dict[str, Any]

ON_CAN = {  # what a module board needs to be found
    "bus": "the name of a CAN bus; the key is missing",
    "slot": "a whole number from 0 to 15; the key is missing",
    "crc": '"on" or "learn" or "off"; the key is missing',
}
TESTED = (
    "true, once somebody has tested that this inverter falls to 0 W when its timer runs out: it cannot be read back"
)
PROVEN = "no such key: the fallback of sunspec_pcs is read back"
IN_WATTS = "no such key: sunspec_pcs is told its power in watts"
SERVED_STRINGS = 15  # SunSpec 802-805 of more, with their cells, do not fit the 65 536 registers of a unit


def cabinet_findings(site: Table, told: Collection[KeyPath]) -> Iterator[Finding]:
    """Every cabinet by itself. `told`: what the models refused; a cabinet whose gateway they refused is left alone."""
    for at, cabinet in enumerate(site.get("cabinet", [])):
        path: KeyPath = ("cabinet", at)
        if (*path, "battery") in told:
            continue
        yield from _pcs_findings((*path, "pcs"), cabinet.get("pcs", {}))
        yield from _io_findings((*path, "io"), cabinet.get("io", {}), told)
        for index, string in enumerate(cabinet.get("string", [])):
            here = (*path, "string", index)
            yield from _gateway_findings(here, string) if "battery" in cabinet else _can_findings(here, string)
        yield from _service_findings(path, cabinet)
        if "serve" in site and len(cabinet.get("string", [])) > SERVED_STRINGS:
            expected = f"at most {SERVED_STRINGS} strings: more do not fit a served unit, or no [serve]"
            yield Finding((*path, "string"), expected)


def _pcs_findings(path: KeyPath, pcs: Table) -> Iterator[Finding]:
    dialect, declared = pcs.get("dialect"), pcs.get("fallback_is_zero")
    if dialect == "sunspec_pcs_legacy" and declared is not True:
        yield Finding(
            (*path, "fallback_is_zero"), TESTED if "fallback_is_zero" in pcs else f"{TESTED}; the key is missing"
        )
    elif dialect == "sunspec_pcs" and declared is not None:
        yield Finding((*path, "fallback_is_zero"), PROVEN)
    if dialect == "sunspec_pcs" and "discharge_reference_w" in pcs:
        yield Finding((*path, "discharge_reference_w"), IN_WATTS)


def _io_findings(path: KeyPath, io: Table, told: Collection[KeyPath]) -> Iterator[Finding]:
    for table in ("inputs", "outputs"):
        first: dict[int, str] = {}
        for name, address in io.get(table, {}).items():
            if first.setdefault(address, name) != name:
                yield Finding((*path, table, name), f"an address of its own; {first[address]} has it")
    seen: set[str] = set()
    for index, name in enumerate(io.get("closed_is_well", ())):
        if "inputs" in io and name not in io["inputs"] and (*path, "inputs", name) not in told:
            yield Finding((*path, "closed_is_well", index), f"one of the inputs: {', '.join(io['inputs']) or 'none'}")
        elif name in seen:
            yield Finding((*path, "closed_is_well", index), "each name once")
        seen.add(name)
    if "inputs" in io and "outputs" in io and not (io["inputs"] or io["outputs"]):
        yield Finding(path, "an input or an output, or no such table")


def _can_findings(path: KeyPath, string: Table) -> Iterator[Finding]:
    if "box" not in string:
        yield Finding((*path, "box"), "a table; the key is missing")
    for index, module in enumerate(string.get("module", [])):
        here = (*path, "module", index)
        if module.get("dialect") == "sunspec_battery":
            yield Finding((*here, "dialect"), '"csc", or a gateway for the cabinet: [cabinet.battery]')
            continue
        for key, expected in ON_CAN.items():
            if key not in module:
                yield Finding((*here, key), expected)


def _gateway_findings(path: KeyPath, string: Table) -> Iterator[Finding]:
    gateway = f"{spell(path[:2])}.battery speaks for it"
    if "box" in string:
        yield Finding((*path, "box"), f"no such table: {gateway}")
    for index, module in enumerate(string.get("module", [])):
        here = (*path, "module", index)
        if module.get("dialect") == "csc":
            yield Finding((*here, "dialect"), f'"sunspec_battery": {gateway}')
            continue
        for key in ON_CAN:
            if key in module:
                yield Finding((*here, key), f"no such key: {gateway}")


def _service_findings(path: KeyPath, cabinet: Table) -> Iterator[Finding]:
    """Strings that are isolated by hand leave at least one; a gateway isolates its own."""
    isolated = [index for index, string in enumerate(cabinet.get("string", [])) if string.get("in_service") is False]
    if not isolated:
        return
    if "battery" in cabinet:
        expected = "true: the gateway numbers its strings and tells itself which one is isolated"
        yield from (Finding((*path, "string", index, "in_service"), expected) for index in isolated)
    elif len(isolated) == len(cabinet["string"]):
        yield Finding((*path, "string", isolated[-1], "in_service"), "true for at least one string of the cabinet")


def climate_findings(site: Table) -> Iterator[Finding]:
    """[climate] stands where something is switched, and nowhere else."""
    switching = [at for at, cabinet in enumerate(site.get("cabinet", [])) if cabinet.get("io", {}).get("outputs")]
    if switching and "climate" not in site:
        yield Finding(("climate",), f"a table for the outputs of cabinet[{switching[0]}].io; the key is missing")
    if "climate" in site and site.get("cabinet") and not switching:
        yield Finding(("climate",), "a cabinet whose io has outputs, or no such table")
