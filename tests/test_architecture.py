"""The arrows between the rooms, held by reading the imports: sim -> ess_controller -> firmware_bridge.

Also: one clock, one user of each bus library, no I/O in a dialect, files that fit in a head, and no file without a
first line that says what it is for.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("firmware_bridge", "ess_controller", "sim")
LONGEST_FILE = 400
CORE_SEES = {"dataclasses", "enum", "functools", "itertools", "math", "numpy", "typing", "collections.abc"}
DOES_IO = {
    *("asyncio", "can", "concurrent", "ctypes", "fcntl", "http", "io", "mmap", "multiprocessing", "os", "pymodbus"),
    *("queue", "select", "selectors", "serial", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess"),
    *("sunspec2", "tempfile", "threading", "time"),
}
OPENS_FILES = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "unlink", "print", "input"}
SETTLED_AT_IMPORT = {"firmware_bridge/dialects/sunspec/model.py"}  # reads the models that pysunspec2 ships


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def statements(path: Path) -> tuple[ast.stmt, ...]:
    """All of a file, wherever they stand: many tests ask."""
    return tuple(node for node in ast.walk(parsed(path)) if isinstance(node, ast.stmt))


@dataclass(frozen=True, slots=True)
class Module:
    """A Python file of ours, read and not run."""

    path: Path

    @property
    def name(self) -> str:
        """`ess_controller/core/step.py`."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def dotted(self) -> str:
        """`ess_controller.core.step`."""
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def tree(self) -> ast.Module:
        return parsed(self.path)

    def imports(self) -> Iterator[str]:
        """Dotted names of everything it imports, also inside functions and under TYPE_CHECKING."""
        return self._imports(statements(self.path))

    def imports_at_the_top(self) -> Iterator[str]:
        """Those that are carried out whenever the module is."""
        return self._imports(self.tree.body)

    def _imports(self, nodes: Iterable[ast.AST]) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}:{node.lineno}: a relative import hides where it leads"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def sees(self, room: str) -> bool:
        return any(name == room or name.startswith(room + ".") for name in self.imports())


def modules(*folders: str) -> list[Module]:
    return [Module(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


OURS = modules(*ROOMS)
ALL = [*OURS, *modules("tests")]


def names(found: list[Module]) -> list[str]:
    return [module.name for module in found]


def test_the_wires_know_nobody() -> None:
    assert not [m.name for m in modules("firmware_bridge") if m.sees("ess_controller") or m.sees("sim")]


def test_the_daemon_runs_without_the_simulator() -> None:
    assert not [module.name for module in modules("ess_controller") if module.sees("sim")]


def test_the_world_s_physics_does_not_know_the_controller() -> None:
    """Or it would flatter the estimator with the estimator's own model."""
    assert not [module.name for module in modules("sim/world") if module.sees("ess_controller")]
    known = {module.dotted: module for module in OURS}
    reached: set[str] = set()
    ahead = [name for name in known if name.startswith("sim.world")]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += _reached(known[name].imports(), known)
    assert not [name for name in reached if name.startswith("ess_controller")]


def test_no_room_imports_the_tests() -> None:
    assert not [module.name for module in OURS if module.sees("tests")]


def test_the_core_sees_numbers_and_records_only() -> None:
    for module in modules("ess_controller/core"):
        for name in module.imports():
            inside = name.startswith(("ess_controller.core", "firmware_bridge.records."))
            assert inside or name in CORE_SEES or name.rpartition(".")[0] in CORE_SEES | {"numpy.typing"}, (
                f"{module.name} imports {name}"
            )


def test_there_is_one_clock() -> None:
    readers = [module.name for module in ALL if module.sees("time")]
    assert [name for name in readers if not name.startswith("tests/bench/")] == ["ess_controller/clock.py"]


@pytest.mark.parametrize("library", ["pymodbus", "can"])
def test_each_bus_library_is_imported_in_one_file(library: str) -> None:
    users = names([module for module in OURS if module.sees(library)])
    assert len(users) == 1
    assert users[0].startswith("firmware_bridge/wires/")


def test_a_dialect_turns_bytes_into_values_and_does_no_io() -> None:
    for module in modules("firmware_bridge/dialects"):
        if module.name in SETTLED_AT_IMPORT:
            continue
        assert not {name.partition(".")[0] for name in module.imports()} & DOES_IO, module.name
        assert not [module.name for name in module.imports() if name.startswith("firmware_bridge.wires")]
        calls = [node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
        called = {call.id if isinstance(call, ast.Name) else getattr(call, "attr", "") for call in calls}
        assert not called & OPENS_FILES, module.name


@pytest.mark.parametrize("module", ALL, ids=lambda module: module.name)
def test_a_file_fits_in_a_head(module: Module) -> None:
    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("module", OURS, ids=lambda module: module.name)
def test_the_first_line_of_a_file_says_what_it_is_for(module: Module) -> None:
    words = ast.get_docstring(module.tree) or ""
    assert module.path.read_text(encoding="utf-8").startswith('"""')
    assert len(words.split("\n")[0].split()) >= 3


def test_nothing_asks_whether_this_is_a_simulation() -> None:
    for module in OURS:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
                asked = {each.id for each in ast.walk(node.test) if isinstance(each, ast.Name)}
                asked |= {each.attr for each in ast.walk(node.test) if isinstance(each, ast.Attribute)}
                hidden = [word for word in asked if word.lower().startswith(("simul", "is_sim", "in_sim", "testing"))]
                assert not hidden, f"{module.name}:{node.lineno}: {hidden}"


def test_no_circle_of_imports() -> None:
    """Imports at the top of a file: who is reached from a file never leads back to it."""
    known = {module.dotted: module for module in OURS}
    arrows = {name: _reached(module.imports_at_the_top(), known) for name, module in known.items()}
    done: set[str] = set()
    for name in arrows:
        _no_way_back(name, arrows, (), done)


def test_a_site_is_read_without_any_room_that_reads_it() -> None:
    """So each of them may ask a site, and none stands in another's way at a start."""
    sees = {"site", "core", "errors"}
    for module in modules("ess_controller/site"):
        rooms = {name.split(".")[1] for name in module.imports() if name.startswith("ess_controller.")}
        assert rooms <= sees, module.name


def test_no_circle_of_rooms_in_planning() -> None:
    """Files that stand beside the rooms see many of them: each counts as a room of its own."""
    known = {module.dotted: module for module in modules("ess_controller/planning")}
    place = {
        name: name if module.path.parent.name == "planning" else name.rpartition(".")[0]
        for name, module in known.items()
    }
    arrows: dict[str, set[str]] = {room: set() for room in place.values()}
    for name, module in known.items():
        arrows[place[name]] |= {place[other] for other in _reached(module.imports(), known)} - {place[name]}
    done: set[str] = set()
    for room in arrows:
        _no_way_back(room, arrows, (), done)


def _reached(imports: Iterator[str], known: Mapping[str, Module]) -> set[str]:
    """Which of our modules these imports lead to: `a.b.c` is a module, or a name in the module `a.b`."""
    return {name if name in known else name.rpartition(".")[0] for name in imports} & known.keys()


def _no_way_back(name: str, arrows: Mapping[str, set[str]], way: tuple[str, ...], done: set[str]) -> None:
    assert name not in way, " -> ".join((*way, name))
    if name not in done:
        for following in sorted(arrows[name]):
            _no_way_back(following, arrows, (*way, name), done)
        done.add(name)
