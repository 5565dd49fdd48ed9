"""`ess upload` sends by hand what waits in a site's outbox, and says in one line why it cannot."""

import logging
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ess_controller.errors import BadInputError
from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.commands import register
from ess_controller.telemetry.outbox_files import FILE
from ess_controller.telemetry.store import Store
from tests.loop.story import BENCH
from tests.rig.influx import TOKEN, Front
from tests.telemetry.batches import text


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """A command takes a process's signals and its log for its own."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers, before = list(logging.root.handlers), [signal.getsignal(number) for number in numbers]
    yield
    logging.root.handlers[:] = handlers
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def place(tmp_path: Path, front: Front) -> Path:
    """The bench, reporting to the front."""
    sites = tmp_path / "sites"
    shutil.copytree(BENCH.parent, sites)  # with the cells that it refers to
    buckets = "".join(f'{key} = "bucket"\n' for key in ("bucket", "bucket_1m", "bucket_long"))
    table = f'url = "{front.url}"\norg = "org"\n{buckets}token_env = "ESS_TEST_TOKEN"\noutbox_mb = 50.0\n'
    site = sites / "bench/site.toml"
    head, meter, rest = site.read_text().partition("[meter]")
    site.write_text(f"{head}[influx]\n{table}\n{meter}{rest}")
    return sites / "bench"


def upload(*arguments: object) -> str:
    """What it says on stderr. Raises what it raises."""
    app = typer.Typer()
    register(app)
    ended = CliRunner().invoke(app, ["upload", *map(str, arguments)], catch_exceptions=False)
    return ended.stderr


def test_all_that_waits_is_sent_and_counted(
    tmp_path: Path, place: Path, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESS_TEST_TOKEN", TOKEN)
    store = Store(tmp_path / FILE)
    store.put([Batch.of(text(number)) for number in range(1, 5)])
    assert upload(place, "--home", tmp_path).splitlines()[-1] == "40 lines sent"
    assert store.depth().batches == 0
    assert upload(place, "--home", tmp_path).splitlines()[-1] == "0 lines sent"
    store.close()
    assert len(front.taken) == 40


def test_what_is_missing_is_told(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESS_TEST_TOKEN", raising=False)
    with pytest.raises(BadInputError, match="environment variable ESS_TEST_TOKEN: is not set: expected the token"):
        upload(place, "--home", tmp_path)
    monkeypatch.setenv("ESS_TEST_TOKEN", TOKEN)
    with pytest.raises(BadInputError, match=r"outbox.db: is not there: expected the outbox that `ess run` makes"):
        upload(place, "--home", tmp_path)
    with pytest.raises(BadInputError, match="influx: is not there: expected a table with url, org, bucket"):
        upload(BENCH, "--home", tmp_path)
