"""The data dictionary says what is reported, and the file made of it is the one that is shipped."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ess_controller.errors import BadInputError
from ess_controller.telemetry.commands import register
from ess_controller.telemetry.dictionary import every, markdown, plain
from ess_controller.telemetry.points import EVERYTHING

SHIPPED = Path(__file__).parents[2] / "sites/points.md"


def points(*arguments: str) -> str:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, ["points", *arguments], catch_exceptions=False).stdout


def test_the_shipped_dictionary_is_that_of_the_table() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == "\n".join(markdown()) + "\n", (
        "ess points --markdown > sites/points.md"
    )


def test_json_has_every_field_with_its_unit() -> None:
    told = json.loads(points("--json"))
    assert told == plain()
    by_name = {each["name"]: each for each in told["measurements"]}
    assert set(by_name) == {each.name for each in EVERYTHING}
    fields = {each["name"]: each for each in by_name["limit"]["fields"]}
    assert (fields["lost_w"]["unit"], by_name["limit"]["tags"]) == ("W", ["site", "cabinet", "way", "rule"])
    buckets = {name: each["bucket"] for name, each in by_name.items()}
    assert [buckets[name] for name in ("cell", "site_1m", "site_1d", "event", "health")] == [
        "bucket",
        "bucket_1m",
        "bucket_long",
        "bucket_long",
        "bucket_long",
    ]


def test_one_measurement_is_told_alone_and_an_unknown_one_is_refused() -> None:
    assert points("pv").splitlines()[0].startswith("pv: a solar inverter; every 10 s; by site, pv")
    assert len(points("pv").splitlines()) == 4
    with pytest.raises(BadInputError, match="points cells: no such measurement: expected one of site, cabinet"):
        points("cells")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "whenever it happens"), (10.0, "every 10 s"), (900.0, "every 15 min"), (86400.0, "every 1 d")],
)
def test_a_cadence_in_words(seconds: float | None, words: str) -> None:
    assert every(seconds) == words
