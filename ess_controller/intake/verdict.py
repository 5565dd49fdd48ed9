"""Whether traces and cell file can be believed, in words: a sign that is reversed, a chemistry that is another."""

from collections.abc import Sequence

import numpy as np

from ess_controller.core.gauge.look import LARGEST_LN_Q
from ess_controller.core.gauge.sensors import Quality
from ess_controller.intake.estimate import Track

DEEP = 0.1  # of the capacity: charge that must have moved the voltage
AGAINST_V = 0.02  # and moved it the other way by more than this
DOUBTFUL_SHARE = 0.1  # of the time
MANY_ANEW = 3  # times that SOC had to be read anew within one trace


def quality_shares(tracks: Sequence[Track]) -> dict[str, float]:
    """Each quality that was ever set, with its share of the time."""
    total_s = sum(float(track.dt_s.sum()) for track in tracks)
    shares = {
        bit.name.lower(): sum(float(track.dt_s[(track.quality & int(bit)) > 0].sum()) for track in tracks) / total_s
        for bit in Quality
        if total_s and bit.name
    }
    return {name: share for name, share in shares.items() if share}


def troubles(tracks: Sequence[Track], told_ah: float, cell_name: str) -> list[str]:
    """What is wrong with the traces or the cell file, a sentence each."""
    reversed_in = [track.trace.source for track in tracks if _runs_backwards(track)]
    if reversed_in:
        return [
            f"{source}: the current's sign is reversed: it must be positive when discharging, but the voltage falls "
            "while it is negative; nothing that was estimated here can be believed"
            for source in reversed_in
        ]
    reasons = [*_misfits(tracks), *_size(tracks, told_ah)]
    return [f'the cell file "{cell_name}" does not fit these traces: {"; ".join(reasons)}'] if reasons else []


def _runs_backwards(track: Track) -> bool:
    """By steps of the current, as the daemon notices it; or by the voltage over the whole of the trace."""
    if (track.quality & int(Quality.REVERSED)).any():
        return True
    a, v = track.current_a, track.trace.voltage_v[track.sample]
    known = np.isfinite(a) & np.isfinite(v)
    if known.sum() < 2 or track.gaps:
        return False
    out_ah = np.cumsum(np.where(known, a, 0.0) * track.dt_s)[known] / 3600.0
    # the drop pulls the same way as the charge, whatever the sign: both ends under the same current say it cleanly
    similar = np.abs(a[known] - a[known][-1]) <= 0.1 * np.abs(a[known]).max()
    if not similar[:-1].any():
        return False
    first = int(np.argmax(similar))
    moved_ah, moved_v = out_ah[-1] - out_ah[first], v[known][-1] - v[known][first]
    return bool(abs(moved_ah) > DEEP * track.capacity_ah[0] and moved_v * np.sign(moved_ah) > AGAINST_V)


def _misfits(tracks: Sequence[Track]) -> list[str]:
    """Where the voltage was never where it should be."""
    shares, reasons = quality_shares(tracks), []
    doubtful = shares.get("doubtful", 0.0)
    if doubtful > DOUBTFUL_SHARE:
        reasons.append(f"its voltage is far from what the file says for {doubtful:.0%} of the time")
    anew = [track.trace.source for track in tracks if _times_anew(track) >= MANY_ANEW]
    if anew:
        reasons.append(f"SOC had to be read anew from the voltage again and again ({', '.join(anew)})")
    return reasons


def _times_anew(track: Track) -> int:
    return int(((track.quality & int(Quality.READ_ANEW)) > 0).sum())


def _size(tracks: Sequence[Track], told_ah: float) -> list[str]:
    """A capacity at the end of what the estimator believes possible."""
    found_ah = float(tracks[-1].capacity_ah[-1])
    if abs(np.log(found_ah / told_ah)) < 0.9 * LARGEST_LN_Q:
        return []
    return [f"a capacity of {found_ah:.3g} Ah came out where {told_ah:.3g} Ah were told (--capacity-ah)"]
