"""Batches for the tests of the outbox: lines that tell their number, and bytes that do not get smaller."""

import os

from ess_controller.telemetry.batch import Batch


def text(number: int, lines: int = 10) -> bytes:
    return b"".join(b"m,n=%d x=%d.5 %d\n" % (row, row, 1000 * number + row) for row in range(lines))


def noise(number: int, size: int = 20_000) -> Batch:
    """Bytes that do not get smaller."""
    return Batch(number, number, 100, os.urandom(size))
