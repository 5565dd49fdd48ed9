"""Any byte on the string box's bus: nothing raises, nothing missing becomes a number, nothing closes by chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.dialects.sbox import SboxDevices, SboxMaster, SboxPicture, SboxSeat
from firmware_bridge.frames import Frames
from firmware_bridge.records import Contactor, CrcMode
from tests.bridge.can_talk import SBOX_TALK, random_frames, unhurried

MILLION = 1_000_000


def plausible(seen: SboxPicture) -> bool:
    values = np.stack([seen.string_a, seen.string_v, seen.string_bus_v])
    known = values[~np.isnan(values)]
    ohm = seen.insulation_ohm[~np.isnan(seen.insulation_ohm)]
    return bool(
        (np.abs(known) < 8388.608).all()
        and not np.isnan(values[:, np.isfinite(seen.age_s)]).any()
        and np.isin(seen.contactor, list(Contactor)).all()
        and ((seen.fault >= -1) & (seen.fault < 0xFFFF)).all()
        and ((ohm >= 0) & (ohm < 2**32 - 1)).all()
        and (seen.age_s >= 0).all()
    )


@pytest.mark.parametrize("crc", ["on", "off", "learn"])
def test_millions_of_random_frames_never_raise_and_never_give_an_impossible_number(crc: CrcMode) -> None:
    rng = np.random.default_rng(7)
    seats = [SboxSeat(bus, crc) for bus in range(3)]
    master, devices = SboxMaster(seats), SboxDevices(seats)
    for ids in (SBOX_TALK, SBOX_TALK, None):
        for _ in range(4):
            noise = random_frames(rng, MILLION // 8, ids)
            master.hear(noise, 5.0)
            devices.hear(noise, 5.0)
            assert plausible(master.picture(5.0))
            assert np.isin(devices.wanted(5.0), [Contactor.OPEN, Contactor.PRECHARGE, Contactor.CLOSED]).all()


def test_of_random_frames_the_crc_lets_practically_nothing_through() -> None:
    rng = np.random.default_rng(8)
    master = SboxMaster([SboxSeat(bus) for bus in range(3)])
    master.hear(random_frames(rng, MILLION, SBOX_TALK), 5.0)
    through = master.counters.believed + master.counters.frozen
    assert through.sum() / (through + master.counters.wrong_crc).sum() == pytest.approx(1 / 256, rel=0.1)


ROW = st.tuples(
    st.one_of(st.sampled_from(SBOX_TALK.tolist()), st.integers(0, 2**32 - 1)),
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
    seats = [SboxSeat(bus, crc) for bus in range(3)]
    master, devices = SboxMaster(seats), SboxDevices(seats)
    for batch in batches:
        frames = Frames(
            np.array([row[0] for row in batch], np.uint32),
            np.array([row[1] for row in batch], np.uint8),
            np.frombuffer(b"".join(row[2] for row in batch), np.uint8).reshape(-1, 8),
            np.array([row[4] for row in batch], np.float64),
            np.array([row[3] for row in batch], np.int64),
        )
        master.hear(frames, now_s)
        devices.hear(frames, now_s)
    seen = master.picture(now_s)
    assert plausible(seen)
    devices.say(seen.string_a, seen.string_v, seen.string_bus_v, seen.contactor, seen.fault, seen.insulation_ohm, now_s)
    master.command(seen.contactor)


@unhurried
@given(st.lists(st.integers(-100, 100), max_size=3))
def test_any_command_number_but_precharge_and_closed_opens(commands: list[int]) -> None:
    seats = [SboxSeat(bus) for bus in range(len(commands))]
    master, devices = SboxMaster(seats), SboxDevices(seats)
    devices.hear(master.command(np.array(commands, np.int64)), 1.0)
    told = [command if command in (Contactor.PRECHARGE, Contactor.CLOSED) else 0 for command in commands]
    assert devices.wanted(1.0).tolist() == told
