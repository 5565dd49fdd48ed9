"""What a DBC file is made of: messages, signals, their origin; and how it is written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

COUNTER_VALUES = {15: "not available"}


@dataclass(frozen=True, slots=True)
class Signal:
    """Little-endian bits of a message; `scale` and `offset` make SI units of them."""

    name: str
    start: int
    bits: int
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    values: Mapping[int, str] = field(default_factory=dict)

    def line(self, receiver: str) -> str:
        """As DBC text."""
        low, high = self.offset, self.offset + self.scale * (2**self.bits - 1)
        numbers = f"({self.scale:.10g},{self.offset:.10g}) [{low:.10g}|{high:.13g}]"
        return f' SG_ {self.name} : {self.start}|{self.bits}@1+ {numbers} "{self.unit}" {receiver}'


@dataclass(frozen=True, slots=True)
class Message:
    """One id. `ours`: not a frame of the car, defined by this project."""

    can_id: int
    name: str
    sender: str
    receiver: str
    signals: Sequence[Signal]
    cycle_s: float
    comment: str = ""
    ours: bool = False
    length: int = 8


def dbc_text(title: str, nodes: Sequence[str], messages: Sequence[Message]) -> str:
    """A whole DBC file."""
    parts = ['VERSION ""', "NS_ :", "BS_:", "BU_: " + " ".join(nodes)]
    parts += ["\n".join([_head(message), *(s.line(message.receiver) for s in message.signals)]) for message in messages]
    comments = [f'CM_ "{title}";']
    comments += [f'CM_ BO_ {m.can_id} "{m.comment}";' for m in messages if m.comment]
    attributes = [
        'BA_DEF_ BO_ "GenMsgCycleTime" INT 0 65535;',
        'BA_DEF_ BO_ "Origin" ENUM "car","ours";',
        'BA_DEF_DEF_ "GenMsgCycleTime" 0;',
        'BA_DEF_DEF_ "Origin" "car";',
    ]
    attributes += [f'BA_ "GenMsgCycleTime" BO_ {m.can_id} {round(m.cycle_s * 1000)};' for m in messages]
    attributes += [f'BA_ "Origin" BO_ {m.can_id} 1;' for m in messages if m.ours]
    tables = [_table(m, signal) for m in messages for signal in m.signals if signal.values]
    return "\n\n".join([*parts, "\n".join(comments), "\n".join(attributes), "\n".join(tables)]) + "\n"


def _head(message: Message) -> str:
    return f"BO_ {message.can_id} {message.name}: {message.length} {message.sender}"


def _table(message: Message, signal: Signal) -> str:
    values = " ".join(f'{number} "{words}"' for number, words in sorted(signal.values.items()))
    return f"VAL_ {message.can_id} {signal.name} {values} ;"
