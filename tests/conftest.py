"""For all tests: hypothesis does not time examples, as the machine may be busy; commands run in this process."""

from collections.abc import Callable

import pytest
from hypothesis import settings

from ess_controller import __main__

settings.register_profile("here", deadline=None)
settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who is granted more time than others begins first, so that in the end no core waits for one long test."""
    marks = {item: item.get_closest_marker("timeout") for item in items}
    items.sort(key=lambda item: -float(mark.args[0]) if (mark := marks[item]) else 0.0)


@pytest.fixture
def ess(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process: its exit status, its answer and its talk."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["ess", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run
