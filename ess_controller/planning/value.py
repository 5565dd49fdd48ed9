"""Which backward pass makes the value function: the compiled one or the one on plain numpy."""

from collections.abc import Callable
from functools import cache

from ess_controller.core.value import Store, Value, decide
from ess_controller.planning import value_numpy
from ess_controller.planning.value_problem import Steps
from firmware_bridge.records import Floats

__all__ = ["Value", "backward", "decide"]

Backward = Callable[[Store, Steps, Floats, Floats], Floats]


@cache
def backward() -> Backward:
    """The compiled backward pass where it can be had, else the one on plain numpy."""
    try:
        from ess_controller.planning import value_numba  # noqa: PLC0415  slow to import, and only in the extra `sim`
    except ImportError:
        return value_numpy.backward
    return value_numba.backward
