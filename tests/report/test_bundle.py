"""A support file: the minutes before an event live again just as they were, and no secret of the site is in it."""

import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ess_controller.bundle.redacted import Redaction, toml
from ess_controller.bundle.support_file import Wanted, make, unpacked
from ess_controller.core.types import Mode
from ess_controller.errors import BadInputError
from ess_controller.replay.bundled import unbundled
from ess_controller.replay.job import Job, carry_out
from ess_controller.replay.journal import Journal
from ess_controller.site import Site, load
from tests.loop.story import BENCH, Story
from tests.replay.record import break_a_module

SECRETS = (
    "hunter2-in-a-comment",
    "tok-planted-0815",
    "pass-planted-77",
    "planted.user",
    "10.9.8.7",
    "10.9.8.6",
    "api-key-planted",
)
INFLUX = """
[influx]
url = "http://planted.user:pass-planted-77@10.9.8.7:8086/hidden-path-planted"
org = "dealer"
bucket = "ess"
bucket_1m = "ess"
bucket_long = "ess"
token_env = "ESS_PLANTED_TOKEN"
outbox_mb = 100.0
# the portal's password is hunter2-in-a-comment

[location]
latitude = 31.2
longitude = 121.4
altitude_m = 5.0

[weather]
source = "https://weather.example.org/v1/forecast?apikey=api-key-planted"
every_h = 3.0
oldest_h = 24.0
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The bench with secrets in its file, and a device at an address of its own."""
    root = tmp_path_factory.mktemp("sites")
    for name in ("cells", "tariffs", "carbon"):
        (root / name).symlink_to(BENCH.parent / name)
    text = (BENCH / "site.toml").read_text(encoding="utf-8")
    head, meter, tail = text.partition("[meter]")
    (root / "bench").mkdir()
    file = root / "bench" / "site.toml"
    file.write_text(head + INFLUX.lstrip() + "\n" + meter + tail, encoding="utf-8")
    bus = next(name for name, url in load(file, {}).plant.buses.items() if url.startswith("tcp:"))
    return load(file, {bus: "tcp://10.9.8.6:502/1"})


@pytest.fixture(scope="module")
def home(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a daemon in whose run a module fell silent; its log tells an address."""
    folder = tmp_path_factory.mktemp("home")
    story = Story(32.0, happens=break_a_module, seed=7, site=site)
    journal = Journal(folder / "journal", site.plant, 100_000_000)
    for beat in story.beats:
        journal(beat)
    journal.close()
    (folder / "daemon.log").write_text("08:00:00 http://10.9.8.7:8086: 401 for tok-planted-0815 of planted.user\n")
    (folder / "planner.json").write_text('{"schema_version": 1, "jobs": {"plan": {"trouble": "10.9.8.6 refused"}}}')
    return folder


def test_what_is_in_a_bundle_replays_without_a_difference_from_the_middle_of_a_run(
    site: Site, home: Path, tmp_path: Path
) -> None:
    told = make(site, Wanted(home, None, 0.25, tmp_path / "b.zip"))
    assert 140 <= told["beats"] <= 151  # a quarter of a minute at ten beats a second
    with unbundled([tmp_path / "b.zip"], None) as (files, whose):
        assert whose is not None
        answer = carry_out(Job(files, whose)).answer
    assert answer["beats"] == told["beats"]
    assert answer["diff"]["differences"] == []
    then = json.loads(zipfile.ZipFile(tmp_path / "b.zip").read("then.json"))
    assert then["strings"][0]["mode"] == Mode.RUN.name.lower()


def test_what_is_in_a_bundle_replays_under_another_setting(site: Site, home: Path, tmp_path: Path) -> None:
    make(site, Wanted(home, None, 0.05, tmp_path / "b.zip"))
    with unbundled([tmp_path / "b.zip"], None) as (files, whose):
        assert whose is not None
        answer = carry_out(Job(files, whose, settings=("limits.rated_a=20",))).answer
    assert answer["diff"]["differences"]


def test_an_earlier_moment_is_told_as_it_was_then(site: Site, home: Path, tmp_path: Path) -> None:
    """Seconds 8 to 20 have a silent module: at second 19 its string lies open."""
    from ess_controller.bundle.journal import last_beat

    at = last_beat(home / "journal") - timedelta(seconds=13.0)
    told = make(site, Wanted(home, at, 0.1, tmp_path / "b.zip"))
    bundle = zipfile.ZipFile(tmp_path / "b.zip")
    string = json.loads(bundle.read("then.json"))["strings"][0]
    assert string["cells_silent"] > 0
    assert "cells silent" in [each["name"] for each in string["diagnoses"]]
    assert told["at"] == at.isoformat()
    with pytest.raises(BadInputError, match="knows no beat"):
        make(site, Wanted(home, at + timedelta(days=1), 0.1, tmp_path / "none.zip"))
    assert not (tmp_path / "none.zip").exists()


def test_no_secret_is_in_any_byte_of_it(
    site: Site, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESS_PLANTED_TOKEN", "tok-planted-0815")
    make(site, Wanted(home, None, 0.1, tmp_path / "b.zip"))
    bundle = zipfile.ZipFile(tmp_path / "b.zip")
    for name in bundle.namelist():
        data = unpacked(bundle.read(name))
        assert not [secret for secret in (*SECRETS, "hidden-path-planted") if secret.encode() in data], name
    kept = load_bundled(bundle, tmp_path)
    assert kept.influx is not None
    assert (kept.influx.url, kept.influx.token_env) == ("http://host-1.invalid:8086", "ESS_PLANTED_TOKEN")
    assert "tcp://host-3.invalid:502/1" in kept.plant.buses.values()
    assert b"401 for redacted of redacted" in bundle.read("log/daemon.log")


def load_bundled(bundle: zipfile.ZipFile, folder: Path) -> Site:
    bundle.extractall(folder / "x")
    return load(folder / "x" / "site" / "bench", {})


def test_users_passwords_tokens_and_addresses_of_any_table_have_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_ENV", "hook-token-4711")
    told = Redaction()
    table = told.table(
        {
            "alarms": {
                "mqtt": {"url": "mqtts://192.168.7.9:8883/x", "user": "mqtt-user-9", "password": 'p"w-99\\x'},
                "hooks": [{"webhook": "https://open.feishu.cn/open-apis/bot/v2/hook/0a1b2c3d4e"}],
                "mail": "master@dealer.example.cn",
                "secret_env": "HOOK_ENV",
                "quiet": ["22:00:00", "06:00:00"],
            },
            "buses": {"a": "rtu:/dev/serial/by-id/usb-FTDI_A50285BI?unit=3", "b": "tcp://192.168.7.9:502/4"},
            "v": "fe80::1ff:fe23:4567:890a",
            "pin": 4711,
        }
    )
    assert table["alarms"]["mqtt"] == {"url": "mqtts://host-1.invalid:8883", "user": "redacted", "password": "redacted"}
    assert table["alarms"]["hooks"] == [{"webhook": "redacted"}]
    assert table["alarms"]["mail"] == "redacted"
    assert table["alarms"]["secret_env"] == "HOOK_ENV"
    assert table["alarms"]["quiet"] == ["22:00:00", "06:00:00"]
    assert table["buses"] == {
        "a": "rtu:/dev/redacted-1?unit=3",
        "b": "tcp://host-1.invalid:502/4",
    }  # one host, one name
    assert (table["v"], table["pin"]) == ("host-2.invalid", 0)
    log = 'at 08:15:30 mqtt-user-9@192.168.7.9 said "p\\"w-99\\\\x" hook-token-4711 to master@dealer.example.cn, '
    log += "127.0.0.1"
    clean = told.text(log)
    for secret in ("mqtt-user-9", "192.168.7.9", "w-99", "hook-token-4711", "master@", "dealer.example"):
        assert secret not in clean
    assert "at 08:15:30" in clean
    assert "127.0.0.1" in clean
    assert told.left_in(b"... hook-token-4711 ...")
    assert not told.left_in(clean.encode())


@pytest.mark.parametrize("name", ["shanghai-dealer", "shenyang-plant"])
def test_a_site_file_written_anew_is_the_same_site(name: str) -> None:
    import tomllib

    for path in (BENCH.parent / name / "site.toml", *(BENCH.parent / "tariffs").glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        assert tomllib.loads(toml(table)) == table


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("a.txt", "x")
    with pytest.raises(BadInputError, match="no support file"), unbundled([tmp_path / "other.zip"], None):
        pass
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("manifest.json", json.dumps({"kind": "ess bundle", "site": "../../etc"}))
        file.writestr("journal/../../evil.journal", "x")
    with unbundled([tmp_path / "evil.zip"], None) as (files, whose):
        assert not (files[0].parent.parent / "evil.journal").exists()
        assert whose == files[0].parent / "site" / "etc"


def test_a_bundle_in_which_a_password_is_left_is_not_written(site: Site, home: Path, tmp_path: Path) -> None:
    """A site whose own name is the password: nothing can be replaced there."""
    bad = tmp_path / "bench"
    bad.mkdir()
    text = site.file.read_text(encoding="utf-8").replace("pass-planted-77", "BENCH-PASS")
    (bad / "site.toml").write_text(text.replace('"../', f'"{site.folder.parent}/'), encoding="utf-8")
    named = replace(load(bad, {}), name="BENCH-PASS")
    with pytest.raises(BadInputError, match="a secret of the site file stands in it"):
        make(named, Wanted(home, None, 0.1, tmp_path / "b.zip"))
    assert not (tmp_path / "b.zip").exists()
