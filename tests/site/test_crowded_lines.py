"""What power hangs on wants a line of its own: a serial line with many devices on it is said by `ess check`."""

from dataclasses import replace

from ess_controller.site.plant import MOST_UNITS, crowded
from firmware_bridge.records import PlantSpec, PvSpec
from tests.loop.story import site


def with_roofs(count: int, pcs_url: str) -> PlantSpec:
    """The bench with so many solar inverters on the serial line /dev/ttyUSB0."""
    plant = site().plant
    roofs = [f"roof-{unit}" for unit in range(2, count + 2)]
    urls = {name: f"rtu:/dev/ttyUSB0?unit={unit}&baud=9600" for unit, name in enumerate(roofs, 2)}
    pvs = tuple(PvSpec(name, name, 40e3) for name in roofs)
    return replace(plant, pvs=pvs, buses=plant.buses | urls | {plant.cabinets[0].pcs_bus: pcs_url})


def test_an_inverter_among_many_on_a_serial_line_is_said() -> None:
    shared = "rtu:/dev/ttyUSB0?unit=1&baud=9600"
    (said,) = crowded(with_roofs(MOST_UNITS, shared))
    assert said.startswith(
        f"rtu:/dev/ttyUSB0: {MOST_UNITS + 1} devices on one serial line, {site().plant.cabinets[0].pcs_bus}"
    )
    assert crowded(with_roofs(MOST_UNITS - 1, shared)) == []
    assert crowded(with_roofs(30, "tcp://192.168.1.20:502/1")) == []
