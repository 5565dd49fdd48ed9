"""The check bytes are those of the real devices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialects.crc import CheckByte, Crc8
from firmware_bridge.dialects.csc import layout as csc_layout
from firmware_bridge.dialects.sbox import layout as sbox_layout
from tests.bridge.can_talk import unhurried

# requests to modules as published, with their check byte
CSC_VECTORS = [
    (0x080, "C7 10 00 00 20 00 00", 0x25),
    (0x080, "68 10 00 50 00 00 00", 0x36),
    (0x083, "68 10 00 50 00 00 70", 0xC0),
    (0x087, "9A 0E 00 50 08 00 A0", 0x39),
    (0x08B, "68 10 00 50 00 00 E0", 0x24),
]
# contactor commands as a car's own master sent them, and a bench that drove a real box
SBOX_VECTORS = ["55 01 FF 20", "55 11 FE EC", "55 A1 FF 58", "55 E1 FE A8", "AA 71 FF 2E", "AA 01 FF FD"]
SLOT_XOR = bytes.fromhex("CF F5 BB 81 27 1D 53 69 02 38 76 4C")


def words(data: bytes) -> np.ndarray:
    return np.frombuffer(data.ljust(8, b"\0"), "<u8").copy()


def seed_of(can_id: int) -> np.ndarray:
    ahead = np.array([[can_id >> 8, can_id & 255]], np.uint8)
    return np.asarray(csc_layout.CHECK.seed(ahead) ^ csc_layout.SLOT_XOR[can_id & 15])


@pytest.mark.parametrize(("can_id", "data", "check"), CSC_VECTORS)
def test_a_published_module_frame_has_its_published_check_byte(can_id: int, data: str, check: int) -> None:
    frame = words(bytes.fromhex(data))
    csc_layout.CHECK.seal(frame, seed_of(can_id))
    assert frame.view(np.uint8)[7] == check
    assert csc_layout.CHECK.residue(frame) == seed_of(can_id)


def test_the_slot_constants_are_the_published_ones() -> None:
    assert bytes(csc_layout.SLOT_XOR[:12]) == SLOT_XOR


def test_slots_beyond_the_published_ones_follow_the_same_rule() -> None:
    extrapolated = "EA D0 9E A4"  # by the rule found in the twelve known ones, not published anywhere
    assert bytes(csc_layout.SLOT_XOR[12:]) == bytes.fromhex(extrapolated)


@pytest.mark.parametrize("frame", SBOX_VECTORS)
def test_a_recorded_contactor_command_has_the_right_check_byte(frame: str) -> None:
    recorded = words(bytes.fromhex(frame))
    assert sbox_layout.COMMAND_CHECK.residue(recorded) == 0
    bare = recorded & np.uint64(0xFFFFFF)
    sbox_layout.COMMAND_CHECK.seal(bare)
    assert bare == recorded


def test_bytes_beyond_a_short_frame_do_not_touch_its_check() -> None:
    recorded = words(bytes.fromhex(SBOX_VECTORS[0]) + b"\x12\x34\x56\x78")
    assert sbox_layout.COMMAND_CHECK.residue(recorded) == 0


@pytest.mark.parametrize(
    ("crc", "check"),
    [(Crc8(0x07), 0xF4), (Crc8(0x1D, init=0xFF), 0xB4), (Crc8(0x31, reflected=True), 0xA1)],
)
def test_the_crc_of_the_digits_is_the_catalogued_one(crc: Crc8, check: int) -> None:
    # CRC-8/SMBUS; SAE-J1850 before its final inversion (0x4B); MAXIM-DOW: "check" of the CRC catalogue
    digits = np.frombuffer(b"123456789", np.uint8).reshape(1, -1)
    assert crc.of(digits) == check


@unhurried
@given(
    st.binary(min_size=8, max_size=8),
    st.integers(0, 7),
    st.booleans(),
    st.sampled_from([0x1D, 0x31, 0x07, 0x2F]),
    st.integers(0, 255),
)
def test_the_table_of_pairs_agrees_with_feeding_byte_by_byte(
    data: bytes, position: int, reflected: bool, poly: int, init: int
) -> None:
    crc = Crc8(poly, init, reflected)
    check = CheckByte(crc, position, covered=8, length=8)
    blank = bytearray(data)
    blank[position] = 0
    expected = crc.of(np.frombuffer(bytes(blank), np.uint8).reshape(1, -1))
    found = check.residue(words(data)) ^ check.seed(np.zeros((1, 0), np.uint8))
    assert found == expected ^ data[position]


@unhurried
@given(st.binary(min_size=7, max_size=7), st.integers(0x80, 0x1DF))
def test_one_wrong_bit_is_always_noticed(data: bytes, can_id: int) -> None:
    frame = words(data)
    csc_layout.CHECK.seal(frame, seed_of(can_id))
    for byte in range(8):
        for bit in range(8):
            turned = frame ^ np.uint64(1 << 8 * byte + bit)
            assert csc_layout.CHECK.residue(turned) != seed_of(can_id)
