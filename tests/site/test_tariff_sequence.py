"""Tariff files that follow one another: each holds from its day on, and what does not fit is told with its place."""

import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ess_controller.bundle.redacted import Redaction
from ess_controller.bundle.support_file import site_files
from ess_controller.planning.bills.answer import answer
from ess_controller.planning.bills.bill import bill
from ess_controller.planning.given.problem import Series
from ess_controller.planning.given.tariff_prices import Terms, demand_cost, doubts_over, fixed_cny, prices_over
from ess_controller.site import Site, SiteError, load
from ess_controller.site.tariff import Tariff, kind_of_day, load_tariff, price_at
from tests.site.site_files import SITES

CHINA = ZoneInfo("Asia/Shanghai")
TEXT = (SITES / "tariffs" / "chongqing.toml").read_text(encoding="utf-8")
NEW_DAY = date(2026, 7, 1)
# From July on noon is cheap, nights cost more, feeding in earns less and demand costs 40 CNY.
NEW = {
    "valid_from = 2022-01-01": "valid_from = 2026-07-01",
    "Chongqing, industry": "Chongqing of July, industry",
    '["11:00", "17:00", "peak"]': '["11:00", "17:00", "valley"]',
    '["12:00", "14:00", "critical"]': '["12:00", "14:00", "critical"]',
    "flat = 0.5435, valley = 0.3308 }\n\n# --- demand": "flat = 0.5435, valley = 0.4 }\n\n# --- demand",
    "cny_per_kwh = 0.3964": "cny_per_kwh = 0.2",
    "10kv = 36.0": "10kv = 40.0",
    "2026-06-19, ": "",
}


def changed(text: str, words: dict[str, str]) -> str:
    for old, new in words.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def written(folder: Path, first: dict[str, str] | None = None, then: dict[str, str] | None = None) -> Path:
    """The file of today, followed by that of July, with other words in them."""
    follows = {"valid_from = 2022-01-01": 'valid_from = 2022-01-01\nfollowed_by = "new.toml"'}
    (folder / "old.toml").write_text(changed(changed(TEXT, follows), first or {}), encoding="utf-8")
    (folder / "new.toml").write_text(changed(changed(TEXT, NEW), then or {}), encoding="utf-8")
    return folder / "old.toml"


def both(folder: Path) -> Tariff:
    return load_tariff(written(folder))


def at(tariff: Tariff, text: str) -> tuple[float, str]:
    return price_at(tariff, datetime.fromisoformat(text))


def test_each_holds_from_its_day_on(tmp_path: Path) -> None:
    tariff = both(tmp_path)
    assert [each.valid_from for each in tariff.all] == [date(2022, 1, 1), NEW_DAY]
    assert [tariff.on(day).valid_from.year for day in (date(2020, 1, 1), date(2026, 6, 30), NEW_DAY)] == [
        2022,
        2022,
        2026,
    ]
    assert at(tariff, "2026-06-30T15:00") == (0.8696, "peak")
    assert at(tariff, "2026-09-30T15:00") == (0.4, "valley")
    assert at(tariff, "2026-06-10T23:59")[1] == at(tariff, "2026-09-10T23:59")[1] == "flat"
    utc = datetime(2026, 6, 30, 17, tzinfo=ZoneInfo("UTC"))  # an hour into July, there
    assert price_at(tariff, utc) == at(tariff, "2026-07-01T01:00")
    assert [kind_of_day(each, date(2026, 6, 19)) for each in (tariff, tariff.later[0])] == ["holiday", "workday"]


def test_demand_and_what_flows_out_are_priced_by_the_one_that_holds(tmp_path: Path) -> None:
    tariff, june, july = both(tmp_path), date(2026, 6, 30), NEW_DAY
    agreed = Terms("contract", 100.0)
    assert [demand_cost(tariff, Terms("actual"), day).cny_per_kw for day in (june, july)] == [(36.0,), (40.0,)]
    assert [fixed_cny(tariff, agreed, day) for day in (june, july)] == [3600.0, 4000.0]
    series = Series(datetime(2026, 6, 30, tzinfo=CHINA), 3600.0, np.zeros(48), np.full(48, 10e3))
    assert prices_over(tariff, agreed, series, {}).export_cny_per_kwh.tolist() == [0.3964] * 24 + [0.2] * 24
    assert [item.cny for month in bill(tariff, Terms("actual"), series, {}) for item in month.items] == pytest.approx(
        [-240.0 * 0.3964, -240.0 * 0.2]
    )


def test_a_change_within_a_month_makes_lines_of_its_own_and_is_said_of_demand(tmp_path: Path) -> None:
    tariff = load_tariff(written(tmp_path, then={"valid_from = 2026-07-01": "valid_from = 2026-06-11"}))
    grid_w = np.where(np.arange(48) % 2 == 0, 5e3, -5e3)
    series = Series(datetime(2026, 6, 10, tzinfo=CHINA), 3600.0, np.maximum(grid_w, 0.0), np.maximum(-grid_w, 0.0))
    (told,) = bill(tariff, Terms("actual"), series, {})
    assert [(item.price_cny, item.quantity) for item in told.items if item.item == "feed-in"] == [
        (-0.3964, 60.0),
        (-0.2, 60.0),
    ]
    assert [item.price_cny for item in told.items if item.item == "demand, actual"] == [36.0]
    (doubt,) = (each for each in doubts_over(tariff, Terms("actual"), series) if "within a month" in each)
    assert "follows Chongqing, industry and commerce, 10 kV on 2026-06-11" in doubt
    assert answer([told], tariff)["tariff"].startswith(
        "Chongqing, industry and commerce, 10 kV, then Chongqing of July"
    )


def test_a_file_that_holds_on_none_of_the_days_says_nothing_and_asks_for_nothing(
    tmp_path: Path, ess: Callable[..., tuple[int, str, str]]
) -> None:
    step = '\n[monthly_step]\nkwh_per_kva = 250.0\ncny_per_kwh = -0.02\nsource = "x"\ndated = "2026"\nassumed = true\n'
    first = written(tmp_path, then={"[feed_in]": f"{step}\n[feed_in]"})
    series = tmp_path / "s.csv"
    for month, told in (("06", (0, "Chongqing, industry and commerce, 10 kV")), ("07", (2, ""))):
        rows = [f"2026-{month}-10T{hour:02}:00:00+08:00,{1000 * hour},0" for hour in range(24)]
        series.write_text("\n".join(["time,load_w,pv_w", *rows]) + "\n")
        status, out, talk = ess("bill", series, "--tariff", first)
        assert (status, out.partition(";")[0]) == told
        assert ("--transformer-kva: expected the size of the transformers" in talk) == (month == "07")


def test_periods_of_every_file_are_priced_to_their_minute(tmp_path: Path) -> None:
    words = {'["14:00", "17:00", "peak"]': '["14:00", "14:05", "flat"],\n    ["14:05", "17:00", "peak"]'}
    tariff = load_tariff(written(tmp_path, then=words))
    series = Series(datetime(2026, 7, 8, 14, tzinfo=CHINA), 900.0, np.full(4, 10e3), np.zeros(4))
    peak, flat = 0.8696, 0.5435
    assert prices_over(tariff, Terms("actual"), series, {}).import_cny_per_kwh[0] == pytest.approx(
        (2 * peak + flat) / 3
    )


def test_what_only_the_days_of_another_file_lack_is_not_said(tmp_path: Path) -> None:
    tariff = both(tmp_path)
    july = Series(datetime(2026, 7, 1, tzinfo=CHINA), 3600.0, np.zeros(24), np.zeros(24))
    june = Series(datetime(2026, 6, 1, tzinfo=CHINA), 3600.0, np.zeros(24), np.zeros(24))
    assert list(doubts_over(tariff, Terms("actual"), july)) == list(doubts_over(tariff, Terms("actual"), june)) == []


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        (
            {},
            {"valid_from = 2026-07-01": "valid_from = 2022-01-01"},
            "a valid_from after 2022-01-01; it has 2022-01-01",
        ),
        ({'"new.toml"': '"old.toml"'}, {}, "a valid_from after 2022-01-01; it has 2022-01-01"),
        ({'"new.toml"': '"none.toml"'}, {}, "a tariff file, relative to this one; .*none.toml"),
        ({}, {'"Asia/Shanghai"': '"Asia/Tokyo"'}, "time_zone = Asia/Shanghai, as here; it has Asia/Tokyo"),
        ({}, {"slide_s = 60.0": "slide_s = 900.0"}, "demand_rules.slide_s = 60, as here; it has 900"),
        ({}, {"10kv": "20kv"}, "all supplies of this one; it has no 10kv"),
        ({}, {'["commercial", "large_industry"]': '["commercial"]'}, "all customers of this one; it has no large_ind"),
        (
            {},
            {'mode = "capacity"': 'mode = "actual"', "valid_from = 2023-06-01": "valid_from = 2024-06-01"},
            "another date",
        ),
        ({}, {'["08:00", "11:00", "flat"]': '["09:00", "11:00", "flat"]'}, "a span that begins at 08:00, not 09:00"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(
    tmp_path: Path, first: dict[str, str], then: dict[str, str], told: str
) -> None:
    with pytest.raises(SiteError, match=told) as caught:
        load_tariff(written(tmp_path, first, then))
    of_new = told.startswith(("another", "a span"))
    (line, *_) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path / ('new.toml' if of_new else 'old.toml')}:")
    assert of_new or ": followed_by = " in line


def site_of(folder: Path) -> Site:
    """Chongqing's dealer under the two tariffs in the folder."""
    text = (SITES / "chongqing-dealer" / "site.toml").read_text(encoding="utf-8")
    text = re.sub(r'"\.\./tariffs/chongqing\.toml"', '"old.toml"', text).replace("../", f"{SITES}/")
    (folder / "site.toml").write_text(text, encoding="utf-8")
    return load(folder, {})


def test_a_support_file_takes_the_tariffs_that_follow_along(tmp_path: Path) -> None:
    written(tmp_path)
    site, root = site_of(tmp_path), tmp_path / "bundle"
    site_files(site, root, Redaction())
    again = load(root / "site" / site.name, {})
    assert again.tariff is not None
    assert site.tariff is not None
    assert [asdict(each) for each in again.tariff.all] == [asdict(each) for each in site.tariff.all]


def test_a_site_s_tariff_is_followed_too(tmp_path: Path) -> None:
    written(tmp_path, then={"cny_per_kwh = 0.2": "cny_per_kwh = -0.1"})
    site = site_of(tmp_path)
    assert site.tariff is not None
    assert len(site.tariff.all) == 2
    assert np.isinf(site.tuning.dispatch.feed_in_w)  # nothing is ever held back: what flows out then is paid for
    text = (tmp_path / "site.toml").read_text(encoding="utf-8")
    (tmp_path / "site.toml").write_text(re.sub(r"(?m)^feed_in_w = inf", "feed_in_w = 20e3", text), encoding="utf-8")
    with pytest.raises(SiteError, match="files with feed_in on one side of zero") as caught:
        load(tmp_path, {})
    assert str(caught.value).count("\n") == 0
    assert sum(note.startswith("tariff Chongqing of July") for note in site.notes) == 2
    (tmp_path / "new.toml").write_text("", encoding="utf-8")
    with pytest.raises(SiteError, match="new"):
        load(tmp_path, {})
