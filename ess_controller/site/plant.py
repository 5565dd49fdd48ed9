"""From the devices of a checked site file to what is connected where: cabinets, strings, modules, their wires."""

from collections import defaultdict
from math import nan

from ess_controller.site.devices import CabinetTable, IoTable, ModuleTable, StringTable
from ess_controller.site.schema import SiteFile
from firmware_bridge.records import (
    CabinetSpec,
    Climate,
    Contact,
    IoChannel,
    IoSpec,
    ModuleSpec,
    PlantSpec,
    PvSpec,
    StringSpec,
)

# On a serial line at a tenth of a second an answer a set-point takes up to 6 s beside six solar inverters, and beside
# twelve it is never in force: reversion timers act (by `PcsMaster` on such a line).
MOST_UNITS = 4


def plant_of(site: SiteFile) -> PlantSpec:
    """What is connected where, in the order of the file. Strings that are not in service are left out."""
    return PlantSpec(
        buses=dict(site.buses),
        cabinets=tuple(_cabinet(cabinet) for cabinet in site.cabinet),
        meter_bus=site.meter.bus,
        pvs=tuple(PvSpec(pv.name, pv.bus, float(pv.rated_w)) for pv in site.pv or ()),
        meter_positive_imports=site.meter.positive_imports,
    )


def crowded(plant: PlantSpec) -> list[str]:
    """Serial lines on which what power hangs on has to wait for many others, a sentence each."""
    units: dict[str, list[str]] = defaultdict(list)
    for name in plant.register_buses:
        if plant.buses[name].startswith("rtu:"):
            units[plant.buses[name].partition("?")[0]].append(name)
    quick = {plant.meter_bus, *(cabinet.pcs_bus for cabinet in plant.cabinets)}
    return [
        f"{line}: {len(names)} devices on one serial line, {waits[0]} among them: its word may come seconds late; "
        "battery inverters and the meter want a line of their own"
        for line, names in units.items()
        if len(names) > MOST_UNITS and (waits := [name for name in names if name in quick])
    ]


def isolated_of(site: SiteFile) -> tuple[str, ...]:
    """Names of the strings that are not in service."""
    return tuple(string.name for cabinet in site.cabinet for string in cabinet.string if not string.in_service)


def origins_of(site: SiteFile) -> dict[str, str]:
    """Module code -> where the module comes from; also of strings that are not in service."""
    strings = (string for cabinet in site.cabinet for string in cabinet.string)
    return {module.code: module.origin for string in strings for module in string.module}


def _cabinet(cabinet: CabinetTable) -> CabinetSpec:
    reference_w = cabinet.pcs.discharge_reference_w
    return CabinetSpec(
        name=cabinet.name,
        pcs_bus=cabinet.pcs.bus,
        strings=tuple(_string(string) for string in cabinet.string if string.in_service),
        pcs_dialect=cabinet.pcs.dialect,
        pcs_fallback_is_zero=bool(cabinet.pcs.fallback_is_zero),
        battery_bus=cabinet.battery.bus if cabinet.battery else "",
        io=_io(cabinet.io) if cabinet.io else None,
        pcs_discharge_reference_w=nan if reference_w is None else float(reference_w),
        battery_positive_discharges=cabinet.battery.positive_discharges if cabinet.battery else True,
    )


def _io(io: IoTable) -> IoSpec:
    inputs = [IoChannel(Contact[name.upper()], at, name in io.closed_is_well) for name, at in io.inputs.items()]
    outputs = [IoChannel(Climate[name.upper()], at) for name, at in io.outputs.items()]
    return IoSpec(io.bus, tuple(inputs), tuple(outputs))


def _string(string: StringTable) -> StringSpec:
    modules = tuple(_module(module) for module in string.module)
    return (
        StringSpec(string.name, string.box.bus, modules, string.box.crc)
        if string.box
        else StringSpec(string.name, "", modules)
    )


def _module(module: ModuleTable) -> ModuleSpec:
    """A module behind a gateway has no bus and no slot: its place in the string is its address."""
    return ModuleSpec(
        module.code,
        module.bus or "",
        module.slot or 0,
        module.cells,
        float(module.nameplate_ah),
        float(module.soh),
        module.crc or "on",
    )
