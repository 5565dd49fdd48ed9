"""Modbus TCP as its master: inverters and meters are asked in the background, and a dead one delays nobody.

The only file that imports pymodbus: its names change in every minor release. `register_pool` loads it when the first
such device is opened.
"""

import logging
import os
import socket
import struct
from collections.abc import Callable

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU

from firmware_bridge.frames import Request
from firmware_bridge.wires.modbus import NO_ANSWER, Outcome, judge_reply
from firmware_bridge.wires.register_queue import ANSWER_S

MOST_TIMEOUTS = 3  # in a row, and the connection itself is suspect
UNREADABLE = "an unreadable answer"
UNACKED_MS = 1000  # then the kernel gives the connection up; it would else deliver old commands when the cable is back

log = logging.getLogger(__name__)
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # its complaints reach us as troubles, with the device's name


class TcpConnection:
    """A `Connection` to a host and port."""

    patience = MOST_TIMEOUTS

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._ear = Ear()
        self._client: AsyncModbusTcpClient | None = None

    @property
    def name(self) -> str:
        """What trouble is told of."""
        return f"{self.host}:{self.port}"

    @property
    def connected(self) -> bool:
        """Whether it stands."""
        return self._client is not None and self._client.connected

    @property
    def out_of_step(self) -> bool:
        """Whether something odd was heard: what follows may belong to another request."""
        return bool(self._ear.odd)

    def answer_s(self, request: Request) -> float:
        """How long the answer to a request may take."""
        return ANSWER_S

    async def open(self, lost: Callable[[], object]) -> str:
        """Connect; why that did not work, empty when it did."""

        def connection_changed(_: bool) -> None:
            lost()

        client = AsyncModbusTcpClient(
            self.host,
            port=self.port,
            timeout=ANSWER_S,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._ear,
            trace_connect=connection_changed,
        )
        why = await _connect(client)
        if why or not _set_option(client, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_MS):
            client.close()
            return why or "the device closed it at once"
        self._client = client
        return ""

    def close(self) -> None:
        """Drop the connection and what the kernel still holds for the device."""
        client, self._client = self._client, None
        if client is not None:
            _set_option(client, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

    async def carry_out(self, unit: int, request: Request) -> Outcome:
        """Ask one unit and wait for its answer."""
        client = self._client
        if client is None:
            return (), "the connection was lost", -1
        self._ear.odd, self._ear.pdu = "", b""
        try:
            reply = await _ask(client, unit, request)
        except Exception as error:  # noqa: BLE001  whatever the library makes of a peer's bytes is that device's trouble
            log.debug("%s unit %d: %r", self.name, unit, error)
            if self._ear.odd:
                return (), self._ear.odd, -1
            return (), f"{NO_ANSWER} within {ANSWER_S:g} s" if client.connected else "the connection was lost", -1
        if (reply.dev_id, reply.transaction_id) != (unit, client.ctx.request_transaction_id):
            return (), "an answer to another request", -1
        if not self._ear.pdu:  # the library skipped something to find this answer
            return (), self._ear.odd, -1
        return judge_reply(request, self._ear.pdu)


async def _ask(client: AsyncModbusTcpClient, unit: int, request: Request) -> ModbusPDU:
    """The request in the library's words."""
    if request.is_write:
        if request.table == "coils":
            return await client.write_coils(request.address, [bool(word) for word in request.words], device_id=unit)
        return await client.write_registers(request.address, list(request.words), device_id=unit)
    read = {
        "holding": client.read_holding_registers,
        "input": client.read_input_registers,
        "coils": client.read_coils,
        "discrete": client.read_discrete_inputs,
    }[request.table]
    return await read(request.address, count=request.count, device_id=unit)


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
        self.odd = ""  # what is wrong with the last thing heard, should the library not take it
        self.pdu = b""  # of the last thing heard, when it is whole and answers what was asked
        self._asked = b""

    def __call__(self, sending: bool, packet: bytes) -> bytes:
        """Called by the library with every packet sent and with all bytes received since."""
        if sending:
            self._asked = packet
        elif len(packet) >= 8:
            self.odd, self.pdu = self._oddity(packet), b""
            if self.odd == UNREADABLE:
                self.pdu = packet[7 : 6 + int.from_bytes(packet[4:6], "big")]
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
        return "" if len(heard) < 6 + length else UNREADABLE
