"""Vector's binary log (.blf): containers of compressed objects, of which the classic CAN frames are read.

Layouts as python-can documents and writes them. Read here and not there, because a size of 0 in a damaged file would
keep that reader in a circle for ever, and because everything that is passed over must be counted.
"""

import struct
import zlib
from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import BinaryIO

from firmware_bridge.wires.can_ids import EFF_FLAG, EFF_MASK, RTR_FLAG
from firmware_bridge.wires.capture_lines import RefusedError, Row, SkippedError, can_id

MAGIC = b"LOGG"
_FILE = struct.Struct("<4sL8xQQLL8H8H")  # signature, its own size, file size, size unpacked, objects, read, start, stop
_BASE = struct.Struct("<4sHHLL")  # signature, header size, header version, object size, type
_HEAD = struct.Struct("<L4xQ")  # flags, time stamp: in both versions of the header
_CONTAINER = struct.Struct("<H6xL4x")  # compression, size unpacked
_CAN = struct.Struct("<HBBL8s")  # channel, flags, length, id, data
_FD_64 = struct.Struct("<BBBBLLL16xHBBL")  # channel, dlc, bytes, -, id, -, flags, -, direction, where more stands, crc
_MARK = b"LOBJ"
_CONTAINER_TYPE, _CAN_TYPES, _ERROR_TYPES, _FD_TYPE, _FD_64_TYPE = 10, (1, 86), (2, 73, 104), 100, 101
_REMOTE, _FD_64_REMOTE, _FD_64_EDL = 0x80, 0x10, 0x1000
_TEN_US = 1  # time stamps count in 10 us; else in ns
_LARGEST_CONTAINER = 1 << 26
_PADDING = 8  # at most so many bytes lie between two objects


class BlfReader:
    """The objects of one file, one after the other. `torn` says what is missing, `objects` how many were met."""

    def __init__(self, file: BinaryIO, file_bytes: int) -> None:
        self._file = file
        self.objects = 0
        self.damaged = 0  # stretches that are no objects
        self.torn = ""
        head = file.read(_FILE.size)
        if len(head) < _FILE.size:
            raise RefusedError(f"a file head of {_FILE.size} bytes")
        _, size, whole_bytes, _, _, _, *moments = _FILE.unpack(head)
        if not _FILE.size <= size <= 4096:
            raise RefusedError(f"a file head of 144 bytes, not {size}")
        file.read(size - _FILE.size)
        self._start_s = _seconds(moments[:8])
        if whole_bytes > file_bytes:
            self.torn = f"torn off: {file_bytes} bytes of {whole_bytes} are there"

    def objects_of(self) -> Iterator[tuple[int, bytes]]:
        """(type, the object whole) of everything in all containers, as far as it can be told apart."""
        tail = b""
        while len(base := self._file.read(_BASE.size)) == _BASE.size:
            mark, _, _, size, kind = _BASE.unpack(base)
            if mark != _MARK or size < _BASE.size:
                self.damaged += 1
                if not self._seek_mark():
                    return
                continue
            body = self._file.read(size - _BASE.size)
            self._file.read(size % 4)
            if kind != _CONTAINER_TYPE:
                self.objects += 1
                yield kind, base + body
                continue
            unpacked = self._unpacked(body)
            tail = yield from self._inside(tail + unpacked)
        if tail:
            self.damaged += 1

    def _seek_mark(self) -> bool:
        """Go to the next object in the file, from just behind the mark of the present one."""
        while block := self._file.read(1 << 16):
            at = block.find(_MARK)
            if at >= 0:
                self._file.seek(at - len(block), 1)
                return True
            if len(block) > len(_MARK):
                self._file.seek(-len(_MARK) + 1, 1)
            if len(block) < 1 << 16:
                return False
        return False

    def _unpacked(self, body: bytes) -> bytes:
        if len(body) < _CONTAINER.size:
            self.damaged += 1
            return b""
        method, _ = _CONTAINER.unpack_from(body)
        if method == 0:
            return body[_CONTAINER.size :]
        found = b""
        unpack, rest = zlib.decompressobj(), body[_CONTAINER.size :]
        with suppress(zlib.error):
            for at in range(0, len(rest), 4096):  # bit by bit: what comes before a damage is whole
                found += unpack.decompress(rest[at : at + 4096], _LARGEST_CONTAINER)
                if len(found) > _LARGEST_CONTAINER:
                    break
        if not unpack.eof:
            self.damaged += 1
        return found

    def _inside(self, data: bytes) -> Generator[tuple[int, bytes], None, bytes]:
        """Objects laid end to end; returns what begins here and ends in the next container."""
        at = 0
        while True:
            found = data.find(_MARK, at)
            if found < 0:
                return b""
            if found + _BASE.size > len(data):
                return data[found:]
            if found > at + _PADDING:
                self.damaged += 1
            _, _, _, size, kind = _BASE.unpack_from(data, found)
            if size < _BASE.size or size > _LARGEST_CONTAINER:
                self.damaged += 1
                at = found + len(_MARK)
                continue
            if found + size > len(data):
                return data[found:]
            self.objects += 1
            yield kind, data[found : found + size]
            at = found + size

    def row(self, kind: int, whole: bytes) -> Row | None:
        """The frame in an object; None where it is something else. RefusedError, SkippedError as lines raise them."""
        if kind in _ERROR_TYPES:
            raise SkippedError("error frame")
        if kind == _FD_TYPE:
            raise SkippedError("CAN FD frame")
        if kind not in _CAN_TYPES and kind != _FD_64_TYPE:
            return None
        size = struct.unpack_from("<H", whole, 4)[0]
        try:
            flags, stamp = _HEAD.unpack_from(whole, _BASE.size)
            time_s = self._start_s + stamp * (1e-5 if flags == _TEN_US else 1e-9)
            return _row_64(whole, size, time_s) if kind == _FD_64_TYPE else _row(whole, size, time_s)
        except struct.error:
            raise RefusedError("an object as long as a frame") from None


def _row(whole: bytes, at: int, time_s: float) -> Row:
    channel, flags, length, number, data = _CAN.unpack_from(whole, at)
    if length > 8:
        raise RefusedError(f"at most 8 bytes, not {length}")
    name = can_id(number & ~EFF_FLAG & 0xFFFFFFFF, extended=bool(number & EFF_FLAG))
    if flags & _REMOTE:
        return time_s, str(channel), name | RTR_FLAG, b""
    return time_s, str(channel), name, data[:length]


def _row_64(whole: bytes, at: int, time_s: float) -> Row:
    """What newer tools write for every frame, classic ones too."""
    channel, _, length, _, number, _, flags, *_ = _FD_64.unpack_from(whole, at)
    if flags & _FD_64_EDL or length > 8:
        raise SkippedError("CAN FD frame")
    name = can_id(number & EFF_MASK, extended=bool(number & EFF_FLAG))
    if flags & _FD_64_REMOTE:
        return time_s, str(channel), name | RTR_FLAG, b""
    return time_s, str(channel), name, whole[at + _FD_64.size : at + _FD_64.size + length].ljust(length, b"\0")


def _seconds(moment: list[int]) -> float:
    """A SYSTEMTIME as seconds since 1970, by the recorder's clock; 0 where it is none."""
    year, month, _, day, hour, minute, second, ms = moment
    try:
        return datetime(year, month, day, hour, minute, second, ms * 1000, tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
