"""Modbus TCP as its master: inverters and meters are asked in the background, and a dead one delays nobody.

The only file that imports pymodbus: its names change in every minor release. `register_pool` loads it when the first
device is opened.
"""

import asyncio
import logging
import os
import socket
import struct

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU

from firmware_bridge.frames import Request
from firmware_bridge.wires.backoff import Backoff
from firmware_bridge.wires.modbus import NO_ANSWER, READ_HOLDING, WRITE_MANY, exception_words
from firmware_bridge.wires.register_queue import ANSWER_S, RegisterQueue

CONNECT_RETRY_S = (0.1, 2.0)
PROBE_RETRY_S = (0.2, 2.0)  # how often a silent unit behind a live connection is asked again
MOST_TIMEOUTS = 3  # in a row, and the connection itself is suspect
UNACKED_MS = 1000  # then the kernel gives the connection up; it would else deliver old commands when the cable is back
GATEWAY_CODES = (10, 11)  # the gateway answers, the device behind it does not

log = logging.getLogger(__name__)
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # its complaints reach us as troubles, with the device's name


class Device:
    """One unit id and when it is to be asked."""

    def __init__(self, unit: int, queue: RegisterQueue) -> None:
        self.unit = unit
        self.queue = queue
        self.asked_s = 0.0  # loop time
        self.silence = Backoff(*PROBE_RETRY_S)


class Line:
    """One connection and the units behind it, asked in turn, one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.devices: dict[int, Device] = {}
        self.wake = asyncio.Event()
        self._backoff = Backoff(*CONNECT_RETRY_S)
        self._ear = Ear()
        self._client: AsyncModbusTcpClient | None = None
        self._timeouts = 0
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
            log.error("%s:%d: connected anew after %r", self.host, self.port, error)
        self._disconnect("")
        self._backoff.failed(asyncio.get_running_loop().time())
        self._tell_all(f"the connection failed: {error!r}")

    def _rest_s(self, now_s: float) -> float | None:
        """How long nothing is due unless somebody asks; None: for ever."""
        if not self.devices:
            return None
        if self._client is None:
            return max(self._backoff.next_s - now_s, 0.0)
        due_s = [device.silence.next_s for device in list(self.devices.values()) if device.queue.waiting]
        return max(min(due_s), self._probe_s, now_s) - now_s if due_s else None

    async def _connected(self) -> bool:
        """Whether the connection stands; opened now where it is due."""
        if self._client is not None:
            if self._client.connected:
                return True
            self._disconnect("the connection was lost")
        now_s = asyncio.get_running_loop().time
        if not self._backoff.due(now_s()):
            return False
        client = AsyncModbusTcpClient(
            self.host,
            port=self.port,
            timeout=ANSWER_S,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._ear,
            trace_connect=lambda _: self.wake.set(),
        )
        why = await _connect(client)
        if why or not _set_option(client, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_MS):
            client.close()
            self._backoff.failed(now_s())
            self._tell_all(f"no connection: {why or 'the device closed it at once'}")
            return False
        self._client = client
        self._timeouts = 0
        for device in list(self.devices.values()):
            device.queue.health.reconnects += self._connected_before
        self._connected_before = True
        return True

    def _disconnect(self, trouble: str) -> None:
        """Drop the connection and what the kernel still holds for the device; with trouble, wait before the next."""
        client, self._client = self._client, None
        if client is None:
            return
        _set_option(client, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        if trouble:
            self._backoff.failed(asyncio.get_running_loop().time())
        self._tell_all(trouble)

    def _tell_all(self, trouble: str) -> None:
        for device in list(self.devices.values()):
            health = device.queue.health
            health.up = False
            if trouble:
                health.trouble = f"{self.host}:{self.port}: {trouble}"

    async def _serve(self) -> None:
        """Carry out requests until none is due."""
        now_s = asyncio.get_running_loop().time
        while self._client is not None and (device := self._next(now_s())) is not None:
            device.asked_s = now_s()
            request = device.queue.begin()
            if request is not None:
                words, trouble, code = await self._carry_out(self._client, device.unit, request)
                try:
                    self._judge(device, trouble, code, now_s())
                finally:
                    device.queue.finish(request, words, trouble)

    def _next(self, now_s: float) -> Device | None:
        """Whose turn it is: the unit that has waited longest, and seldom a silent one, or they would delay the rest."""
        waiting = [device for device in list(self.devices.values()) if device.queue.waiting]
        probes = [device for device in waiting if device.silence.wait_s and device.silence.due(now_s)]
        able = [device for device in waiting if not device.silence.wait_s]
        chosen = probes if probes and now_s >= self._probe_s else able
        return min(chosen, key=lambda device: device.asked_s, default=None)

    async def _carry_out(
        self, client: AsyncModbusTcpClient, unit: int, request: Request
    ) -> tuple[tuple[int, ...], str, int]:
        """The words read, the trouble met and, where the device refused, its exception code (else 0; -1: no answer)."""
        self._ear.odd = ""
        try:
            if request.is_write:
                reply = await client.write_registers(request.address, list(request.words), device_id=unit)
            else:
                reply = await client.read_holding_registers(request.address, count=request.count, device_id=unit)
        except Exception as error:  # noqa: BLE001  whatever the library makes of a peer's bytes is that device's trouble
            log.debug("%s:%d unit %d: %r", self.host, self.port, unit, error)
            if self._ear.odd:
                return (), self._ear.odd, -1
            return (), f"{NO_ANSWER} within {ANSWER_S:g} s" if client.connected else "the connection was lost", -1
        if (reply.dev_id, reply.transaction_id) != (unit, client.ctx.request_transaction_id):
            return (), "an answer to another request", -1
        if reply.isError():
            return (), exception_words(reply.exception_code), reply.exception_code
        trouble = _mismatch(request, reply)
        return (() if trouble or request.is_write else tuple(reply.registers)), trouble, 0

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
        if self._timeouts >= MOST_TIMEOUTS or self._ear.odd or not (self._client and self._client.connected):
            self._disconnect(trouble)


async def _connect(client: AsyncModbusTcpClient) -> str:
    """Connect; why that did not work, empty when it did. The library only says that it did not."""
    failures: list[OSError] = []
    create = client.ctx.call_create

    async def listened() -> object:
        try:
            return await create()
        except OSError as error:
            failures.append(error)
            raise

    client.ctx.call_create = listened
    if await client.connect():
        return ""
    if not failures:
        return f"no answer within {ANSWER_S:g} s"
    error = failures[-1]
    if isinstance(error, ConnectionRefusedError):
        return "refused, nothing listens there"
    known = error.errno is not None and error.errno > 0  # a name that is not found has another kind of number
    return os.strerror(error.errno or 0) if known else error.strerror or str(error)


def _set_option(client: AsyncModbusTcpClient, level: int, option: int, value: int | bytes) -> bool:
    """Set a socket option; False where the connection is gone already, as after a reset right behind its opening."""
    transport = client.ctx.transport
    plug = None if transport is None else transport.get_extra_info("socket")
    if plug is None:
        return False
    try:
        plug.setsockopt(level, option, value)
    except OSError:
        return False
    return True


class Ear:
    """Listens beside the library, which skips wrong units and unreadable answers without a word."""

    def __init__(self) -> None:
        self.odd = ""  # what was wrong with the last thing heard
        self._asked = b""

    def __call__(self, sending: bool, packet: bytes) -> bytes:
        """Called by the library with every packet sent and with all bytes received since."""
        if sending:
            self._asked = packet
        elif len(packet) >= 8:
            self.odd = self._oddity(packet)
        return packet

    def _oddity(self, heard: bytes) -> str:
        transaction, protocol, length, unit, function = struct.unpack(">HHHBB", heard[:8])
        if protocol or not 3 <= length <= 254:
            return "what answers is not Modbus"
        if transaction != int.from_bytes(self._asked[:2], "big"):
            return "an answer to another request"
        if unit != self._asked[6]:
            return f"unit {unit} answered"
        if function & 0x7F != self._asked[7]:
            return f"an answer with function {function}"
        return "" if len(heard) < 6 + length else "an unreadable answer"


def _mismatch(request: Request, reply: ModbusPDU) -> str:
    """How a reply does not fit its request; empty when it does."""
    if reply.function_code != (WRITE_MANY if request.is_write else READ_HOLDING):
        return f"an answer with function {reply.function_code}"
    if request.is_write:
        fits = (reply.address, reply.count) == (request.address, len(request.words))
        return "" if fits else f"{reply.count} words at {reply.address} were confirmed instead"
    got = len(reply.registers)
    return "" if got == request.count else f"a short or long answer: {got} of {request.count} registers"
