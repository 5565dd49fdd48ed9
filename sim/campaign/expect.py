"""What each fault has to lead to on a site: who must be safe how soon, who must go on, who has to be cleared first."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite

from ess_controller.core.health import DIAGNOSES
from firmware_bridge.records import Contact, PlantSpec
from sim.faults import DAEMON_KILLED, FAULTS

RECOVER_WITHIN_S = 30.0  # from lifting to power: precharge, inverter start and searching a Modbus device anew included
FIRST_WITHIN_S = 10.0  # from a restart to the first command given with all data fresh
REST_WITHIN_S = 16.0  # what a fault leaves of a cabinet works again: lost for 10 s, opened, trusted anew, ramped up
WORLD_KILLED = "world killed"
"""All devices fall silent at once and come back as after a power cut: contactors open, registers forgotten."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a fault must lead to, in seconds of wall time since it struck."""

    safe_s: float = inf  # 0 W in the cabinets concerned; inf: none has to stop
    open_s: float = inf  # contactors of the strings concerned open; inf: they stay closed


DEMANDS: Mapping[str, Demand] = {
    "bus silent": Demand(5.0, 16.0),  # told to open after 10 s; a box that hears nothing opens by its own 15 s watchdog
    "module silent": Demand(5.0, 12.0),
    "PCS dead": Demand(15.0),  # its own reversion timer: 12 s after the last word, then its ramp
    "meter frozen": Demand(5.0),
    "E-stop pressed": Demand(1.0, 1.0),  # the hard-wired chain: no software has a part in it
    "interlock open": Demand(1.0, 1.0),
    "smoke": Demand(5.0, 5.0),  # read from the remote I/O twice a second, the current given time to fall
    "gas": Demand(5.0, 5.0),
    "door open": Demand(),
    "remote I/O silent": Demand(),
    "solar inverter silent": Demand(),
    "gateway silent": Demand(5.0, 16.0),  # its own watchdog, as with a string box
    "fan failed": Demand(),
    "cell leaks": Demand(),
    "sense wires swapped": Demand(),
    "harnesses swapped": Demand(),
    DAEMON_KILLED: Demand(15.0),
    WORLD_KILLED: Demand(5.0, 12.0),  # counted by what is asked
}

_CONTACTS = {
    "E-stop pressed": Contact.ESTOP,
    "interlock open": Contact.INTERLOCK,
    "smoke": Contact.SMOKE,
    "gas": Contact.GAS,
}
_CHAIN = ("E-stop pressed", "interlock open")
_LATCHED = {row.name for row in DIAGNOSES if row.latched}


@dataclass(frozen=True, slots=True)
class Expected:
    """What one fault at one place has to lead to."""

    name: str
    target: int
    demand: Demand
    cabinets: tuple[int, ...]  # must come to 0 W
    strings: tuple[int, ...]  # must open
    others: tuple[int, ...]  # cabinets that must go on
    rest: tuple[int, ...]  # cabinets that must work again by their other strings, while the fault lasts
    latched: bool  # nothing may come back before an operator has cleared it
    chain: bool  # contactors are opened by wires, under whatever load there is: no doing of the daemon's

    @property
    def opens(self) -> bool:
        """Whether contactors have to open."""
        return bool(self.strings) and isfinite(self.demand.open_s)

    @property
    def at_once(self) -> bool:
        """Whether however short a fault opens them: there is no drop-out that leaves them closed."""
        return self.name in _CONTACTS


def expected(plant: PlantSpec, name: str, target: int) -> Expected:
    """A fault of `sim.faults` befalls its `target` of a site."""
    fault, layout = FAULTS[name], plant.layout
    cabinets, strings = fault.cabinets(plant, target), fault.strings(plant, target)
    left = {int(layout.string_cabinet[string]) for string in range(layout.strings) if string not in strings}
    blind = name == "bus silent" and plant.can_buses[target] in {string.box_bus for string in plant.strings}
    partly = bool(strings) and not blind  # a box nobody hears may still carry: its cabinet has to stay at 0 W
    return Expected(
        name,
        target,
        DEMANDS[name],
        cabinets,
        strings,
        tuple(cabinet for cabinet in range(layout.cabinets) if cabinet not in cabinets),
        tuple(cabinet for cabinet in cabinets if partly and cabinet in left),
        name in _LATCHED and all(_tells(plant, cabinet, _CONTACTS[name]) for cabinet in cabinets),
        name in _CHAIN,
    )


def _tells(plant: PlantSpec, cabinet: int, contact: Contact) -> bool:
    """Whether a remote I/O reports this contact. Without, the daemon sees contactors fall open and knows not why."""
    io = plant.cabinets[cabinet].io
    return io is not None and any(channel.bit == contact for channel in io.inputs)


def struck_here(plant: PlantSpec) -> list[str]:
    """Names of the faults that can befall a site, in the order of the table."""
    return [name for name, fault in FAULTS.items() if fault.targets(plant)]


def spared(plant: PlantSpec) -> list[str]:
    """The others: the site has no device for them."""
    return [name for name, fault in FAULTS.items() if not fault.targets(plant)]
