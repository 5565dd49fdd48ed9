"""A Modbus line as its master works it: one connection or serial port, its units asked in turn, a dead one seldom."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from firmware_bridge.frames import Request
from firmware_bridge.wires.backoff import Backoff
from firmware_bridge.wires.modbus import Outcome
from firmware_bridge.wires.register_queue import ANSWER_S, RegisterQueue

CONNECT_RETRY_S = (0.1, 2.0)
PROBE_RETRY_S = (0.2, 2.0)  # how often a silent unit behind a live connection is asked again
GATEWAY_CODES = (10, 11)  # the gateway answers, the device behind it does not

log = logging.getLogger(__name__)


class Connection(Protocol):
    """What a line needs of TCP or of a serial port. Nothing here raises for what a device or a peer does."""

    @property
    def name(self) -> str:
        """What trouble is told of."""

    @property
    def patience(self) -> int:
        """After so many unanswered requests in a row the connection itself is suspect."""

    @property
    def connected(self) -> bool:
        """Whether it stands."""

    @property
    def out_of_step(self) -> bool:
        """Whether after the last outcome nothing that follows could be trusted."""

    async def open(self, lost: Callable[[], object]) -> str:
        """Connect; why that did not work, empty when it did. `lost` is called when the connection ends by itself."""

    async def carry_out(self, unit: int, request: Request) -> Outcome:
        """Ask one unit and wait for its answer, at most `answer_s`."""

    def answer_s(self, request: Request) -> float:
        """How long the answer to a request may take."""

    def close(self) -> None:
        """Disconnect at once, and drop what has not reached the device."""


class Device:
    """One unit id and when it is to be asked."""

    def __init__(self, unit: int, queue: RegisterQueue) -> None:
        self.unit = unit
        self.queue = queue
        self.asked_s = 0.0  # loop time
        self.silence = Backoff(*PROBE_RETRY_S)


class Line:
    """One connection and the units behind it, asked in turn, one request at a time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.devices: dict[int, Device] = {}
        self.wake = asyncio.Event()
        self._backoff = Backoff(*CONNECT_RETRY_S)
        self._open = False
        self._timeouts = 0
        self._commanded = False  # the last turn was a command's
        self._probe_s = 0.0  # no silent unit is asked before
        self._connected_before = False
        self._told = ""  # the last surprise that the log told

    async def run(self) -> None:
        """Keep the connection and serve whoever asks, until the loop ends."""
        now_s = asyncio.get_running_loop().time
        try:
            while True:
                self.wake.clear()
                try:
                    await self._round()
                except Exception as error:  # noqa: BLE001  whatever it was, the next round begins with a new connection
                    self._recover(error)
                try:
                    await asyncio.wait_for(self.wake.wait(), self._rest_s(now_s()))
                except TimeoutError:
                    continue
        finally:
            self._disconnect("")

    async def _round(self) -> None:
        if self.devices and await self._connected():
            await self._serve()
        elif not self.devices:
            self._disconnect("")

    def _recover(self, error: Exception) -> None:
        """Nothing that happens to a connection may end its line: a failure as any other, told once."""
        if repr(error) != self._told:
            self._told = repr(error)
            log.error("%s: connected anew after %r", self.connection.name, error)
        self._disconnect("")
        self._backoff.failed(asyncio.get_running_loop().time())
        self._tell_all(f"the connection failed: {error!r}")

    def _rest_s(self, now_s: float) -> float | None:
        """How long nothing is due unless somebody asks; None: for ever."""
        if not self.devices:
            return None
        if not self._open:
            return max(self._backoff.next_s - now_s, 0.0)
        due_s = [device.silence.next_s for device in list(self.devices.values()) if device.queue.waiting]
        return max(min(due_s), self._probe_s, now_s) - now_s if due_s else None

    async def _connected(self) -> bool:
        """Whether the connection stands; opened now where it is due."""
        if self._open:
            if self.connection.connected:
                return True
            self._disconnect("the connection was lost")
        now_s = asyncio.get_running_loop().time
        if not self._backoff.due(now_s()):
            return False
        why = await self.connection.open(self.wake.set)
        if why:
            self._backoff.failed(now_s())
            self._tell_all(f"no connection: {why}")
            return False
        self._open = True
        self._timeouts = 0
        for device in list(self.devices.values()):
            device.queue.health.reconnects += self._connected_before
        self._connected_before = True
        return True

    def _disconnect(self, trouble: str) -> None:
        """Drop the connection and what the kernel still holds for the device; with trouble, wait before the next."""
        was_open, self._open = self._open, False
        if not was_open:
            return
        self.connection.close()
        if trouble:
            self._backoff.failed(asyncio.get_running_loop().time())
        self._tell_all(trouble)

    def _tell_all(self, trouble: str) -> None:
        for device in list(self.devices.values()):
            health = device.queue.health
            health.up = False
            if trouble:
                health.trouble = f"{self.connection.name}: {trouble}"

    async def _serve(self) -> None:
        """Carry out requests until none is due."""
        now_s = asyncio.get_running_loop().time
        while self._open and (device := self._next(now_s())) is not None:
            device.asked_s = now_s()
            self._commanded = device.queue.tells
            await self._carry_out(device)
            while self._open and self._commanded and device.queue.tells and not device.silence.wait_s:
                await self._carry_out(device)  # what a device is told at once belongs together

    async def _carry_out(self, device: Device) -> None:
        request = device.queue.begin()
        if request is None:
            return
        words, trouble, code = await self.connection.carry_out(device.unit, request)
        try:
            self._judge(device, trouble, code, asyncio.get_running_loop().time())
        finally:
            device.queue.finish(request, words, trouble, self.connection.answer_s(request))

    def _next(self, now_s: float) -> Device | None:
        """Whose turn it is: the unit that has waited longest, and seldom a silent one, or they would delay the rest.

        Every other turn a unit with a command to take goes first: commands grow old within a second, reads do not.
        """
        waiting = [device for device in list(self.devices.values()) if device.queue.waiting]
        probes = [device for device in waiting if device.silence.wait_s and device.silence.due(now_s)]
        able = [device for device in waiting if not device.silence.wait_s]
        told = [] if self._commanded else [device for device in able if device.queue.tells]
        chosen = probes if probes and now_s >= self._probe_s else told or able
        return min(chosen, key=lambda device: device.asked_s, default=None)

    def _judge(self, device: Device, trouble: str, code: int, now_s: float) -> None:
        """What an outcome says about the device and about the connection."""
        device.queue.health.up = code >= 0 and code not in GATEWAY_CODES
        if code >= 0:
            self._timeouts = 0
            self._backoff.worked()
            device.silence.worked()
            return
        device.silence.failed(now_s)
        if len(self.devices) > 1:
            self._probe_s = now_s + 2.0 * ANSWER_S
        self._timeouts += 1
        connection = self.connection
        if self._timeouts >= connection.patience or connection.out_of_step or not connection.connected:
            self._disconnect(trouble)
