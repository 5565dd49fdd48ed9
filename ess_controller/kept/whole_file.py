"""A file put in its place in one piece, and onto the disk: neither a kill nor a power cut leaves half of it."""

import os
from pathlib import Path


def put(path: Path, content: bytes) -> None:
    """In place of what stands there, which stays where the content cannot be written. Raises OSError."""
    draft = path.with_name(path.name + ".part")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
