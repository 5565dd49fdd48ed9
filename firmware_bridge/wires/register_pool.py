"""All Modbus devices of a process as its beat sees them: ask now, hear the answers in a later beat."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_bridge.frames import Answer, Request, WireHealth
from firmware_bridge.wires import WireClock
from firmware_bridge.wires.loop_thread import LoopThread
from firmware_bridge.wires.register_queue import RegisterQueue
from firmware_bridge.wires.rtu import SerialSettings

if TYPE_CHECKING:
    from firmware_bridge.wires.register_line import Connection, Line


class RegisterPool:
    """All Modbus devices of a process: one thread for all, one connection a host and port, one a serial line."""

    def __init__(self, clock: WireClock) -> None:
        self._clock = clock
        self._loop: LoopThread | None = None
        self._lines: dict[Hashable, Line] = {}
        self._settings: dict[Path, SerialSettings] = {}

    def open(self, host: str, port: int, unit: int) -> "ModbusWire":
        """A wire to one unit id over TCP. An absent device is no error: the wire is down until it comes.

        Raises ValueError when this unit is open already: two masters would command one device.
        """

        def connection() -> "Connection":
            from firmware_bridge.wires.registers import TcpConnection  # noqa: PLC0415  pymodbus: 0.2 s `--help` saves

            return TcpConnection(host, port)

        return self._open((host, port), connection, unit, f"tcp://{host}:{port}/{unit}", f"{host}:{port} unit {unit}")

    def open_serial(self, path: Path, settings: SerialSettings, unit: int, *, is_ours: bool = False) -> "ModbusWire":
        """A wire to one unit id on a serial line. `is_ours`: a line between two programs, not a device.

        Raises ValueError when this unit is open already, or the line with other settings.
        """
        if self._settings.setdefault(path, settings) != settings:
            raise ValueError(f"rtu:{path} is in use with {self._settings[path]}, not {settings}: a line has one speed")

        def connection() -> "Connection":
            from firmware_bridge.wires.register_serial import SerialConnection  # noqa: PLC0415

            return SerialConnection(path, settings, is_ours=is_ours)

        return self._open(path, connection, unit, f"rtu:{path}?unit={unit}", f"{path} unit {unit}")

    def _open(
        self, place: Hashable, connection: "Callable[[], Connection]", unit: int, url: str, name: str
    ) -> "ModbusWire":
        from firmware_bridge.wires.register_line import Device, Line  # noqa: PLC0415  asyncio

        if self._loop is None:
            self._loop = LoopThread("modbus")
        line = self._lines.get(place) or Line(connection())
        if unit in line.devices:
            raise ValueError(f"{url} is in use twice")
        queue = RegisterQueue(name, self._clock)
        line.devices[unit] = Device(unit, queue)
        if place not in self._lines:  # begun when it has a device: a line without one sleeps
            self._lines[place] = line
            self._loop.keep(line.run())
        self._loop.soon(line.wake.set)
        return ModbusWire(unit, queue, line, self._loop)

    def close(self) -> None:
        """Let go of every device."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None
            self._lines.clear()
            self._settings.clear()


class ModbusWire:
    """One Modbus device as its master sees it; made by `RegisterPool.open`. Calls are safe from any thread."""

    def __init__(self, unit: int, queue: RegisterQueue, line: "Line", loop: LoopThread) -> None:
        self._unit = unit
        self._queue = queue
        self._line = line
        self._loop = loop

    @property
    def health(self) -> WireHealth:
        """Counters of this wire: `sent` requests, `received` good answers, `dropped` requests that grew stale."""
        return self._queue.health

    @property
    def waiting(self) -> int:
        """How many requests have no answer yet."""
        return self._queue.waiting

    def ask(self, requests: Sequence[Request]) -> None:
        """Queue requests, carried out in order; one that cannot begin within a second never is."""
        self._queue.ask(requests)
        self._loop.soon(self._line.wake.set)

    def drain(self) -> list[Answer]:
        """Answers since the last call, in order: one for each request, sooner or later."""
        return self._queue.drain()

    def close(self) -> None:
        """Let go of the device."""
        self._line.devices.pop(self._unit, None)
        self._queue.health.up = False
        self._loop.soon(self._line.wake.set)


class OwnPoolWire(ModbusWire):
    """The only device of its pool: closing it closes the pool."""

    def __init__(self, pool: RegisterPool, wire: ModbusWire) -> None:
        self._pool = pool
        super().__init__(wire._unit, wire._queue, wire._line, wire._loop)

    def close(self) -> None:
        """Let go of the device and of the thread that served it."""
        super().close()
        self._pool.close()
