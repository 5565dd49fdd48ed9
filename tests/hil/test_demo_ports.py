"""Two demos that start at once choose different ports: none shows the other's page, or hears the other's devices."""

import subprocess
import sys
from pathlib import Path

from sim.ports import free_ports, page_port

_CHOOSES = "import sys; from sim.ports import free_ports; print(free_ports(1)[0], flush=True); sys.stdin.read()"


def test_a_port_that_another_demo_has_chosen_and_not_yet_opened_is_not_chosen_again() -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", _CHOOSES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        assert page_port(theirs) != theirs
    finally:
        other.communicate(timeout=60)
    assert page_port(theirs) == theirs  # it has ended


def test_free_ports_are_all_different() -> None:
    assert len({*free_ports(20), *free_ports(20)}) == 40
