"""What a process takes of the machine, as the kernel tells."""

import os
from math import nan
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> float:
    """Memory of this process that is resident (proc(5), statm); NaN where the kernel does not tell."""
    try:
        return float(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return nan
