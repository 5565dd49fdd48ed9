"""CAN captures: every format gives back every frame; what is damaged is repaired, or named, and always counted."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_bridge.frames import Frames
from firmware_bridge.wires.can_ids import EFF_FLAG
from firmware_bridge.wires.capture_lines import RefusedError, SkippedError
from firmware_bridge.wires.captures import FORMATS, CaptureError, read_capture
from tests.replay.formats import BEGAN_S, WITHOUT_CHANNELS, WRITERS, by_python_can, frames, savvycan
from tests.replay.record_captures import CAPTURES

SMALL = 200  # frames that damage is tried on


@pytest.fixture
def some() -> Frames:
    """The first frames of the bench."""
    return frames()[:SMALL]


def same_frames(one: Frames, other: Frames) -> bool:
    """Whether the same was said at the same distances in time."""
    return (
        np.array_equal(one.id, other.id)
        and np.array_equal(one.length, other.length)
        and np.array_equal(one.data, other.data)
        and np.allclose(one.wire_s - one.wire_s[0], other.wire_s - other.wire_s[0], rtol=0.0, atol=1.1e-6)
    )


def adds_up(path: Path) -> bool:
    """Whether every line is accounted for."""
    tally = read_capture(path).tally
    return tally.lines == tally.frames + tally.refused + tally.silent + sum(tally.skipped.values())


# --- whole ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_back_every_frame(kind: str, tmp_path: Path) -> None:
    ending, write = WRITERS[kind]
    path = tmp_path / f"bench{ending}"
    write(path, frames())
    found = read_capture(path)
    assert found.kind == kind
    assert len(found.frames) == found.tally.frames == len(frames()) > 1000
    assert same_frames(found.frames, frames())
    assert found.troubles == []
    assert adds_up(path)
    if kind not in WITHOUT_CHANNELS:
        channels = np.array([found.channels[bus] for bus in found.frames.bus])
        assert len(found.channels) == 2
        assert all(len(set(channels[frames().bus == bus])) == 1 for bus in (0, 1))


@pytest.mark.parametrize("kind", ["candump -L", "Vector BLF", "python-can CSV"])
def test_times_of_day_are_known_as_such(kind: str, tmp_path: Path, some: Frames) -> None:
    ending, write = WRITERS[kind]
    write(tmp_path / f"x{ending}", some)
    found = read_capture(tmp_path / f"x{ending}")
    assert found.absolute
    assert found.frames.wire_s[0] == pytest.approx(BEGAN_S + some.wire_s[0], abs=1e-3)


@pytest.mark.parametrize("kind", sorted(set(WRITERS) - {"CANHacker TRC", "PP2CAN", "candump"}))
def test_long_ids_come_back_as_long_ids(kind: str, tmp_path: Path, some: Frames) -> None:
    ending, write = WRITERS[kind]
    ids = some.id.copy()
    ids[::2] = 0x18FF_5000 + ids[::2] | EFF_FLAG
    long_ids = Frames(ids, some.length, some.data, some.wire_s, some.bus)
    if kind == "candump":
        pytest.skip("written by hand with three digits")
    write(tmp_path / f"x{ending}", long_ids)
    assert same_frames(read_capture(tmp_path / f"x{ending}").frames, long_ids)


@pytest.mark.parametrize(("per_s", "unit"), [(1e3, "milliseconds"), (1e9, "nanoseconds")])
def test_other_units_of_a_savvycan_file_are_found_by_what_a_bus_can_carry(
    per_s: float, unit: str, tmp_path: Path
) -> None:
    path, late = tmp_path / "x.csv", frames()
    if unit == "nanoseconds":
        late = Frames(late.id, late.length, late.data, late.wire_s + BEGAN_S, late.bus)
    savvycan(path, late, per_s)
    found = read_capture(path)
    assert np.ptp(found.frames.wire_s) == pytest.approx(np.ptp(frames().wire_s), abs=2e-3)
    assert any(unit in line for line in found.troubles)


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_line_ends_and_marks_of_other_systems_change_nothing(
    line_end: str, encoding: str, tmp_path: Path, some: Frames
) -> None:
    for kind in ("candump -L", "Vector ASC", "SavvyCAN CSV"):
        ending, write = WRITERS[kind]
        path = tmp_path / f"x{ending}"
        write(path, some)
        path.write_bytes(path.read_text().replace("\n", line_end).encode(encoding))
        assert same_frames(read_capture(path).frames, some)


def test_semicolons_and_decimal_commas_are_read(tmp_path: Path, some: Frames) -> None:
    path = tmp_path / "x.csv"
    by_python_can(path, some)
    path.write_text(path.read_text().replace(",", ";").replace(".", ","))
    found = read_capture(path)
    assert same_frames(found.frames, some)
    assert found.tally.repaired["decimal commas"] == len(some)


# --- damaged ----------------------------------------------------------------------------------------------------------


def test_ids_that_a_spreadsheet_took_for_numbers_are_repaired_and_counted(tmp_path: Path, some: Frames) -> None:
    path, ids = tmp_path / "x.csv", some.id.copy()
    ids[3], ids[7] = 0x2E6, 0x3E9
    damaged = Frames(ids, some.length, some.data, some.wire_s, some.bus)
    savvycan(path, damaged)
    path.write_text(path.read_text().replace(",000002E6,", ",2.00E+06,").replace(",000003E9,", ",3.00E+09,"))
    found = read_capture(path)
    assert same_frames(found.frames, damaged)
    assert sum(found.tally.repaired.values()) == 2
    assert "2 repaired: ids that a spreadsheet had taken for numbers" in found.troubles[0]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (",0.00E+00,", "which may be several"),
        (",2.10E+06,", "which may be several"),
        (",1.20E+11,", "which may be several"),
        (",1000,", "a CAN id of 11 bits, which 0x1000 is not"),
        (",hello,", "a hexadecimal id, which 'hello' is not"),
    ],
)
def test_ids_that_may_be_several_are_refused_with_their_line(
    cell: str, expected: str, tmp_path: Path, some: Frames
) -> None:
    path = tmp_path / "x.csv"
    savvycan(path, some)
    lines = path.read_text().split("\n")
    first, _, rest = lines[5].split(",", 2)
    lines[5] = first + cell + rest
    path.write_text("\n".join(lines))
    found = read_capture(path)
    assert (found.tally.frames, found.tally.refused) == (len(some) - 1, 1)
    (trouble,) = found.troubles
    assert trouble.startswith(f"{path}:6: ")
    assert expected in trouble
    assert adds_up(path)


def test_time_stamps_without_their_digits_are_refused(tmp_path: Path, some: Frames) -> None:
    path = tmp_path / "x.csv"
    savvycan(path, some)
    lines = path.read_text().split("\n")
    lines[9] = "1.66E+08" + lines[9][lines[9].index(",") :]
    path.write_text("\n".join(lines))
    assert "a time stamp with all its digits" in read_capture(path).troubles[0]
    by_python_can(path, some)
    head, *rows = path.read_text().split("\n")
    path.write_text("\n".join([head, *(f"{BEGAN_S:.0f}{row[row.index(',') :]}" for row in rows if row)]))
    with pytest.raises(CaptureError, match="a spreadsheet has rounded these"):
        read_capture(path)


@pytest.mark.parametrize("kind", sorted(set(WRITERS) - {"Vector BLF"}))
def test_a_broken_line_is_named_and_the_others_stand(kind: str, tmp_path: Path, some: Frames) -> None:
    ending, write = WRITERS[kind]
    path = tmp_path / f"x{ending}"
    write(path, some)
    end = "\r" if kind == "CANHacker TRC" else "\n"
    lines = path.read_bytes().decode().split(end)
    place = len(lines) - 10
    lines[place] = lines[place][: len(lines[place]) * 2 // 3] + " zz \x07"
    path.write_bytes(end.join(lines).encode())
    found = read_capture(path)
    assert (found.tally.frames, found.tally.refused) == (len(some) - 1, 1)
    assert found.troubles[0].startswith(f"{path}:{place + 1}: ")
    assert found.troubles[0].isprintable()
    assert adds_up(path)


def test_a_torn_blf_gives_what_is_whole_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.blf"
    by_python_can(path, frames(20.0))
    whole = path.read_bytes()
    counts = set()
    for share in (0.5, 0.8, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        found = read_capture(path)
        counts.add(len(found.frames))
        assert np.array_equal(found.frames.id, frames(20.0).id[: len(found.frames)])
        assert any("torn off" in line for line in found.troubles)
        assert adds_up(path)
    assert max(counts) < len(frames(20.0))


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n\n", b"hello\nworld\n", b"\x00" * 5000, b"LOGG" + b"\x00" * 10, b"PK\x03\x04", b"x" * 300_000],
)
def test_what_is_no_capture_is_told_by_its_path(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=r"x\.log"):
        read_capture(path)


def test_a_file_that_cannot_be_opened_is_told_by_its_path(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")  # to which nobody will ever write
    for path in (tmp_path / "absent.log", tmp_path, tmp_path / "pipe.log", tmp_path / ("x" * 300)):
        with pytest.raises(CaptureError, match="cannot be read"):
            read_capture(path)


def test_error_frames_and_can_fd_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("(1.0) can0 123#0102\n(1.1) can0 123##0112233\n(1.2) can0 20000080#00\n(1.3) can0 124#R\n")
    found = read_capture(path)
    assert len(found.frames) == 2
    assert found.tally.skipped == {"CAN FD frame": 1, "error frame": 1}
    assert adds_up(path)


ERRORS = "(1768449600.1) can0 20000080#0000000000000000\n" * 500


@pytest.mark.parametrize(
    "head", [ERRORS, ERRORS.replace("20000080#00", "123##1"), "# nobody acknowledges\n" * 500, "\n" * 500]
)
def test_a_log_that_begins_with_anything_but_frames_is_read_all_the_same(head: str, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(f"{head}(1768449600.2) can0 123#0102\n(1768449600.3) can0 124#0102\n")
    found = read_capture(path)
    assert (found.kind, len(found.frames), found.tally.lines) == ("candump -L", 2, 502)
    assert adds_up(path)


def test_a_log_of_nothing_but_error_frames_is_told_as_such(tmp_path: Path) -> None:
    """What a bus looks like on which nobody acknowledges."""
    (tmp_path / "x.log").write_text(ERRORS)
    with pytest.raises(CaptureError) as refused:
        read_capture(tmp_path / "x.log")
    assert str(refused.value).splitlines() == [
        f"{tmp_path / 'x.log'}: 500 skipped: error frame",
        f"{tmp_path / 'x.log'}: expected at least one CAN data frame in this candump -L",
    ]


@pytest.mark.parametrize(
    "text",
    [
        ";$FILEVERSION=1.1\n;$STARTTIME=1e19\n 1) 1.0 Rx 0120 8 01 02 03 04 05 06 07 08\n",
        "(10000000000000.0) can0 123#01\n",
        "(1.0) can0 123#01\n(-10000000000000.0) can0 123#01\n",
    ],
)
def test_times_beyond_any_calendar_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text(text)
    with pytest.raises(CaptureError, match=r"a time stamp of .*: expected seconds since 1970 or since the start"):
        read_capture(tmp_path / "x.log")


def test_times_that_run_backwards_are_sorted_and_told(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("(2.0) can0 123#01\n(1.0) can0 124#02\n(3.0) can0 125#03\n")
    found = read_capture(path)
    assert found.frames.id.tolist() == [0x124, 0x123, 0x125]
    assert "1 time stamps run backwards" in found.troubles[0]


def test_relative_times_of_a_vector_log_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "x.asc"
    path.write_text("base dec timestamps relative\n0.5 1 291 Rx d 2 16 255\n0.25 1 291 Rx d 0\n0.25 2 18x Rx r 4\n")
    found = read_capture(path)
    assert found.frames.wire_s.tolist() == [0.5, 0.75, 1.0]
    assert found.frames.id[0] == 0x123
    assert found.frames.data[0, :2].tolist() == [0x10, 0xFF]


# --- any bytes --------------------------------------------------------------------------------------------------------

_LINES = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)
_NEARLY = st.sampled_from(
    [
        "(1.0) can0 123#0102",
        "0.1 1 123 Rx d 2 01 02",
        ";$FILEVERSION=2.1",
        ";$COLUMNS=N,O,T,B,I,d,R,L,D",
        "1 0.5 DT 1 0123 Rx - 2 01 02",
        "timestamp,arbitration_id,extended,remote,error,dlc,data",
        "1.5,0x123,0,0,0,2,AQI=",
        "Time Stamp,ID,Extended,Dir,Bus,LEN,D1",
        "166064000,0000021A,false,0,8,FE,36,12,FE,69,05,07,AD,",
        "17,439466\t1\t0004\t4A0\t8\tCC FF 00 00 00 00 CC FF",
        ">1 0:0:0.5:12 St 0x123 01 02 p:1",
    ]
)


@settings(max_examples=300)
@given(
    st.lists(st.one_of(_LINES, _NEARLY, _NEARLY.flatmap(lambda line: _LINES.map(lambda x: line[:20] + x))), max_size=8)
)
def test_no_line_makes_a_reader_raise_anything_else(lines: list[str]) -> None:
    for kind in FORMATS:
        reader = kind()
        for line in lines:
            try:
                row = reader.read(line)
            except (RefusedError, SkippedError):
                continue
            assert row is None or (len(row[3]) <= 8 and abs(row[0]) < 1e30)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.sampled_from([b"", b"LOGG", b"(1.0) can0 123#01\n", b"\xff\xfe"]))
def test_no_bytes_make_a_capture_raise_anything_else(tmp_path: Path, content: bytes, head: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(head + content)
    with suppress(CaptureError):
        found = read_capture(path)
        assert len(found.frames) == found.tally.frames > 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31), st.sampled_from(sorted(WRITERS)))
def test_flipped_bits_never_raise_anything_else(tmp_path: Path, seed: int, kind: str) -> None:
    ending, write = WRITERS[kind]
    path = tmp_path / f"x{ending}"
    write(path, frames()[:60])
    rng, whole = np.random.default_rng(seed), bytearray(path.read_bytes())
    for at in rng.integers(0, len(whole), 5):
        whole[at] ^= 1 << int(rng.integers(0, 8))
    path.write_bytes(whole)
    with suppress(CaptureError):
        found = read_capture(path)
        assert len(found.frames) == found.tally.frames > 0


# --- samples ----------------------------------------------------------------------------------------------------------


def test_the_samples_that_ship_hold_the_same_second() -> None:
    log, asc, blf, sheet = (
        read_capture(CAPTURES / name) for name in ("bench.log", "bench.asc", "bench.blf", "spreadsheet.csv")
    )
    assert len(log.frames) > 700
    assert all(same_frames(log.frames, other.frames) for other in (asc, blf, sheet))


def test_a_spreadsheet_s_sample_is_repaired_where_only_one_id_can_be_meant() -> None:
    found = read_capture(CAPTURES / "spreadsheet.csv")
    repaired = int(np.isin(found.frames.id, (0x2E0, 0x2E8)).sum())
    assert repaired > 50
    assert sum(found.tally.repaired.values()) == repaired
    assert found.tally.refused == 0
