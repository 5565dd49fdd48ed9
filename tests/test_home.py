"""The daemon's folder: where it lies, one daemon in it, and one clear line when it cannot be used."""

import subprocess
import sys
from pathlib import Path

import pytest

from ess_controller.kept import home
from ess_controller.kept.home import LONGEST_SOCKET_PATH, HomeError, claimed, find, folder, lock
from tests.small_disk import small_disk

HOLD = """
import sys
from pathlib import Path
from ess_controller.kept.home import lock
held = lock(Path(sys.argv[1]), "daemon")
print("held", flush=True)
sys.stdin.read()
"""

CLAIM = 'held = claimed({"box": "unix:a.can"}, Path(sys.argv[1])); held.__enter__()'


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's state lies."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(home, "SERVICE_ROOT", tmp_path / "var")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_a_site_lives_where_it_is_told_to_else_where_systemd_says_else_with_the_user(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder("bench", state / "here") == state / "here"
    assert folder("bench", None) == state / "ess/bench"
    monkeypatch.setenv("STATE_DIRECTORY", str(state / "lib/ess"))
    assert folder("bench", None) == state / "lib/ess/bench"
    assert (state / "lib/ess/bench").is_dir()
    monkeypatch.setenv("STATE_DIRECTORY", f"{state / 'lib/first'}:{state / 'lib/second'}")
    assert folder("bench", None) == state / "lib/first/bench"


def test_a_path_too_long_for_a_socket_is_refused_and_the_longest_that_fits_is_not(tmp_path: Path) -> None:
    room = LONGEST_SOCKET_PATH - len(str(tmp_path)) - len("//live.sock")
    assert folder("bench", tmp_path / ("x" * room)).is_dir()
    with pytest.raises(HomeError, match="too long for a Unix socket"):
        folder("bench", tmp_path / ("x" * (room + 1)))
    with pytest.raises(HomeError, match="too long"):
        folder("bench", tmp_path / ("é" * room))  # bytes count, not letters


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(HomeError, match=f"--home {place}: cannot be made"):
            folder("bench", place)


def test_two_daemons_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    held = lock(tmp_path, "daemon")
    with pytest.raises(HomeError, match=r"another daemon \(process \d+\) runs this site"):
        lock(tmp_path, "daemon")
    held.close()
    lock(tmp_path, "daemon").close()


def test_a_daemon_and_its_simulated_world_share_a_folder(tmp_path: Path) -> None:
    with lock(tmp_path, "daemon"), lock(tmp_path, "world"):
        pass


def test_on_a_full_disk_a_home_is_held_all_the_same(tmp_path: Path) -> None:
    with small_disk(0), lock(tmp_path, "alarms"), pytest.raises(HomeError, match=r"another alarms \(process \?\)"):
        lock(tmp_path, "alarms")
    lock(tmp_path, "alarms").close()


def test_another_process_holds_its_lock_until_it_dies_however_it_dies(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(HomeError, match=rf"another daemon \(process {other.pid}\)"):
            lock(tmp_path, "daemon")
        other.kill()
    with lock(tmp_path, "daemon"):
        pass


def test_a_stale_lock_file_of_a_dead_daemon_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "daemon.lock").write_text("999999\nand some garbage \xff")
    with lock(tmp_path, "daemon"):
        assert (tmp_path / "daemon.lock").read_text().strip().isdigit()


def test_a_lock_file_that_cannot_be_opened_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "daemon.lock").mkdir()
    with pytest.raises(HomeError, match=r"daemon\.lock: cannot be opened"):
        lock(tmp_path, "daemon")


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("unix:bus.can", "unix:bus.can"),
        ("unix:bus.can", "unix:../HERE/./bus.can"),
        ("tcp://pcs.local:502/1", "tcp://PCS.local:502/1"),
        ("tcp://localhost:502/1", "tcp://127.0.0.1:0502/01"),
        ("slcan:/dev/can0", "rtu:/dev//can0?unit=3"),
        ("socketcan:can0", "socketcan:can0"),
        ("pcan:PCAN_USBBUS1?bitrate=500000", "pcan:PCAN_USBBUS1"),
        (f"unix:{'d' * 90}/bus.can", f"unix:{'d' * 90}/bus.can"),
    ],
    ids=str,
)
def test_one_bus_has_one_daemon_however_it_is_written(tmp_path: Path, mine: str, theirs: str) -> None:
    theirs = theirs.replace("HERE", tmp_path.name)
    mark = str(tmp_path.stat().st_ino)  # so that runs side by side use buses of their own
    mine, theirs = (
        url.replace("can0", f"can{mark}").replace("BUS1", mark).replace("502", mark[-4:]) for url in (mine, theirs)
    )
    with claimed({"box": mine}, tmp_path):
        for _ in range(2):
            refused = pytest.raises(HomeError, match=r"^bus other \(.*\): another daemon has it$")
            with refused, claimed({"free": "unix:free.can", "other": theirs}, tmp_path):
                pass
    with claimed({"other": theirs}, tmp_path):  # given up at the end
        pass


def test_different_buses_have_different_daemons(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    buses = {"one": "unix:bus.can", "two": f"tcp://{tmp_path.name}:502/1", "three": f"socketcan:{tmp_path.name}"}
    others = {"one": "unix:Bus.can", "two": f"tcp://{tmp_path.name}:502/2", "three": f"pcan:{tmp_path.name}"}
    with claimed(buses, tmp_path), claimed(others, tmp_path), claimed({"one": "unix:bus.can"}, tmp_path / "other"):
        pass


def test_a_bus_that_a_site_names_twice_is_its_own(tmp_path: Path) -> None:
    with claimed({"one": "unix:bus.can", "two": "unix:bus.can"}, tmp_path):
        pass


def test_a_killed_daemon_gives_its_buses_up(tmp_path: Path) -> None:
    script = HOLD.replace("lock", "claimed").replace('held = claimed(Path(sys.argv[1]), "daemon")', CLAIM)
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(HomeError, match="another daemon has it"), claimed({"box": "unix:a.can"}, tmp_path):
            pass
        other.kill()
    with claimed({"box": "unix:a.can"}, tmp_path):
        pass


def test_a_running_daemon_is_found_by_home_by_site_or_as_the_only_one(state: Path) -> None:
    site = Path(__file__).parents[1] / "sites/bench"
    assert find(None, state / "x") == state / "x"
    assert find(site, None) == find(site / "site.toml", None) == state / "ess/bench"
    with pytest.raises(HomeError, match="no daemon runs here"):
        find(None, None)
    (state / "ess/bench").mkdir(parents=True)
    (state / "ess/bench/live.sock").touch()
    assert find(None, None) == state / "ess/bench"
    (state / "ess/other").mkdir()
    (state / "ess/other/live.sock").touch()
    with pytest.raises(HomeError, match="bench, other"):
        find(None, None)


def test_a_daemon_that_systemd_runs_is_found_too_and_folders_of_other_users_are_passed_by(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Path(__file__).parents[1] / "sites/bench"
    (state / "var/bench").mkdir(parents=True)
    assert find(site, None) == state / "ess/bench"  # neither runs
    (state / "var/bench/live.sock").touch()
    assert find(None, None) == find(site, None) == state / "var/bench"
    (state / "ess/bench").mkdir(parents=True)
    (state / "ess/bench/live.sock").touch()
    assert find(site, None) == state / "ess/bench"  # the user's own comes first
    with pytest.raises(HomeError, match="bench, bench"):
        find(None, None)
    monkeypatch.setattr(home, "SERVICE_ROOT", state / ("x" * 300))  # cannot be looked into
    assert find(None, None) == find(site, None) == state / "ess/bench"


@pytest.mark.parametrize("text", ["", "name =", "title = 'no name'", "\x00"])
def test_something_that_is_no_site_is_told_when_a_daemon_is_looked_for(state: Path, text: str) -> None:
    (state / "site.toml").write_text(text)
    with pytest.raises(HomeError, match="expected a site folder"):
        find(state, None)
    with pytest.raises(HomeError, match="expected a site folder"):
        find(state / "nowhere", None)
