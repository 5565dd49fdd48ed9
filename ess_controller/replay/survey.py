"""A capture by itself, without a site: which ids how often, gaps, bus load, and which devices they look like."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from firmware_bridge.dialects.crc import CheckByte, Words
from firmware_bridge.dialects.csc.layout import CHECK as CSC_CHECK
from firmware_bridge.dialects.csc.layout import CscSeat, said_ids, seeds
from firmware_bridge.dialects.sbox.layout import SAID_CHECK, SAID_IDS
from firmware_bridge.frames import Frames
from firmware_bridge.records import Bools, Floats
from firmware_bridge.wires.can_ids import EFF_FLAG, EFF_MASK, RTR_FLAG

BITS_STANDARD, BITS_EXTENDED = 47, 67
"""ISO 11898-1 data frame without data and without stuff bits, three bits between frames included: a lower bound; bit
stuffing adds at most a fifth."""
BITRATE_HZ = 500_000.0
GAP_CYCLES = 5.0  # a silence of so many of its own cycles is a gap
_ALL_ONES = np.uint64(2**64 - 1)
_NAMED = {
    0x100: "status",
    0x120: "cells 1-3",
    0x130: "cells 4-6",
    0x140: "cells 7-9",
    0x150: "cells 10-12",
    0x160: "sum / cells 13-15",
    0x170: "temperatures / cell 16",
    0x180: "temperatures",
}
_BOX_NAMED = dict(zip(SAID_IDS, ("current", "battery voltage", "bus voltage", "insulation", "feedback"), strict=True))


def bits_of(frames: Frames) -> Floats:
    """[n] bits on the wire, at least."""
    extended = (frames.id & EFF_FLAG) != 0
    bits: Floats = np.where(extended, BITS_EXTENDED, BITS_STANDARD) + 8.0 * frames.length
    return bits


def load_of(frames: Frames, seconds: float) -> dict[str, float]:
    """Mean and busiest second of one bus at 500 kbit/s, 0..1."""
    if not len(frames):
        return {"mean": 0.0, "busiest_second": 0.0}
    bits = bits_of(frames)
    _, second = np.unique(np.floor(frames.wire_s - frames.wire_s[0]), return_inverse=True)
    busiest = float(np.bincount(second, bits).max())
    whole_s = max(seconds, 1.0)
    return {"mean": float(bits.sum()) / whole_s / BITRATE_HZ, "busiest_second": busiest / BITRATE_HZ}


def survey(frames: Frames, channels: Sequence[str]) -> dict[str, Any]:
    """The report of a capture without a site, for --json and for the tables."""
    seconds = float(frames.wire_s[-1] - frames.wire_s[0])
    return {
        "frames": len(frames),
        "seconds": seconds,
        "channels": [_channel(name, frames[frames.bus == at], seconds) for at, name in enumerate(channels)],
    }


def _channel(name: str, frames: Frames, seconds: float) -> dict[str, Any]:
    ids, place = np.unique(frames.id, return_inverse=True)
    order = place.argsort(kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(place, minlength=len(ids)))[:-1]) if len(ids) else []
    rows = [_id(int(can_id), frames[part]) for can_id, part in zip(ids, parts, strict=True)]
    return {
        "name": name,
        "frames": len(frames),
        "load": load_of(frames, seconds),
        "devices": _devices(frames),
        "ids": rows,
    }


def _id(can_id: int, frames: Frames) -> dict[str, Any]:
    steps = np.diff(frames.wire_s)
    cycle_s = float(np.median(steps) or steps.mean()) if len(steps) else float("nan")
    gaps = int(np.count_nonzero(steps > GAP_CYCLES * max(cycle_s, 1e-4))) if len(steps) else 0
    changing = int(np.count_nonzero((frames.data != frames.data[:1]).any(axis=0)))
    return {
        "id": f"{can_id & EFF_MASK:08X}" if can_id & EFF_FLAG else f"{can_id & EFF_MASK:03X}",
        "remote": bool(can_id & RTR_FLAG),
        "frames": len(frames),
        "length": int(frames.length.max()),
        "cycle_s": None if np.isnan(cycle_s) else round(cycle_s, 6),
        "longest_gap_s": round(float(steps.max()), 6) if len(steps) else None,
        "gaps": gaps,
        "bytes_changing": changing,
        "looks_like": _looks_like(can_id),
    }


def _looks_like(can_id: int) -> str:
    if can_id in _BOX_NAMED:
        return f"sbox {_BOX_NAMED[can_id]}"
    kind = can_id & ~0xF
    if kind in _NAMED and can_id <= 0x18F:
        return f"csc slot {can_id & 0xF} {_NAMED[kind]}"
    return ""


def _devices(frames: Frames) -> list[dict[str, Any]]:
    """Module boards and string boxes that the ids look like, each with the share of its frames whose CRC is right."""
    found = []
    words = np.ascontiguousarray(frames.data).view(np.uint64)[:, 0]
    whole = (frames.length == 8) & (words != _ALL_ONES)  # all bits one: a device that is still booting
    for slot in range(16):
        for cells in (16, 12):  # the PHEV layout, else the i3's
            seat = CscSeat(0, slot, cells)
            ids = said_ids([seat])
            seed = dict(zip(ids.ravel().tolist(), seeds(ids, [seat]).ravel().tolist(), strict=True))
            if {int(i) for i in (0x100 + slot, 0x120 + slot)} <= set(frames.id.tolist()) and (
                cells == 12 or (frames.id == 0x180 + slot).any()
            ):
                found.append(_device(f"csc slot {slot}", frames, words, whole, seed, CSC_CHECK))
                break
    if set(SAID_IDS[:3]) <= set(frames.id.tolist()):
        found.append(_device("sbox", frames, words, whole, dict.fromkeys(SAID_IDS, 0), SAID_CHECK))
    return found


def _device(
    name: str, frames: Frames, words: Words, whole: Bools, seed: dict[int, int], check: CheckByte
) -> dict[str, Any]:
    """One device's frames, and of those that are `whole` [frame] how many carry the right CRC; seed: CAN id -> its."""
    mine = np.flatnonzero(np.isin(frames.id, [i for i in seed if i > 0]) & whole)
    seeds_of = np.array([seed[int(i)] for i in frames.id[mine]], np.uint8)
    right = int(np.count_nonzero((check.residue(words[mine]) ^ seeds_of) == 0)) if len(mine) else 0
    return {"name": name, "frames": len(mine), "crc_right": round(right / len(mine), 4) if len(mine) else None}
