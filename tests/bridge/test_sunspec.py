"""Registers to values and back, by vectors decoded by hand from the SunSpec models; and laws of every type."""

from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialects.sunspec.bank import SunSpecBank
from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import (
    EVENTS_KEPT,
    MISSING_SCALE,
    Events,
    decode_number,
    encode_number,
    encode_text,
    load_model,
    missing_words,
    names_of_bits,
    scaled,
)

MISSING = {
    "int16": (0x8000,),
    "uint16": (0xFFFF,),
    "acc16": (0,),
    "enum16": (0xFFFF,),
    "bitfield16": (0xFFFF,),
    "sunssf": (0x8000,),
    "int32": (0x8000, 0),
    "uint32": (0xFFFF, 0xFFFF),
    "acc32": (0, 0),
    "enum32": (0xFFFF, 0xFFFF),
    "bitfield32": (0xFFFF, 0xFFFF),
    "int64": (0x8000, 0, 0, 0),
    "uint64": (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF),
    "acc64": (0, 0, 0, 0),
    "float32": (0x7FC0, 0),
    "float64": (0x7FF8, 0, 0, 0),
}
NUMBERS = [
    ("int16", (0xFFFF,), -1),
    ("int16", (0x7FFF,), 32767),
    ("int16", (0x8001,), -32767),
    ("uint16", (0xFFFE,), 65534),
    ("acc16", (0xFFFF,), 65535),
    ("enum16", (7,), 7),
    ("bitfield16", (0x7FFF,), 0x7FFF),
    ("sunssf", (0xFFFE,), -2),
    ("int32", (0xFFFF, 0xB1E0), -20000),
    ("uint32", (0x0001, 0x0000), 65536),
    ("acc32", (0x0012, 0xD687), 1234567),
    ("bitfield32", (0x0001, 0x0080), 0x10080),
    ("int64", (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE), -2),
    ("uint64", (0, 0, 1, 0), 65536),
    ("float32", (0x42F6, 0xE000), 123.4375),
    ("float64", (0xC05E, 0xDC00, 0, 0), -123.4375),
]


@pytest.mark.parametrize(("kind", "words"), MISSING.items())
def test_what_a_device_does_not_implement_is_never_a_number(kind: str, words: tuple[int, ...]) -> None:
    assert isnan(decode_number(kind, words))
    assert encode_number(kind, nan) == words


@pytest.mark.parametrize(("kind", "words", "value"), NUMBERS)
def test_numbers_are_as_decoded_by_hand(kind: str, words: tuple[int, ...], value: float) -> None:
    assert decode_number(kind, words) == value
    assert encode_number(kind, value) == words


@pytest.mark.parametrize(("kind", "words"), [("bitfield16", (0x8001,)), ("bitfield32", (0x8000, 1)), ("sunssf", (11,))])
def test_a_void_bit_field_and_an_impossible_scale_factor_are_missing(kind: str, words: tuple[int, ...]) -> None:
    assert isnan(decode_number(kind, words))


@pytest.mark.parametrize("words", [(0x7F80, 0), (0xFF80, 0), (0x7FC1, 7)])
def test_a_float_that_is_not_finite_is_missing(words: tuple[int, ...]) -> None:
    assert isnan(decode_number("float32", words))


@pytest.mark.parametrize(
    ("value", "word", "meant"),
    [(1234, 0, 1234), (1234, 0xFFFF, 123.4), (3, 0xFFFF, 0.3), (-7, 2, -700), (1, 10, 1e10), (1, 0xFFF6, 1e-10)],
)
def test_a_scale_factor_is_a_power_of_ten(value: float, word: int, meant: float) -> None:
    assert scaled(value, word) == meant


@pytest.mark.parametrize("word", [MISSING_SCALE, 11, 127, 0xFF81, 0xFFF5, 0x7FFF, -1, 1 << 20])
def test_a_value_without_a_usable_scale_factor_is_missing(word: int) -> None:
    assert isnan(scaled(1234, word))
    assert encode_number("int16", 1234, word) == (0x8000,)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("int16", 40000, (0x7FFF,)),
        ("int16", -40000, (0x8001,)),
        ("uint16", -1, (0,)),
        ("uint16", 70000, (0xFFFE,)),
        ("int32", float("inf"), (0x7FFF, 0xFFFF)),
    ],
)
def test_a_value_too_large_for_its_register_is_clipped_not_wrapped(
    kind: str, value: float, words: tuple[int, ...]
) -> None:
    assert encode_number(kind, value) == words


def test_text_is_padded_with_nul_cut_to_its_registers_and_survives_what_is_not_ascii() -> None:
    assert encode_text("PCS 1", 4) == (0x5043, 0x5320, 0x3100, 0)
    assert encode_text(None, 2) == (0, 0)
    assert encode_text("Ωhm", 2) == (0x3F68, 0x6D00)
    assert encode_text("longer than four", 2) == (0x6C6F, 0x6E67)


@given(st.sampled_from(sorted(MISSING)), st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4))
def test_any_registers_that_are_a_number_say_the_same_when_written_back(kind: str, words: list[int]) -> None:
    value = decode_number(kind, words)
    if not isnan(value) and abs(value) < 2**53:
        assert decode_number(kind, encode_number(kind, value)) == value


# --- models and blocks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "name", "offset", "size", "scale", "writable"),
    [
        (701, "W", 10, 1, "W_SF", False),
        (701, "W_SF", 116, 1, None, False),
        (704, "WSet", 24, 2, "WSet_SF", True),
        (704, "WSetRvrtTms", 31, 2, None, True),
        (704, "WSetRvrtRem", 33, 2, None, False),
        (704, "PFWAbsRvrt.Ext", 66, 1, None, True),
        (714, "Prt.1.DCV", 31, 1, "DCV_SF", False),
        (715, "OpCtl", 8, 1, None, True),
        (203, "W", 18, 1, "W_SF", False),
    ],
)
def test_points_lie_where_the_model_says(
    model: int, name: str, offset: int, size: int, scale: str | None, writable: bool
) -> None:
    point = load_model(model).points[name]
    assert (point.offset, point.size, point.scale, point.writable) == (offset, size, scale, writable)


@pytest.mark.parametrize(
    ("model", "length"), [(1, 66), (701, 153), (702, 50), (703, 17), (704, 65), (713, 7), (715, 7)]
)
def test_models_are_as_long_as_their_length_register_says(model: int, length: int) -> None:
    assert load_model(model).length == length


def test_a_repeating_group_is_laid_out_as_often_as_asked() -> None:
    assert load_model(714, 3).points["Prt.3.DCV"].offset == 31 + 2 * 25
    assert load_model(714, 3).length == load_model(714).length + 2 * 25


def test_a_block_reads_only_what_it_needs() -> None:
    power = Block(701, ("St", "InvSt", "Alrm", "W"))
    assert (power.first, power.count) == (3, 8)
    words = (1, 3, 1, 0x0000, 0x0080, 0, 0, 0xFB2E)  # on, running, connected, over temperature, -1234
    assert power.decode(words, {"W_SF": 1}) == (1, 3, 0x80, -12340)
    assert list(names_of_bits(0x80, load_model(701).points["Alrm"].symbols)) == ["OVER_TEMP"]


@pytest.mark.parametrize("words", [(), (1,) * 7, (1,) * 9])
def test_an_answer_of_the_wrong_length_has_no_numbers(words: tuple[int, ...]) -> None:
    numbers = Block(701, ("St", "InvSt", "Alrm", "W")).decode(words, {"W_SF": 0})
    assert all(isnan(number) for number in numbers)


def test_a_value_whose_scale_factor_was_never_read_is_missing() -> None:
    assert isnan(Block(701, ("W",)).decode((1234,), {})[0])
    assert Block(701, ("W",), scale=False).decode((1234,), {}) == (1234,)


def test_a_block_larger_than_one_modbus_read_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="125"):
        Block(701, ("St", "MnAlrmInfo"), header=True)


def test_a_scale_factor_may_stand_in_the_model_itself() -> None:
    bank = SunSpecBank([load_model(305)])
    bank.put(305, {"Lat": 31.2304})
    assert bank.get(305, "Lat") == 31.2304
    with pytest.raises(ValueError, match="Lat"):
        Block(305, ("Lat",))


def test_the_same_thing_is_told_once_and_again_after_something_else() -> None:
    events = Events()
    for text in ("a", "a", "b", "a", "", "a"):
        events.tell("topic", text)
    assert events.take() == ["a", "b", "a", "a"]
    assert events.take() == []


# --- the serving side ---------------------------------------------------------------------------------------------


def test_a_bank_shows_one_map_from_mark_to_end() -> None:
    bank = SunSpecBank([load_model(1), load_model(715)])
    assert bank.read(40000, 4) == (0x5375, 0x6E53, 1, 66)
    assert bank.address(715) == 40070
    assert bank.read(40070, 2) == (715, 7)
    assert bank.read(40079, 2) == (0xFFFF, 0)


@pytest.mark.parametrize(("address", "count"), [(39999, 1), (40080, 2), (40081, 1), (0, 1), (40000, 0), (40000, 999)])
def test_a_bank_has_no_registers_outside_its_map(address: int, count: int) -> None:
    assert SunSpecBank([load_model(1), load_model(715)]).read(address, count) is None


@pytest.mark.parametrize(
    ("name", "shift", "words", "taken"),
    [
        ("ControllerHb", 0, (0, 9), True),
        ("ControllerHb", 0, (0, 9, 1, 1), True),  # and AlarmReset and OpCtl
        ("ControllerHb", 0, (0,), False),  # half a point
        ("ControllerHb", 1, (9,), False),  # the other half
        ("ControllerHb", 0, (0xFFFF, 0xFFFF), False),  # "not implemented" is no value
        ("OpCtl", 0, (4,), False),  # no such choice
        ("DERHb", 0, (0, 1), False),  # read-only
        ("DERHb", 0, (0, 1, 0, 1), False),  # read-only, then writable: nothing of it
        ("OpCtl", 0, (1, 0xFFFF), False),  # over the end of the model
        ("OpCtl", 0, (), False),
    ],
)
def test_a_bank_takes_whole_writable_points_only(name: str, shift: int, words: tuple[int, ...], taken: bool) -> None:
    bank = SunSpecBank([load_model(715)])
    bank.put(715, {"ControllerHb": 5, "DERHb": 5, "AlarmReset": 0, "OpCtl": 0})
    before = bank.read(40000, 13)
    assert bank.write(bank.address(715, name) + shift, words) is taken
    assert (bank.read(40000, 13) != before) is taken


def test_what_is_put_is_read_in_the_units_of_the_registers() -> None:
    bank = SunSpecBank([load_model(1), load_model(713)])
    bank.put(713, {"WH_SF": 1, "Pct_SF": -1, "WHRtg": 160_000, "SoC": 50.3})
    bank.put(1, {"Mn": "Somebody", "Opt": None})
    assert bank.read(bank.address(713), 9) == (713, 7, 16000, 0xFFFF, 503, 0xFFFF, 0xFFFF, 1, 0xFFFF)
    assert bank.get(713, "SoC") == 50.3
    assert isnan(bank.get(713, "SoH"))
    assert bank.read(bank.address(1, "Mn"), 16) == encode_text("Somebody", 16)


def test_events_that_nobody_takes_are_kept_up_to_a_hundred_the_newest() -> None:
    events = Events()
    for number in range(100_000):
        events.tell("link", f"event {number}")
    assert events.take() == [f"event {number}" for number in range(100_000 - EVENTS_KEPT, 100_000)]
    assert events.take() == []


def test_every_point_of_every_model_we_use_starts_as_not_implemented() -> None:
    for model_id in (1, 201, 202, 203, 204, 701, 702, 703, 704, 713, 714, 715):
        for point in load_model(model_id).points.values():
            words = missing_words(point)
            assert len(words) == point.size
            assert isnan(decode_number(point.kind, words)) or point.name in ("ID", "L")
