"""Any byte on the module bus: nothing raises, and nothing missing becomes a number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialects.csc import ERROR_UNKNOWN, CscBoards, CscMaster, CscPicture, CscSeat
from firmware_bridge.frames import Frames
from firmware_bridge.records import CrcMode
from tests.bridge.can_talk import ALL_SIZES, CSC_IDS, Modules, random_frames, unhurried

MILLION = 1_000_000


def seats(crc: CrcMode) -> list[CscSeat]:
    return [CscSeat(seat.bus, seat.slot, seat.cells, crc) for seat in ALL_SIZES]


def plausible(seen: CscPicture) -> bool:
    heard = np.isfinite(seen.cell_age_s)
    cells = np.isnan(seen.cell_v[~heard]).all() and ((seen.cell_v[heard] >= 0) & (seen.cell_v[heard] < 16.383)).all()
    celsius = np.hstack([seen.module_c, seen.module_board_c[:, None]])
    known = celsius[~np.isnan(celsius)]
    modules = np.isnan(celsius[np.isinf(seen.module_age_s)]).all() and ((known >= -40) & (known <= 214)).all()
    errors = ((seen.module_error >= 0) & (seen.module_error < 2**32)) | (seen.module_error == ERROR_UNKNOWN)
    return bool(cells and modules and errors.all() and (seen.cell_age_s >= 0).all() and (seen.module_age_s >= 0).all())


@pytest.mark.parametrize("crc", ["on", "off", "learn"])
def test_millions_of_random_frames_never_raise_and_never_give_an_impossible_number(crc: CrcMode) -> None:
    rng = np.random.default_rng(7)
    master, boards = CscMaster(seats(crc)), CscBoards(seats(crc))
    for ids in (CSC_IDS, CSC_IDS, None):
        for _ in range(4):
            noise = random_frames(rng, MILLION // 8, ids)
            master.hear(noise, 5.0)
            boards.hear(noise, 5.0)
            assert plausible(master.picture(5.0))
    assert boards.bleeding(5.0).shape == (sum(seat.cells for seat in ALL_SIZES),)
    assert set(CSC_IDS.tolist()) >= set(master.request(boards.bleeding(5.0), 1.0).id.tolist())


def test_of_random_frames_the_crc_lets_practically_nothing_through() -> None:
    rng = np.random.default_rng(8)
    master = CscMaster(seats("on"))
    noise = random_frames(rng, MILLION, CSC_IDS)
    master.hear(noise, 5.0)
    known = master.counters.believed + master.counters.wrong_crc + master.counters.frozen
    assert known.sum() > MILLION / 5
    assert (master.counters.believed + master.counters.frozen).sum() / known.sum() == pytest.approx(1 / 256, rel=0.1)


ROW = st.tuples(
    st.one_of(st.sampled_from(CSC_IDS.tolist()), st.integers(0, 2**32 - 1)),
    st.integers(0, 255),
    st.one_of(st.sampled_from([b"\xff" * 8, b"\0" * 8]), st.binary(min_size=8, max_size=8)),
    st.integers(-(2**31), 2**31),
    st.floats(),
)


@unhurried
@given(st.lists(st.lists(ROW, max_size=12), max_size=4), st.sampled_from(["on", "off", "learn"]), st.floats(0, 1e9))
def test_any_frames_at_any_time_give_a_plausible_picture(
    batches: list[list[tuple[int, int, bytes, int, float]]], crc: CrcMode, now_s: float
) -> None:
    master, boards = CscMaster(seats(crc)), CscBoards(seats(crc))
    for batch in batches:
        frames = Frames(
            np.array([row[0] for row in batch], np.uint32),
            np.array([row[1] for row in batch], np.uint8),
            np.frombuffer(b"".join(row[2] for row in batch), np.uint8).reshape(-1, 8),
            np.array([row[4] for row in batch], np.float64),
            np.array([row[3] for row in batch], np.int64),
        )
        master.hear(frames, now_s)
        boards.hear(frames, now_s)
    seen = master.picture(now_s)
    assert plausible(seen)
    boards.say(seen.cell_v, seen.module_c, seen.module_board_c, seen.module_error, now_s)


@unhurried
@given(st.integers(0, 2**32 - 1))
def test_noise_between_good_frames_changes_no_voltage(seed: int) -> None:
    rng = np.random.default_rng(seed)
    modules = Modules((CscSeat(0, 3, 10), CscSeat(1, 3, 16)))
    modules.cell_v = rng.uniform(2.5, 4.2, 26).round(3)
    modules.until(0.6)
    said = modules.say()
    noise = random_frames(rng, 40, CSC_IDS)
    noise = noise[noise.data[:, 7] != 0]
    wrong = Frames(noise.id, noise.length, noise.data & np.uint8(0x7F), noise.wire_s, noise.bus + 7)
    mixed = Frames.join([said, wrong])
    order = rng.permutation(len(mixed))
    modules.master.hear(mixed[order], modules.now_s)
    assert (modules.picture.cell_v == modules.cell_v).all()
