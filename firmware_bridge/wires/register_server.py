"""Serves Modbus TCP devices: the simulated inverters and meters, and this site to others.

Not pymodbus's server: that of 3.16 answers one request of each packet it receives and forgets the others, keeps two
lists of 65 536 registers a unit, and can neither stay silent for one unit nor say that its port is busy.
"""

import asyncio
import errno
import struct
import threading
from collections.abc import Mapping

from firmware_bridge.wires import RegisterBank
from firmware_bridge.wires.loop_thread import LoopThread
from firmware_bridge.wires.modbus import (
    GATEWAY_SILENT,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    MOST_READ,
    MOST_WRITTEN,
    READ_HOLDING,
    WRITE_MANY,
    WRITE_ONE,
)

MOST_CONNECTIONS = 64
Address = tuple[str, int]


class RegisterServer:
    """Banks behind TCP ports, served in a thread of their own until `close`.

    `lock` is held while a bank is read or written: hold it to change registers that belong together.
    Raises OSError, in one sentence, when a port is taken.
    """

    def __init__(self, banks: Mapping[Address, Mapping[int, RegisterBank]]) -> None:
        self.lock = threading.Lock()
        self.ports: dict[Address, int] = {}  # as bound: the port found where 0 was asked for
        self._loop = LoopThread("modbus-server")
        self._listeners: list[asyncio.Server] = []
        self._connections = 0
        try:
            for (host, port), units in banks.items():
                self.ports[host, port] = self._loop.start(self._listen(host, port, units)).result()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Stop listening and hang up on every master."""
        self._loop.start(self._stop_listening()).result()
        self._loop.close()

    async def _listen(self, host: str, port: int, units: Mapping[int, RegisterBank]) -> int:
        """Begin to listen; the port bound."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._converse(reader, writer, units)

        try:
            listener = await asyncio.start_server(serve, host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise OSError(f"port {port} on {host} is taken: another process serves it") from error
            raise OSError(f"cannot serve on port {port} of {host}: {error.strerror or error}") from error
        self._listeners.append(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    async def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, units: Mapping[int, RegisterBank]
    ) -> None:
        """Answer one master until it hangs up or talks nonsense."""
        full = self._connections >= MOST_CONNECTIONS
        self._connections += 1
        try:
            while not full:
                head = await reader.readexactly(7)
                transaction, protocol, length, unit = struct.unpack(">HHHB", head)
                if protocol or not 2 <= length <= 254:
                    return  # out of step: nothing after this can be trusted
                reply = self._reply(units.get(unit), await reader.readexactly(length - 1))
                if reply:
                    writer.write(struct.pack(">HHHB", transaction, 0, len(reply) + 1, unit) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            self._connections -= 1
            writer.transport.abort()

    def _reply(self, bank: RegisterBank | None, pdu: bytes) -> bytes:
        """The answer to one request; empty where the device is dead on the line."""
        if bank is None:
            return _refusal(pdu[0], GATEWAY_SILENT)
        with self.lock:
            return carry_out(bank, pdu) if bank.answering else b""


def carry_out(bank: RegisterBank, pdu: bytes) -> bytes:
    """The answer to one protocol data unit (function code and what follows, at least one byte)."""
    function, body = pdu[0], pdu[1:]
    if function not in (READ_HOLDING, WRITE_ONE, WRITE_MANY):
        return _refusal(function, ILLEGAL_FUNCTION)
    if len(body) < 4:
        return _refusal(function, ILLEGAL_VALUE)
    address, second = struct.unpack(">HH", body[:4])
    if function == READ_HOLDING:
        return _read(bank, address, second) if len(body) == 4 else _refusal(function, ILLEGAL_VALUE)
    if function == WRITE_ONE:
        return _write(bank, pdu, address, (second,)) if len(body) == 4 else _refusal(function, ILLEGAL_VALUE)
    fits = 1 <= second <= MOST_WRITTEN and len(body) == 5 + 2 * second and body[4] == 2 * second
    if not fits:
        return _refusal(function, ILLEGAL_VALUE)
    return _write(bank, pdu, address, struct.unpack(f">{second}H", body[5:]))


def _read(bank: RegisterBank, address: int, count: int) -> bytes:
    if not 1 <= count <= MOST_READ:
        return _refusal(READ_HOLDING, ILLEGAL_VALUE)
    words = bank.read(address, count) if address + count <= 0x10000 else None
    if words is None:
        return _refusal(READ_HOLDING, ILLEGAL_ADDRESS)
    return struct.pack(f">BB{count}H", READ_HOLDING, 2 * count, *words)


def _write(bank: RegisterBank, pdu: bytes, address: int, words: tuple[int, ...]) -> bytes:
    if address + len(words) > 0x10000 or not bank.write(address, words):
        return _refusal(pdu[0], ILLEGAL_ADDRESS)
    return pdu[:5]  # function, address and value (6) or count (16), as they came


def _refusal(function: int, code: int) -> bytes:
    return bytes((function | 0x80, code))
