"""What blows, cools or warms each cabinet: switched by its hottest and coldest sensor, on and off a gap apart."""

import numpy as np

from ess_controller.core.health import GAS, SMOKE
from ess_controller.core.types import Order, State, Tuning
from firmware_bridge.records import Bools, Climate, Ints, Measurements

_FAN, _CHILLER, _HEATER = int(Climate.FAN), int(Climate.CHILLER), int(Climate.HEATER)


def climate(tuning: Tuning, state: State, seen: Measurements, order: Order, active: Bools) -> Ints:
    """Climate bits [io] for the coming beat; what lies between on and off stays as it was.

    active [diagnosis, string]: smoke, until somebody has looked: all off, nothing feeds a fire. Gas: the fan runs,
    nothing else. A cabinet none of whose modules tells a temperature is neither cooled nor heated, only ventilated.
    Asked to rest, nothing is heated: nobody may be there to switch it off again.
    """
    knobs, layout = tuning.climate, tuning.layout
    if knobs is None or not layout.ios:
        return state.climate
    first = layout.first_module[layout.first_string]
    hot_c = np.fmax.reduceat(seen.module_hot_c, first)[layout.io_cabinet]
    cold_c = np.fmin.reduceat(seen.module_cold_c, first)[layout.io_cabinet]
    on = (
        _FAN * (hot_c >= knobs.fan_on_c)
        | _CHILLER * (hot_c >= knobs.chiller_on_c)
        | _HEATER * (cold_c <= knobs.heater_on_c)
    )
    off = (
        _FAN * (hot_c <= knobs.fan_off_c)
        | _CHILLER * (hot_c <= knobs.chiller_off_c)
        | _HEATER * (cold_c >= knobs.heater_off_c)
    )
    bits = (state.climate | on) & ~off
    bits = np.where(bits & _CHILLER > 0, bits & ~_HEATER, bits)  # a module too hot outranks one too cold
    bits = np.where(np.isnan(hot_c), _FAN, bits)
    bits = bits if order.run else bits & ~_HEATER
    smoke, gas = active[[SMOKE, GAS]][:, layout.first_string[layout.io_cabinet]]
    return np.where(smoke, 0, np.where(gas, _FAN, bits))
