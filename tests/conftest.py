"""For all tests: hypothesis does not time examples, as the machine may be busy; commands run in this process."""

from collections.abc import Callable

import pytest
from hypothesis import settings

from ess_controller import __main__

settings.register_profile("here", deadline=None)
settings.load_profile("here")


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
