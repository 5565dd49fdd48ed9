"""Fan, chiller and heater of a cabinet: by its hottest and coldest sensor, with a gap between on and off."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.core.climate import climate
from ess_controller.core.health import DIAGNOSES, GAS, SMOKE
from ess_controller.core.step import first_state
from ess_controller.core.types import Order
from firmware_bridge.records import Climate, Contact
from tests.core.pictures import ASKED_NOTHING, CLIMATE, dealer_tuning, well

LAYOUT = dealer_tuning().layout
FAN, CHILLER, HEATER = Climate.FAN, Climate.CHILLER, Climate.HEATER


def switched(
    c: float, before: int = 0, contact: int = 0, coldest_c: float | None = None, order: Order = ASKED_NOTHING
) -> Climate:
    """What is on in the second cabinet when its sensors say this; the first one is at 25 C."""
    module_c = np.full((LAYOUT.modules, 4), 25.0)
    module_c[4:] = c
    if coldest_c is not None:
        module_c[4, 0] = coldest_c
    active = np.zeros((len(DIAGNOSES), LAYOUT.strings), bool)
    active[SMOKE, 2:], active[GAS, 2:] = bool(contact & Contact.SMOKE), bool(contact & Contact.GAS)
    state = replace(first_state(dealer_tuning()), climate=np.array([before]))
    return Climate(int(climate(dealer_tuning(), state, well(LAYOUT, module_c=module_c), order, active)[0]))


def test_each_is_switched_on_at_one_temperature_and_off_at_another() -> None:
    assert switched(25.0) == Climate(0)
    assert switched(32.0) == FAN
    assert switched(30.0, FAN) == FAN
    assert switched(30.0) == Climate(0)
    assert switched(28.0, FAN) == Climate(0)
    assert switched(38.0) == FAN | CHILLER
    assert switched(35.0, FAN | CHILLER) == FAN | CHILLER
    assert switched(34.0, FAN | CHILLER) == FAN
    assert switched(5.0) == HEATER
    assert switched(8.0, HEATER) == HEATER
    assert switched(10.0, HEATER) == Climate(0)


def test_a_cabinet_is_never_cooled_and_heated_at_once() -> None:
    assert switched(40.0, coldest_c=2.0) == FAN | CHILLER
    assert switched(40.0, HEATER, coldest_c=2.0) == FAN | CHILLER


def test_smoke_switches_everything_off_and_gas_leaves_the_fan_alone() -> None:
    assert switched(45.0, FAN | CHILLER, Contact.SMOKE) == Climate(0)
    assert switched(45.0, FAN | CHILLER, Contact.SMOKE | Contact.GAS) == Climate(0)
    assert switched(2.0, HEATER, Contact.GAS) == FAN


def test_a_cabinet_that_tells_no_temperature_is_only_ventilated() -> None:
    assert switched(np.nan, HEATER | CHILLER) == FAN


def test_a_site_asked_to_rest_is_cooled_and_not_heated() -> None:
    assert switched(-5.0, HEATER, order=Order(run=False)) == Climate(0)
    assert switched(45.0, order=Order(run=False)) == FAN | CHILLER


@given(st.floats(-40.0, 80.0), st.integers(0, 7), st.integers(0, 31))
def test_whatever_was_on_chiller_and_heater_never_run_together(c: float, before: int, contact: int) -> None:
    now = switched(c, before, contact)
    assert not (CHILLER in now and HEATER in now)
    if c >= CLIMATE.chiller_on_c and not contact & (Contact.SMOKE | Contact.GAS):
        assert CHILLER in now
