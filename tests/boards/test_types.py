"""Boards fit Grafana's own types (npm `@grafana/schema`), and one that does not is found out."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ess_controller.boards.write import files

PACKAGES = ("@grafana/schema@13.2.3", "typescript@5.9")
OPTIONS = ("--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module", "esnext")
HEAD = 'import type { Dashboard } from "@grafana/schema";\nimport type { Plain } from "./plain";\n'
BOARDS = {name.stem: text for name, text in files().items() if name.parts[0] == "boards"}

pytestmark = [pytest.mark.rig, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed (Debian: npm)")
    place = tmp_path_factory.mktemp("types")
    words = [npm, "install", "--no-audit", "--no-fund", "--no-save", *PACKAGES]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot fetch {', '.join(PACKAGES)}: {done.stderr[-200:]}")
    shutil.copy(Path(__file__).with_name("plain.d.ts"), place)
    return place


def wrong(folder: Path, boards: dict[str, str]) -> list[str]:
    """What the compiler says, one line each with the file's name."""
    for name, text in boards.items():
        told = f"{HEAD}const made = {text.strip()} as const;\nexport const board: Plain<Dashboard> = made;\n"
        (folder / f"{name}.ts").write_text(told, encoding="utf-8")
    tsc = folder / "node_modules" / ".bin" / "tsc"
    words = [str(tsc), *OPTIONS, *(f"{name}.ts" for name in boards)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if ": error " in line]


def test_every_board_is_of_grafana_s_type(folder: Path) -> None:
    assert wrong(folder, BOARDS) == []


def test_a_board_of_another_type_is_found_out(folder: Path) -> None:
    broken = BOARDS["fleet"].replace('"w": 6', '"w": "6"', 1)
    assert broken != BOARDS["fleet"]
    assert [line.partition("(")[0] for line in wrong(folder, {"broken": broken})] == ["broken.ts"]
