"""What a kWh costs under the shipped tariffs, by hand-worked figures of their price sheets."""

from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_controller.site import SiteError
from ess_controller.site.kinds import Customer, Supply
from ess_controller.site.tariff import Tariff, hour_price, kind_of_day, load_tariff, price_at
from tests.site.site_files import SITES

SHANGHAI = load_tariff(SITES / "tariffs" / "shanghai.toml", "under_1kv", "commercial")
SHANGHAI_PLANT = load_tariff(SITES / "tariffs" / "shanghai.toml", "under_1kv", "large_industry")
SHENZHEN = load_tariff(SITES / "tariffs" / "shenzhen.toml", "10kv", "commercial")
CHONGQING = load_tariff(SITES / "tariffs" / "chongqing.toml", "10kv", "commercial")
LIAONING = load_tariff(SITES / "tariffs" / "liaoning.toml", "10kv", "large_industry")
ALL = (SHANGHAI, SHANGHAI_PLANT, SHENZHEN, CHONGQING, LIAONING)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001


def at(text: str) -> datetime:
    """Local time of the tariff."""
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("local", "cny_per_kwh", "period"),
    [
        ("2025-06-04T09:00", 1.0108, "peak"),  # the sheet of June: peak 1.0108, flat 0.6624, valley 0.3720
        ("2025-06-04T12:00", 0.6624, "flat"),
        ("2025-06-04T23:00", 0.3720, "valley"),
        ("2025-06-07T23:00", 0.3720, "valley"),  # a Saturday: deep valleys are for large industry
    ],
)
def test_shanghai_s_june_sheet_comes_out_to_the_last_digit(local: str, cny_per_kwh: float, period: str) -> None:
    price, name = price_at(SHANGHAI, at(local))
    assert (round(price, 4), name) == (cny_per_kwh, period)


def test_an_hour_is_cheap_or_dear_against_its_own_day() -> None:
    by_hour = [hour_price(SHANGHAI, at(f"2026-07-15T{hour:02d}:30")) for hour in range(24)]
    assert by_hour[:6] == ["cheap"] * 6
    assert by_hour[6:8] == ["middling"] * 2
    assert by_hour[8:15] == ["dear"] * 7
    assert by_hour[18:21] == ["dear"] * 3
    assert by_hour[22:] == ["cheap"] * 2
    utc = datetime(2026, 7, 15, 4, 30, tzinfo=UTC)
    assert hour_price(SHANGHAI, utc) == by_hour[12]


def test_weekends_and_holidays_in_spring_and_autumn_have_deep_valleys_for_large_industry() -> None:
    fixed = 0.01186 + 0.04072 + 0.02912
    deep = 0.2 * (0.43508 + 0.1456) + fixed
    for local in ("2025-06-07T23:00", "2025-10-01T03:00"):  # a Saturday, National Day
        price, period = price_at(SHANGHAI_PLANT, at(local))
        assert period == "deep_valley"
        assert price == pytest.approx(deep)
    assert price_at(SHANGHAI_PLANT, at("2025-10-11T03:00"))[1] == "valley"  # a Saturday that is worked
    assert price_at(SHANGHAI_PLANT, at("2025-07-05T03:00"))[1] == "valley"  # a Saturday in July
    assert price_at(SHANGHAI_PLANT, at("2025-06-04T23:00"))[1] == "valley"  # a Wednesday


@pytest.mark.parametrize(
    ("tariff", "local", "period"),
    [
        (SHANGHAI, "2026-07-07T12:00", "critical"),
        (SHANGHAI, "2026-07-07T14:00", "peak"),
        (SHANGHAI, "2026-09-07T12:00", "peak"),
        (SHANGHAI, "2026-12-07T20:59", "critical"),
        (SHANGHAI, "2026-12-07T21:00", "flat"),
        (SHENZHEN, "2026-08-07T11:30", "critical"),
        (SHENZHEN, "2026-05-07T11:30", "peak"),
        (SHENZHEN, "2026-05-07T07:59", "valley"),
        (SHENZHEN, "2026-05-07T19:00", "flat"),
        (CHONGQING, "2026-01-07T13:59", "critical"),
        (CHONGQING, "2026-03-07T13:59", "peak"),
        (CHONGQING, "2026-03-07T19:00", "flat"),
        (LIAONING, "2026-03-07T07:29", "flat"),
        (LIAONING, "2026-03-07T07:30", "peak"),
        (LIAONING, "2026-03-07T12:00", "valley"),
        (LIAONING, "2026-01-07T18:00", "critical"),
        (LIAONING, "2026-01-07T22:00", "valley"),
    ],
)
def test_periods_of_the_four_tariffs(tariff: Tariff, local: str, period: str) -> None:
    assert price_at(tariff, at(local))[1] == period


def test_chongqing_s_prices_have_all_parts_in_them() -> None:
    assert price_at(CHONGQING, at("2026-03-07T03:00")) == (0.3308, "valley")
    assert price_at(CHONGQING, at("2026-07-07T12:00")) == (1.0435, "critical")


def test_prices_change_on_their_day() -> None:
    before, after = price_at(SHANGHAI, at("2026-07-31T07:00"))[0], price_at(SHANGHAI, at("2026-08-01T07:00"))[0]
    assert after - before == pytest.approx(0.1781 - 0.1456)
    assert SHANGHAI.demand["actual"].on(date(2026, 7, 31)) == 40.8
    assert price_at(SHANGHAI, at("2001-07-31T07:00"))[0] == before  # before the first date: its first value


def test_a_hot_day_in_guangzhou_is_critical_in_shenzhen() -> None:
    assert price_at(SHENZHEN, at("2026-05-07T16:00"), hottest_c=35.0)[1] == "critical"
    assert price_at(SHENZHEN, at("2026-05-07T16:00"), hottest_c=34.9)[1] == "peak"
    assert price_at(SHENZHEN, at("2026-05-07T16:00"))[1] == "peak"
    assert price_at(CHONGQING, at("2026-05-07T16:00"), hottest_c=40.0)[1] == "peak"


def test_a_moment_is_the_same_in_every_time_zone() -> None:
    local = datetime(2026, 7, 7, 12, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert (
        price_at(SHANGHAI, local)
        == price_at(SHANGHAI, local.astimezone(UTC))
        == price_at(SHANGHAI, at("2026-07-07T12:30"))
    )


def test_weekends_that_are_worked_are_workdays() -> None:
    assert kind_of_day(SHANGHAI, date(2026, 2, 14)) == "workday"
    assert kind_of_day(SHANGHAI, date(2026, 2, 15)) == "holiday"
    assert kind_of_day(SHANGHAI, date(2026, 3, 14)) == "weekend"
    assert kind_of_day(SHANGHAI, date(2026, 3, 16)) == "workday"
    worked = SHANGHAI.working_weekends
    assert all(day.weekday() >= 5 for day in worked)
    assert not worked & SHANGHAI.holidays


def test_what_is_only_assumed_is_said() -> None:
    assert "feed-in" in SHANGHAI.assumed
    assert "day summer" not in SHANGHAI.assumed
    assert "transmission and distribution from 2026-08-01" not in SHANGHAI.assumed
    assert "demand by actual from 2026-08-01" in SHANGHAI.assumed


def test_shenzhen_s_step_is_for_the_month_and_not_in_the_price() -> None:
    assert SHENZHEN.monthly_step is not None
    assert (SHENZHEN.monthly_step.kwh_per_kva, SHENZHEN.monthly_step.cny_per_kwh) == (250.0, -0.02)


@pytest.mark.parametrize("tariff", ALL, ids=lambda tariff: tariff.name)
def test_dear_hours_are_dearer(tariff: Tariff) -> None:
    order = ["deep_valley", "valley", "flat", "peak", "critical"]
    for month in range(1, 13):
        hours = (datetime(2026, month, 10) + timedelta(minutes=minute) for minute in range(1440))  # noqa: DTZ001
        prices = {period: price for price, period in (price_at(tariff, hour) for hour in hours)}
        assert [period for period in order if period in prices] == sorted(prices, key=prices.__getitem__)


@given(st.sampled_from(ALL), MOMENTS, st.floats())
def test_every_moment_has_a_price(tariff: Tariff, moment: datetime, hottest_c: float) -> None:
    price, period = price_at(tariff, moment, hottest_c=hottest_c)
    assert 0.1 < price < 2.0
    assert period in ("deep_valley", "valley", "flat", "peak", "critical")


@given(st.sampled_from(ALL), MOMENTS)
def test_a_price_holds_for_its_minute(tariff: Tariff, moment: datetime) -> None:
    assert price_at(tariff, moment) == price_at(tariff, moment.replace(second=0, microsecond=0))


@pytest.mark.parametrize("file", sorted((SITES / "tariffs").glob("*.toml")), ids=lambda file: file.stem)
def test_every_tariff_of_the_checkout_has_all_three_demand_modes(file: Path) -> None:
    supplies: dict[str, tuple[Supply, ...]] = {"shanghai": ("under_1kv",), "shenzhen": ("10kv", "10kv_metered_low")}
    customers: tuple[Customer, ...] = ("commercial", "large_industry")
    for supply, customer in product(supplies.get(file.stem, ("10kv",)), customers):
        tariff = load_tariff(file, supply, customer)
        assert set(tariff.demand) == {"actual", "contract", "capacity"}
        assert (tariff.demand_rules.block_s, tariff.demand_rules.slide_s) == (900.0, 60.0)


def test_a_class_without_prices_is_told() -> None:
    with pytest.raises(
        SiteError, match=r"shanghai\.toml: expected a tariff for supply 220kv; this one is for under_1kv"
    ):
        load_tariff(SITES / "tariffs" / "shanghai.toml", "220kv", "commercial")
    with pytest.raises(SiteError, match="expected a file, but there is none"):
        load_tariff(SITES / "tariffs" / "nowhere.toml", "10kv", "commercial")
