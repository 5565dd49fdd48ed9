"""Every fault of the table, on a site that has every device: it can be set and lifted, and leaves nothing behind."""

from copy import deepcopy
from pathlib import Path

import pytest

from ess_controller.errors import BadInputError
from firmware_bridge.records import Contact
from sim.faults import FAULTS, load_schedule
from sim.world.broken import Faults
from tests.sim.sites import plant
from tests.sim.whole import whole

SITE = whole()
OF_IO = {"smoke", "gas", "door open", "remote I/O silent", "fan failed"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_set_and_lifted_on_every_target_and_leaves_nothing(name: str) -> None:
    fault, broken = FAULTS[name], Faults()
    assert fault.targets(SITE) > 0
    for target in range(fault.targets(SITE)):
        fault.set(broken, SITE, target)
        assert broken != Faults()
        fault.lift(broken, SITE, target)
        left = deepcopy(broken)
        left.contacts = {cabinet: bits for cabinet, bits in left.contacts.items() if bits}
        assert left == Faults()
        assert set(fault.cabinets(SITE, target)) <= set(range(SITE.layout.cabinets))
        assert set(fault.strings(SITE, target)) <= set(range(SITE.layout.strings))


def test_a_site_without_a_device_has_no_target_for_its_faults() -> None:
    bench = plant()
    assert {name for name, fault in FAULTS.items() if fault.targets(bench) == 0} == OF_IO | {
        "solar inverter silent",
        "gateway silent",
    }


def test_a_fault_that_a_site_cannot_have_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\nname = "gateway silent"\nat_s = 1.0\nfor_s = 2.0\n', encoding="utf-8")
    with pytest.raises(BadInputError, match=r"expected another fault: the site has no device for this one"):
        load_schedule(file, plant())
    assert load_schedule(file, SITE).rows[0].target == 0


def test_two_contacts_of_one_cabinet_do_not_disturb_each_other() -> None:
    broken = Faults()
    broken.press(1, Contact.ESTOP)
    broken.press(1, Contact.DOOR)
    assert broken.broken_chains() == [1]
    broken.release(1, Contact.ESTOP)
    assert broken.broken_chains() == []
    assert broken.contacts[1] == Contact.DOOR
