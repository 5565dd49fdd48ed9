"""Batches of CAN frames: joined, numbered by bus, and said again with other bytes."""

import numpy as np

from firmware_bridge.frames import NO_FRAMES, Frames


def some(first_id: int, count: int) -> Frames:
    """Frames with ids and bytes counted up from `first_id`."""
    ids = np.arange(first_id, first_id + count)
    return Frames.make(ids, np.repeat(ids[:, None], 8, axis=1), wire_s=0.1 * first_id)


def test_frames_of_several_buses_keep_their_order_and_tell_their_bus() -> None:
    heard = Frames.of_buses([some(1, 2), NO_FRAMES, some(7, 1)])
    assert heard.id.tolist() == [1, 2, 7]
    assert heard.bus.tolist() == [0, 0, 2]
    assert heard.data[:, 0].tolist() == [1, 2, 7]
    assert np.allclose(heard.wire_s, [0.1, 0.1, 0.7])


def test_frames_of_one_bus_are_those_of_bus_0() -> None:
    heard = Frames.of_buses([some(3, 2)])
    assert (heard.id.tolist(), heard.bus.tolist()) == ([3, 4], [0, 0])


def test_no_parts_make_no_frames() -> None:
    assert len(Frames.join([])) == len(Frames.join([NO_FRAMES])) == len(Frames.of_buses([NO_FRAMES, NO_FRAMES])) == 0


def test_saying_other_bytes_leaves_the_frames_before_as_they_were() -> None:
    before = some(1, 2)
    after = before.saying(np.array([0x0807060504030201, 0xFF], np.uint64))
    assert after.id.tolist() == before.id.tolist()
    assert after.data.tolist() == [[1, 2, 3, 4, 5, 6, 7, 8], [255, 0, 0, 0, 0, 0, 0, 0]]
    assert before.data[0].tolist() == [1] * 8
