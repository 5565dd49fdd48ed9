"""The DC inputs of a solar inverter (SunSpec model 160): what each MPPT brings; shows a dead string of panels.

A storage inverter may show its battery here as inputs of its own (Fronius GEN24: 3 charges, 4 discharges).
"""

from math import isnan

from firmware_bridge.dialects.sunspec.block import Block
from firmware_bridge.dialects.sunspec.model import load_model
from firmware_bridge.dialects.sunspec.scan import Place
from firmware_bridge.frames import Request

INPUTS_S = 5.0
_HEAD = Block(160, ("DCA_SF", "DCV_SF", "DCW_SF", "N"), header=True)
_EACH = Block(160, ("module.1.ID", "module.1.DCA", "module.1.DCV", "module.1.DCW", "module.1.DCEvt"))
_SCALES = {name: load_model(160).points[name].offset for name in ("DCA_SF", "DCV_SF", "DCW_SF")}
_FIRST = _EACH.first
_ONE_READ = 125 // _EACH.count  # inputs that fit a Modbus read
MOST_INPUTS = 24
INPUTS_LEAST = _FIRST - 2 + _EACH.count


class PvInputs:
    """The inputs of one inverter as last heard."""

    def __init__(self, place: Place | None = None) -> None:
        """`place` is model 160's; without it there are no inputs."""
        self.reads: tuple[Request, ...] = ()
        self._heard_w: dict[int, list[float]] = {}  # number of the first input of a read -> power
        self._scales: dict[str, int] = {}
        self._said = 0
        if place is not None:
            room = min((place.length + 2 - _FIRST) // _EACH.count, MOST_INPUTS)
            self.reads = (
                Request(place.address + _HEAD.first, _HEAD.count, tag="input head"),
                *(
                    Request(
                        place.address + _FIRST + first * _EACH.count,
                        min(_ONE_READ, room - first) * _EACH.count,
                        tag=f"input {first}",
                    )
                    for first in range(0, room, _ONE_READ)
                ),
            )

    @property
    def w(self) -> tuple[float, ...]:
        """Power of each input towards the inverter; NaN = not heard or not implemented."""
        each = [power_w for _, heard in sorted(self._heard_w.items()) for power_w in heard]
        return tuple(each[: self._said])

    def hear(self, tag: str, words: tuple[int, ...]) -> None:
        """Take the words of one of `reads`."""
        if tag == self.reads[0].tag:
            self._scales = {name: words[offset] for name, offset in _SCALES.items()}
            said = _HEAD.decode(words, {})[3]
            self._said = 0 if isnan(said) else int(said)
            return
        size = _EACH.count
        first = int(tag.removeprefix("input "))
        self._heard_w[first] = [self._input_w(words[at : at + size]) for at in range(0, len(words), size)]

    def _input_w(self, words: tuple[int, ...]) -> float:
        """DC power as said, else volts times amperes."""
        _, dc_a, dc_v, dc_w, _ = _EACH.decode(words, self._scales)
        return dc_a * dc_v if isnan(dc_w) else dc_w
