"""What a cabinet's fan, chiller and heater do to its air, and what they draw from the grid."""

from dataclasses import dataclass

import numpy as np

from firmware_bridge.records import Climate, Floats, Ints
from sim.world.scenario import ClimateDevices

_FAN, _CHILLER, _HEATER = int(Climate.FAN), int(Climate.CHILLER), int(Climate.HEATER)


@dataclass(frozen=True, slots=True, eq=False)
class Air:
    """Of each cabinet's air during one step, [cabinet]."""

    exchange: Floats  # times the heat path to the ambient that it has with a still fan
    heat_w: Floats  # let in by the heater less what the chiller takes out
    aux_w: Floats  # electrical, from the grid

    @classmethod
    def still(cls, cabinets: int) -> "Air":
        """Nothing is switched on."""
        nothing = np.zeros(cabinets)
        return cls(np.ones(cabinets), nothing, nothing)


def act(spec: ClimateDevices, climate: Ints) -> Air:
    """`climate` [cabinet] are the Climate bits of what truly runs. A chiller's own losses leave outside."""
    fan, chiller, heater = ((climate & bit) > 0 for bit in (_FAN, _CHILLER, _HEATER))
    aux_w = fan * spec.fan_w + chiller * (spec.chiller_heat_w / spec.chiller_cop) + heater * spec.heater_w
    exchange = np.where(fan, spec.fan_air_factor, 1.0)
    return Air(exchange, heater * spec.heater_w - chiller * spec.chiller_heat_w, aux_w)
