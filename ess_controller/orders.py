"""What the operator wants just now: one slot, replaced whole, that expires by itself."""

from dataclasses import dataclass
from threading import Event

from ess_controller.core.types import Order
from firmware_bridge.records import Tick

AT_REST = Order(run=False)
LONGEST_S = 24 * 3600.0  # an order forgotten by its giver ends by itself


@dataclass(frozen=True, slots=True)
class _Given:
    order: Order
    for_s: float


class Orders:
    """Handed to the loop; set from other threads. Expiry runs on wall time, from the first beat that saw the order."""

    def __init__(self) -> None:
        self._given: _Given | None = None
        self._leaving = Event()
        self._seen: _Given | None = None  # this and the next belong to the loop's thread alone
        self._until_wire_s = 0.0

    def __call__(self, tick: Tick) -> Order:
        """The order of this beat."""
        if self._leaving.is_set():
            return AT_REST
        given = self._given
        if given is None:
            return Order()
        if given is not self._seen:
            self._seen, self._until_wire_s = given, tick.wire_s + given.for_s
        elif given.order.clear_latched:  # a deed, not a wish: done once
            return Order()
        return given.order if tick.wire_s <= self._until_wire_s else Order()

    def give(self, order: Order, for_s: float) -> None:
        """Follow `order` for so many seconds of wall time from now."""
        self._given = _Given(order, min(for_s, LONGEST_S))

    def withdraw(self) -> None:
        """Back to the site's own rule."""
        self._given = None

    def leave(self) -> None:
        """The daemon is to end: 0 W, contactors open."""
        self._leaving.set()

    @property
    def leaving(self) -> bool:
        """Whether the daemon is about to end."""
        return self._leaving.is_set()
