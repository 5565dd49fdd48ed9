"""One way to break a site: how it is set and lifted, what it can befall, and who has to stop for it."""

from collections.abc import Callable
from dataclasses import dataclass

from firmware_bridge.records import PlantSpec
from sim.world.broken import Faults


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break a site. `target` is the index of the bus, module, cabinet or device it befalls."""

    says: str
    targets: Callable[[PlantSpec], int]  # how many there are to choose from; 0: the site has no such device
    set: Callable[[Faults, PlantSpec, int], None]
    lift: Callable[[Faults, PlantSpec, int], None]
    cabinets: Callable[[PlantSpec, int], tuple[int, ...]]  # whose power has to go to 0 W
    strings: Callable[[PlantSpec, int], tuple[int, ...]]  # whose contactors have to open


def one(_: PlantSpec) -> int:
    """There is just one of it."""
    return 1


def none(_: PlantSpec, __: int) -> tuple[int, ...]:
    """Nobody."""
    return ()


def strings_on_bus(plant: PlantSpec, target: int) -> tuple[int, ...]:
    """Strings whose box or modules speak on a bus."""
    bus, strings = plant.can_buses[target], enumerate(plant.strings)
    return tuple(number for number, one in strings if bus in (one.box_bus, *(module.bus for module in one.modules)))


def cabinets_on_bus(plant: PlantSpec, target: int) -> tuple[int, ...]:
    """Their cabinets."""
    return tuple({int(plant.layout.string_cabinet[string]): None for string in strings_on_bus(plant, target)})


def string_of_module(plant: PlantSpec, target: int) -> tuple[int, ...]:
    """The string that a module sits in."""
    return (int(plant.layout.module_string[target]),)


def cabinet_of_module(plant: PlantSpec, target: int) -> tuple[int, ...]:
    """Its cabinet."""
    return (int(plant.layout.string_cabinet[plant.layout.module_string[target]]),)


def cabinets(plant: PlantSpec) -> int:
    """How many cabinets there are."""
    return plant.layout.cabinets


def itself(_: PlantSpec, cabinet: int) -> tuple[int, ...]:
    """A cabinet."""
    return (cabinet,)


def its_strings(plant: PlantSpec, cabinet: int) -> tuple[int, ...]:
    """A cabinet's strings."""
    return plant.layout.strings_of_cabinet[cabinet]


def io_cabinet(plant: PlantSpec, target: int) -> int:
    """The cabinet of a remote I/O."""
    return int(plant.layout.io_cabinet[target])


def gateway_cabinet(plant: PlantSpec, target: int) -> int:
    """The cabinet of a gateway."""
    return int(plant.layout.gateway_cabinet[target])


def cells(plant: PlantSpec) -> int:
    """How many cells there are."""
    return plant.layout.cells


def neighbour(plant: PlantSpec, cell: int) -> int:
    """The next cell of a cell's module; of its last one the one before."""
    module = plant.layout.cell_module
    return cell + 1 if cell + 1 < len(module) and module[cell + 1] == module[cell] else cell - 1


def same_places(plant: PlantSpec, module: int) -> list[tuple[int, int]]:
    """Cells of a module, and those in the same places of the next module of its string that has as many cells; none
    where there is no such module."""
    layout = plant.layout
    strings, sizes = layout.module_string, [spec.cells for spec in plant.modules]
    fitting = (
        other
        for other in (*range(module + 1, layout.modules), *range(module))
        if strings[other] == strings[module] and sizes[other] == sizes[module]
    )
    other = next(fitting, module)
    first, there = int(layout.first_cell[module]), int(layout.first_cell[other])
    return [(first + at, there + at) for at in range(sizes[module])] if other != module else []
