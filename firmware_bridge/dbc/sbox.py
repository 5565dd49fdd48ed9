"""The string box's frames: those of the car's S-Box, and feedback and insulation, which are ours."""

from firmware_bridge.dbc.model import COUNTER_VALUES, Message, Signal, dbc_text
from firmware_bridge.dialects.sbox import layout as sbox

MASTER, BOX = "Master", "StringBox"
TITLE = (
    "String box (contactors, current and voltage sensor), 500 kbit/s, one box a bus. Current, voltages and both "
    "commands are those of the BMW PHEV S-Box; the check in byte 7 of the car's frames is of unknown kind, ours is the "
    "command's: CRC-8 polynomial 0x31 reflected, start 0, over the eight bytes (those that are not sent count as 0) "
    "with the check byte as 0. The box opens its contactors 15 s after the last command: longer than the inverter's "
    "12 s reversion to 0 W, so that they open without load."
)
_PAIR = {0: "off", 1: "off", 2: "on", 3: "not available"}
_CONTACTOR = {0: "open", 1: "precharge", 2: "closed", 255: "not available"}
_FAULTS = ", ".join(f"bit {fault.bit_length() - 1} {str(fault.name).lower()}" for fault in sbox.BoxFault)
_COUNTER = Signal("Counter", sbox.SAID_COUNTER_BIT, 4, values=COUNTER_VALUES)
_CRC = Signal("Crc", 8 * sbox.SAID_CHECK.position, 8)
_COMMAND_CYCLE_S = 0.1  # the beat; the car's own master: 20 ms


def sbox_text() -> str:
    """The DBC file."""
    return dbc_text(TITLE, [MASTER, BOX], [*_commands(), *_measured(), *_own()])


def _commands() -> list[Message]:
    contactors = ("Enable", "PositiveContactor", "NegativeContactor", "PrechargeRelay")
    command = [Signal(name, 2 * place, 2, values=_PAIR) for place, name in enumerate(contactors)]
    command += [Signal("Counter", sbox.COMMAND_COUNTER_BIT, 4, values=COUNTER_VALUES)]
    command += [Signal("Crc", 8 * sbox.COMMAND_CHECK.position, 8)]
    return [
        Message(sbox.COMMAND, "ContactorCommand", MASTER, BOX, command, _COMMAND_CYCLE_S, length=4),
        Message(
            sbox.ENABLE,
            "ContactorEnable",
            MASTER,
            BOX,
            [Signal("ContactorsEnabled", 8, 2, values=_PAIR)],
            _COMMAND_CYCLE_S,
            "Without it the contactors stay open whatever is commanded.",
            length=4,
        ),
    ]


def _measured() -> list[Message]:
    names = (
        (sbox.CURRENT, "StringCurrent", "A", "Mean since the last sample. Discharging is negative on the wire."),
        (sbox.BATTERY_VOLTAGE, "BatteryVoltage", "V", "Battery side of the contactors."),
        (sbox.BUS_VOLTAGE, "BusVoltage", "V", "Inverter side of the contactors."),
    )
    offset = -sbox.ZERO_CODE / 1000
    none = {sbox.NO_VALUE: "not available"}
    return [
        Message(
            can_id,
            name,
            BOX,
            MASTER,
            [Signal(name, 0, 32, unit, 0.001, offset, none), _COUNTER, _CRC],
            sbox.VALUE_CYCLE_S,
            f"{comment} Beyond +-8388.607 {unit}: not available.",
        )
        for can_id, name, unit, comment in names
    ]


def _own() -> list[Message]:
    fault = Signal("Fault", 16, 16, values={sbox.NO_FAULT_WORD: "not available"})
    feedback = [Signal("ContactorState", 0, 8, values=_CONTACTOR), fault, _COUNTER, _CRC]
    ohm = Signal("InsulationResistance", 0, 32, "Ohm", values={sbox.NO_VALUE: "not available"})
    return [
        Message(
            sbox.FEEDBACK,
            "ContactorFeedback",
            BOX,
            MASTER,
            feedback,
            sbox.FEEDBACK_CYCLE_S,
            f"Where the contactors are, by auxiliary contacts. Fault: {_FAULTS}.",
            ours=True,
        ),
        Message(
            sbox.INSULATION,
            "Insulation",
            BOX,
            MASTER,
            [ohm, _COUNTER, _CRC],
            sbox.INSULATION_CYCLE_S,
            "Resistance of the battery side to earth.",
            ours=True,
        ),
    ]
