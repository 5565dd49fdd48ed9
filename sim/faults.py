"""What can break, by name: each fault is set and lifted on a running world, from a schedule or by a campaign."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from ess_controller.site.errors import Finding
from firmware_bridge.records import Contact, PlantSpec
from sim.fault import (
    Fault,
    cabinet_of_module,
    cabinets,
    cabinets_on_bus,
    cells,
    gateway_cabinet,
    io_cabinet,
    its_strings,
    itself,
    neighbour,
    none,
    one,
    same_places,
    string_of_module,
    strings_on_bus,
)
from sim.scenario_file import checked, read_sheet, refuse
from sim.world import World

SOFT_SHORT_A = 0.008  # 17 times what a cell of 170 Ah usually loses (0.2 % a month); soft shorts: 5 to 20 times


def _chain(says: str, contact: Contact) -> Fault:
    """A contact of a cabinet's hard-wired chain; every cabinet has one, whether or not a remote I/O tells of it."""
    return Fault(
        says,
        cabinets,
        lambda broken, _, cabinet: broken.press(cabinet, contact),
        lambda broken, _, cabinet: broken.release(cabinet, contact),
        itself,
        its_strings,
    )


def _reported(says: str, contact: Contact, *, stops: bool) -> Fault:
    """A contact that only a remote I/O tells of; target: which of those."""
    return Fault(
        says,
        lambda plant: plant.layout.ios,
        lambda broken, plant, target: broken.press(io_cabinet(plant, target), contact),
        lambda broken, plant, target: broken.release(io_cabinet(plant, target), contact),
        (lambda plant, target: (io_cabinet(plant, target),)) if stops else none,
        (lambda plant, target: its_strings(plant, io_cabinet(plant, target))) if stops else none,
    )


FAULTS = {
    "bus silent": Fault(
        "a CAN bus carries nothing any more, either way",
        lambda plant: len(plant.can_buses),
        lambda broken, plant, target: broken.silent_buses.add(plant.can_buses[target]),
        lambda broken, plant, target: broken.silent_buses.discard(plant.can_buses[target]),
        cabinets_on_bus,
        strings_on_bus,
    ),
    "module silent": Fault(
        "one module's board says nothing while the others go on",
        lambda plant: len(plant.modules),
        lambda broken, _, target: broken.silent_modules.add(target),
        lambda broken, _, target: broken.silent_modules.discard(target),
        cabinet_of_module,
        string_of_module,
    ),
    "PCS dead": Fault(
        "an inverter answers nothing; its reversion timer goes on",
        cabinets,
        lambda broken, _, cabinet: broken.silent_pcs.add(cabinet),
        lambda broken, _, cabinet: broken.silent_pcs.discard(cabinet),
        itself,
        none,
    ),
    "meter frozen": Fault(
        "the grid meter answers with the same words for ever",
        one,
        lambda broken, _, __: setattr(broken, "frozen_meter", True),
        lambda broken, _, __: setattr(broken, "frozen_meter", False),
        lambda plant, _: tuple(range(plant.layout.cabinets)),
        none,
    ),
    "E-stop pressed": _chain("a cabinet's button is pressed: the chain opens its contactors at once", Contact.ESTOP),
    "interlock open": _chain(
        "a plug is pulled, a cover off: the chain opens its contactors at once", Contact.INTERLOCK
    ),
    "smoke": _reported("a cabinet's smoke detector has tripped", Contact.SMOKE, stops=True),
    "gas": _reported("a cabinet's gas detector has tripped: a cell may have vented", Contact.GAS, stops=True),
    "door open": _reported("a cabinet's door stands open; nothing has to stop for it", Contact.DOOR, stops=False),
    "remote I/O silent": Fault(
        "a cabinet's remote I/O answers nothing; its outputs stay as they are",
        lambda plant: plant.layout.ios,
        lambda broken, plant, target: broken.silent_ios.add(io_cabinet(plant, target)),
        lambda broken, plant, target: broken.silent_ios.discard(io_cabinet(plant, target)),
        none,
        none,
    ),
    "solar inverter silent": Fault(
        "a solar inverter answers nothing; a limit of its power runs out by its own timer",
        lambda plant: plant.layout.pvs,
        lambda broken, _, target: broken.silent_pvs.add(target),
        lambda broken, _, target: broken.silent_pvs.discard(target),
        none,
        none,
    ),
    "gateway silent": Fault(
        "a battery gateway answers nothing; its own watchdog opens its contactors",
        lambda plant: len(plant.layout.gateway_cabinet),
        lambda broken, plant, target: broken.silent_gateways.add(gateway_cabinet(plant, target)),
        lambda broken, plant, target: broken.silent_gateways.discard(gateway_cabinet(plant, target)),
        lambda plant, target: (gateway_cabinet(plant, target),),
        lambda plant, target: its_strings(plant, gateway_cabinet(plant, target)),
    ),
    "fan failed": Fault(
        "a cabinet's fan stands still though it is switched on",
        lambda plant: plant.layout.ios,
        lambda broken, plant, target: broken.failed_fans.add(io_cabinet(plant, target)),
        lambda broken, plant, target: broken.failed_fans.discard(io_cabinet(plant, target)),
        none,
        none,
    ),
    "cell leaks": Fault(
        f"a soft short inside a cell drains {1000.0 * SOFT_SHORT_A:g} mA; it shows in weeks, and nothing has to stop",
        cells,
        lambda broken, _, cell: broken.short_a.update({cell: SOFT_SHORT_A}),
        lambda broken, _, cell: broken.heal(cell),
        none,
        none,
    ),
    "sense wires swapped": Fault(
        "a cell and its neighbour show each other's voltage, and are bled in each other's place",
        cells,
        lambda broken, plant, cell: broken.swap([(cell, neighbour(plant, cell))]),
        lambda broken, plant, cell: broken.swap_back([(cell, neighbour(plant, cell))]),
        none,
        none,
    ),
    "harnesses swapped": Fault(
        "a module and the next one like it show each other's cells",
        lambda plant: len(plant.modules),
        lambda broken, plant, module: broken.swap(same_places(plant, module)),
        lambda broken, plant, module: broken.swap_back(same_places(plant, module)),
        none,
        none,
    ),
}
DAEMON_KILLED = "daemon killed"
"""No device breaks: `sim.campaign` ends the daemon itself, on the bench, and with kill -9 over real sockets."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(description="a fault's name")]
    at_s: Annotated[float, Field(ge=0, le=1e9)]
    for_s: Annotated[float, Field(gt=0, le=1e9)]
    target: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    fault: Annotated[tuple[_Row, ...], Strict(False), Field(min_length=1, max_length=10_000)]


@dataclass(slots=True)
class Schedule:
    """Which fault befalls what and when, in plant seconds since the start."""

    rows: tuple[_Row, ...] = ()
    _on: set[int] = field(default_factory=set)

    @property
    def on(self) -> list[str]:
        """Names of the faults that are set now, in the order of the schedule."""
        return [self.rows[number].name for number in sorted(self._on)]

    def due(self, world: World, t_s: float) -> Iterator[str]:
        """Set and lift what is due at `t_s`; tells each change in a line."""
        for number, row in enumerate(self.rows):
            wanted = row.at_s <= t_s < row.at_s + row.for_s
            if wanted == (number in self._on):
                continue
            fault = FAULTS[row.name]
            (fault.set if wanted else fault.lift)(world.faults, world.plant, row.target)
            (self._on.add if wanted else self._on.discard)(number)
            yield f"fault {'set' if wanted else 'lifted'}: {row.name}, target {row.target}"


def load_schedule(path: Path, plant: PlantSpec) -> Schedule:
    """Read a fault schedule: [[fault]] tables with name, at_s, for_s and target. BadInputError tells every mistake."""
    sheet = read_sheet(path)
    rows = checked(_File, sheet).fault
    wrong = []
    for number, row in enumerate(rows):
        if row.name not in FAULTS:
            wrong.append(Finding(("fault", number, "name"), f"one of {', '.join(FAULTS)}"))
        elif row.target >= (count := FAULTS[row.name].targets(plant)):
            expected = (
                f"a whole number from 0 to {count - 1}"
                if count
                else "another fault: the site has no device for this one"
            )
            wrong.append(Finding(("fault", number, "target"), expected))
    if wrong:
        refuse(sheet, wrong)
    return Schedule(rows)
