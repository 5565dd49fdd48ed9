"""The module board's frames for its two layouts: i3 (8..12 cells) and PHEV (13..16 cells), slots 0..15."""

from collections.abc import Iterator

from firmware_bridge.dbc.model import COUNTER_VALUES, Message, Signal, dbc_text
from firmware_bridge.dialects.csc import layout as csc
from firmware_bridge.records import TEMPERATURES_PER_MODULE

MASTER, BOARD = "Master", "Module"
TITLE = (
    "Cell board of BMW i3 / PHEV modules (CSC), 500 kbit/s, slot in the low nibble of the id. Boards speak while "
    "requests keep coming and fall silent 2 s after the last one; for 0.3 s after waking every frame is all ones. "
    "Crc: polynomial 0x1D, start 0xFF, over id high, id low, bytes 0..6, then exclusive-or with the slot's constant "
    "CF F5 BB 81 27 1D 53 69 02 38 76 4C, for slots 12..15 extrapolated EA D0 9E A4. Counter: 0..14. Origin says which "
    "frames are of the car and which are ours (module gateway)."
)
_REQUEST_CYCLE_S = 0.1  # the beat
_COUNTER = Signal("Counter", csc.COUNTER_BIT, 4, values=COUNTER_VALUES)
_CRC = Signal("Crc", 8 * csc.CHECK.position, 8)
_NO_CELL = {csc.NO_CELL: "not available"}
_NO_WORD = {csc.NO_WORD: "not available"}
_NO_TEMPERATURE = {csc.NO_TEMPERATURE: "not available"}


def csc_text(large: bool) -> str:
    """The DBC file of one layout."""
    messages = [message for slot in range(16) for message in _messages(slot, large)]
    return dbc_text(TITLE, [MASTER, BOARD], messages)


def _messages(slot: int, large: bool) -> Iterator[Message]:
    name = f"M{slot:02d}"
    yield _request(slot, large)
    yield Message(
        csc.MASK + slot,
        f"{name}_BleedMask",
        MASTER,
        BOARD,
        [Signal("BleedCells", 0, 16), Signal("BleedTime", 16, 16, "s", values=_NO_WORD), _COUNTER, _CRC],
        _REQUEST_CYCLE_S,
        "Bleed these cells (bit 0: cell 1) for this long from now; ends by itself. 0 s or no cell: stop.",
        ours=True,
    )
    yield _said(
        csc.STATUS + slot,
        f"{name}_Status",
        [Signal("Error", 0, 32), Signal("Balancing", 32, 16)],
        csc.STATUS_CYCLE_S,
    )
    for triple in range(csc.TRIPLES_MAX if large else 4):
        cells = [cell for cell in range(3 * triple, 3 * triple + 3) if cell < csc.CELLS_MAX]
        signals = [signal for place, cell in enumerate(cells) for signal in _cell(cell + 1, 16 * place)]
        yield _said(csc.TRIPLE + 0x10 * triple + slot, f"{name}_Cells{cells[0] + 1:02d}", signals)
    if not large:
        total = Signal("ModuleVoltage", 0, 16, "V", 0.001, values=_NO_WORD)
        yield _said(csc.SUM + slot, f"{name}_Sum", [total])
    temperatures = [_temperature(f"Temperature{n + 1}", n) for n in range(TEMPERATURES_PER_MODULE)]
    temperatures.append(_temperature("BoardTemperature", TEMPERATURES_PER_MODULE))
    base = csc.TEMPERATURES_LARGE if large else csc.TEMPERATURES_SMALL
    yield _said(base + slot, f"{name}_Temperatures", temperatures)


def _request(slot: int, large: bool) -> Message:
    if large:
        asks = [Signal("Init", 37, 1), Signal("Measure", 38, 1), Signal("BalanceMode", 40, 8)]
    else:
        asks = [Signal("AskVoltages", 28, 1), Signal("AskTemperatures", 30, 1)]
    signals = [Signal("BalanceTarget", 0, 16, "V", 0.001), *asks, Signal("Balance", 35, 1), Signal("ThirdInit", 50, 1)]
    comment = "Boards that know no bleed mask bleed every cell above the target."
    return Message(
        csc.REQUEST + slot,
        f"M{slot:02d}_Request",
        MASTER,
        BOARD,
        [*signals, _COUNTER, _CRC],
        _REQUEST_CYCLE_S,
        comment,
    )


def _said(can_id: int, name: str, signals: list[Signal], cycle_s: float = csc.VALUE_CYCLE_S) -> Message:
    return Message(can_id, name, BOARD, MASTER, [*signals, _COUNTER, _CRC], cycle_s)


def _cell(number: int, start: int) -> list[Signal]:
    name = f"Cell{number:02d}"
    return [
        Signal(f"{name}Voltage", start, 14, "V", 0.001, values=_NO_CELL),
        Signal(f"{name}Invalid", start + 14, 1),
        Signal(f"{name}Bleeding", start + 15, 1),
    ]


def _temperature(name: str, byte: int) -> Signal:
    return Signal(name, 8 * byte, 8, "degC", 1.0, -csc.TEMPERATURE_OFFSET_C, _NO_TEMPERATURE)
