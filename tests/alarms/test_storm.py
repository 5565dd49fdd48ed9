"""Ten thousand alarms in a minute: told once, in one short message; neither memory nor disk runs full."""

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from ess_controller.alarms.answer import open_alarms
from ess_controller.alarms.book import Book, Coming, Contact, Phase, Rules, Told, settle
from ess_controller.alarms.message import NAMED, STORM, Writer
from ess_controller.alarms.sender import Sender
from ess_controller.alarms.store import FILE
from ess_controller.alarms.watch import Watch
from ess_controller.alarms.webhooks import LIMITS, Webhook
from ess_controller.alarms.words import Level
from ess_controller.board.alarms import MOST_SHOWN
from ess_controller.board.booked import AlarmBook
from ess_controller.site.alarms import WebhookSettings
from tests.alarms.made import DOOR, HOLD_OFF_S, NOON, QUIET, SHANGHAI, later, rules, shanghai
from tests.alarms.pictures import FACTS, PLENTY, well
from tests.alarms.robots import Robots

MANY = 10_000
KINDS = ("webhook", "wecom", "dingtalk", "feishu")
CONTACTS = tuple(Contact(kind, Level.NOTICE, 1) for kind in KINDS)
PATIENCE_S = 60.0


def storm(count: int) -> dict[str, Any]:
    """So many buses that are down."""
    told = well()
    wire = next(iter(told["wires"].values())) | {"up": False, "trouble": "no answer"}
    return told | {"wires": {f"bus-{number}": wire for number in range(count)}}


def watch(home: Path, rules_: Rules) -> Watch:
    writer = Writer("bench", ("en", "zh"), SHANGHAI)
    secrets = ("ESS_TEST_SECRET", "", "ESS_TEST_SECRET", "ESS_TEST_SECRET")
    settings = [
        WebhookSettings(kind, "notice", 1, kind, f"ESS_TEST_{kind.upper()}", secret)
        for kind, secret in zip(KINDS, secrets, strict=True)
    ]
    return Watch(FACTS, rules_, [Sender(each.name, Webhook(each), writer, Random(1)) for each in settings], home / FILE)


def looked(of: Watch, seen: dict[str, Any], seconds: Iterable[int]) -> None:
    for second in seconds:
        of.step(seen, later(second), float(second), PLENTY)
        of.collect(later(second), PATIENCE_S)


def test_a_storm_is_one_short_message_for_each_channel_and_so_is_its_end(tmp_path: Path, robots: Robots) -> None:
    of = watch(tmp_path, rules(*CONTACTS))
    looked(of, storm(MANY), (0, 12, 24))
    assert sorted(kind for kind, _ in robots.heard) == sorted(KINDS)
    by_kind = dict(robots.heard)
    assert by_kind["webhook"]["title"] == f"ESS bench: {MANY} new, 0 over"
    assert f"and {MANY - NAMED} more" in by_kind["webhook"]["text"]
    assert (len(by_kind["webhook"]["alarms"]), by_kind["webhook"]["not_named"]) == (NAMED, MANY - NAMED)
    assert len(by_kind["webhook"]["key"]) < 100
    assert f"ESS bench：新告警 {MANY} 条" in by_kind["wecom"]["text"]["content"]
    assert len(by_kind["wecom"]["text"]["content"].encode()) <= LIMITS["wecom"]
    assert all(len(each.told) == len(KINDS) for each in of.book.comings)
    assert len(open_alarms(tmp_path)) == MANY
    assert len(open_alarms(tmp_path, 7)) == 7
    robots.heard.clear()
    looked(of, well(), (60, 62 + round(HOLD_OFF_S), 70 + round(HOLD_OFF_S)))
    assert sorted(kind for kind, _ in robots.heard) == sorted(KINDS)
    assert dict(robots.heard)["webhook"]["title"] == f"ESS bench: 0 new, {MANY} over"
    assert of.book.comings == ()
    assert (tmp_path / FILE).stat().st_size < 40e6


def test_the_page_shows_the_worst_of_a_storm_and_reads_the_book_only_when_it_has_changed(
    tmp_path: Path, robots: Robots
) -> None:
    of = watch(tmp_path, rules(*CONTACTS))
    looked(of, storm(3 * MOST_SHOWN), range(0, 24, 12))
    book = AlarmBook(tmp_path)
    first = book.standing(0.0)
    assert first is not None
    assert len(first) == MOST_SHOWN
    assert book.standing(10.0) is first
    book.acknowledge(first[0].key, "Li")
    again = book.standing(20.0)
    assert again is not None
    assert [alarm.name for alarm in again if not alarm.loud] == ["Li"]


def test_a_few_alarms_at_once_are_all_told(tmp_path: Path, robots: Robots) -> None:
    of = watch(tmp_path, rules(CONTACTS[0]))
    looked(of, storm(STORM), range(0, 24, 12))
    ((_, told),) = robots.heard
    assert (len(told["alarms"]), told["not_named"]) == (STORM, 0)
    assert "more" not in told["text"]


def test_a_storm_at_night_that_need_not_wake_anybody_is_one_message_in_the_morning(
    tmp_path: Path, robots: Robots
) -> None:
    of = watch(tmp_path, rules(CONTACTS[0], quiet=QUIET))
    told = well()
    told["health"] = {"soft_shorts": [f"BMW-{number} cell 3" for number in range(1000)]}
    for number, now in enumerate((shanghai(23), shanghai(23, 1), shanghai(3, day=3), shanghai(6, 59, day=3))):
        of.step(told, now, 60.0 * number, PLENTY)
        of.collect(now, PATIENCE_S)
    assert robots.requests == 0
    of.step(told, shanghai(7, 1, day=3), 1e5, PLENTY)
    of.collect(shanghai(7, 1, day=3), PATIENCE_S)
    ((_, message),) = robots.heard
    assert message["title"] == "ESS bench: 1000 new, 0 over"


def test_a_channel_that_is_dead_for_weeks_does_not_fill_the_memory() -> None:
    over = tuple(Coming(DOOR, later(number), later(number), later(number)) for number in range(12_000))
    book = settle(Book(over), rules(CONTACTS[0]), later(12_000))
    kept = [each for each in book.comings if not each.settled]
    assert len(kept) == 5000
    assert kept == list(over[-5000:])
    taken = tuple(Told("webhook", phase, NOON) for phase in Phase)
    told = Coming(DOOR, NOON, NOON, NOON, told=taken)
    assert settle(Book((told, *over[:2])), rules(CONTACTS[0]), later(9)).comings[0].settled
