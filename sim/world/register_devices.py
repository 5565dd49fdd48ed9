"""The Modbus devices of a site: inverters, meter, solar inverters, remote I/O, gateways. Truth in, registers out.

Their watchdogs and reversion timers keep wall time (`wire_s`). What they show is no older than a real device's is, in
plant time and in wall time: however fast plant time runs, the next reading tells of what was done.
"""

from dataclasses import dataclass

import numpy as np

from firmware_bridge.dialects.remote_io import IoBank
from firmware_bridge.dialects.sunspec.battery_bank import BatteryBank
from firmware_bridge.dialects.sunspec.meter import MeterBank
from firmware_bridge.dialects.sunspec.pcs import PcsBank, PcsRatings
from firmware_bridge.dialects.sunspec.pcs_legacy_bank import LegacyPcsBank
from firmware_bridge.dialects.sunspec.pv_bank import PvBank
from firmware_bridge.records import Bools, Climate, Floats, Ints, PcsState, PlantSpec
from firmware_bridge.wires import RegisterBank
from sim.world.broken import Faults
from sim.world.gateway import Gateway, Readings, nameplate_wh
from sim.world.physics import Nature, Now, Orders, Totals
from sim.world.premises import most_w
from sim.world.sensors import Instruments

LOOK_S = 0.05  # of wall time: an inverter obeys its registers so often
SHOW_S = 0.02  # of wall time: registers change no oftener, as no site's beat is shorter

Bank = PcsBank | LegacyPcsBank | MeterBank | PvBank | IoBank | BatteryBank

_FAN = int(Climate.FAN)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What the registers ask of the devices behind them."""

    set_w: Floats  # [cabinet]
    run: Bools  # [cabinet]
    pv_limit_w: Floats  # [pv] inf: uncurtailed
    climate: Ints  # [cabinet] Climate bits as switched


class RegisterDevices:
    """All of them; `banks` by the name of their bus."""

    def __init__(self, plant: PlantSpec, nature: Nature, instruments: Instruments, faults: Faults) -> None:
        self._plant, self._nature, self._instruments, self._faults = plant, nature, instruments, faults
        cabinets = range(nature.layout.cabinets)
        inverter = nature.scenario.inverter
        self.pcs = [_pcs_bank(plant, cabinet, inverter.charge_w, inverter.discharge_w) for cabinet in cabinets]
        premises_w = most_w(nature.scenario.premises)
        self.meter = MeterBank(max(2 * (nature.layout.cabinets * inverter.charge_w + premises_w), 32_000.0))
        self.pvs = [PvBank(pv.rated_w) for pv in plant.pvs]
        self.ios = [(cabinet, IoBank(io)) for cabinet in cabinets if (io := plant.cabinets[cabinet].io)]
        self.gateways = [Gateway(plant, nature, cabinet) for cabinet in nature.layout.gateway_cabinet.tolist()]
        self._every: list[Bank] = [*self.pcs, self.meter, *self.pvs]
        self._every += [io for _, io in self.ios]
        self._every += [gateway.bank for gateway in self.gateways]
        self.banks: dict[str, RegisterBank] = dict(zip(plant.register_buses, self._every, strict=True))
        self._looked_s = -np.inf
        self._shown_s = (-np.inf, -np.inf)  # of plant time and of wall time
        self._asked: Asked | None = None

    def asked(self, wire_s: float) -> Asked:
        """What is in force now, reversion applied."""
        if self._asked is None or wire_s - self._looked_s > LOOK_S - 1e-6 or wire_s < self._looked_s:
            self._looked_s = wire_s
            gain = self._faults.pcs_gain
            controls = [bank.control(wire_s) for bank in self.pcs]
            climate = np.zeros(len(self.pcs), np.int64)
            for cabinet, io in self.ios:
                climate[cabinet] = int(io.climate(wire_s))
            self._asked = Asked(
                np.array([control.set_w * gain.get(index, 1.0) for index, control in enumerate(controls)]),
                np.array([control.run for control in controls]),
                np.array([bank.control(wire_s) for bank in self.pvs], np.float64),
                climate,
            )
        return self._asked

    def running_climate(self, asked: Asked) -> Ints:
        """[cabinet] what truly runs of what is switched on."""
        climate = asked.climate
        if self._faults.failed_fans:
            climate = climate.copy()
            climate[list(self._faults.failed_fans)] &= ~_FAN
        return climate

    def show(self, now: Now, orders: Orders, totals: Totals, t_s: float, wire_s: float) -> None:
        """Refresh the registers when their period is over, of plant time or of wall time; apply who answers."""
        self._answering()
        age_s, wire_age_s = t_s - self._shown_s[0], wire_s - self._shown_s[1]
        period_s = self._nature.scenario.sensors.register_period_s
        if max(age_s, wire_age_s) < period_s - 1e-6 or wire_age_s < min(SHOW_S, period_s) - 1e-6:
            return
        self._shown_s = t_s, wire_s
        self._show_pcs(now, wire_s)
        grid_w, phase_v, grid_hz = self._instruments.meter(now.grid_w)
        if not self._faults.frozen_meter:
            imported_wh, exported_wh = totals.imported_j / 3600, totals.exported_j / 3600
            if self._plant.meter_positive_imports:
                self.meter.show(grid_w, phase_v, grid_hz, imported_wh, exported_wh)
            else:
                self.meter.show(-grid_w, phase_v, grid_hz, exported_wh, imported_wh)
        for bank, pv_w in zip(self.pvs, self._instruments.pv_w(now.pv_w), strict=True):
            bank.show(pv_w, wire_s, phase_v=phase_v, ac_hz=grid_hz)
        for cabinet, io in self.ios:
            io.show(self._faults.contacts.get(cabinet, 0), wire_s)
        if self.gateways:
            read = Readings.of(self._nature, self._instruments, self._faults, now)
            for gateway in self.gateways:
                gateway.show(read, now, orders, wire_s)

    def _show_pcs(self, now: Now, wire_s: float) -> None:
        pcs_w = self._instruments.pcs_w(now.pcs_w).tolist()
        for index, bank in enumerate(self.pcs):
            bus_v = float(now.bus_v[index])
            dc_a = float(now.dc_w[index]) / bus_v if bus_v > 1.0 else 0.0
            state = PcsState(int(now.inverter.state[index]))
            air_c = float(now.warmth.air_c[index])
            bank.show(pcs_w[index], bus_v, state, wire_s, dc_a=dc_a, ac_hz=50.0, cabinet_c=air_c)

    def _answering(self) -> None:
        faults = self._faults
        dead = [
            *(index in faults.silent_pcs for index in range(len(self.pcs))),
            faults.silent_meter,
            *(index in faults.silent_pvs for index in range(len(self.pvs))),
            *(cabinet in faults.silent_ios for cabinet, _ in self.ios),
            *(gateway.cabinet in faults.silent_gateways for gateway in self.gateways),
        ]
        for bus, bank, silent in zip(self.banks, self._every, dead, strict=True):
            bank.answering = not silent and bus not in faults.silent_buses


def _pcs_bank(plant: PlantSpec, cabinet: int, charge_w: float, discharge_w: float) -> PcsBank | LegacyPcsBank:
    """The inverter's registers; its energy is what the cabinet's cells held when new."""
    ratings = PcsRatings(charge_w, discharge_w, nameplate_wh(plant, cabinet))
    spec = plant.cabinets[cabinet]
    if spec.pcs_dialect == "sunspec_pcs_legacy":
        return LegacyPcsBank(ratings, discharge_reference_w=spec.pcs_discharge_reference_w)
    return PcsBank(ratings)
