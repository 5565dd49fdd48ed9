"""The site's devices on their wires, all together: what they are told becomes orders, the truth becomes bytes."""

import numpy as np

from firmware_bridge.frames import Frames
from firmware_bridge.records import Contactor, PlantSpec
from firmware_bridge.wires import RegisterBank
from sim.world.broken import Faults, amounts, marks
from sim.world.can_devices import CanDevices
from sim.world.physics import Nature, Now, Orders, Totals
from sim.world.register_devices import RegisterDevices
from sim.world.sensors import Instruments

__all__ = ["Devices", "Faults"]


class Devices:
    """Every device of a site. `banks` are the Modbus devices by the name of their bus."""

    def __init__(self, plant: PlantSpec, nature: Nature, seed: int) -> None:
        self._nature = nature
        self.faults = Faults()
        self.instruments = Instruments(nature.layout, nature.scenario.sensors, seed)
        self.can = CanDevices(plant, nature, self.instruments, self.faults)
        self.registers = RegisterDevices(plant, nature, self.instruments, self.faults)

    @property
    def can_buses(self) -> tuple[str, ...]:
        """Names of the CAN buses, in the order of their numbers."""
        return self.can.buses

    @property
    def banks(self) -> dict[str, RegisterBank]:
        """The Modbus devices."""
        return self.registers.banks

    def orders(self, now: Now, t_s: float, wire_s: float) -> Orders:
        """What is in force now, watchdogs, reversion and the hard-wired chains applied."""
        layout, faults = self._nature.layout, self.faults
        asked = self.registers.asked(wire_s)
        contactor = np.full(layout.strings, int(Contactor.OPEN))
        contactor[self.can.strings] = self.can.wanted(wire_s)
        cut = marks(faults.broken_chains(), layout.cabinets)[layout.string_cabinet]
        for gateway in self.registers.gateways:
            gateway.command(contactor, cut, now, t_s, wire_s)
        bleed = np.zeros(layout.cells, np.bool_)
        bleed[self.can.cells] = self.can.bleeding(wire_s)
        return Orders(
            contactor=contactor,
            cut=cut,
            bleed=faults.of_places(bleed),
            set_w=asked.set_w,
            run=asked.run,
            welded=marks(faults.welded, layout.strings),
            stuck_open=marks(faults.stuck_open, layout.strings),
            tripped=marks(faults.tripped_pcs, layout.cabinets),
            short_a=amounts(faults.short_a, layout.cells),
            pv_limit_w=asked.pv_limit_w,
            climate=self.registers.running_climate(asked),
        )

    def sample(self, now: Now, dt_s: float) -> None:
        """Count the current of one physics step."""
        self.can.sample(now, dt_s)

    def hear(self, bus: str, frames: Frames, wire_s: float) -> None:
        """Frames that arrived on a CAN bus."""
        self.can.hear(bus, frames, wire_s)

    def hear_all(self, frames: Frames, wire_s: float) -> None:
        """Frames that arrived on all of them; their `bus` is its number."""
        self.can.hear_all(frames, wire_s)

    def take_frames(self, bus: str, now: Now, orders: Orders, wire_s: float) -> Frames:
        """Frames due on one CAN bus since it was last asked."""
        return self.can.take(bus, now, orders, wire_s)

    def show(self, now: Now, orders: Orders, totals: Totals, t_s: float, wire_s: float) -> None:
        """Refresh the registers of the Modbus devices where their period is over."""
        self.registers.show(now, orders, totals, t_s, wire_s)
