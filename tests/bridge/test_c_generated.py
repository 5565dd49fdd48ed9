"""The C codec and the tables of its README are those of today's DBC files; the README's lines work on a real bus."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.c.__main__ import HERE, dbc_texts, generated
from firmware_bridge.c.codec import bus_of, codec_files
from firmware_bridge.c.dbc_file import read_dbc
from firmware_bridge.c.readme import PLAYED_MV, filled
from firmware_bridge.dbc.__main__ import FILES
from firmware_bridge.dbc.model import Message, Signal, dbc_text
from firmware_bridge.dialects.csc import CscBoards, CscSeat
from firmware_bridge.frames import Frames
from tests.bridge.c_build import FOLDER, compiled, needs_compiler
from tests.bridge.can_talk import unhurried

RIG = Path(__file__).parents[1] / "rig"
PARTS = {"linux.uml": "user-mode-linux", "busybox": "busybox-static", "ip": "iproute2", "candump": "can-utils"}
MISSING = [package for program, package in PARTS.items() if shutil.which(program) is None]
README = (HERE / "README.md").read_text(encoding="utf-8")
BLOCK = README.partition("<!-- generated: commissioning -->\n```sh\n")[2].partition("```\n")[0]
LINES = re.findall(r"\b(0[0-9A-F]{2})#([0-9A-F]{16})\b", BLOCK)
REQUESTS, MASKS = [line for line in LINES if line[0] == "080"], [line for line in LINES if line[0] == "090"]
words = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", min_size=1, max_size=12)


def test_the_generated_files_are_those_of_the_dbc_files() -> None:
    for name, text in generated().items():
        assert (HERE / name).read_text(encoding="utf-8") == text, f"{name} is stale: python -m firmware_bridge.c"


def test_the_header_names_the_dbc_files_it_was_made_from() -> None:
    header = (HERE / "ess_csc.h").read_text(encoding="ascii")
    for name, text in dbc_texts().items():
        assert f'{name[:-4].upper()}_DBC_SHA256 "{hashlib.sha256(text.encode()).hexdigest()}"' in header


@pytest.mark.parametrize("name", FILES)
def test_a_dbc_file_read_and_written_again_is_the_same_file(name: str) -> None:
    read = read_dbc(FILES[name]())
    assert dbc_text(read.title, read.nodes, read.messages) == FILES[name]()


@unhurried
@given(
    st.lists(
        st.builds(
            Signal,
            words,
            st.integers(0, 63),
            st.integers(1, 32),
            st.sampled_from(["", "V", "degC"]),
            st.sampled_from([1.0, 0.001, 0.25]),
            st.sampled_from([0.0, -40.0]),
            st.dictionaries(st.integers(0, 65535), words, max_size=3),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda signal: signal.name,
    ),
    st.integers(0, 2047),
    st.integers(0, 65535),
    st.booleans(),
    words,
)
def test_any_message_survives_its_dbc(
    signals: list[Signal], can_id: int, cycle_ms: int, ours: bool, comment: str
) -> None:
    message = Message(can_id, "M00_Any", "Module", "Master", signals, cycle_ms / 1000.0, comment, ours)
    assert read_dbc(dbc_text("t", ["Master", "Module"], [message])).messages == (message,)


@pytest.mark.parametrize(
    "line",
    [
        ' SG_ Big : 7|16@0+ (1,0) [0|65535] "" Master',
        ' SG_ Negative : 0|16@1- (1,0) [-1|1] "" Master',
        ' SG_ Which M : 0|8@1+ (1,0) [0|255] "" Master',
        "SIG_GROUP_ 256 Group 1 : Error;",
    ],
)
def test_a_dbc_line_that_c_would_not_have_is_refused_with_its_place(line: str) -> None:
    text = dbc_texts()["csc.dbc"]
    number = text[: text.index("BO_ 144")].count("\n") + 1
    with pytest.raises(ValueError, match=f"line {number}: "):
        read_dbc(text.replace("BO_ 144", f"{line}\nBO_ 144", 1))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("Cell05Voltage : 16|14", "Cell05Voltage : 17|14", "third layout"),
        ("BO_ 257 M01_Status", "BO_ 1257 M01_Status", "slot 1 are not those of slot 0"),
        (" SG_ Crc : 56|8", " SG_ Crc : 48|8", "not at one place"),
        ('(0.001,0) [0|16.383] "V"', '(0.002,0) [0|32.766] "V"', "no integer unit"),
    ],
)
def test_a_dbc_that_one_codec_does_not_fit_is_refused(before: str, after: str, says: str) -> None:
    dbc = dbc_texts()
    assert before in dbc["csc.dbc"]
    dbc["csc.dbc"] = dbc["csc.dbc"].replace(before, after)
    with pytest.raises(ValueError, match=says):
        codec_files(dbc)


def test_a_readme_that_lost_a_part_is_refused() -> None:
    bus = bus_of(dbc_texts())
    assert filled(README, bus) == README
    with pytest.raises(ValueError, match="generated: load"):
        filled(README.replace("<!-- generated: load -->\n", ""), bus)


def frames_of(lines: list[tuple[str, str]]) -> list[Frames]:
    return [
        Frames.make([int(can_id, 16)], np.frombuffer(bytes.fromhex(data), np.uint8), wire_s=1.0)
        for can_id, data in lines
    ]


def test_the_readme_s_lines_wake_a_board_and_bleed_cells_1_and_4() -> None:
    boards = CscBoards((CscSeat(0, 0, 10),))
    for turn in range(2):
        for step, frame in enumerate(frames_of(REQUESTS)):
            boards.hear(frame, 1.0 + 1.5 * turn + 0.1 * step)
    assert boards.counters.believed[0] == 30
    assert boards.counters.frozen[0] == boards.counters.lost[0] == 0
    bleed, stop = frames_of(MASKS)
    boards.hear(bleed, 4.0)
    assert boards.bleeding(4.0).nonzero()[0].tolist() == [0, 3]
    boards.hear(stop, 4.1)
    assert not boards.bleeding(4.1).any()


@pytest.mark.rig
@needs_compiler
@pytest.mark.skipif(bool(MISSING), reason=f"no kernel with CAN: apt-get install {' '.join(MISSING)}")
def test_the_readme_s_lines_work_on_a_real_bus(tmp_path: Path) -> None:
    played = compiled(
        tmp_path / "gateway_linux", FOLDER / "gateway_linux.c", FOLDER / "gateway_example.c", build="plain"
    )
    wake, bleed, stop = re.split(r"^# (?:bleed|stop bleeding).*\n", BLOCK, flags=re.M)
    steps = [
        f"{played} vcan0 0 10 > /run/played &",
        "candump -L vcan0 > /run/dump &",
        "until [ $(grep -c '^ *vcan0 .* raw' /proc/net/can/rcvlist_all) = 2 ]; do sleep 0.05; done",
        wake,
        "until grep -q 120#740E790E7E0E /run/dump; do sleep 0.05; done",
        bleed,
        "until grep -q 0x0009 /run/played && grep -q 130#6F8E /run/dump; do sleep 0.05; done",
        stop,
        "until grep -q 0x0000 /run/played; do sleep 0.05; done",
        "cat /run/dump",
    ]
    (tmp_path / "script").write_text("\n".join(steps), encoding="ascii")
    command = ["env", "VCAN_LIMIT_S=60", str(RIG / "vcan-run"), "bash", str(tmp_path / "script")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stderr
    promised = re.findall(r"^#   ([0-9A-F]{3}#[0-9A-F]+)\.\.$", BLOCK, flags=re.M)
    assert len(promised) == 4
    for line in promised:
        assert line in ran.stdout
    bled = int(PLAYED_MV[3]) - 20 | 0x8000
    assert f"130#{bled & 255:02X}{bled >> 8:02X}" in ran.stdout
