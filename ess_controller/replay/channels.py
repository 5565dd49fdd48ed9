"""Which channel of a capture is which CAN bus of a site: as said, by name, or by the ids that it carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ess_controller.errors import BadInputError
from firmware_bridge.frames import Frames
from firmware_bridge.plant import ids_on
from firmware_bridge.records import PlantSpec
from firmware_bridge.wires.captures import Capture

Ids = NDArray[np.uint32]
_HEARD = frozenset((*range(0x080, 0x0A0), 0x300))
"""What devices are told: a recorder hears it too, but it proves no device."""


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """A capture on the buses of a site."""

    frames: Frames  # `bus` is the site's, in the order of time; on the clock of the recorder
    channel_of: Mapping[str, str]  # bus -> channel
    foreign: int  # frames that no bus of the site takes
    notes: tuple[str, ...]


def together(captures: Sequence[Capture]) -> tuple[Frames, tuple[str, ...]]:
    """Several captures as one, in the order of time; channels of the same name are the same channel."""
    if len({capture.absolute for capture in captures}) > 1:
        odd = next(capture for capture in captures if not capture.absolute)
        raise BadInputError(
            f"{odd.path}: its times count from the recorder's start: expected times of day as in the rest"
        )
    names = tuple(dict.fromkeys(channel for capture in captures for channel in capture.channels))
    parts = []
    for capture in captures:
        number = np.array([names.index(channel) for channel in capture.channels], np.int64)
        one = capture.frames
        parts.append(Frames(one.id, one.length, one.data, one.wire_s, number[one.bus]))
    whole = Frames.join(parts)
    return (whole if len(parts) == 1 else whole[whole.wire_s.argsort(kind="stable")]), names


def mapped(frames: Frames, channels: Sequence[str], plant: PlantSpec, said: Mapping[str, str]) -> Mapped:
    """Put each channel's frames on their buses. `said` maps bus names to channels, from the command line."""
    _check(said, channels, plant)
    ids = {bus: np.array(sorted(ids_on(plant, bus)), np.uint32) for bus in plant.can_buses}
    channel_of, notes = dict(said), []
    free = [channel for channel in channels if channel not in said.values()]
    for bus in plant.can_buses:  # by name
        url = plant.buses.get(bus, "")
        names = [channel for channel in free if channel in (bus, url.rpartition(":")[2])]
        if bus not in channel_of and names:
            channel_of[bus] = names[0]
    score = _scores(frames, channels, ids)
    for bus in plant.can_buses:  # by what it carries
        if bus in channel_of:
            continue
        fits = {channel: score[bus, channel] for channel in channels if score[bus, channel]}
        taken = set(channel_of.values())
        best = max(fits, key=lambda channel: (fits[channel], channel not in taken), default=None)
        if best is None:
            notes.append(f"bus {bus}: no channel carries its ids: its devices are unheard")
            continue
        channel_of[bus] = best
        rivals = [channel for channel in fits if channel != best and fits[channel] == fits[best]]
        if rivals:
            notes.append(f"bus {bus}: taken for channel {best}, though {', '.join(rivals)} would fit too: say --bus")
    return _put(frames, channels, plant, channel_of, ids, notes)


def _check(said: Mapping[str, str], channels: Sequence[str], plant: PlantSpec) -> None:
    for bus, channel in said.items():
        if bus not in plant.can_buses:
            raise BadInputError(f"--bus {bus}: expected one of the site's CAN buses: {', '.join(plant.can_buses)}")
        if channel not in channels:
            raise BadInputError(f"--bus {bus}={channel}: expected one of the capture's channels: {', '.join(channels)}")


def _scores(frames: Frames, channels: Sequence[str], ids: Mapping[str, Ids]) -> dict[tuple[str, str], int]:
    """(bus, channel) -> how many of the ids that the bus's devices say the channel carries."""
    carried = [np.unique(frames.id[frames.bus == number]) for number in range(len(channels))]
    return {
        (bus, channel): int(np.isin([one for one in wanted if int(one) not in _HEARD], carried[number]).sum())
        for bus, wanted in ids.items()
        for number, channel in enumerate(channels)
    }


def _put(
    frames: Frames,
    channels: Sequence[str],
    plant: PlantSpec,
    channel_of: Mapping[str, str],
    ids: Mapping[str, Ids],
    notes: list[str],
) -> Mapped:
    parts, used = [], np.zeros(len(frames), np.bool_)
    for number, bus in enumerate(plant.can_buses):
        if bus not in channel_of:
            continue
        rows = np.flatnonzero((frames.bus == channels.index(channel_of[bus])) & np.isin(frames.id, ids[bus]))
        used[rows] = True
        part = frames[rows]
        parts.append(Frames(part.id, part.length, part.data, part.wire_s, np.full(len(rows), number, np.int64)))
    whole = Frames.join(parts)
    if not len(whole):
        raise BadInputError(
            f"none of the capture's {len(frames)} frames has an id of the site's devices: "
            "expected a capture of its buses"
        )
    whole = whole[whole.wire_s.argsort(kind="stable")]
    return Mapped(whole, dict(channel_of), int(np.count_nonzero(~used)), tuple(notes))
