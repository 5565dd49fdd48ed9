"""What can break, by name: each fault is set and lifted on a running world, from a schedule or by a campaign."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from ess_controller.site.errors import Finding
from firmware_bridge.records import PlantSpec
from sim.scenario_file import checked, read_sheet, refuse
from sim.world import World
from sim.world.devices import Faults


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break a site. `target` is the index of the bus, module or cabinet it befalls."""

    says: str
    targets: Callable[[PlantSpec], int]  # how many there are to choose from
    set: Callable[[Faults, PlantSpec, int], None]
    lift: Callable[[Faults, PlantSpec, int], None]
    cabinets: Callable[[PlantSpec, int], tuple[int, ...]]  # whose power has to go to 0 W
    strings: Callable[[PlantSpec, int], tuple[int, ...]]  # whose contactors have to open


def _one(_: PlantSpec) -> int:
    return 1


def _none(_: PlantSpec, __: int) -> tuple[int, ...]:
    return ()


def _strings_on_bus(plant: PlantSpec, target: int) -> tuple[int, ...]:
    bus, strings = plant.can_buses[target], enumerate(plant.strings)
    return tuple(number for number, one in strings if bus in (one.box_bus, *(module.bus for module in one.modules)))


def _cabinets_on_bus(plant: PlantSpec, target: int) -> tuple[int, ...]:
    return tuple({int(plant.layout.string_cabinet[string]): None for string in _strings_on_bus(plant, target)})


def _string_of_module(plant: PlantSpec, target: int) -> tuple[int, ...]:
    return (int(plant.layout.module_string[target]),)


def _cabinet_of_module(plant: PlantSpec, target: int) -> tuple[int, ...]:
    return (int(plant.layout.string_cabinet[plant.layout.module_string[target]]),)


FAULTS = {
    "bus silent": Fault(
        "a CAN bus carries nothing any more, either way",
        lambda plant: len(plant.can_buses),
        lambda broken, plant, target: broken.silent_buses.add(plant.can_buses[target]),
        lambda broken, plant, target: broken.silent_buses.discard(plant.can_buses[target]),
        _cabinets_on_bus,
        _strings_on_bus,
    ),
    "module silent": Fault(
        "one module's board says nothing while the others go on",
        lambda plant: len(plant.modules),
        lambda broken, _, target: broken.silent_modules.add(target),
        lambda broken, _, target: broken.silent_modules.discard(target),
        _cabinet_of_module,
        _string_of_module,
    ),
    "PCS dead": Fault(
        "an inverter answers nothing; its reversion timer goes on",
        lambda plant: len(plant.cabinets),
        lambda broken, _, target: broken.silent_pcs.add(target),
        lambda broken, _, target: broken.silent_pcs.discard(target),
        lambda _, target: (target,),
        _none,
    ),
    "meter frozen": Fault(
        "the grid meter answers with the same words for ever",
        _one,
        lambda broken, _, __: setattr(broken, "frozen_meter", True),
        lambda broken, _, __: setattr(broken, "frozen_meter", False),
        lambda plant, _: tuple(range(plant.layout.cabinets)),
        _none,
    ),
}
DAEMON_KILLED = "daemon killed"
"""The fifth fault needs a process to kill -9: `sim.campaign` does it over real sockets."""


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
            wrong.append(Finding(("fault", number, "target"), f"a whole number from 0 to {count - 1}"))
    if wrong:
        refuse(sheet, wrong)
    return Schedule(rows)
