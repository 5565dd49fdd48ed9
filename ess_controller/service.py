"""Puts the daemon together for a site on real wires, runs it, and takes it apart in order."""

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

import numpy as np

from ess_controller.alarms import companion as alarm_watch
from ess_controller.clock import WallClock, wall_s
from ess_controller.companions.keeper import Keeper
from ess_controller.core.step import first_state
from ess_controller.core.types import Mode, Order
from ess_controller.daemon import Beat, Tee, run, stand_down
from ess_controller.doors.live import Window
from ess_controller.doors.orders import Orders
from ess_controller.doors.served import Served
from ess_controller.kept import home as homes
from ess_controller.kept.cell_record import FILE as CELLS
from ess_controller.kept.cell_record import CellRecord
from ess_controller.kept.memory import FILE as MEMORY
from ess_controller.kept.memory import Memory, recall
from ess_controller.planned import Planned, Slot, nobody_plans
from ess_controller.planning.planner import companion as planner
from ess_controller.planning.value.slot import FILE as PLAN
from ess_controller.prices import Priced
from ess_controller.site import Site
from ess_controller.site.tariff import price_at
from ess_controller.stores import Stores
from ess_controller.tees import ChangeLog, Totals, Watchdog
from ess_controller.told.arbitrated import Since
from ess_controller.told.cell_picture import every_cell
from ess_controller.told.picture import picture
from firmware_bridge.plant import Freshness, Plant, ids_on
from firmware_bridge.records import Tick
from firmware_bridge.wires import RegisterWire, WireClock
from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.urls import open_can, open_registers

log = logging.getLogger("ess")

LAST_WORD_S = 0.5  # of wall time
LEAVE_WITHIN_S = 8.0  # of wall time: 0 W, contactors open, then the process ends whatever they say


@dataclass(frozen=True, slots=True)
class Options:
    """How a run differs from the site file."""

    home: Path | None = None
    speed: float = 1.0
    start: datetime | None = None
    journal_mb: int = 512  # 0: no journal


class Latest:
    """The slot with the newest beat."""

    def __init__(self) -> None:
        self.beat: Beat | None = None

    def __call__(self, beat: Beat) -> None:
        """Replace it whole."""
        self.beat = beat


class Leaving:
    """Stops the clock once the operator's wish to end has been carried out, or its time is up."""

    def __init__(self, orders: Orders, clock: WallClock) -> None:
        self._orders, self._clock = orders, clock
        self._since_s: float | None = None

    def __call__(self, beat: Beat) -> None:
        """See whether all strings lie open."""
        if not self._orders.leaving:
            return
        if self._since_s is None:
            self._since_s = beat.tick.wire_s
            log.info("stopping: 0 W, contactors open")
        open_ = np.isin(beat.state.mode, (Mode.OFF, Mode.FAULT, Mode.WAKE)) & (beat.seen.string_contactor <= 0)
        if open_.all() or beat.tick.wire_s - self._since_s > LEAVE_WITHIN_S:
            self._clock.stop()


@contextmanager
def open_plant(site: Site, home: Path, clock: WireClock) -> Iterator[tuple[Plant, list[RegisterWire]]]:
    """The site's devices on wires that are being opened, and the register wires among them; none need answer yet."""
    spec, pool = site.plant, RegisterPool(clock)
    can = {name: open_can(spec.buses[name], home, clock, ids_on(spec, name)) for name in spec.can_buses}
    registers = {name: open_registers(spec.buses[name], clock, pool, home) for name in spec.register_buses}
    plant = Plant(spec, Freshness(site.can_stale_s, site.register_stale_s), can, registers)
    try:
        yield plant, list(registers.values())
    finally:
        plant.close()
        pool.close()


def serve(site: Site, options: Options) -> dict[str, Any]:
    """Run the daemon until SIGTERM or SIGINT. Returns the run's summary, also kept as summary.json in its home."""
    began_s = wall_s()
    home = homes.folder(site.name, options.home)
    spec, layout = site.plant, site.plant.layout
    buses = {name: spec.buses[name] for name in (*spec.can_buses, *spec.register_buses)}
    with ExitStack() as held:
        held.enter_context(homes.lock(home, "daemon"))
        held.enter_context(homes.claimed(buses, home))
        clock = WallClock(site.period_s, options.speed, options.start)
        plant, lines = held.enter_context(open_plant(site, home, clock))
        open_things = held.enter_context(ExitStack())
        orders, latest, totals = Orders(), Latest(), Totals(layout)
        record = CellRecord(home / CELLS, site.tuning, clock.start)
        recalled = record.added_to(recall(home / MEMORY, clock.start))
        first = first_state(site.tuning, recalled)
        stores = Stores(site, home, clock, options.journal_mb, first, clock.start)
        open_things.callback(stores.close)
        memory = Memory(home / MEMORY, layout, recalled, record.keep)
        open_things.callback(memory.close)
        since = Since(layout.cabinets)
        tees: list[Tee] = [totals, since, ChangeLog(site.tuning, plant), *stores.tees, memory, Watchdog()]
        if site.serve_url:
            served = Served(site.serve_url, site.name, spec, site.tuning, home)
            open_things.callback(served.close)
            tees.append(served)

        keepers = [] if stores.uploader is None else [stores.uploader]
        planned = held_plan(site, home, Priced(site, orders), stores, options.speed, open_things, keepers)
        stores.follow(planned.slot)

        def show() -> dict[str, Any] | None:
            health = {name: wire.health for name, wire in plant.wires().items()}
            beat = latest.beat
            if beat is None:
                return None
            more = stores.told() | around(site, beat.tick.utc) | planned.told(beat.tick.utc)
            more |= orders.told(clock.monotonic_s()) | {"companions": {each.name: each.told() for each in keepers}}
            return picture(site.name, site.tuning, beat, health, clock.monotonic_s(), more, since)

        def show_cells() -> dict[str, Any] | None:
            beat = latest.beat
            return None if beat is None else every_cell(site.tuning, beat)

        open_things.callback(Window(home / "live.sock", show, orders, show_cells).close)
        watch_alarms(site, home, open_things, keepers)
        _on_signals(orders)
        log.info("%s: %d cells in %d strings, beat %g s", site.name, layout.cells, layout.strings, site.period_s)
        essential = (latest, Leaving(orders, clock))
        try:
            run(site.tuning, plant, clock, planned, tees, essential=essential, first=first)
        except Exception:
            log.exception("a mistake of our own: 0 W, then the end")
            raise
        finally:
            say_last_word(plant, lines, clock, latest.beat)
        open_things.close()  # what was kept last is counted below
        return totals.save(home / "summary.json", **stores.counts(), wall_s=wall_s() - began_s)


def watch_alarms(site: Site, home: Path, held: ExitStack, keepers: list[Keeper]) -> None:
    """Start the watch of a site that keeps an alarm book; its keeper is added to `keepers`."""
    if site.alarms is not None:
        keepers.append(Keeper(alarm_watch.command(site, home), alarm_watch.patience()))
        held.push(partial(_unless_dying, keepers[-1]))


def _unless_dying(keeper: Keeper, kind: type[BaseException] | None, *_: object) -> None:
    """End the watch with the daemon, but not with one that dies of a mistake: the watch outlives it and tells."""
    if kind is None or not issubclass(kind, Exception):
        keeper.close()


def held_plan(
    site: Site,
    home: Path,
    orders: Callable[[Tick], Order],
    stores: Stores,
    speed: float,
    held: ExitStack,
    keepers: list[Keeper],
) -> Planned:
    """Where orders come from, with the plan beside them; with the planner's process where the site's rule asks for
    one: its keeper is added to `keepers`."""
    if site.tuning.dispatch.rule != "value":
        return Planned(site, orders, nobody_plans, stores.meter_book.peak.of)
    keepers.append(Keeper(planner.command(site, home, speed), planner.patience(home, speed)))
    held.callback(keepers[-1].close)
    slot = Slot(home / PLAN, site.name)
    held.callback(slot.close)
    return Planned(site, orders, slot, stores.meter_book.peak.of)


def around(site: Site, utc: datetime) -> dict[str, dict[str, Any]]:
    """The site's time of day, and what a kWh from the grid costs now where it has a tariff."""
    local = utc.astimezone(site.time_zone)
    told: dict[str, dict[str, Any]] = {
        "local": {"time": local.isoformat(timespec="seconds"), "zone": site.time_zone.key}
    }
    if site.tariff is not None:
        cny_per_kwh, period = price_at(site.tariff, site.by_meter(local))
        told["price"] = {"cny_per_kwh": round(cny_per_kwh, 4), "period": period}
    return told


def say_last_word(plant: Plant, lines: Sequence[RegisterWire], clock: WireClock, beat: Beat | None) -> None:
    """Tell the inverters 0 W and heaters off, and give the wires LAST_WORD_S to carry it out; else the set-point that
    has brought us down would stand until their reversion timers have run out, and a heater for ever.

    `beat`: the latest; None: there was none.
    """
    pause, until_s = Event(), clock.monotonic_s() + LAST_WORD_S

    def wait(until_s: float) -> None:
        while any(line.waiting for line in lines) and clock.monotonic_s() < until_s:
            pause.wait(0.005)

    wait(until_s - LAST_WORD_S / 2)  # an inverter that is being asked something takes no other word
    try:
        switched = np.full(plant.layout.ios, -1) if beat is None else beat.commands.climate
        now = Tick(0.0, 0.0, clock.monotonic_s(), datetime.fromtimestamp(clock.realtime_s(), UTC))
        stand_down(plant, now, switched)
    except Exception:
        log.exception("not even 0 W could be said: the inverters' reversion timers are to act")
    wait(until_s)


def _on_signals(orders: Orders) -> None:
    def leave(number: int, frame: FrameType | None) -> None:
        if orders.leaving:
            raise KeyboardInterrupt  # asked twice: at once
        orders.leave()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
