"""What a cabinet's contacts report: seen, told, and kept from closing; the hard-wired chain acts by itself."""

import numpy as np
import pytest

from ess_controller.core.health import DIAGNOSES, Level
from ess_controller.core.types import Mode, Order
from firmware_bridge.records import Contact, Contactor, Measurements
from tests.core.pictures import Controller, dealer_tuning, running, well

NAMES = [row.name for row in DIAGNOSES]
LAYOUT = dealer_tuning().layout
STOPPING = {
    Contact.ESTOP: "E-stop pressed",
    Contact.INTERLOCK: "interlock open",
    Contact.SMOKE: "smoke",
    Contact.GAS: "gas",
}


def contact(bits: int) -> Measurements:
    """The second cabinet's remote I/O says so; strings C and D are behind it."""
    return well(LAYOUT, io_contact=np.array([bits]))


def active(controller: Controller, seen: Measurements, name: str) -> list[bool]:
    """In which strings a diagnosis acts after a second."""
    on: list[bool] = controller.last(1.0, seen).active[NAMES.index(name)].tolist()
    return on


@pytest.mark.parametrize("bit", STOPPING)
def test_a_contact_stops_the_strings_of_its_cabinet_and_no_others(bit: Contact) -> None:
    controller = running(tuned=dealer_tuning())
    assert active(controller, contact(int(bit)), STOPPING[bit]) == [False, False, True, True]
    decision = controller.beat(contact(int(bit)))
    assert decision.commands.pcs_w[0] > 0.0
    assert decision.commands.pcs_w[1] == 0.0
    assert not decision.commands.pcs_run[1]
    assert list(decision.commands.contactor) == [Contactor.CLOSED, Contactor.CLOSED, Contactor.OPEN, Contactor.OPEN]


@pytest.mark.parametrize("bit", STOPPING)
def test_nothing_closes_again_by_itself_when_the_contact_is_well_again(bit: Contact) -> None:
    controller = running(tuned=dealer_tuning())
    for _ in range(30):
        controller.obeyed(contact(int(bit)))
    for _ in range(300):
        controller.obeyed(well(LAYOUT))
    assert controller.state.mode.tolist() == [Mode.RUN, Mode.RUN, Mode.FAULT, Mode.FAULT]
    controller.obeyed(well(LAYOUT), Order(clear_latched=True))
    for _ in range(300):
        controller.obeyed(well(LAYOUT))
    assert controller.state.mode.tolist() == [Mode.RUN] * 4


def test_an_open_door_and_a_silent_remote_io_are_told_and_stop_nothing() -> None:
    controller = running(tuned=dealer_tuning())
    for bits, name in ((int(Contact.DOOR), "door open"), (-1, "remote I/O silent")):
        decision = controller.last(6.0, contact(bits))
        assert decision.active[NAMES.index(name)].tolist() == [False, False, True, True]
        assert DIAGNOSES[NAMES.index(name)].level == Level.NOTICE
        assert (decision.commands.pcs_w > 0.0).any()
        assert set(controller.state.mode) == {Mode.RUN}


def test_a_remote_io_that_is_not_heard_reports_nothing_else() -> None:
    decision = running(tuned=dealer_tuning()).last(6.0, contact(-1))
    told = {NAMES[row] for row in np.flatnonzero(decision.active.any(axis=1))}
    assert told == {"remote I/O silent"}
