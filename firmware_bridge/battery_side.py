"""The batteries of a whole site on whatever wires they have: cell boards and string boxes on CAN, gateways on Modbus.

What comes from either is laid into the site's flat arrays, so that nobody above can tell the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_bridge.dialects.can_master import CanMaster
from firmware_bridge.dialects.csc import CscMaster, CscSeat, csc_ids
from firmware_bridge.dialects.csc.master import CscPicture
from firmware_bridge.dialects.frame_sort import FrameSort
from firmware_bridge.dialects.sbox import SBOX_IDS, SboxMaster, SboxSeat
from firmware_bridge.dialects.sbox.master import SboxPicture
from firmware_bridge.dialects.sunspec.battery import BatteryMaster, BatteryPicture
from firmware_bridge.dialects.sunspec.battery_map import BatterySeat
from firmware_bridge.frames import Answer, Frames, Request
from firmware_bridge.records import TEMPERATURES_PER_MODULE, Bools, Floats, Ints, PlantSpec

_OF_CELLS = ("cell_v", "cell_age_s", "cell_bleeding")
_OF_MODULES = ("module_c", "module_board_c", "module_error", "module_age_s")
_OF_BOXES = (  # a string box's name for it, a gateway's
    ("string_a", "string_a"),
    ("string_v", "string_v"),
    ("string_bus_v", "string_bus_v"),
    ("contactor", "contactor"),
    ("fault", "fault"),
    ("insulation_ohm", "insulation_ohm"),
    ("age_s", "string_age_s"),
)


def module_seats(spec: PlantSpec) -> list[CscSeat]:
    """Every module's place on the CAN buses, in Layout order; those behind gateways are left out."""
    number = {name: index for index, name in enumerate(spec.can_buses)}
    return [CscSeat(number[m.bus], m.slot, m.cells, m.crc, m.code) for m in spec.modules if m.bus]


def box_seats(spec: PlantSpec) -> list[SboxSeat]:
    """Every string box's place on the CAN buses, in Layout order; those behind gateways are left out."""
    number = {name: index for index, name in enumerate(spec.can_buses)}
    return [SboxSeat(number[s.box_bus], s.box_crc, s.name) for s in spec.strings if s.box_bus]


def ids_on(spec: PlantSpec, bus: str) -> frozenset[int]:
    """CAN ids that devices on a bus use: what a wire needs to hear."""
    modules = (csc_ids(module.slot, module.cells) for module in spec.modules if module.bus == bus)
    boxes = (SBOX_IDS for string in spec.strings if string.box_bus == bus)
    return frozenset().union(*modules, *boxes)


@dataclass(frozen=True, slots=True)
class _Gateway:
    """One gateway and the parts of the site's arrays that it speaks for: a cabinet's, which lie side by side."""

    master: BatteryMaster
    cells: slice
    modules: slice
    strings: slice


@dataclass(frozen=True, slots=True, eq=False)
class BatteryView:
    """What all batteries say, in Layout order; as `CscPicture` and `SboxPicture` have it."""

    cell_v: Floats
    cell_age_s: Floats
    cell_bleeding: Bools
    module_c: Floats
    module_board_c: Floats
    module_error: Ints
    module_age_s: Floats
    string_a: Floats
    string_v: Floats
    string_bus_v: Floats
    contactor: Ints
    disabled: Bools  # by a gateway alone: a string box knows no such thing
    fault: Ints
    insulation_ohm: Floats
    age_s: Floats


class BatterySide:
    """All cells, modules and strings of a site."""

    def __init__(self, spec: PlantSpec) -> None:
        layout = spec.layout
        self._layout = layout
        modules, boxes = module_seats(spec), box_seats(spec)
        self._modules = CscMaster(modules) if modules else None
        self._boxes = SboxMaster(boxes) if boxes else None
        self._on_can: list[CanMaster] = [each for each in (self._modules, self._boxes) if each is not None]
        self._sort = FrameSort([master.channels for master in self._on_can])
        self.gateways = tuple(self._gateway(spec, int(cabinet)) for cabinet in layout.gateway_cabinet)
        self.behind_gateway = np.isin(layout.string_cabinet, layout.gateway_cabinet)  # [string]
        self._can_string = np.flatnonzero(~self.behind_gateway)
        self._can_module = np.flatnonzero(~self.behind_gateway[layout.module_string])
        self._can_cell = np.flatnonzero(~self.behind_gateway[layout.cell_string])

    @staticmethod
    def _gateway(spec: PlantSpec, cabinet: int) -> _Gateway:
        of = spec.cabinets[cabinet]
        seat = BatterySeat.of(of, of.battery_positive_discharges)
        return _Gateway(BatteryMaster(seat), *spec.layout.of_cabinet(cabinet))

    def hear(self, frames: Frames, answers: Sequence[Sequence[Answer]], now_s: float) -> None:
        """Frames of all CAN buses, and the answers of each gateway in order."""
        for master, theirs in zip(self._on_can, self._sort(frames, now_s), strict=True):
            master.hear_sorted(*theirs)
        for gateway, heard in zip(self.gateways, answers, strict=True):
            gateway.master.hear(heard, now_s)

    def picture(self, now_s: float) -> BatteryView:
        """What is known now, however old."""
        modules = self._modules.picture(now_s) if self._modules is not None else None
        boxes = self._boxes.picture(now_s) if self._boxes is not None else None
        if modules is not None and boxes is not None and not self.gateways:
            return _joined(modules, boxes)
        view = self._unheard()
        if modules is not None:
            for name in _OF_CELLS:
                getattr(view, name)[self._can_cell] = getattr(modules, name)
            for name in _OF_MODULES:
                getattr(view, name)[self._can_module] = getattr(modules, name)
        if boxes is not None:
            for name, _ in _OF_BOXES:
                getattr(view, name)[self._can_string] = getattr(boxes, name)
        for gateway in self.gateways:
            _lay_in(view, gateway, gateway.master.picture(now_s))
        return view

    def _unheard(self) -> BatteryView:
        cells, modules, strings = self._layout.cells, self._layout.modules, self._layout.strings
        return BatteryView(
            cell_v=np.full(cells, np.nan),
            cell_age_s=np.full(cells, np.inf),
            cell_bleeding=np.zeros(cells, np.bool_),
            module_c=np.full((modules, TEMPERATURES_PER_MODULE), np.nan),
            module_board_c=np.full(modules, np.nan),
            module_error=np.full(modules, -1),
            module_age_s=np.full(modules, np.inf),
            string_a=np.full(strings, np.nan),
            string_v=np.full(strings, np.nan),
            string_bus_v=np.full(strings, np.nan),
            contactor=np.full(strings, -1),
            disabled=np.zeros(strings, np.bool_),
            fault=np.full(strings, -1),
            insulation_ohm=np.full(strings, np.nan),
            age_s=np.full(strings, np.inf),
        )

    # --- what they are told -----------------------------------------------------------------------------------------

    def request(self, bleed: Bools, bleed_s: float) -> Frames | None:
        """Frames for the cell boards; None where no cell is on CAN."""
        if self._modules is None:
            return None
        return self._modules.request(bleed[self._can_cell] if self.gateways else bleed, bleed_s)

    def command(self, contactor: Ints) -> Frames | None:
        """Frames for the string boxes; a contactor of UNKNOWN is told nothing. None where nothing is to be said."""
        if self._boxes is None:
            return None
        mine = contactor[self._can_string] if self.gateways else contactor
        spoken = mine != -1
        speaks = np.count_nonzero(spoken)
        if not speaks:
            return None
        told = self._boxes.command(mine)
        # several frames a box, box by box in each kind
        return told if speaks == len(spoken) else told[np.tile(spoken, len(told) // len(spoken))]

    def ask(self, gateway: int, contactor: Ints, now_s: float, plant_s: float) -> list[Request]:
        """What to ask and tell one gateway; contactor [string] of the whole site."""
        chosen = self.gateways[gateway]
        return chosen.master.ask(contactor[chosen.strings], now_s, plant_s)

    def take_events(self) -> list[str]:
        """What changed on the CAN buses since the last call, one line each; gateways' are their buses'."""
        told = self._modules.take_events() if self._modules is not None else []
        return told + (self._boxes.take_events() if self._boxes is not None else [])


def _joined(modules: CscPicture, boxes: SboxPicture) -> BatteryView:
    """A site that is all on CAN: nothing needs to be laid anywhere."""
    return BatteryView(
        modules.cell_v,
        modules.cell_age_s,
        modules.cell_bleeding,
        modules.module_c,
        modules.module_board_c,
        modules.module_error,
        modules.module_age_s,
        boxes.string_a,
        boxes.string_v,
        boxes.string_bus_v,
        boxes.contactor,
        np.zeros(len(boxes.contactor), np.bool_),
        boxes.fault,
        boxes.insulation_ohm,
        boxes.age_s,
    )


def _lay_in(view: BatteryView, gateway: _Gateway, said: BatteryPicture) -> None:
    for name in _OF_CELLS:
        getattr(view, name)[gateway.cells] = getattr(said, name)
    for name in _OF_MODULES:
        getattr(view, name)[gateway.modules] = getattr(said, name)
    for name, theirs in _OF_BOXES:
        getattr(view, name)[gateway.strings] = getattr(said, theirs)
    view.disabled[gateway.strings] = said.disabled
