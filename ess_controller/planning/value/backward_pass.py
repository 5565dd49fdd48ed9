"""Which backward pass makes the value function: the compiled one or the one on plain numpy."""

from collections.abc import Callable
from functools import cache

from ess_controller.core.value import Store, Value, decide
from ess_controller.planning.value import by_numpy
from ess_controller.planning.value.problem import Steps
from firmware_bridge.records import Floats

__all__ = ["Value", "backward", "decide"]

Backward = Callable[[Store, Steps, Floats, Floats], Floats]


@cache
def backward() -> Backward:
    """The compiled backward pass where it can be had, else the one on plain numpy."""
    try:
        from ess_controller.planning.value import by_numba  # noqa: PLC0415  slow to import, and only in the extra `sim`
    except ImportError:
        return by_numpy.backward
    return by_numba.backward
