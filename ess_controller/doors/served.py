"""Our own cabinets as SunSpec batteries for others to read: models 802-805 and 713, one Modbus unit a cabinet.

Unit 1 is the first cabinet. Everything is read-only: a third party sees each cell, its diagnoses and the limits in
force, and commands nothing. Registers are refreshed each REFRESH_S, some cabinets in each beat, so that no beat pays
for all of them; 802 Hb stands still when the daemon does.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ess_controller.core.aged import aged
from ess_controller.core.health import DIAGNOSES, Level
from ess_controller.core.types import Tuning
from ess_controller.daemon import Beat
from ess_controller.errors import BadInputError, TroubleError
from firmware_bridge.dialects.sunspec.battery_bank import BatteryBank, BatteryRatings, BatterySeat, CabinetView
from firmware_bridge.dialects.sunspec.battery_faults import Event, Warn
from firmware_bridge.records import Ints, Layout, PlantSpec
from firmware_bridge.wires.urls import parse_device, serve_registers

REFRESH_S = 1.0  # of wall time
MID_SOC = 0.5  # at which the nameplate's volts are taken

_EVENT_OF: dict[str, int] = {
    "cells silent": Event.COMMUNICATION,
    "string box silent": Event.COMMUNICATION,
    "cell over-voltage": Event.OVER_VOLTAGE,
    "cell under-voltage": Event.UNDER_VOLTAGE,
    "cell over-temperature": Event.OVER_TEMPERATURE,
    "contactors welded": Event.CONTACTOR,
    "contactors not closed": Event.CONTACTOR,
    "insulation low": Event.GROUND_FAULT,
    "deep discharge": Event.UNDER_VOLTAGE,
    "door open": Warn.DOOR,
}


def _bits(over_current: Event) -> Ints:
    """[diagnosis, 1] the bit that shows it; one without its own is an alarm or a warning of another kind."""
    named = _EVENT_OF | {"string over-current": over_current}
    return np.array(
        [[1 << named.get(row.name, Event.OTHER if row.level == Level.STOP else Warn.OTHER)] for row in DIAGNOSES]
    )


_WHILE_CHARGING, _WHILE_DISCHARGING = _bits(Event.OVER_CHARGE_CURRENT), _bits(Event.OVER_DISCHARGE_CURRENT)


class Served:
    """A tee that keeps the served cabinets up to date until `close`."""

    def __init__(self, url: str, site_name: str, plant: PlantSpec, tuning: Tuning, home: Path) -> None:
        """`url` is that of the first cabinet, unit 1; a relative `rtu:` line is made under `home`.

        Raises TroubleError when the port or line is taken, BadInputError when a cabinet does not fit one unit.
        """
        self._tuning, layout = tuning, plant.layout
        self.banks = [_bank(site_name, plant, tuning, cabinet) for cabinet in range(layout.cabinets)]
        self._places = [_Place(layout, cabinet) for cabinet in range(layout.cabinets)]
        try:
            self._server = serve_registers(
                [(unit_url(url, unit), bank) for unit, bank in enumerate(self.banks, start=1)], home
            )
        except OSError as trouble:
            raise TroubleError(f"serve.url {url}: {trouble}") from None
        self.ports = tuple(self._server.ports.values())
        self._began_s = np.nan
        self._filled = 0  # cabinets, since then

    def __call__(self, beat: Beat) -> None:
        """Refresh the cabinets whose turn has come."""
        now_s, count = beat.tick.wire_s, len(self.banks)
        if not now_s >= self._began_s:  # the first beat
            self._began_s, self._filled = now_s, 0
        due = int((now_s - self._began_s) * count / REFRESH_S) + 1
        self._filled = max(self._filled, due - count)  # a long pause needs each cabinet but once
        while self._filled < due:
            cabinet = self._filled % count
            # no lock: a bank that takes no commands changes its picture in one step
            self.banks[cabinet].show(self._places[cabinet].view(beat, self._tuning), now_s)
            self._filled += 1

    def close(self) -> None:
        """Hang up on everybody."""
        self._server.close()


class _Place:
    """One cabinet's part of the site's arrays."""

    def __init__(self, layout: Layout, cabinet: int) -> None:
        self.cabinet = cabinet
        self.cells, self.modules, self.strings = layout.of_cabinet(cabinet)

    def view(self, beat: Beat, tuning: Tuning) -> CabinetView:
        """The cabinet as the daemon sees it in this beat. Its limits are the cabinet's, in amperes at its voltage."""
        seen, decision, strings, cells = beat.seen, beat.decision, self.strings, self.cells
        bound, string_v = decision.cabinet_bound, float(np.fmax.reduce(seen.string_v[strings]))
        per_v = 1.0 / string_v if string_v > 0.0 else np.nan
        bits = np.where(seen.string_a[strings] < 0.0, _WHILE_CHARGING, _WHILE_DISCHARGING)
        return CabinetView(
            cell_v=seen.cell_v[cells],
            cell_bleeding=seen.cell_bleeding[cells],
            module_c=seen.module_c[self.modules],
            string_a=seen.string_a[strings],
            string_v=seen.string_v[strings],
            string_bus_v=seen.string_bus_v[strings],
            contactor=seen.string_contactor[strings],
            fault=seen.string_fault[strings],
            insulation_ohm=seen.string_insulation_ohm[strings],
            cell_soc=decision.estimate.soc[cells],
            module_soh=aged(tuning, decision.estimate).module[self.modules],
            events=np.bitwise_or.reduce(bits * decision.active[:, strings], axis=0),
            charge_a=float(bound.charge[self.cabinet]) * per_v,
            discharge_a=float(bound.discharge[self.cabinet]) * per_v,
        )


def unit_url(url: str, unit: int) -> str:
    """The same line, another unit: `tcp://HOST:PORT/UNIT` or `rtu:PATH?unit=UNIT&...`. ValueError for a bad URL."""
    parse_device(url, serving=True)
    if not url.startswith("rtu:"):
        return f"{url.rpartition('/')[0]}/{unit}"
    path, _, query = url.partition("?")
    others = [pair for pair in query.split("&") if pair and not pair.startswith("unit=")]
    return f"{path}?{'&'.join([f'unit={unit}', *others])}"


def _bank(site_name: str, plant: PlantSpec, tuning: Tuning, cabinet: int) -> BatteryBank:
    spec = plant.cabinets[cabinet]
    try:
        seat = BatterySeat.of(spec)
        return BatteryBank(
            replace(seat, positive_discharges=True),
            _ratings(plant, tuning, cabinet),
            writable=False,
            insulation_ohm_min=tuning.mode.insulation_ohm_min,
            model_name=site_name,
            serial_number=spec.name,
            unit=cabinet + 1,
        )
    except ValueError as reason:
        raise BadInputError(f"cabinet {spec.name} cannot be served: {reason}") from None


def _ratings(plant: PlantSpec, tuning: Tuning, cabinet: int) -> BatteryRatings:
    """Name plate when new: the smallest module counts in its string, at the cell file's volts in mid SOC."""
    strings = plant.cabinets[cabinet].strings
    cell_v = float(tuning.cell.ocv(np.array(MID_SOC)))
    string_v = [cell_v * sum(module.cells for module in string.modules) for string in strings]
    string_ah = [min(module.nameplate_ah for module in string.modules) for string in strings]
    power_w = tuning.limits.rated_a * sum(string_v)
    energy_wh = sum(volts * ah for volts, ah in zip(string_v, string_ah, strict=True))
    return BatteryRatings(sum(string_ah), energy_wh, power_w, power_w)
