"""Modbus RTU framing: what frames look like, that each is found in what a line brings, and that noise never is one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.frames import Request
from firmware_bridge.wires.modbus import judge_reply, pack_bits, reply_size, request_pdu, request_trouble, unpack_bits
from firmware_bridge.wires.register_reply import carry_out
from firmware_bridge.wires.rtu import RequestEar, SerialSettings, crc16, is_sound, reply_in, seal
from tests.wires.worlds import BitRegisters

PDUS = st.one_of(
    st.builds(
        lambda f, rest: bytes((f,)) + rest, st.sampled_from((1, 2, 3, 4, 5, 6)), st.binary(min_size=4, max_size=4)
    ),
    st.lists(st.integers(0, 65535), min_size=1, max_size=123).map(lambda w: request_pdu(Request(7, words=tuple(w)))),
    st.lists(st.integers(0, 1), min_size=1, max_size=1968).map(
        lambda bits: request_pdu(Request(7, words=tuple(bits), table="coils"))
    ),
)
FRAMES = st.tuples(st.integers(0, 247), PDUS)
NOISE = st.binary(max_size=40)
same_noise = settings(derandomize=True)  # one noise in 65 536 has a sound CRC by chance, and then it is no noise


@pytest.mark.parametrize(
    ("frame", "check"),
    [  # common worked examples of the serial line's CRC, low byte first
        (b"\x01\x03\x00\x00\x00\x0a", b"\xc5\xcd"),
        (b"\x11\x03\x00\x6b\x00\x03", b"\x76\x87"),
        (b"\x02\x07", b"\x41\x12"),  # MODBUS over Serial Line V1.02, figure of appendix B
        (b"123456789", b"\x37\x4b"),  # the check value of CRC-16/MODBUS is 0x4B37
    ],
)
def test_the_check_of_a_frame_is_the_one_everybody_uses(frame: bytes, check: bytes) -> None:
    assert crc16(frame).to_bytes(2, "little") == check
    assert seal(frame[0], frame[1:]) == frame + check
    assert is_sound(frame + check)


@given(st.integers(0, 255), st.binary(min_size=1, max_size=253), st.data())
def test_any_changed_bit_breaks_a_frame(unit: int, pdu: bytes, data: st.DataObject) -> None:
    frame = bytearray(seal(unit, pdu))
    place = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[place // 8] ^= 1 << place % 8
    assert not is_sound(frame)


@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(1, 30), min_size=1))
def test_requests_are_heard_whole_and_in_order_however_they_come_in_pieces(
    said: list[tuple[int, bytes]], sizes: list[int]
) -> None:
    line, ear, heard = b"".join([seal(*each) for each in said]), RequestEar(), []
    while line:
        size = sizes[len(line) % len(sizes)]
        heard += ear.feed(line[:size])
        line = line[size:]
    assert heard == said
    assert not ear.pending


@same_noise
@given(NOISE, FRAMES, NOISE)
def test_a_request_is_found_between_noise(before: bytes, said: tuple[int, bytes], after: bytes) -> None:
    ear = RequestEar()
    assert said in [*ear.feed(before + seal(*said)), *ear.feed(after), *ear.silence()]
    assert not ear.pending
    assert ear.feed(seal(*said)) == [said]  # and the next one needs no silence


@given(st.binary(max_size=2000))
def test_noise_is_no_request_without_a_sound_check_and_never_piles_up(noise: bytes) -> None:
    ear = RequestEar()
    heard = [*ear.feed(noise), *ear.silence()]
    assert all(is_sound(seal(unit, pdu)) and seal(unit, pdu) in noise for unit, pdu in heard)
    assert not ear.pending


def test_the_beginning_of_a_request_that_is_none_gives_way_to_the_silence_behind_it() -> None:
    """Sixteen announces up to 256 bytes; what another device answered to a write looks just like it."""
    ear = RequestEar()
    written, read = seal(9, b"\x10\x00\x05\x00\x02"), seal(1, b"\x03\x00\x00\x00\x02")
    assert ear.feed(written) == []
    assert ear.pending
    assert ear.feed(read) + ear.silence() == [(1, b"\x03\x00\x00\x00\x02")]


def test_a_function_that_nobody_knows_is_as_long_as_all_there_is() -> None:
    ear, asked = RequestEar(), (1, b"\x64\x01\x02\x03")
    assert ear.feed(seal(*asked)) == [asked]
    assert carry_out(BitRegisters(), asked[1]) == b"\xe4\x01"
    assert not ear.pending


def bits(count: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(0, 1), min_size=1, max_size=count).map(tuple)


REQUESTS = st.one_of(
    st.builds(
        lambda at, count, table: Request(at, count, table=table),
        st.integers(0, 900),
        st.integers(1, 125),
        st.sampled_from(("holding", "input", "coils", "discrete")),
    ),
    st.builds(lambda at, words: Request(at, words=tuple(words)), st.integers(0, 900), st.lists(st.integers(0, 65535))),
    st.builds(lambda at, words: Request(at, words=words, table="coils"), st.integers(0, 3000), bits(1968)),
).filter(lambda request: not request_trouble(request))


@given(REQUESTS)
def test_what_is_asked_is_answered_and_read_as_it_was(request_: Request) -> None:
    """Round trip of both halves: bank -> answer -> words, and words -> bank."""
    bank = BitRegisters(size=1200, bits=5000)
    reply = carry_out(bank, request_pdu(request_))
    found = reply_in(seal(1, reply))
    assert found == (1, reply, len(reply) + 3)
    words, trouble, code = judge_reply(request_, reply)
    assert (trouble, code) == ("", 0)
    assert len(reply) == reply_size(request_)
    if not request_.is_write:
        by_bits = request_.table in ("coils", "discrete")
        read = bank.read_bits(request_.table, request_.address, request_.count) if by_bits else None
        assert words == (read if by_bits else bank.read(request_.address, request_.count))
    else:
        assert [*bank.written, *bank.switched] == [(request_.address, request_.words)]


@given(REQUESTS, st.binary(max_size=260))
def test_any_answer_gives_all_its_words_or_trouble(request_: Request, pdu: bytes) -> None:
    words, trouble, _ = judge_reply(request_, pdu)
    assert len(words) == (0 if trouble else request_.count)


@same_noise
@given(NOISE, st.integers(1, 247), st.lists(st.integers(0, 65535), min_size=1, max_size=125))
def test_an_answer_is_found_behind_noise(noise: bytes, unit: int, words: list[int]) -> None:
    pdu = bytes((3, 2 * len(words))) + b"".join(word.to_bytes(2, "big") for word in words)
    frame = noise + seal(unit, pdu)
    assert reply_in(frame) == (unit, pdu, len(frame))
    assert reply_in(frame[:-1]) is None


@given(st.lists(st.integers(0, 1), max_size=2000))
def test_bits_survive_their_bytes(said: list[int]) -> None:
    assert list(unpack_bits(pack_bits(said), len(said))) == said


def test_the_silence_between_frames_is_that_of_the_specification() -> None:
    assert SerialSettings().silence_s == pytest.approx(3.5 * 11 / 19200)
    assert SerialSettings(9600, "none", 1).silence_s == pytest.approx(3.5 * 10 / 9600)
    assert SerialSettings(115200).silence_s == 0.00175  # section 2.5.1.1
