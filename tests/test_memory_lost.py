"""A memory that is there but cannot be believed: nobody knows what waited for an operator, so everything does."""

from pathlib import Path

import numpy as np

from ess_controller.core.health import DIAGNOSES
from ess_controller.core.types import Mode, Order
from firmware_bridge.records import Contactor
from tests.core.pictures import Controller, tuning, well
from tests.test_memory import after, kept, known


def test_after_a_lost_memory_every_string_stays_open_until_an_operator_has_looked_restarts_included(
    tmp_path: Path,
) -> None:
    path = tmp_path / "memory.json"
    kept(path, known())
    path.write_bytes(path.read_bytes()[:-1])
    for _ in range(2):  # one that is killed before it has written anything, and the next
        controller = Controller(tuning())
        controller.state = after(path, 5.0)
        told = {int(controller.obeyed(well()).commands.contactor[0]) for _ in range(200)}
        assert told == {Contactor.OPEN}
        assert controller.mode() is Mode.FAULT
    kept(path, controller.state, 25.0)
    controller.state = after(path, 30.0)
    assert [DIAGNOSES[row].name for row in np.flatnonzero(controller.state.latched)] == ["memory lost"]
    controller.obeyed(well(), Order(clear_latched=True))
    for _ in range(100):
        controller.obeyed(well())
    assert controller.mode() is Mode.RUN
    kept(path, controller.state, 60.0)
    assert not after(path, 65.0).latched.any()
