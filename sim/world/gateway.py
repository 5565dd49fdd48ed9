"""Cabinets behind a Modbus gateway: it measures, precharges, closes and opens by itself, and shows it in its registers.

Balancing is the gateway's own affair too: it does none here, and SunSpec has no word to ask for it.
"""

from dataclasses import dataclass

import numpy as np

from firmware_bridge.dialects.sbox import BoxFault
from firmware_bridge.dialects.sunspec.battery_bank import BatteryBank, BatteryRatings, CabinetView
from firmware_bridge.dialects.sunspec.battery_map import BatterySeat
from firmware_bridge.records import Bools, Contactor, Floats, Ints, PlantSpec
from sim.world.broken import Faults, marks
from sim.world.can_devices import box_faults, true_insulation_ohm
from sim.world.physics import Nature, Now, Orders
from sim.world.sensors import Instruments

PRECHARGED_V = 2.0  # closes when no more is left across the contactors: some 40 A for a moment
PRECHARGE_TIMEOUT_S = 5.0  # of plant time; then it gives up until it is told to open and to close anew
NOMINAL_CELL_V = 3.67
CURRENT_SAMPLES = 20.0  # that a gateway takes the mean of

_OPEN, _PRECHARGE, _CLOSED = (int(Contactor[name]) for name in ("OPEN", "PRECHARGE", "CLOSED"))


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What the instruments of all gateways read at one instant; arrays of the whole site."""

    cell_v: Floats  # [cell]
    module_c: Floats  # [module, 4]
    string_a: Floats  # [string]
    string_v: Floats  # [string]
    string_bus_v: Floats  # [string]
    insulation_ohm: Floats  # [string]

    @classmethod
    def of(cls, nature: Nature, instruments: Instruments, faults: Faults, now: Now) -> "Readings":
        """NaN: a silent module's."""
        layout = nature.layout
        shown_v = faults.of_places(now.cell_v)
        drop_v = faults.of_places(now.bleed_a) * nature.scenario.cell.bleed_sense_ohm
        cell_v = faults.spoil(instruments.cell_v(shown_v, drop_v))
        module_c = instruments.module_c(now.cells.cell_c)
        if faults.silent_modules:
            silent = marks(faults.silent_modules, layout.modules)
            cell_v[silent[layout.cell_module]] = np.nan
            module_c[silent] = np.nan
        string_v, bus_v = instruments.string_v(now.string_v, now.bus_v[layout.string_cabinet])
        string_a = faults.spoil_current(instruments.string_a(now.string_a, CURRENT_SAMPLES))
        insulation_ohm = instruments.insulation_ohm(true_insulation_ohm(nature, faults))
        return cls(cell_v, module_c, string_a, string_v, bus_v, insulation_ohm)


class Gateway:
    """One cabinet's gateway."""

    def __init__(self, plant: PlantSpec, nature: Nature, cabinet: int) -> None:
        layout = nature.layout
        spec = plant.cabinets[cabinet]
        self.cabinet, self._nature = cabinet, nature
        self._cells, self._modules, self._strings = layout.of_cabinet(cabinet)
        modules = [module for string in spec.strings for module in string.modules]
        ratings = BatteryRatings(
            sum(string.modules[0].nameplate_ah for string in spec.strings), nameplate_wh(plant, cabinet)
        )
        seat = BatterySeat.of(spec, spec.battery_positive_discharges)
        self.bank = BatteryBank(seat, ratings, writable=True, model_name="Simulated gateway")
        self._soh = np.array([module.soh for module in modules])
        self._unknown = np.full(self._cells.stop - self._cells.start, np.nan)
        self._sequence = np.full(len(spec.strings), _OPEN)
        self._since_s = np.zeros(len(spec.strings))  # plant time when precharge began
        self._gave_up = np.zeros(len(spec.strings), np.bool_)

    def command(self, contactor: Ints, cut: Bools, now: Now, t_s: float, wire_s: float) -> None:
        """Put this cabinet's part into `contactor` [string]: its own sequence, moved on to plant time `t_s`.

        A string whose coil supply was `cut` [string] closes again only after it was told to open.
        """
        asked = self.bank.wanted(wire_s) == _CLOSED
        here = self._strings
        gap_v = np.abs(now.string_v[here] - now.bus_v[self.cabinet])
        precharging, closed = self._sequence == _PRECHARGE, self._sequence == _CLOSED
        # what is closed is what the physics has closed: a contactor that stuck is not joined by hope
        joined = precharging & (now.contactor[here] == _PRECHARGE) & (gap_v <= PRECHARGED_V)
        late = precharging & ~joined & (t_s - self._since_s > PRECHARGE_TIMEOUT_S)
        self._gave_up = asked & (self._gave_up | late | cut[here])
        sequence = np.where(asked & ~self._gave_up, np.where(closed | joined, _CLOSED, _PRECHARGE), _OPEN)
        self._since_s = np.where((sequence == _PRECHARGE) & ~precharging, t_s, self._since_s)
        self._sequence = sequence
        contactor[here] = sequence

    def show(self, read: Readings, now: Now, orders: Orders, wire_s: float) -> None:
        """Put what was measured into the registers. It tells no SOC: SunSpec lets a gateway leave that open."""
        cells, modules, strings = self._cells, self._modules, self._strings
        self.bank.show(
            CabinetView(
                cell_v=read.cell_v[cells],
                cell_bleeding=orders.bleed[cells],
                module_c=read.module_c[modules],
                string_a=read.string_a[strings],
                string_v=read.string_v[strings],
                string_bus_v=read.string_bus_v[strings],
                contactor=now.contactor[strings],
                fault=self._faults(now, orders),
                insulation_ohm=read.insulation_ohm[strings],
                cell_soc=self._unknown,
                module_soh=self._soh,
            ),
            wire_s,
        )

    def _faults(self, now: Now, orders: Orders) -> Ints:
        """[string] BoxFault bits, as far as a gateway sees them."""
        here = self._strings
        told = box_faults(now.contactor[here], self._sequence, orders.cut[here])
        return told | np.where(self._gave_up & ~orders.cut[here], int(BoxFault.PRECHARGE), 0)


def nameplate_wh(plant: PlantSpec, cabinet: int) -> float:
    """What the cabinet's cells held when new."""
    return sum(
        module.cells * module.nameplate_ah * NOMINAL_CELL_V
        for string in plant.cabinets[cabinet].strings
        for module in string.modules
    )
