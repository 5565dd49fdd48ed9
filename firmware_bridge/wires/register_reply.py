"""What a served Modbus device answers to one request, byte for byte as the specification says.

Sections 6.1 to 6.12 of the MODBUS Application Protocol Specification V1.1b3. Input registers (function 4) are read
from the same place as holding registers, as most real devices do; coils and inputs exist where the bank is a BitBank.
"""

import struct

from firmware_bridge.frames import Table
from firmware_bridge.wires import BitBank, RegisterBank
from firmware_bridge.wires.modbus import (
    COIL_OFF,
    COIL_ON,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    MOST_BITS_READ,
    MOST_BITS_WRITTEN,
    MOST_READ,
    MOST_WRITTEN,
    READ_COILS,
    READ_DISCRETE,
    READ_HOLDING,
    READ_INPUT,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_MANY,
    WRITE_ONE,
    pack_bits,
    unpack_bits,
)

_BIT_TABLES: dict[int, Table] = {READ_COILS: "coils", READ_DISCRETE: "discrete"}


def carry_out(bank: RegisterBank, pdu: bytes) -> bytes:
    """The answer to one protocol data unit (function code and what follows, at least one byte)."""
    function, body = pdu[0], pdu[1:]
    if function not in _CARRY_OUT:
        return refusal(function, ILLEGAL_FUNCTION)
    if len(body) < 4:
        return refusal(function, ILLEGAL_VALUE)
    address, second = struct.unpack(">HH", body[:4])
    code = 0
    if function in (READ_HOLDING, READ_INPUT):
        return _read(bank, function, address, second, body[4:])
    if function in (WRITE_ONE, WRITE_MANY):
        code = _write(bank, function, address, second, body[4:])
    elif not isinstance(bank, BitBank):
        code = ILLEGAL_FUNCTION
    elif function in _BIT_TABLES:
        return _read_bits(bank, function, address, second, body[4:])
    else:
        code = _write_bits(bank, function, address, second, body[4:])
    return refusal(function, code) if code else pdu[:5]  # function, address, value or count, as they came


def refusal(function: int, code: int) -> bytes:
    """An exception response."""
    return bytes((function | 0x80, code))


def _read(bank: RegisterBank, function: int, address: int, count: int, rest: bytes) -> bytes:
    if rest or not 1 <= count <= MOST_READ:
        return refusal(function, ILLEGAL_VALUE)
    words = bank.read(address, count) if address + count <= 0x10000 else None
    if words is None:
        return refusal(function, ILLEGAL_ADDRESS)
    return struct.pack(f">BB{count}H", function, 2 * count, *words)


def _write(bank: RegisterBank, function: int, address: int, second: int, rest: bytes) -> int:
    """The exception code; 0 when it is done."""
    words: tuple[int, ...] = (second,)
    if function == WRITE_MANY:
        if not (1 <= second <= MOST_WRITTEN and len(rest) == 1 + 2 * second and rest[0] == 2 * second):
            return ILLEGAL_VALUE
        words = struct.unpack(f">{second}H", rest[1:])
    elif rest:
        return ILLEGAL_VALUE
    done = address + len(words) <= 0x10000 and bank.write(address, words)
    return 0 if done else ILLEGAL_ADDRESS


def _read_bits(bank: BitBank, function: int, address: int, count: int, rest: bytes) -> bytes:
    if rest or not 1 <= count <= MOST_BITS_READ:
        return refusal(function, ILLEGAL_VALUE)
    bits = bank.read_bits(_BIT_TABLES[function], address, count) if address + count <= 0x10000 else None
    if bits is None:
        return refusal(function, ILLEGAL_ADDRESS)
    packed = pack_bits(bits)
    return bytes((function, len(packed))) + packed


def _write_bits(bank: BitBank, function: int, address: int, second: int, rest: bytes) -> int:
    """The exception code; 0 when it is done."""
    if function == WRITE_COILS:
        size = -(-second // 8)
        if not (1 <= second <= MOST_BITS_WRITTEN and len(rest) == 1 + size and rest[0] == size):
            return ILLEGAL_VALUE
        bits = unpack_bits(rest[1:], second)
    elif rest or second not in (COIL_ON, COIL_OFF):
        return ILLEGAL_VALUE
    else:
        bits = (int(second == COIL_ON),)
    done = address + len(bits) <= 0x10000 and bank.write_bits(address, bits)
    return 0 if done else ILLEGAL_ADDRESS


_CARRY_OUT = frozenset(
    (READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT, WRITE_COIL, WRITE_ONE, WRITE_COILS, WRITE_MANY)
)
