"""`./ess` sets itself up once, on any machine and from anywhere, and from then on only forwards.

`uv` and the Python of the environment are stand-ins that note how they were called: what is on trial is the launcher.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[1] / "ess"
TOOLS = ("cat", "cksum", "dirname", "flock", "grep", "id", "mkdir", "readlink", "rm", "sh", "touch")

UV = """#!/bin/sh
# Makes .venv as uv would: a Python, and the ess command.
[ "$1" = --version ] && { echo "uv 0.13.9"; exit; }
echo "$*" >>"$UV_NOTES"
while [ -e "$UV_NOTES.wait" ]; do :; done
[ ! -e "$UV_NOTES.fail" ] || { echo "no route to the packages" >&2; exit 2; }
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
cp "$UV_NOTES.python" "$UV_PROJECT_ENVIRONMENT/bin/python"
[ ! -e "$UV_NOTES.kill" ] || kill -9 $PPID
cp "$UV_NOTES.ess" "$UV_PROJECT_ENVIRONMENT/bin/ess"
echo "# $UV_PROJECT_ENVIRONMENT/bin/python" >>"$UV_PROJECT_ENVIRONMENT/bin/ess"
"""
PYTHON = """#!/bin/sh
echo "$PWD: $*" >>"$UV_NOTES.steps"
case " $STEPS_THAT_FAIL " in *" $2 "*) exit 1 ;; esac
"""
ESS = """#!/bin/sh
for word in "$@"; do echo "<$word>"; done
exit 7
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout with the launcher, and a machine that has little besides a shell and a Python."""

    home: Path
    tools: Path
    notes: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": str(self.tools), "UV_NOTES": str(self.notes), "HOME": str(self.tools)}

    def call(
        self, *words: str, ess: Path | str | None = None, cwd: Path = Path("/"), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ess or self.home / "ess", *words],
            cwd=cwd,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def note(self, name: str) -> Path:
        return self.notes.with_name(self.notes.name + name)

    def synced(self) -> int:
        """How often uv was asked to install."""
        return len(self.notes.read_text().splitlines()) if self.notes.exists() else 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "a 'quoted' checkout", tmp_path / "tools", tmp_path / "uv notes")
    made.home.mkdir()
    made.tools.mkdir()
    shutil.copy(LAUNCHER, made.home / "ess")
    (made.home / "uv.lock").write_text("version = 1\n")
    (made.home / "pyproject.toml").write_text("[project]\n")
    for tool in (*TOOLS, "cp", "mv"):
        found = shutil.which(tool)
        assert found, f"{tool} is not on this machine"
        (made.tools / tool).symlink_to(found)
    (made.tools / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    script(made.tools / "uv", UV)
    script(made.note(".python"), PYTHON)
    script(made.note(".ess"), ESS)
    return made


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def words(answer: subprocess.CompletedProcess[str]) -> Sequence[str]:
    return answer.stdout.splitlines()


def test_words_and_exit_status_pass_through_unchanged(checkout: Checkout) -> None:
    answer = checkout.call("run", "sites/a b", "", "*", "--bus=x=$HOME")
    assert words(answer) == ["<run>", "<sites/a b>", "<>", "<*>", "<--bus=x=$HOME>"]
    assert answer.returncode == 7


def test_what_is_installed_is_told_beside_the_answer(checkout: Checkout) -> None:
    answer = checkout.call("status")
    assert answer.stderr == "ess: installing the packages of uv.lock into .venv (uv)\n"
    assert words(answer) == ["<status>"]


def test_only_the_first_call_installs(checkout: Checkout) -> None:
    assert [checkout.call().stderr != "" for _ in range(3)] == [True, False, False]
    assert checkout.synced() == 1


def test_once_set_up_neither_uv_nor_python_nor_network_is_needed(checkout: Checkout) -> None:
    checkout.call()
    (checkout.tools / "uv").unlink()
    (checkout.tools / "python3").unlink()
    assert checkout.call("status").returncode == 7


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml"])
def test_what_has_changed_is_installed_again(checkout: Checkout, name: str) -> None:
    checkout.call()
    (checkout.home / name).write_text("# changed\n")
    checkout.call()
    checkout.call()
    assert checkout.synced() == 2


def test_it_works_from_anywhere_and_through_links(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ess").symlink_to("../a 'quoted' checkout/ess")
    (tmp_path / "again").symlink_to(tmp_path / "bin" / "ess")
    assert checkout.call("one", ess=tmp_path / "again").returncode == 7
    assert words(checkout.call("two", ess="./ess", cwd=checkout.home)) == ["<two>"]
    assert words(checkout.call("three", ess="bin/ess", cwd=tmp_path)) == ["<three>"]
    assert checkout.synced() == 1


def test_two_at_once_in_a_fresh_clone_install_once(checkout: Checkout) -> None:
    checkout.note(".wait").touch()
    both = [
        subprocess.Popen([checkout.home / "ess", "go"], env=checkout.environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    while not checkout.synced():
        assert all(process.poll() is None for process in both)
    checkout.note(".wait").unlink()
    assert [process.communicate(timeout=60)[0] for process in both] == ["<go>\n"] * 2
    assert checkout.synced() == 1


def test_a_failed_install_says_so_and_the_next_call_tries_again(checkout: Checkout) -> None:
    checkout.note(".fail").touch()
    answer = checkout.call()
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[1:] == [
        "no route to the packages",
        "ess: could not install the packages (see above); the next call tries again",
    ]
    checkout.note(".fail").unlink()
    assert checkout.call("go").returncode == 7


def test_a_killed_install_is_begun_anew(checkout: Checkout) -> None:
    checkout.note(".kill").touch()
    assert checkout.call().returncode != 7
    checkout.note(".kill").unlink()
    (checkout.home / ".venv" / "half a package").touch()
    assert checkout.call("go").returncode == 7
    assert not (checkout.home / ".venv" / "half a package").exists()


def test_a_checkout_that_has_moved_is_set_up_anew(checkout: Checkout) -> None:
    checkout.call()
    (checkout.home / ".venv" / "of the old place").touch()
    moved = checkout.home.rename(checkout.home.with_name("moved"))
    assert checkout.call("go", ess=moved / "ess").returncode == 7
    assert not (moved / ".venv" / "of the old place").exists()


def test_an_environment_that_was_thrown_away_is_made_again(checkout: Checkout) -> None:
    checkout.call()
    shutil.rmtree(checkout.home / ".venv")
    assert checkout.call("go").returncode == 7
    assert checkout.synced() == 2


def test_an_old_python_is_told_in_one_line(checkout: Checkout) -> None:
    (checkout.tools / "python3").unlink()
    script(checkout.tools / "python3", '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n[ "$1" = --version ]\n')
    answer = checkout.call()
    assert answer.returncode == 1
    expected = "ess: needs Python 3.11 or newer, found Python 3.9.2 (Debian 12, Ubuntu 24.04 and newer: "
    assert answer.stderr == f"{expected}apt-get install python3)\n"


def test_no_python_at_all_is_told_in_one_line(checkout: Checkout) -> None:
    (checkout.tools / "python3").unlink()
    answer = checkout.call()
    assert (answer.returncode, len(answer.stderr.splitlines())) == (1, 1)
    assert "found no python3" in answer.stderr


def test_a_newer_python_beside_an_old_one_is_found(checkout: Checkout) -> None:
    (checkout.tools / "python3").rename(checkout.tools / "python3.12")
    script(checkout.tools / "python3", "#!/bin/sh\nexit 1\n")
    assert checkout.call("go").returncode == 7


def test_a_checkout_that_may_not_be_written_is_told_in_one_line(checkout: Checkout) -> None:
    (checkout.home / ".boot").touch()  # root may write anywhere, but not into a file as if it were a folder
    answer = checkout.call()
    assert answer.returncode == 1
    assert answer.stderr == f"ess: cannot write in {checkout.home} to set itself up\n"


def steps(checkout: Checkout) -> list[str]:
    noted = checkout.note(".steps").read_text().splitlines()
    return [line.removeprefix(f"{checkout.home}: -m ") for line in noted]


def test_the_test_command_runs_every_step_in_the_checkout(checkout: Checkout) -> None:
    assert checkout.call("test", "-k", "a b").returncode == 0
    assert steps(checkout) == [
        "ruff check",
        "ruff format --check",
        "mypy -n auto",
        "pytest -ra -n auto --dist worksteal -m not hil and not lane and not rig -k a b",
        # a lane more than there are cores: that is one, as nobody here tells how many
        "pytest -ra -n 2 --dist loadfile --no-loadscope-reorder -m (rig or lane) and not hil -k a b",
        "pytest -ra -m hil -k a b",
    ]


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        ("ruff", "ruff check, ruff format"),
        ("mypy pytest", "mypy, pytest side by side, pytest on real parts, pytest one by one"),
    ],
)
def test_one_failed_step_fails_the_test_command_but_the_others_run(checkout: Checkout, failing: str, told: str) -> None:
    answer = checkout.call("test", STEPS_THAT_FAIL=failing)
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == f"ess: failed: {told}"
    assert len(steps(checkout)) == 6


def test_what_is_compiled_is_kept_for_the_next_step_and_every_child(checkout: Checkout) -> None:
    checkout.note(".python").write_text('#!/bin/sh\necho "${PYTHONDONTWRITEBYTECODE-kept}" >>"$UV_NOTES.steps"\n')
    assert checkout.call("test", PYTHONDONTWRITEBYTECODE="1").returncode == 0
    assert set(checkout.note(".steps").read_text().split()) == {"kept"}


def test_the_test_command_has_help(checkout: Checkout) -> None:
    answer = checkout.call("test", "--help")
    assert answer.returncode == 0
    assert words(answer)[0] == "Usage: ess test [PYTEST ARGUMENTS]"
    assert not checkout.note(".steps").exists()
