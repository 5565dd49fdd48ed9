"""What the operator wants just now: one slot, replaced whole, that expires by itself; and deeds that are done once."""

from dataclasses import dataclass, replace
from typing import Any

from ess_controller.core.types import Order
from firmware_bridge.records import Tick

AT_REST = Order(run=False)
LONGEST_S = 24 * 3600.0  # an order forgotten by its giver ends by itself


@dataclass(frozen=True, slots=True)
class _Given:
    order: Order
    for_s: float


class Orders:
    """Handed to the loop; set from other threads. Expiry runs on wall time, from the first beat that saw the order.

    Clearing latched faults is a deed and no wish: it is done in one beat, and what was wished before stands.
    """

    def __init__(self) -> None:
        self._given: _Given | None = None
        self._clear = False
        self._leaving = False  # a plain flag: it is set from a signal handler, which must never wait for a lock
        self._seen: _Given | None = None  # this and the next belong to the loop's thread alone
        self._until_wire_s = 0.0

    def __call__(self, tick: Tick) -> Order:
        """The order of this beat."""
        if self._leaving:
            return AT_REST
        wish = self._wish(tick)
        if not self._clear:
            return wish
        self._clear = False
        return replace(wish, clear_latched=True)

    def _wish(self, tick: Tick) -> Order:
        given = self._given
        if given is None:
            return Order()
        if given is not self._seen:
            self._seen, self._until_wire_s = given, tick.wire_s + given.for_s
        return given.order if tick.wire_s <= self._until_wire_s else Order()

    def give(self, order: Order, for_s: float) -> None:
        """Follow `order` for so many seconds of wall time from now. One that says no more than `clear_latched` leaves
        the present wish as it is."""
        wish = replace(order, clear_latched=False)
        if not order.clear_latched or wish != Order():
            self._given = _Given(wish, min(for_s, LONGEST_S))
        if order.clear_latched:
            self._clear = True

    def withdraw(self) -> None:
        """Back to the site's own rule."""
        self._given = None

    def told(self, wire_s: float) -> dict[str, dict[str, Any]]:
        """The wish in force, for status: `order` with what was asked and how many seconds are left; else nothing."""
        given, seen, until_wire_s = self._given, self._seen, self._until_wire_s
        if given is None:
            return {}
        left_s = until_wire_s - wire_s if given is seen else given.for_s
        if left_s < 0.0:
            return {}
        order = given.order
        asked = {"run": order.run, "set_w": order.set_w, "limit_w": order.limit_w}
        return {"order": asked | {"left_s": round(left_s, 1)}}

    def leave(self) -> None:
        """The daemon is to end: 0 W, contactors open. Safe in a signal handler."""
        self._leaving = True

    @property
    def leaving(self) -> bool:
        """Whether the daemon is about to end."""
        return self._leaving
