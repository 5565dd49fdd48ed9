"""All Modbus devices of a process as its beat sees them: ask now, hear the answers in a later beat."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from firmware_bridge.frames import Answer, Request, WireHealth
from firmware_bridge.wires import WireClock
from firmware_bridge.wires.loop_thread import LoopThread
from firmware_bridge.wires.register_queue import RegisterQueue

if TYPE_CHECKING:
    from firmware_bridge.wires.registers import Line


class RegisterPool:
    """All Modbus TCP devices of a process: one thread for all, one connection a host and port."""

    def __init__(self, clock: WireClock) -> None:
        self._clock = clock
        self._loop: LoopThread | None = None
        self._lines: dict[tuple[str, int], Line] = {}

    def open(self, host: str, port: int, unit: int) -> "ModbusWire":
        """A wire to one unit id. An absent device is no error: the wire is down until it comes.

        Raises ValueError when this unit is open already: two masters would command one device.
        """
        from firmware_bridge.wires.registers import Device, Line  # noqa: PLC0415  pymodbus: 0.2 s `ess --help` saves

        if self._loop is None:
            self._loop = LoopThread("modbus")
        line = self._lines.get((host, port)) or Line(host, port)
        if unit in line.devices:
            raise ValueError(f"tcp://{host}:{port}/{unit} is in use twice")
        queue = RegisterQueue(f"{host}:{port} unit {unit}", self._clock)
        line.devices[unit] = Device(unit, queue)
        if (host, port) not in self._lines:  # begun when it has a device: a line without one sleeps
            self._lines[host, port] = line
            self._loop.keep(line.run())
        self._loop.soon(line.wake.set)
        return ModbusWire(unit, queue, line, self._loop)

    def close(self) -> None:
        """Let go of every device."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None
            self._lines.clear()


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

    def __init__(self, pool: RegisterPool, host: str, port: int, unit: int) -> None:
        self._pool = pool
        wire = pool.open(host, port, unit)
        super().__init__(wire._unit, wire._queue, wire._line, wire._loop)

    def close(self) -> None:
        """Let go of the device and of the thread that served it."""
        super().close()
        self._pool.close()
