"""What the outbox keeps: batches of compressed lines; and how much of it waits, was sent or was lost."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import first_and_last_ms


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines that were put together, compressed."""

    first_ms: int  # time stamps
    last_ms: int
    lines: int
    data: bytes  # zlib of line protocol, each line with its end
    kind: Kind = Kind.RECORD

    @classmethod
    def of(cls, text: bytes, kind: Kind = Kind.RECORD) -> "Batch":
        """Compress whole lines."""
        return cls(*first_and_last_ms(text), text.count(b"\n"), zlib.compress(text, 6), kind)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch in the file."""

    id: int
    text: bytes  # line protocol, each line with its end
    kind: Kind = Kind.RECORD


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits and what was lost, counted since the file was made."""

    batches: int = 0
    lines: int = 0
    bytes: int = 0  # compressed
    oldest_ms: int | None = None
    dropped: int = 0  # lines that will never be sent: over budget, or the disk was full
    dropped_by_kind: Mapping[str, int] = field(default_factory=dict)  # of them; kinds of which none was are left out
    dead: int = 0  # lines that InfluxDB refused
    sent: int = 0  # lines that it acknowledged
    trouble: str = ""  # why nothing is being sent, in words
