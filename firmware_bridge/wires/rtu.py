"""Modbus RTU, the serial line's dress of a request: unit, PDU, CRC. Frames are told apart by length, not by silence.

MODBUS over Serial Line V1.02, sections 2.2, 2.5.1 and 6.2.2. The 3.5 characters of silence between frames do not
survive a pseudo-terminal or a USB adapter (16 ms of latency), so a frame ends where its function code and byte count
say; what fits nowhere is skipped until a CRC proves the next frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000)
"""Rates that Linux knows by name and that are in use on RS-485."""
UNITS = range(1, 248)  # 0 is for everybody, 248..255 are reserved
BROADCAST = 0
SHORTEST, LONGEST = 4, 256  # bytes of a frame
FAST_BAUD, FAST_SILENCE_S = 19200, 0.00175  # beyond this rate the silence is fixed, section 2.5.1.1
_REQUEST_SIZE = {**dict.fromkeys((1, 2, 3, 4, 5, 6, 8), 8), **dict.fromkeys((7, 11, 12, 17), 4), 22: 10, 24: 6, 43: 7}
_REQUEST_COUNT_AT = {15: (6, 9), 16: (6, 9), 20: (2, 5), 21: (2, 5), 23: (10, 13)}  # where a byte count is, its extra
_REPLY_SIZE = dict.fromkeys((5, 6, 15, 16), 8) | dict.fromkeys((0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x8F, 0x90), 5)
Parity = Literal["none", "even", "odd"]


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How characters go over the line; the specification's own defaults."""

    baud: int = 19200
    parity: Parity = "even"
    stop: int = 1

    @property
    def character_s(self) -> float:
        """What one character takes: start, eight bits, parity, stop."""
        return (9 + (self.parity != "none") + self.stop) / self.baud

    @property
    def silence_s(self) -> float:
        """Least silence between two frames."""
        return FAST_SILENCE_S if self.baud > FAST_BAUD else 3.5 * self.character_s

    def __str__(self) -> str:
        """`19200 8E1`."""
        return f"{self.baud} 8{self.parity[0].upper()}{self.stop}"


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = (register >> 1) ^ (0xA001 if register & 1 else 0)
        table.append(register)
    return tuple(table)


_TABLE = _crc_table()


def crc16(message: bytes | bytearray) -> int:
    """CRC-16 of the serial line: polynomial 0xA001 (mirrored 0x8005), beginning with 0xFFFF."""
    register = 0xFFFF
    for byte in message:
        register = register >> 8 ^ _TABLE[(register ^ byte) & 0xFF]
    return register


def seal(unit: int, pdu: bytes) -> bytes:
    """The frame of a PDU; its CRC goes low byte first."""
    frame = bytes((unit,)) + pdu
    return frame + crc16(frame).to_bytes(2, "little")


def is_sound(frame: bytes | bytearray) -> bool:
    """Whether the CRC at its end fits: then the register of all of it is 0."""
    return SHORTEST <= len(frame) <= LONGEST and crc16(frame) == 0


def reply_in(heard: bytes | bytearray) -> tuple[int, bytes, int] | None:
    """The first sound answer in what a master heard: its unit, its PDU, and where it ends."""
    for place in range(len(heard) - SHORTEST):
        function = heard[place + 1]
        size = 5 + heard[place + 2] if function in (1, 2, 3, 4) else _REPLY_SIZE.get(function, 0)
        end = place + size
        if size and heard[place] in UNITS and end <= len(heard) and is_sound(frame := heard[place:end]):
            return frame[0], bytes(frame[1:-2]), end
    return None


class RequestEar:
    """Hears requests in the bytes of a line, whole or in pieces, with noise and other devices' answers between."""

    def __init__(self) -> None:
        self._heard = bytearray()

    @property
    def pending(self) -> bool:
        """Whether something was heard that may be the beginning of a request."""
        return bool(self._heard)

    def feed(self, heard: bytes) -> list[tuple[int, bytes]]:
        """Unit and PDU of each request that is whole now."""
        self._heard += heard
        return list(self._requests(over=False))

    def silence(self) -> list[tuple[int, bytes]]:
        """Nothing more came for a while: what seemed to begin a request did not. Whatever is sound behind it counts."""
        return list(self._requests(over=True))

    def _requests(self, *, over: bool) -> Iterator[tuple[int, bytes]]:
        heard, place = self._heard, 0
        if is_sound(heard) and heard[1] not in _REQUEST_SIZE | _REQUEST_COUNT_AT:
            yield heard[0], bytes(heard[1:-2])  # a function that nobody knows has no length but that of all there is
            heard.clear()
        while len(heard) - place >= (SHORTEST if over else 1):
            size = _request_size(heard, place)
            if not over and place + size > len(heard):
                break  # more of it may come
            if size and place + size <= len(heard) and is_sound(frame := heard[place : place + size]):
                yield frame[0], bytes(frame[1:-2])
                place += size
            else:
                place += 1
        del heard[: len(heard) if over else place]


def _request_size(heard: bytearray, place: int) -> int:
    """Bytes of the request that begins at `place`; 0: none does. More than there are while that is not yet known."""
    there = len(heard) - place
    if heard[place] not in UNITS and heard[place] != BROADCAST:
        return 0
    if there < 2:
        return SHORTEST
    function = heard[place + 1]
    if function not in _REQUEST_COUNT_AT:
        return _REQUEST_SIZE.get(function, 0)
    at, extra = _REQUEST_COUNT_AT[function]
    size = extra + heard[place + at] if there > at else extra
    return size if size <= LONGEST else 0
