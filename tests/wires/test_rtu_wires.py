"""Modbus RTU on lines between two programs: our master and our server share one, lose it, and find it again."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_bridge.frames import Request
from firmware_bridge.wires import RegisterWire
from firmware_bridge.wires.modbus import exception_words
from firmware_bridge.wires.register_pool import RegisterPool
from firmware_bridge.wires.register_server import RegisterServer
from firmware_bridge.wires.urls import open_registers, serve_registers
from tests.wires.cable import Cable
from tests.wires.worlds import BitRegisters, HandClock, Registers, answers, wait_until

Serve = Callable[..., RegisterServer]
Open = Callable[..., RegisterWire]


@pytest.fixture
def unit(pool: RegisterPool, clock: HandClock, tmp_path: Path) -> Open:
    """A wire to a unit of the line that `serve_line` serves."""
    return lambda number, line="run/bus": open_registers(f"rtu:{line}?unit={number}", clock, pool, tmp_path)


def heard_again(wire: RegisterWire) -> Callable[[], bool]:
    wire.drain()  # an answer from before proves nothing

    def heard() -> bool:
        if not wire.waiting:
            wire.ask([Request(0, count=1)])
        return any(not answer.trouble for answer in wire.drain())

    return heard


def test_all_four_tables_are_read_and_written_over_a_serial_line(serve_line: Serve, unit: Open) -> None:
    bank = BitRegisters()
    serve_line(bank)
    wire = unit(1)
    pattern = (1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 1)
    wire.ask(
        [
            Request(11, words=(7, 65535)),
            Request(10, count=3, tag="x"),
            Request(0, count=125, table="input"),
            Request(5, words=pattern, table="coils"),
            Request(4, count=13, table="coils"),
            Request(0, count=2000, table="discrete"),
            Request(0, words=tuple(range(123))),
            Request(999, count=2),
        ]
    )
    got = answers(wire, 8)
    assert [answer.trouble for answer in got] == [""] * 7 + [exception_words(2)]
    assert (got[1].words, got[1].request.tag) == ((10, 7, 65535), "x")
    assert len(got[2].words) == 125
    assert got[4].words == (0, *pattern, 0)
    assert sum(got[5].words) == 667
    assert bank.written == [(11, (7, 65535)), (0, tuple(range(123)))]
    assert wire.health.up
    assert (wire.health.sent, wire.health.received) == (8, 7)


def test_units_share_a_line_and_one_that_is_dead_or_absent_delays_nobody_for_long(
    serve_line: Serve, unit: Open
) -> None:
    dead = Registers(answering=False)
    serve_line(Registers(words={5: 111}), Registers(words={5: 222}), dead)
    one, two, three, nobody = (unit(number) for number in (1, 2, 3, 4))
    for wire in (one, two, three, nobody):
        wire.ask([Request(5, count=1)])
    assert answers(one, 1)[0].words == (111,)
    assert answers(two, 1)[0].words == (222,)
    for silent in (three, nobody):
        assert answers(silent, 1)[0].trouble == "no answer within 0.5 s"
        assert not silent.health.up
    three.ask([Request(5, count=1)] * 3)
    for _ in range(20):
        one.ask([Request(5, count=1)])
        assert answers(one, 1)[0].words == (111,)
    assert three.health.sent < one.health.sent / 4  # asked seldom
    dead.answering = True
    wait_until(heard_again(three))
    assert one.health.reconnects == 0


def test_a_line_that_dies_is_found_again_when_it_is_served_again(serve_line: Serve, unit: Open) -> None:
    server = serve_line(Registers())
    wire = unit(1)
    wait_until(heard_again(wire))
    server.close()
    wait_until(lambda: not wire.health.up)
    wire.ask([Request(0, words=(1,))])
    wait_until(lambda: "nobody serves this line" in wire.health.trouble)
    serve_line(Registers())
    wait_until(heard_again(wire))
    assert wire.health.reconnects == 1


def test_old_commands_are_not_carried_out_when_a_line_returns(serve_line: Serve, unit: Open, clock: HandClock) -> None:
    wire = unit(1)
    old = Request(1, words=(11,))
    wire.ask([old])
    wait_until(lambda: "nobody serves this line" in wire.health.trouble)
    clock.now_s += 1.01
    bank = Registers()
    serve_line(bank)
    wait_until(lambda: wire.waiting == 0)
    wire.ask([Request(3, words=(33,))])
    got = answers(wire, 2)
    assert got[0].request == old
    assert got[0].trouble.startswith("stale")
    assert bank.written == [(3, (33,))]


def test_the_link_of_a_program_that_crashed_is_not_opened_and_replaced_by_the_next(
    serve_line: Serve, unit: Open, tmp_path: Path
) -> None:
    """Its number may by now be somebody's terminal."""
    near, far = os.openpty()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/bus").symlink_to(os.ttyname(far))
    wire = unit(1)
    wait_until(lambda: "nobody serves this line" in wire.health.trouble)
    serve_line(Registers())
    wait_until(heard_again(wire))
    for fd in (near, far):
        os.close(fd)


def test_two_servers_are_not_served_on_one_line(serve_line: Serve, tmp_path: Path) -> None:
    server = serve_line(Registers())
    (tmp_path / "alias").symlink_to(tmp_path / "run")
    for line in ("rtu:run/bus", "rtu:alias/bus"):
        with pytest.raises(OSError, match="is taken: another process serves it"):
            serve_registers([(line, Registers())], tmp_path)
    server.close()
    assert list((tmp_path / "run").iterdir()) == []
    serve_line(Registers())


def test_a_file_of_the_user_s_is_not_replaced_by_a_line(tmp_path: Path) -> None:
    (tmp_path / "bus").write_text("mine")
    with pytest.raises(OSError, match="a file of that name is there"):
        serve_registers([("rtu:bus", Registers())], tmp_path)
    assert (tmp_path / "bus").read_text() == "mine"
    (tmp_path / "bus").unlink()
    serve_registers([("rtu:bus", Registers())], tmp_path).close()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/dev/no-such-tty", "there is no such device"),
        ("/dev/null", "no serial device"),
        ("/", "no serial device"),
    ],
)
def test_a_device_that_is_absent_or_none_is_down_and_says_why(
    pool: RegisterPool, clock: HandClock, path: str, why: str
) -> None:
    url = f"rtu:{path}" if path != "/" else "rtu:/dev"
    wire = open_registers(url, clock, pool)
    wait_until(lambda: wire.health.trouble)
    assert why in wire.health.trouble
    assert not wire.health.up
    with pytest.raises(OSError, match=f"cannot serve on .*{why}"):
        serve_registers([(url, Registers())])


def test_two_masters_do_not_share_a_serial_port(serve_line: Serve, unit: Open, tmp_path: Path) -> None:
    serve_line(Registers())
    wait_until(heard_again(unit(1)))
    other = open_registers("rtu:run/bus?unit=1", HandClock(), home=tmp_path)
    wait_until(lambda: "another process uses it" in other.health.trouble)
    other.close()


def test_a_serial_device_that_is_unplugged_is_served_and_heard_again(
    pool: RegisterPool, clock: HandClock, tmp_path: Path
) -> None:
    """Both ends on absolute paths, as real adapters: joined by two pseudo-terminals that stand for the cable."""
    cable = Cable(tmp_path)
    server = serve_registers([(f"rtu:{tmp_path}/device?unit=1", Registers())])
    wire = open_registers(f"rtu:{tmp_path}/adapter?unit=1", clock, pool)
    wait_until(heard_again(wire))
    cable.pull()
    wait_until(lambda: not wire.health.up)
    cable = Cable(tmp_path)
    wait_until(heard_again(wire))
    assert wire.health.reconnects == 1
    server.close()
    cable.pull()


def test_closing_ends_threads_and_leaves_no_file_open(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    threads, files = threading.active_count(), open_files()
    server = serve_registers([("rtu:bus", Registers())], tmp_path)
    wire = open_registers("rtu:bus", HandClock(), home=tmp_path)
    wait_until(heard_again(wire))
    wire.close()
    server.close()
    assert (threading.active_count(), open_files()) == (threads, files)
