"""Files that are either whole or not believed: JSON with a version and a checksum, put in its place in one piece.

One object: schema_version, the memory, and the SHA-256 of its canonical text.
"""

import hashlib
import json
from pathlib import Path

from ess_controller.kept import whole_file

SCHEMA_VERSION = 1


def canonical(memory: object) -> str:
    """The one text of it that the checksum is over."""
    return json.dumps(memory, sort_keys=True, separators=(",", ":"))


def opened(data: bytes) -> str:
    """The canonical text of the memory. Raises ValueError or RecursionError for anything that `write` has not
    written."""
    whole = json.loads(data)
    if not isinstance(whole, dict) or whole.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"expected schema_version {SCHEMA_VERSION}")
    text = canonical(whole.get("memory"))
    if whole.get("sha256") != _sum(text):
        raise ValueError("the checksum does not fit")
    return text


def write(path: Path, text: str) -> None:
    """A memory, given as its canonical text. Raises OSError."""
    told = f'{{"schema_version": {SCHEMA_VERSION}, "sha256": "{_sum(text)}", "memory": {text}}}'
    whole_file.put(path, told.encode("ascii"))


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
