"""What Modbus allows in one request, how a request and its answer look in bytes, and a refusal in words.

Numbers from the MODBUS Application Protocol Specification V1.1b3, sections 6.1 to 6.12 and 7. A PDU is the function
code and what follows it: the same over TCP and on a serial line.
"""

import struct
from collections.abc import Sequence

from firmware_bridge.frames import Request, Table

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_ONE, WRITE_COILS, WRITE_MANY = 5, 6, 15, 16
READ: dict[Table, int] = {
    "holding": READ_HOLDING,
    "input": READ_INPUT,
    "coils": READ_COILS,
    "discrete": READ_DISCRETE,
}
WRITE: dict[Table, int] = {"holding": WRITE_MANY, "coils": WRITE_COILS}
BITS: frozenset[Table] = frozenset(("coils", "discrete"))
MOST_READ, MOST_WRITTEN = 125, 123  # registers
MOST_BITS_READ, MOST_BITS_WRITTEN = 2000, 1968
COIL_ON, COIL_OFF = 0xFF00, 0x0000  # of function 5
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, GATEWAY_SILENT = 1, 2, 3, 11
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledged, still working",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target failed to respond",
}
NO_ANSWER = "no answer"
Outcome = tuple[tuple[int, ...], str, int]
"""The words read, the trouble met and, where the device refused, the exception (0: none; -1: no answer at all)."""
_THINGS: dict[Table, str] = {
    "holding": "registers",
    "input": "input registers",
    "coils": "coils",
    "discrete": "discrete inputs",
}


def exception_words(code: int) -> str:
    """`exception 2: illegal data address`."""
    return f"exception {code}: {EXCEPTIONS.get(code, 'not in the specification')}"


def request_trouble(request: Request) -> str:
    """Why a request can never go out; empty when it can."""
    things, bits = _THINGS[request.table], request.table in BITS
    if request.is_write:
        if request.table not in WRITE:
            return f"{things} cannot be written"
        size, most = len(request.words), MOST_BITS_WRITTEN if bits else MOST_WRITTEN
        if not all(0 <= word <= (1 if bits else 0xFFFF) for word in request.words):
            return "a coil to write is neither 0 nor 1" if bits else "a word to write is outside 0..65535"
    else:
        size, most = request.count, MOST_BITS_READ if bits else MOST_READ
    if not 1 <= size <= most:
        return f"{size} {things} in one request, Modbus allows 1..{most}"
    if not 0 <= request.address <= 0x10000 - size:
        return f"{things} {request.address}..{request.address + size - 1} are outside 0..65535"
    return ""


def request_pdu(request: Request) -> bytes:
    """The bytes of a request that has no `request_trouble`."""
    if not request.is_write:
        return struct.pack(">BHH", READ[request.table], request.address, request.count)
    size = len(request.words)
    body = pack_bits(request.words) if request.table in BITS else struct.pack(f">{size}H", *request.words)
    return struct.pack(">BHHB", WRITE[request.table], request.address, size, len(body)) + body


def reply_size(request: Request) -> int:
    """How many bytes the PDU of a good answer has."""
    if request.is_write:
        return 5
    return 2 + (-(-request.count // 8) if request.table in BITS else 2 * request.count)


def judge_reply(request: Request, pdu: bytes) -> Outcome:
    """What an answer (any bytes at all) to a request says; one that does not fit to the last byte gives no words."""
    asked = (WRITE if request.is_write else READ)[request.table]
    if len(pdu) == 2 and pdu[0] == asked | 0x80:
        return (), exception_words(pdu[1]), pdu[1]
    if len(pdu) < 2 or pdu[0] != asked:
        return (), f"an answer with function {pdu[0]}" if pdu else "an empty answer", 0
    return _confirmed(request, pdu) if request.is_write else _read(request, pdu)


def _confirmed(request: Request, pdu: bytes) -> Outcome:
    if len(pdu) != 5:
        return (), "an unreadable answer", 0
    address, count = struct.unpack(">HH", pdu[1:])
    fits = (address, count) == (request.address, len(request.words))
    what = "coils" if request.table in BITS else "words"
    return (), "" if fits else f"{count} {what} at {address} were confirmed instead", 0


def _read(request: Request, pdu: bytes) -> Outcome:
    body, bits = pdu[2:], request.table in BITS
    if len(body) != pdu[1]:
        return (), "an unreadable answer", 0
    if len(pdu) != reply_size(request):
        got = 8 * len(body) if bits else len(body) // 2
        return (), f"a short or long answer: {got} of {request.count} {_THINGS[request.table]}", 0
    return unpack_bits(body, request.count) if bits else struct.unpack(f">{request.count}H", body), "", 0


def pack_bits(bits: Sequence[int]) -> bytes:
    """Bits into bytes, the first in the lowest place, the last byte filled up with 0."""
    whole = sum(1 << place for place, bit in enumerate(bits) if bit)
    return whole.to_bytes(-(-len(bits) // 8), "little")


def unpack_bits(packed: bytes, count: int) -> tuple[int, ...]:
    """The first `count` bits of `packed`, each 0 or 1."""
    whole = int.from_bytes(packed, "little")
    return tuple([whole >> place & 1 for place in range(count)])
