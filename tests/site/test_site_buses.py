"""Devices that cannot live together on their buses are told before any wire is opened."""

from pathlib import Path
from typing import Any

import pytest

from ess_controller.site import SiteError, load
from tests.site.site_files import SITES, Table, bench, problems_of, with_value

STRING = ("cabinet", 0, "string", 0)
A1 = "cabinet[0].string[0]"


def found(problems: list[Any]) -> list[tuple[str, str]]:
    return [(problem.key, problem.expected) for problem in problems]


def on_bus(path: tuple[str | int, ...], bus: str) -> Table:
    return with_value(bench(), (*path, "bus"), bus)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("can0", "socketcan:"),
        ("tcp://127.0.0.1/1", "tcp://HOST:PORT/UNIT"),
        ("tcp://127.0.0.1:70000/1", "a bus URL; port 70000 is outside 1..65535"),
        ("", ""),
    ],
)
def test_a_url_that_is_none(tmp_path: Path, url: str, expected: str) -> None:
    problems = problems_of(tmp_path, with_value(bench(), ("buses", "pcs"), url))
    assert [problem.key for problem in problems] == ["buses.pcs"]
    assert problems[0].expected.startswith(expected)


def test_a_bus_that_is_not_there(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, on_bus((*STRING, "box"), "bxo"))
    assert found(problems) == [(f"{A1}.box.bus", "one of the names under [buses]: modules, box, pcs, meter")]


def test_a_bus_that_nobody_uses(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, with_value(bench(), ("buses", "spare"), "unix:spare.can"))
    assert found(problems) == [("buses.spare", "a device that uses this bus, or no such key")]


def test_an_inverter_does_not_speak_can(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, on_bus(("cabinet", 0, "pcs"), "box"))
    assert ("cabinet[0].pcs.bus", "a Modbus device for sunspec_pcs; unix:box.can is a CAN bus") in found(problems)


def test_ten_modules_on_a_bus_that_is_no_can_are_one_mistake(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, with_value(bench(), ("buses", "modules"), "tcp://127.0.0.1:15022/1"))
    assert found(problems) == [("buses.modules", f"a CAN bus, for {A1}.module[0]")]


@pytest.mark.parametrize(
    "url", ["tcp://127.0.0.1:15020/1", "tcp://127.0.0.1:015020/01", "tcp://LocalHost:15020/1", "tcp://127.1:15020/1"]
)
def test_two_devices_at_one_address(tmp_path: Path, url: str) -> None:
    problems = problems_of(tmp_path, with_value(bench(), ("buses", "meter"), url))
    assert [problem.key for problem in problems] == ["cabinet[0].pcs.bus"]
    assert problems[0].expected.endswith("is already that of meter")


def test_two_modules_in_one_slot(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, with_value(bench(), (*STRING, "module", 3, "slot"), 0))
    assert found(problems) == [(f"{A1}.module[3].slot", f"a slot of its own on this bus; {A1}.module[0] has it")]


def test_a_string_box_cannot_share_the_bus_of_slot_0(tmp_path: Path) -> None:
    table = on_bus((*STRING, "box"), "modules")
    del table["buses"]["box"]
    expected = f"a bus without {A1}.box: both use CAN id 0x100"
    assert found(problems_of(tmp_path, table)) == [(f"{A1}.module[0].bus", expected)]


def test_two_names_of_one_bus_are_one_bus() -> None:
    with pytest.raises(SiteError) as caught:
        load(SITES / "bench", {"box": "socketcan:can0", "modules": "socketcan:can0"})
    assert found(list(caught.value.problems)) == [
        (f"{A1}.module[0].bus", f"a bus without {A1}.box: both use CAN id 0x100")
    ]


@pytest.mark.parametrize(
    ("box", "modules"),
    [
        ("slcan:/dev/ttyUSB0", "slcan:/dev/ttyUSB0?bitrate=500000"),
        ("pcan:PCAN_USBBUS1", "pcan:PCAN_USBBUS1?bitrate=500000"),
        ("unix:x.can", "unix:./x.can"),
    ],
)
def test_one_bus_that_is_written_two_ways_is_one_bus(box: str, modules: str) -> None:
    with pytest.raises(SiteError) as caught:
        load(SITES / "bench", {"box": box, "modules": modules})
    assert found(list(caught.value.problems)) == [
        (f"{A1}.module[0].bus", f"a bus without {A1}.box: both use CAN id 0x100")
    ]


def test_a_serial_device_speaks_can_or_modbus() -> None:
    with pytest.raises(SiteError) as caught:
        load(SITES / "bench", {"box": "slcan:/dev/ttyUSB0?bitrate=500000", "meter": "rtu:/dev//ttyUSB0"})
    assert str(caught.value) == (
        '--bus: meter = "rtu:/dev//ttyUSB0": expected a device of its own; '
        "buses.box is slcan:/dev/ttyUSB0?bitrate=500000, a CAN bus"
    )


def test_a_line_is_written_one_way_or_it_would_be_opened_twice() -> None:
    with pytest.raises(SiteError) as caught:
        load(SITES / "bench", {"pcs": "rtu:/dev/ttyUSB0?unit=1", "meter": "rtu:/dev/./ttyUSB0?unit=2"})
    assert str(caught.value) == (
        '--bus: pcs = "rtu:/dev/ttyUSB0?unit=1": expected the line to be written as in buses.meter = '
        '"rtu:/dev/./ttyUSB0?unit=2"'
    )


def test_the_command_line_is_told_what_is_wrong_with_it() -> None:
    with pytest.raises(SiteError) as caught:
        load(SITES / "bench", {"can0": "socketcan:can0", "pcs": "tcp:nowhere"})
    assert str(caught.value).splitlines() == [
        '--bus: can0 = "socketcan:can0": expected one of the site\'s buses: modules, box, pcs, meter',
        '--bus: pcs = "tcp:nowhere": expected tcp://HOST:PORT/UNIT, such as tcp://192.168.1.20:502/1, or rtu:PATH',
    ]


def second_string(**changes: object) -> Table:
    """The bench site with the same string once more behind the same inverter."""
    table = bench()
    table["buses"] |= {"modules2": "unix:modules2.can", "box2": "unix:box2.can"}
    string = bench()["cabinet"][0]["string"][0] | {"name": "A2"}
    string["box"]["bus"] = "box2"
    for module in string["module"]:
        module["code"], module["bus"] = module["code"] + "-2", "modules2"
    table["cabinet"][0]["string"].append(string | changes)
    return table


def test_two_strings_of_one_name(tmp_path: Path) -> None:
    assert problems_of(tmp_path, second_string()) == []
    problems = problems_of(tmp_path, second_string(name="A1"))
    assert found(problems) == [("cabinet[0].string[1].name", "a name of its own; cabinet[0].string[0] has it")]


def test_parallel_strings_of_different_length_would_discharge_into_each_other(tmp_path: Path) -> None:
    string = second_string()["cabinet"][0]["string"][1]
    problems = problems_of(tmp_path, second_string(module=string["module"][:9]))
    expected = "modules of 94 cells in all, like the other strings of the cabinet, not 85"
    assert found(problems) == [("cabinet[0].string[1]", expected)]


def test_a_module_is_in_one_place_only(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, with_value(bench(), (*STRING, "module", 9, "code"), "BMW-IX3-02041"))
    assert found(problems) == [(f"{A1}.module[9].code", f"a code of its own; {A1}.module[0] has it")]
