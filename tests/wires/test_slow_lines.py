"""Many devices on one slow line: each is found, read and told whole commands, however long its turn takes to come."""

import asyncio
from collections.abc import Callable

import pytest

from firmware_bridge.dialects.sunspec.pv import PvBank, PvMaster
from firmware_bridge.frames import Request
from firmware_bridge.wires.modbus import Outcome
from firmware_bridge.wires.register_line import Device, Line
from firmware_bridge.wires.register_queue import RegisterQueue
from tests.wires.worlds import HandClock

RATED_W, LIMIT_W = 40_000.0, 10_000.0


class SlowRoofs:
    """A line with solar inverters behind it that takes its time for every answer, and has the sun at its full."""

    name, patience, connected, out_of_step = "roofs", 3, True, False

    def __init__(self, count: int, answer_s: float) -> None:
        self.clock, self._answer_s = HandClock(), answer_s
        self.banks = [PvBank(RATED_W) for _ in range(count)]

    async def open(self, lost: Callable[[], object]) -> str:
        return ""

    def answer_s(self, request: Request) -> float:
        return 0.5

    def close(self) -> None:
        pass

    async def carry_out(self, unit: int, request: Request) -> Outcome:
        await asyncio.sleep(0)  # the beat goes on meanwhile
        self.clock.now_s += self._answer_s
        bank, now_s = self.banks[unit], self.clock.now_s
        bank.show(min(RATED_W, bank.control(now_s)), now_s)
        if request.is_write:
            return ((), "", 0) if bank.write(request.address, request.words) else ((), "exception 2", 2)
        words = bank.read(request.address, request.count)
        return ((), "exception 2", 2) if words is None else (tuple(words), "", 0)


async def limited(roofs: SlowRoofs, seconds: float, watched_s: float = 0.0) -> tuple[list[str], list[float]]:
    """Beat as a plant does until every roof is limited, at most for so long, and then for `watched_s`; what was told,
    and how old the oldest roof's power was in each beat that was watched."""
    line, masters, told = Line(roofs), [PvMaster(RATED_W) for _ in roofs.banks], []
    queues = [RegisterQueue(f"roof {unit}", roofs.clock) for unit in range(len(masters))]
    line.devices.update({unit: Device(unit, queue) for unit, queue in enumerate(queues)})
    serving, end_s = asyncio.ensure_future(line.run()), roofs.clock.now_s + seconds
    age_s: list[float] = []
    watches = False
    while roofs.clock.now_s < end_s:
        now_s = roofs.clock.now_s
        if not watches and all(bank.control(now_s) <= LIMIT_W for bank in roofs.banks):
            watches, end_s = True, now_s + watched_s
        if watches:
            age_s.append(max(master.picture(now_s).age_s for master in masters))
        for master, queue in zip(masters, queues, strict=True):
            master.hear(queue.drain(), now_s)
            told += master.take_events()
            if not queue.waiting:
                queue.ask(master.ask(LIMIT_W, now_s))
        line.wake.set()
        await asyncio.sleep(0)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    return told, age_s


@pytest.mark.parametrize(("count", "answer_s"), [(1, 0.45), (6, 0.42), (12, 0.1), (20, 0.15)])
def test_every_solar_inverter_of_a_slow_line_is_found_and_limited(count: int, answer_s: float) -> None:
    roofs = SlowRoofs(count, answer_s)
    told, _ = asyncio.run(limited(roofs, 300.0))
    assert [bank.control(roofs.clock.now_s) for bank in roofs.banks] == pytest.approx([LIMIT_W] * count)
    assert not any("cannot be limited" in line or "breaks off" in line or "does not" in line for line in told)


@pytest.mark.parametrize(("count", "answer_s", "oldest_s"), [(6, 0.42, 18.0), (12, 0.1, 9.0), (20, 0.15, 25.0)])
def test_every_roof_of_a_slow_line_goes_on_being_heard(count: int, answer_s: float, oldest_s: float) -> None:
    """Limits, ratings and inputs are read in between, and nobody is searched anew for want of time."""
    roofs = SlowRoofs(count, answer_s)
    told, age_s = asyncio.run(limited(roofs, 600.0, 200.0))
    assert len(age_s) > 100
    assert max(age_s) < oldest_s
    assert sum("found" in line for line in told) == count


def queue(clock: HandClock) -> RegisterQueue:
    """With two halves of a command and a read in it."""
    made = RegisterQueue("unit", clock)
    made.ask(
        [Request(1, words=(1,), tag="limit"), Request(2, words=(1,), tag="enable"), Request(3, count=1, tag="read")]
    )
    return made


def test_a_command_that_has_begun_is_carried_through_and_one_that_has_not_is_thrown_away() -> None:
    clock = HandClock()
    begun, late = queue(clock), queue(clock)
    first = begun.begin()
    assert first is not None
    begun.finish(first, (), "")
    clock.now_s += 1.2
    assert begun.tells
    assert not late.tells
    assert [getattr(each.begin(), "tag", "") for each in (begun, late)] == ["enable", "read"]
    assert [answer.request.tag for answer in late.drain()] == ["limit", "enable"]


def test_a_command_goes_before_reads_that_still_wait() -> None:
    made = RegisterQueue("unit", HandClock())
    made.ask([Request(3, count=1, tag="read"), Request(4, count=1, tag="more")])
    made.ask([Request(1, words=(1,), tag="limit"), Request(5, count=1, tag="new")])
    begun = []
    while (request := made.begin()) is not None:
        begun.append(request.tag)
        made.finish(request, (), "")
    assert begun == ["limit", "new", "read", "more"]


def test_no_half_of_a_command_waits_for_a_line_that_is_gone() -> None:
    clock = HandClock()
    begun = queue(clock)
    first = begun.begin()
    assert first is not None
    begun.finish(first, (), "")
    clock.now_s += 2.6
    assert not begun.tells
    clock.now_s += 2.5
    assert [answer.trouble.partition(":")[0] for answer in begun.drain()] == ["", "stale", "stale"]
    assert begun.waiting == 0
