"""The tables and the commissioning lines of README.md, worked out from the DBC files so that they cannot lie."""

import numpy as np

from firmware_bridge.c.shapes import Bus, Shape
from firmware_bridge.dialects.csc import CscMaster, CscSeat
from firmware_bridge.dialects.csc import layout as csc
from firmware_bridge.dialects.frame_check import COUNTER_PERIOD
from firmware_bridge.frames import Frames

BITRATE = 500_000
FRAME_BITS = (111, 135)
"""An 11-bit frame of 8 bytes with its 3 bits of pause: without stuff bits, and with the most that can be needed
(one in four of the 98 bits from start to CRC, the first after five; ISO 11898-1)."""
PLAYED = CscSeat(0, 0, 10)
PLAYED_MV = 3700 + 5 * np.arange(10)  # as gateway_linux.c makes them up
_SITES = ((10, 10), (16, 10), (16, 16))  # modules on the bus, cells of each


def filled(text: str, bus: Bus) -> str:
    """README.md with its generated parts written anew. ValueError: a part is missing."""
    for name, part in (("frames", _frames(bus)), ("load", _load(bus)), ("commissioning", _commissioning())):
        before, begin, rest = text.partition(f"<!-- generated: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->\n")
        if not begin or not end:
            raise ValueError(f"README.md: no part `<!-- generated: {name} -->` ... `<!-- end -->`")
        text = "".join((before, begin, part, end, after))
    return text


def _frames(bus: Bus) -> str:
    lines = ["| frame | id, i3 layout (8-12 cells) | id, PHEV layout (13-16 cells) | every | from | origin | bytes |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for name in bus.names:
        shapes = [layout[name] for layout in (bus.small, bus.large) if name in layout]
        ids = [f"0x{layout[name].base:03X} + slot" if name in layout else "-" for layout in (bus.small, bus.large)]
        sender = "module" if shapes[0].from_module else "master"
        origin = "ours" if shapes[0].ours else "car"
        content = " / ".join(dict.fromkeys(_content(bus, shape) for shape in shapes))
        lines.append(f"| {name} | {ids[0]} | {ids[1]} | {shapes[0].cycle_ms} ms | {sender} | {origin} | {content} |")
    return "\n".join([*lines, ""])


def _content(bus: Bus, shape: Shape) -> str:
    payload = next(payload for payload in bus.payloads if payload.name == shape.payload)
    return ", ".join(
        f"`{field.name}{f'[{len(field.starts)}]' if len(field.starts) > 1 else ''}` {field.starts[0]}\\|{field.bits}"
        for field in payload.fields
    )


def _load(bus: Bus) -> str:
    lines = [
        "| modules | cells each | frames/s | bus load | if all speak at once, the last waits |",
        "|---|---|---|---|---|",
    ]
    for modules, cells in _SITES:
        layout = bus.large if cells > csc.SMALL_BOARD_CELLS else bus.small
        fitted = [shape for shape in layout.values() if shape.first_cell <= cells]
        rate_hz = modules * sum(1000 / shape.cycle_ms for shape in fitted)
        share = [f"{rate_hz * bits / BITRATE:.0%}" for bits in FRAME_BITS]
        wait_s = modules * len(fitted) * FRAME_BITS[1] / BITRATE
        lines.append(f"| {modules} | {cells} | {rate_hz:.0f} | {share[0]} - {share[1]} | {wait_s * 1000:.0f} ms |")
    return "\n".join([*lines, ""])


def _commissioning() -> str:
    master = CscMaster([PLAYED])
    nothing = np.zeros(PLAYED.cells, np.bool_)
    some = np.isin(np.arange(PLAYED.cells), (0, 3))
    asks = [master.request(nothing, 0.0)[:1] for _ in range(2 * COUNTER_PERIOD)][COUNTER_PERIOD:]
    masks = [CscMaster([PLAYED]).request(some, 30.0)[1:], master.request(nothing, 0.0)[1:]]
    masks[1] = _counted(masks[1], 1)
    frames = [_line(ask) for ask in asks]
    rows = [" ".join(frames[at : at + 3]) for at in range(0, len(frames), 3)]
    answers = "\n".join(f"#   {line}" for line in (f"{can_id:03X}#{said}.." for can_id, said in _answers()))
    return f"""```sh
# keep the module in slot {PLAYED.slot} awake: one turn of the counter in each round
wake() {{
    for frame in {f" {chr(92)}{chr(10)}        ".join(rows)}
    do cansend vcan0 "$frame"; sleep 0.1; done
}}
while wake; do :; done &

# after 0.3 s of FF it says, among others (counter and check in the last two bytes):
{answers}

# bleed cells 1 and 4 for 30 s: their voltage words and the status say so
cansend vcan0 {_line(masks[0])}
# stop bleeding
cansend vcan0 {_line(masks[1])}
# stop asking: two seconds later it is silent
kill $!
```
"""


def _counted(frame: Frames, counter: int) -> Frames:
    """The same frame with another counter, sealed anew."""
    words = frame.data.copy().view(np.uint64)[:, 0] & np.uint64(2**csc.COUNTER_BIT - 1)
    words |= np.uint64(counter << csc.COUNTER_BIT)
    csc.CHECK.seal(words, csc.seeds(frame.id.astype(np.int64)[:, None], [PLAYED])[:, 0])
    return frame.saying(words)


def _line(frame: Frames) -> str:
    return f"{int(frame.id[0]):03X}#{frame.data[0].tobytes().hex().upper()}"


def _answers() -> list[tuple[int, str]]:
    """What the played module says, without counter and check: status, the first and the last cells, temperatures."""
    cells = np.full(12, csc.NO_CELL, "<u2")
    cells[: PLAYED.cells] = PLAYED_MV
    triples = cells.reshape(4, 3)
    celsius = csc.temperature_codes(np.array([25.0, 25.0, 25.0, 25.0, 31.0])).tobytes()
    said = [
        (csc.STATUS, bytes(6)),
        (csc.TRIPLE, triples[0].tobytes()),
        (csc.TRIPLE + 0x30, triples[3].tobytes()),
        (csc.TEMPERATURES_SMALL, celsius),
    ]
    return [(can_id + PLAYED.slot, content.hex().upper()) for can_id, content in said]
