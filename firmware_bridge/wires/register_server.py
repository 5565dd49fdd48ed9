"""Serves Modbus devices, over TCP and on serial lines: the simulated inverters and meters, and this site to others.

Not pymodbus's server: that of 3.16 answers one request of each packet it receives and forgets the others, keeps two
lists of 65 536 registers a unit, and can neither stay silent for one unit nor say that its port is busy.
"""

import asyncio
import errno
import struct
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_bridge.wires import RegisterBank
from firmware_bridge.wires.loop_thread import LoopThread
from firmware_bridge.wires.modbus import GATEWAY_SILENT
from firmware_bridge.wires.register_reply import carry_out, refusal
from firmware_bridge.wires.rtu import SerialSettings

if TYPE_CHECKING:
    from firmware_bridge.wires.serial_server import SerialServer

MOST_CONNECTIONS = 64  # then the one that has been silent longest makes room: masters that lost power never hang up
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ServedLine:
    """A serial line and its units. `is_ours`: between two programs and made here; else a device."""

    path: Path
    settings: SerialSettings
    is_ours: bool
    units: Mapping[int, RegisterBank]


class RegisterServer:
    """Banks behind TCP ports and on serial lines, served in a thread of their own until `close`.

    `lock` is held while a bank is read or written: hold it to change registers that belong together.
    Raises OSError, in one sentence, when a port or line is taken.
    """

    def __init__(self, banks: Mapping[Address, Mapping[int, RegisterBank]], lines: Sequence[ServedLine] = ()) -> None:
        self.lock = threading.Lock()
        self.ports: dict[Address, int] = {}  # as bound: the port found where 0 was asked for
        self._loop = LoopThread("modbus-server")
        self._listeners: list[asyncio.Server] = []
        self._lines: list[SerialServer] = []
        self._talking: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}  # every connection; who asked last is last
        self._closed = False
        try:
            for (host, port), units in banks.items():
                self.ports[host, port] = self._loop.start(self._listen(host, port, units)).result()
            for line in lines:
                self._loop.start(self._serve_line(line)).result()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Stop listening, hang up on every master and let go of every line."""
        if self._closed:
            return
        self._closed = True
        self._loop.start(self._stop_listening()).result()
        self._loop.close()

    async def _listen(self, host: str, port: int, units: Mapping[int, RegisterBank]) -> int:
        """Begin to listen; the port bound."""

        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._make_room()
            talk = asyncio.get_running_loop().create_task(self._converse(reader, writer, units))
            self._talking[writer] = talk
            talk.add_done_callback(lambda _: self._hang_up(writer))  # also of a talk that ends before it began

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
        loop = asyncio.get_running_loop()
        for plug in [plug for listener in self._listeners for plug in listener.sockets]:
            loop.remove_reader(plug.fileno())
        await asyncio.sleep(0.0)  # Python 3.11 leaves open what was just accepted when its listener closes
        for listener in self._listeners:
            listener.close()
        for line in self._lines:
            line.close()

    async def _serve_line(self, line: ServedLine) -> None:
        from firmware_bridge.wires.serial_server import SerialServer  # noqa: PLC0415  pyserial, only where it is used

        server = SerialServer(line.path, line.settings, line.units, self.lock, is_ours=line.is_ours)
        server.open()
        self._lines.append(server)

    def _make_room(self) -> None:
        if len(self._talking) >= MOST_CONNECTIONS:
            self._hang_up(next(iter(self._talking)))  # who has been silent longest

    def _hang_up(self, writer: asyncio.StreamWriter) -> None:
        self._talking.pop(writer, None)
        writer.transport.abort()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, units: Mapping[int, RegisterBank]
    ) -> None:
        """Answer one master until it hangs up or talks nonsense."""
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readexactly(7)
                transaction, protocol, length, unit = struct.unpack(">HHHB", head)
                if protocol or not 2 <= length <= 254:
                    return  # out of step: nothing after this can be trusted
                reply = self._reply(units.get(unit), await reader.readexactly(length - 1))
                if writer in self._talking:
                    self._talking[writer] = self._talking.pop(writer)
                if reply:
                    writer.write(struct.pack(">HHHB", transaction, 0, len(reply) + 1, unit) + reply)
                    await writer.drain()

    def _reply(self, bank: RegisterBank | None, pdu: bytes) -> bytes:
        """The answer to one request; empty where the device is dead on the line."""
        if bank is None:
            return refusal(pdu[0], GATEWAY_SILENT)
        with self.lock:
            return carry_out(bank, pdu) if bank.answering else b""
