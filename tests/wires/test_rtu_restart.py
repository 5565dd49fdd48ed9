"""A daemon that comes again finds the serial line between two programs as usable as the first one did."""

import asyncio
from pathlib import Path

import pytest

from firmware_bridge.wires.rtu import Parity, SerialSettings
from firmware_bridge.wires.serial_port import open_port, serve_port


@pytest.mark.parametrize("parity", ["none", "even", "odd"])
def test_a_line_is_opened_again_and_again_with_whatever_parity_the_site_names(tmp_path: Path, parity: Parity) -> None:
    """The second daemon on a line with parity was refused for ever: `Invalid argument`."""
    heard: list[bytes] = []

    async def come_and_go() -> None:
        arrived = asyncio.Event()

        def hear(said: bytes) -> None:
            heard.append(said)
            arrived.set()

        near = serve_port(tmp_path / "line", hear, lambda: None)
        for turn in range(3):
            far = open_port(tmp_path / "line", SerialSettings(19200, parity, 1), lambda _: None, lambda: None)
            arrived.clear()
            assert far.write(bytes([turn]))
            await asyncio.wait_for(arrived.wait(), 10.0)
            far.close()
        near.close()

    asyncio.run(come_and_go())
    assert heard == [b"\0", b"\1", b"\2"]
