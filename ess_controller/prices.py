"""What a kWh costs in this hour, put beside every order: for the rule "time_of_use", and "value" without a plan."""

from collections.abc import Callable
from dataclasses import replace

from ess_controller.core.types import Order, Price
from ess_controller.site import Site
from ess_controller.site.tariff import hour_price
from firmware_bridge.records import Tick


class Priced:
    """Handed to the loop in place of `orders`. The price is looked up once a minute of plant time."""

    def __init__(self, site: Site, orders: Callable[[Tick], Order]) -> None:
        self._tariff = site.tariff if site.tuning.dispatch.rule in ("time_of_use", "value") else None
        self._orders, self._by_meter = orders, site.by_meter
        self._minute = -1
        self._price: Price = ""

    def __call__(self, tick: Tick) -> Order:
        """The order of this beat, with the price of its hour."""
        order = self._orders(tick)
        if self._tariff is None:
            return order
        now = self._by_meter(tick.utc)
        minute = int(now.timestamp() // 60)
        if minute != self._minute:
            self._minute, self._price = minute, hour_price(self._tariff, now)
        return replace(order, price=self._price)
