"""The gateway's main loop in C, a process of its own, speaks with our master: heard, bled, and silent in time."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from firmware_bridge.dialects.csc import CscBoards, CscMaster, CscPicture, CscSeat, csc_ids
from firmware_bridge.dialects.csc import layout as csc
from firmware_bridge.dialects.csc.board import AWAKE_S, BOOT_S
from firmware_bridge.frames import CAN_FRAME, NO_FRAMES, Frames
from firmware_bridge.records import Bools
from tests.bridge.c_build import BUILDS, FOLDER, PEERS, WATCHING, compiled, needs_compiler, words_of
from tests.bridge.can_talk import BEAT_S, spoilt

pytestmark = [pytest.mark.rig, needs_compiler]
FRONT_END, HOT, SLOT_TAKEN = 1, 2, 4
ROOM = 64
START_MS = 2**32 - 3_000  # the count of milliseconds wraps three seconds into every test
Boot = Callable[..., "Gateway"]


@dataclass
class Gateway:
    """A C process in one slot, our master before it, and the hardware behind it."""

    process: "subprocess.Popen[bytes]"
    seat: CscSeat
    now_ms: int = START_MS
    asking: bool = True
    answering: bool = True
    bleed_s: float = 0.0
    bleeding: int = 0  # resistors on, bit 0 the first cell
    extra: list[Frames] = field(default_factory=list)  # said on the bus by somebody else in the next beat

    def __post_init__(self) -> None:
        self.master = CscMaster((self.seat,))
        self.bleed: Bools = np.zeros(self.seat.cells, np.bool_)
        self.cell_mv = 3700 + 7 * np.arange(16)
        self.celsius = np.array([21, 22, 23, 24, 31])

    @property
    def now_s(self) -> float:
        return self.now_ms / 1000.0

    @property
    def picture(self) -> CscPicture:
        return self.master.picture(self.now_s)

    def beat(self) -> Frames:
        """0.1 s: the master asks, the gateway does its ten ticks, the master hears."""
        asked = self.master.request(self.bleed, self.bleed_s) if self.asking else NO_FRAMES
        said = self.exchange(Frames.join([asked, *self.extra]))
        self.extra = []
        self.now_ms += round(BEAT_S * 1000)
        self.master.hear(said, self.now_s)
        return said

    def until(self, later_s: float) -> "Gateway":
        for _ in range(round(later_s / BEAT_S)):
            self.beat()
        return self

    def exchange(self, frames: Frames) -> Frames:
        """Give frames to the gateway and let it run for a beat."""
        assert self.process.stdin
        assert self.process.stdout
        codes = np.where(np.isnan(self.celsius), 255, self.celsius + 40)
        head = np.array([self.now_ms % 2**32, 10, int(self.answering), len(frames)])
        beat = np.concatenate([head, self.cell_mv, codes]).astype("<u4")
        self.process.stdin.write(beat.tobytes() + words_of(frames).tobytes())
        self.process.stdin.flush()
        count, self.bleeding = np.frombuffer(self.process.stdout.read(8), "<u4").tolist()
        return Frames.unpack(self.process.stdout.read(count * CAN_FRAME.itemsize), self.now_s + BEAT_S)


@pytest.fixture(scope="module", params=BUILDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = (PEERS / "gateway_peer.c", FOLDER / "gateway_example.c")
    return compiled(tmp_path_factory.mktemp("gateway") / "peer", *sources, build=str(request.param))


@pytest.fixture
def boot(program: Path) -> Iterator[Boot]:
    running: list[subprocess.Popen[bytes]] = []

    def booted(slot: int = 5, cells: int = 10, room: int = ROOM) -> Gateway:
        command = [str(program), str(slot), str(cells), str(room)]
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=WATCHING))
        return Gateway(running[-1], CscSeat(0, slot, cells))

    yield booted
    for process in running:
        _, complaints = process.communicate(timeout=30)
        assert (process.returncode, complaints) == (0, b""), complaints.decode()


@pytest.mark.parametrize("cells", range(8, 17))
def test_our_master_hears_every_cell_and_sensor(boot: Boot, cells: int) -> None:
    gateway = boot(slot=cells - 3, cells=cells).until(5.0)
    seen = gateway.picture
    assert seen.cell_v.tolist() == (gateway.cell_mv[:cells] / 1000).tolist()
    assert seen.module_c[0].tolist() == gateway.celsius[:4].tolist()
    assert seen.module_board_c[0] == gateway.celsius[4]
    assert seen.module_error[0] == 0
    assert not seen.cell_bleeding.any()
    assert max(*seen.cell_age_s, *seen.module_age_s) == 0.0
    counters = gateway.master.counters
    assert (counters.wrong_crc[0], counters.wrong_length[0], counters.frozen[0], counters.lost[0]) == (0, 0, 0, 0)


@pytest.mark.parametrize("cells", [8, 12, 13, 16])
def test_it_says_the_same_as_our_boards_do(boot: Boot, cells: int) -> None:
    gateway = boot(cells=cells)
    boards = CscBoards((gateway.seat,))
    gateway.bleed[1::3], gateway.bleed_s = True, 60.0
    for _ in range(60):
        asked = gateway.master.request(gateway.bleed, gateway.bleed_s)
        said = gateway.exchange(asked)
        gateway.now_ms += 100
        boards.hear(asked, gateway.now_s)
        ours = boards.say(
            gateway.cell_mv[:cells] / 1000,
            gateway.celsius[None, :4].astype(float),
            gateway.celsius[4:].astype(float),
            np.zeros(1, np.int64),
            gateway.now_s,
        )
        assert set(said.id.tolist()) | set(asked.id.tolist()) == csc_ids(5, cells)
        assert (said.id == csc.STATUS + 5).sum() == 2
    same = (CscMaster((gateway.seat,)), CscMaster((gateway.seat,)))
    for master, frames in zip(same, (said, ours), strict=True):
        master.hear(frames, gateway.now_s)
    theirs, reference = (master.picture(gateway.now_s) for master in same)
    for name in theirs.__dataclass_fields__:
        if not name.endswith("age_s"):
            assert np.array_equal(getattr(theirs, name), getattr(reference, name)), name


def test_it_is_silent_until_it_is_asked_and_again_when_nobody_asks_any_more(boot: Boot) -> None:
    gateway = boot()
    gateway.asking = False
    assert not len(gateway.beat())
    gateway.asking = True
    assert len(gateway.until(1.0).beat())
    gateway.asking = False
    spoken = [len(gateway.beat()) for _ in range(30)]
    assert all(spoken[: round(AWAKE_S / BEAT_S)])
    assert not any(spoken[round(AWAKE_S / BEAT_S) + 1 :])


def test_while_it_boots_everything_is_not_available(boot: Boot) -> None:
    gateway = boot()
    for _ in range(round(BOOT_S / BEAT_S)):
        assert (gateway.beat().data == 0xFF).all()
    assert gateway.master.counters.believed[0] == 0
    assert gateway.master.counters.unavailable[0] > 0
    assert (gateway.beat().data != 0xFF).any()


def test_it_bleeds_the_cells_asked_for_and_says_so(boot: Boot) -> None:
    gateway = boot().until(1.0)
    gateway.bleed[[0, 3, 9]], gateway.bleed_s = True, 30.0
    gateway.until(0.3)
    assert gateway.bleeding == 0b10_0000_1001
    assert (gateway.picture.cell_bleeding == gateway.bleed).all()
    gateway.bleed[:] = False
    gateway.beat()
    assert gateway.bleeding == 0
    assert gateway.picture.cell_bleeding.any()  # voltages may be from before: they still say so
    gateway.until(0.2)
    assert not gateway.picture.cell_bleeding.any()


def test_bleeding_ends_by_itself_when_its_time_is_over(boot: Boot) -> None:
    gateway = boot().until(1.0)
    gateway.bleed[4], gateway.bleed_s = True, 5.0
    asked = gateway.master.request(gateway.bleed, gateway.bleed_s)
    gateway.exchange(asked)
    gateway.now_ms += 100
    request_only = [gateway.master.request(gateway.bleed, 0.0)[:1] for _ in range(60)]
    on = []
    for frames in request_only:
        gateway.exchange(frames)
        gateway.now_ms += 100
        on.append(gateway.bleeding)
    assert on[:48] == [0b10000] * 48
    assert on[50:] == [0] * 10


def test_a_silent_master_ends_the_bleeding_in_two_seconds(boot: Boot) -> None:
    gateway = boot().until(1.0)
    gateway.bleed[:], gateway.bleed_s = True, 3600.0
    gateway.until(1.0)
    assert gateway.bleeding == 2**10 - 1
    gateway.asking = False
    gateway.until(AWAKE_S + BEAT_S)
    assert gateway.bleeding == 0
    gateway.asking, gateway.bleed[:] = True, False
    gateway.beat()
    assert gateway.bleeding == 0  # the old mask does not come back


def test_resistors_left_on_by_a_reset_are_opened_at_the_start(boot: Boot) -> None:
    gateway = boot()
    gateway.asking = False
    gateway.beat()
    assert gateway.bleeding == 0


def test_low_and_unmeasured_cells_are_not_bled_whatever_is_asked(boot: Boot) -> None:
    gateway = boot().until(1.0)
    gateway.cell_mv[2], gateway.cell_mv[6] = 3299, csc.NO_CELL
    gateway.bleed[:], gateway.bleed_s = True, 60.0
    gateway.until(0.3)
    assert gateway.bleeding == 0b11_1011_1011
    assert np.isnan(gateway.picture.cell_v[6]) or gateway.picture.cell_age_s[6] > 0.1


@pytest.mark.parametrize("board_c", [81.0, np.nan])
def test_a_hot_or_unmeasured_board_does_not_bleed_until_it_is_cool(boot: Boot, board_c: float) -> None:
    gateway = boot().until(1.0)
    gateway.bleed[:5], gateway.bleed_s = True, 60.0
    gateway.until(0.3)
    gateway.celsius = np.array([25, 25, 25, 25, board_c])
    gateway.until(0.3)
    assert gateway.bleeding == 0
    assert gateway.picture.module_error[0] == HOT
    gateway.celsius = np.array([25, 25, 25, 25, 75])
    assert gateway.until(0.3).bleeding == 0
    gateway.celsius = np.array([25, 25, 25, 25, 70])
    assert gateway.until(0.3).bleeding == 0b11111
    assert gateway.picture.module_error[0] == 0


def test_a_front_end_that_does_not_answer_is_told_and_nothing_is_made_up(boot: Boot) -> None:
    gateway = boot().until(1.0)
    gateway.bleed[:], gateway.bleed_s = True, 60.0
    gateway.until(0.3).answering = False
    gateway.until(1.0)
    assert gateway.bleeding == 0
    seen = gateway.picture
    assert seen.cell_age_s.min() >= 0.9
    assert np.isnan(seen.module_c).all()
    assert seen.module_error[0] == FRONT_END | HOT
    gateway.answering = True
    assert gateway.until(0.3).picture.module_error[0] == 0


def test_another_module_in_the_same_slot_is_told(boot: Boot) -> None:
    gateway = boot().until(1.0)
    twin = CscBoards((gateway.seat,))
    twin.hear(CscMaster((gateway.seat,)).request(gateway.bleed, 0.0), 0.0)
    gateway.extra = [twin.say(np.full(10, 3.6), np.full((1, 4), 20.0), np.full(1, 20.0), np.zeros(1, np.int64), 1.0)]
    gateway.until(0.3)
    assert gateway.picture.module_error[0] == SLOT_TAKEN


def test_broken_foreign_and_repeated_masks_are_not_obeyed(boot: Boot) -> None:
    gateway = boot().until(1.0)
    every = np.ones(10, np.bool_)
    other = CscMaster((CscSeat(0, 6, 10),)).request(every, 60.0)
    mask = CscMaster((gateway.seat,)).request(every, 60.0)[1:]
    timeless = gateway.master.request(every, 60.0)[1:].data.copy()
    timeless[:, 2:4] = 0xFF
    sealed = timeless.view("<u8")[:, 0] & np.uint64(2**56 - 1)
    csc.CHECK.seal(sealed, csc.seeds(csc.heard_ids((gateway.seat,)), (gateway.seat,))[1])
    gateway.extra = [other, spoilt(mask), Frames.make(mask.id, mask.data, 7), mask.saying(sealed)]
    assert gateway.until(0.6).bleeding == 0
    gateway.asking = False
    gateway.exchange(mask)  # the same mask whole, and its counter moving
    assert gateway.bleeding == 2**10 - 1
    gateway.exchange(Frames.join([mask.saying(np.zeros(1, np.uint64)), mask]))
    assert gateway.bleeding == 2**10 - 1


def test_frames_without_room_are_lost_and_counted_by_the_master_not_sent_late(boot: Boot) -> None:
    gateway = boot(room=6).until(3.0)  # eight are due in a beat
    assert gateway.master.counters.lost[0] == 0  # what never comes is not missed by its own counter
    assert (gateway.picture.cell_age_s == 0.0).all()
    assert gateway.picture.module_error[0] == csc.ERROR_UNKNOWN


@pytest.mark.parametrize("build", BUILDS)
def test_a_module_played_on_a_linux_bus_wants_a_bus_a_slot_and_its_cells(build: str, tmp_path: Path) -> None:
    sources = (FOLDER / "gateway_linux.c", FOLDER / "gateway_example.c")
    played = compiled(tmp_path / "gateway_linux", *sources, build=build)
    for words in ([], ["can0", "16", "10"], ["can0", "0", "7"], ["can0", "", "10"], ["can0", "1x", "10"]):
        ran = subprocess.run([played, *words], capture_output=True, text=True, check=False)
        assert ran.returncode == 2
        assert "usage" in ran.stderr
    ran = subprocess.run([played, "no-such-bus", "0", "10"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "no-such-bus" in ran.stderr
