"""Waiting for a condition, with a deadline that only a broken program reaches."""

from collections.abc import Callable
from threading import Event

from ess_controller.clock import wall_s

WITHIN_S = 60.0


def wait_until(holds: Callable[[], bool]) -> None:
    """Look again and again."""
    pause, began_s = Event(), wall_s()
    while not holds():
        assert wall_s() - began_s < WITHIN_S
        pause.wait(0.05)
