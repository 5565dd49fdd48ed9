"""A sealed file is whole or not believed, whoever is killed while it is written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.kept.sealed import canonical, opened, write

WRITE_FOREVER = """
import sys
from itertools import count
from pathlib import Path
from ess_controller.kept.sealed import canonical, write
print("writing", flush=True)
for number in count(1):
    cells = {f"M{n}": [0.5] * 12 for n in range(number % 300)}
    write(Path(sys.argv[1]), canonical({"number": number, "cells": cells}))
"""


@pytest.mark.parametrize("reads", [1, 3, 17, 60, 150])
def test_kill_9_at_any_moment_never_leaves_an_unreadable_file(tmp_path: Path, reads: int) -> None:
    path = tmp_path / "some.json"
    writer = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(path)], stdout=subprocess.PIPE, text=True)
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        seen = 0
        while seen < reads:
            if path.exists():
                seen += bool(opened(path.read_bytes()))  # while it is written over, too
        writer.kill()
    assert json.loads(opened(path.read_bytes()))["number"] > 0


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, memory: object) -> None:
    path = tmp_path_factory.mktemp("sealed") / "some.json"
    write(path, canonical(memory))
    assert opened(path.read_bytes()) == canonical(memory)
    assert json.loads(opened(path.read_bytes())) == memory
