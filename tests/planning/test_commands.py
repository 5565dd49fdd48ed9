"""`ess plan` and `ess bill` on files: what they answer, draw, suspect and refuse."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ess_controller.planning.given.problem import Prices, Series
from firmware_bridge.records import Floats
from tests.planning.plain import least_cny, least_cny_one_way, plain
from tests.planning.test_inputs import B_TOML
from tests.planning.worlds import BATTERY, CHINA, NO_DEMAND, day, tou
from tests.site.site_files import SITES

Ess = Callable[..., tuple[int, str, str]]
SHANGHAI = SITES / "tariffs/shanghai.toml"
SHENZHEN = SITES / "tariffs/shenzhen.toml"


@pytest.fixture
def battery(tmp_path: Path) -> Path:
    path = tmp_path / "b.toml"
    path.write_text(B_TOML)
    return path


def csv(
    folder: Path, series: Series, *, priced: bool = False, scale: float = 1.0, prices: Prices | None = None
) -> Path:
    prices, priced = prices or tou(series), priced or prices is not None
    lines = ["time,load_w,pv_w" + (",import_cny_per_kwh,export_cny_per_kwh" if priced else "")]
    for at in range(len(series)):
        line = f"{series.at(at).isoformat()},{series.load_w[at] * scale:.9g},{series.pv_w[at] * scale:.9g}"
        more = f",{prices.import_cny_per_kwh[at]},{prices.export_cny_per_kwh[at]}" if priced else ""
        lines.append(line + more)
    path = folder / "series.csv"
    path.write_text("\n".join(lines))
    return path


def told(ess: Ess, *words: object) -> dict[str, Any]:
    status, out, _ = ess(*words, "--json")
    assert status == 0
    return dict(json.loads(out))


def test_a_plan_as_json_balances_and_costs_the_least(ess: Ess, tmp_path: Path, battery: Path) -> None:
    series = day(3)
    found = told(ess, "plan", "--inputs", csv(tmp_path, series, priced=True), "--battery", battery)
    assert {"schema_version", "cost_cny", "peak_w", "solve_ms", "steps"} <= found.keys()
    assert found["cost_cny"] == pytest.approx(least_cny(plain(BATTERY, series, tou(series, NO_DEMAND))), rel=1e-5)
    assert found["gap_cny"] == 0.0
    assert found["cost_cny"] < found["no_battery_cny"]
    assert found["solve_ms"] > 0.0
    assert len(found["steps"]) == 96
    for step in found["steps"]:
        assert step["load_w"] == pytest.approx(step["grid_w"] + step["battery_w"] + step["pv_w"], abs=0.2)
    assert found["steps"][0]["time"] == "2026-06-10T00:00:00+08:00"
    assert found["steps"][-1]["soc"] >= 0.5 - 1e-6
    assert found["peak_w"] == pytest.approx(max(step["grid_w"] for step in found["steps"]), abs=0.1)


HARD: dict[str, Callable[[Floats], tuple[Floats, Floats]]] = {
    "two prices a hundredfold": lambda buy: (np.where(np.arange(24) % 11 == 9, 100.0 * buy, buy), 0.3 + 0.0 * buy),
    "paid to take at noon": lambda buy: (np.where(abs(np.arange(24) - 12) < 2, -0.4, buy), 0.3 + 0.0 * buy),
    "giving costs": lambda buy: (buy, -0.2 + 0.0 * buy),
    "giving costs more than taking": lambda buy: (np.where(np.arange(24) < 15, -0.1, buy), -0.5 + 0.0 * buy),
    "giving earns more than taking costs": lambda buy: (buy, 1.2 * buy),
}


@pytest.mark.parametrize("named", HARD)
@pytest.mark.parametrize("seed", [3, 4])
def test_at_hard_prices_a_plan_costs_what_an_exact_one_does(
    ess: Ess, tmp_path: Path, battery: Path, named: str, seed: int
) -> None:
    series = day(seed, 24, 3600.0)
    series = replace(series, pv_w=2.0 * series.pv_w)
    buy, sell = HARD[named](tou(series).import_cny_per_kwh)
    prices = Prices(buy, sell, NO_DEMAND, 3600.0)
    found = told(ess, "plan", "--inputs", csv(tmp_path, series, prices=prices), "--battery", battery)
    exact = least_cny_one_way(plain(BATTERY, series, prices))
    assert found["cost_cny"] == pytest.approx(exact, rel=1e-3)
    assert found["cost_cny"] - found["gap_cny"] <= exact + 1e-4 * abs(exact)


def test_a_plan_by_tariff_is_told_in_a_few_lines_and_drawn(ess: Ess, tmp_path: Path, battery: Path) -> None:
    png = tmp_path / "plan.png"
    words = ("--inputs", csv(tmp_path, day(3)), "--battery", battery, "--tariff", SHANGHAI)
    status, out, talk = ess("plan", *words, "--plot", png)
    assert status == 0
    assert talk.count("\n") == 1
    assert "do not show billing windows that slide by 1 min" in talk
    assert len(out.splitlines()) < 48
    assert "2026-06-10 08:00" in out
    assert png.read_bytes().startswith(b"\x89PNG")
    found = told(ess, "plan", *words)
    assert found["demand_cny"] == pytest.approx(found["peak_w"] / 1000.0 * 40.8, abs=0.01)
    assert found["cost_cny"] == pytest.approx(
        found["energy_cny"] + found["demand_cny"] - found["feed_in_cny"], abs=1e-3
    )


def test_a_long_plan_is_told_in_few_lines_too(ess: Ess, tmp_path: Path, battery: Path) -> None:
    status, out, _ = ess("plan", "--inputs", csv(tmp_path, day(3, 672)), "--battery", battery, "--tariff", SHANGHAI)
    assert status == 0
    assert len(out.splitlines()) < 64


def test_each_way_of_counting_demand_has_its_own_plan(ess: Ess, tmp_path: Path, battery: Path) -> None:
    words = ("plan", "--inputs", csv(tmp_path, day(3)), "--battery", battery, "--tariff", SHANGHAI)
    actual = told(ess, *words)
    agreed = told(ess, *words, "--demand", "contract", "--contract-kw", 90, "--transformer-kva", 200)
    capacity = told(ess, *words, "--demand", "capacity", "--transformer-kva", 200)
    assert actual["fixed_demand_cny"] == 0.0
    assert agreed["fixed_demand_cny"] == pytest.approx(90 * 40.8)
    assert capacity["fixed_demand_cny"] == pytest.approx(200 * 25.5)
    assert agreed["demand_cny"] == capacity["demand_cny"] == 0.0
    assert actual["peak_w"] < agreed["peak_w"] <= 1.05 * 90e3 + 0.1
    assert agreed["energy_cny"] <= actual["energy_cny"]


def test_a_month_s_peak_so_far_is_not_shaved(ess: Ess, tmp_path: Path, battery: Path) -> None:
    words = ("plan", "--inputs", csv(tmp_path, day(3)), "--battery", battery, "--tariff", SHANGHAI)
    assert told(ess, *words, "--peak-so-far-kw", 80)["demand_cny"] == pytest.approx(80 * 40.8)


def test_groups_are_told_apart(ess: Ess, tmp_path: Path, battery: Path) -> None:
    small = tmp_path / "small.toml"
    small.write_text(B_TOML.replace("215000", "40000").replace("100000", "20000"))
    words = ("plan", "--inputs", csv(tmp_path, day(3)), "--tariff", SHANGHAI, "--battery", battery)
    found = told(ess, *words, "--battery", small)
    for step in found["steps"]:
        assert sum(step["group_w"]) == pytest.approx(step["battery_w"], abs=0.2)
        assert abs(step["group_w"][1]) <= 20e3 + 0.1
    small.write_text(small.read_text().replace("pv_surplus", "none"))
    status, _, talk = ess(*words, "--battery", small)
    assert status == 2
    assert f'{small}: export = "none": expected "pv_surplus"' in talk


def test_what_is_strange_is_said_and_planned_for(ess: Ess, tmp_path: Path, battery: Path) -> None:
    path = csv(tmp_path, day(3), priced=True, scale=0.001)
    path.write_text(path.read_text().replace(",1.01,", ",101,"))
    status, out, talk = ess("plan", "--inputs", path, "--battery", battery, "--json")
    assert status == 0
    assert json.loads(out)["cost_cny"] > 0.0
    assert "are they in kW?" in talk
    assert "import_cny_per_kwh reaches 101" in talk


def test_a_battery_in_kilowatt_hours_and_a_tariff_of_later_years_are_said(
    ess: Ess, tmp_path: Path, battery: Path
) -> None:
    before = replace(day(3), begin=datetime(2022, 12, 31, tzinfo=CHINA))
    battery.write_text(B_TOML.replace("energy_wh = 215000", "energy_wh = 215"))
    words = ("--inputs", csv(tmp_path, before), "--battery", battery, "--tariff", SHANGHAI, "--json")
    status, _, talk = ess("plan", *words)
    assert status == 0
    assert f"{battery}: it is filled or emptied in 7.74 s: are energy_wh in Wh and powers in W?" in talk
    battery.write_text(re.sub(r"((?:energy|charge|discharge)_wh? = \d+)000\b", r"\1", B_TOML))
    for command in ("plan", "backtest"):
        status, _, talk = ess(command, *words)
        assert status == 0
        assert f"{battery}: it holds 215 Wh beside load or sun of up to " in talk
    assert "begins before 2023-01-01, from which on Shanghai" in talk


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "expected a column import_cny_per_kwh, or --tariff TOML"),
        (("--tariff", SHANGHAI, "--supply", "10kv"), "expected a tariff for supply 10kv; this one is for under_1kv"),
        (("--tariff", SHANGHAI, "--customer", "me"), "expected a tariff for customer me"),
        (("--tariff", SHANGHAI, "--demand", "peak"), "--demand peak: expected actual or contract or capacity"),
        (("--tariff", SHANGHAI, "--demand", "contract"), "--contract-kw: expected the agreed demand"),
        (("--tariff", SHANGHAI, "--demand", "capacity"), "--transformer-kva: expected the size"),
        (
            ("--tariff", SHENZHEN, "--transformer-kva", 5000),
            "--transformer-kva 5000: expected 101 to 3000, that Shenzhen, industry and commerce, 101-3000 kVA, 10 kV",
        ),
        (
            ("--tariff", SHANGHAI, "--demand", "contract", "--contract-kw", 70, "--transformer-kva", 200),
            "--contract-kw 70: expected at least 80, 40 % of --transformer-kva 200",
        ),
        (("--tariff", SHANGHAI, "--contract-kw", "nan"), "--contract-kw nan: expected a number from 0 to 1000000"),
        (("--tariff", SHANGHAI, "--peak-so-far-kw", "-1"), "--peak-so-far-kw -1: expected a number from 0"),
        (("--tariff", "no.toml"), "no.toml: expected a file, but there is none"),
        (("--tariff", SHANGHAI, "--at", "2026-06-01T08:00"), "--at 2026-06-01T08:00: expected SITE beside it"),
        (("--contract-kw", 70), "--contract-kw 70.0: expected --tariff TOML beside it"),
    ],
)
def test_what_is_missing_is_asked_for(
    ess: Ess, tmp_path: Path, battery: Path, words: tuple[object, ...], expected: str
) -> None:
    status, out, talk = ess("plan", "--inputs", csv(tmp_path, day(3)), "--battery", battery, *words)
    assert (status, out) == (2, "")
    assert expected in talk


def test_what_a_site_has_itself_is_not_taken_from_options(ess: Ess) -> None:
    site = SITES / "shenzhen-dealer"
    for words in (
        ("plan", "--tariff", SHANGHAI),
        ("plan", "--peak-so-far-kw", 30),
        ("plan", "--demand", "capacity"),
        ("backtest", "--contract-kw", 30),
    ):
        status, out, talk = ess(words[0], site, *words[1:])
        assert (status, out) == (2, "")
        assert f"{words[1]} {words[2]}" in talk
        assert "expected nothing of it with" in talk


@pytest.mark.parametrize("option", ["--battery", "--tariff", "--inputs"])
def test_a_second_file_that_would_count_for_nothing_is_refused(
    ess: Ess, tmp_path: Path, battery: Path, option: str
) -> None:
    path = csv(tmp_path, day(3))
    words = ("backtest", "--inputs", path, "--battery", battery, "--tariff", SHANGHAI)
    status, out, talk = ess(*words, option, SHENZHEN)
    assert (status, out) == (2, "")
    assert f"{option} {SHENZHEN}: expected one file, and" in talk


def test_a_second_series_to_plan_is_refused(ess: Ess, tmp_path: Path, battery: Path) -> None:
    path = csv(tmp_path, day(3))
    status, out, talk = ess("plan", "--inputs", path, "--inputs", path, "--battery", battery, "--tariff", SHANGHAI)
    assert (status, out) == (2, "")
    assert f"--inputs {path}: expected one file, and" in talk


def test_what_is_agreed_but_changes_nothing_is_said(ess: Ess, tmp_path: Path, battery: Path) -> None:
    path, hot = csv(tmp_path, day(3)), tmp_path / "hot.csv"
    hot.write_text("date,hottest_c\n2026-06-01,36\n")
    for words in (("bill", path), ("plan", "--inputs", path, "--battery", battery, "--json")):
        status, _, talk = ess(*words, "--tariff", SHANGHAI, "--contract-kw", 90, "--hottest", hot)
        assert status == 0
        assert "--contract-kw 90: changes nothing with --demand actual" in talk
        assert f"{hot}: --hottest changes nothing: Shanghai" in talk
        status, _, talk = ess(*words, "--tariff", SHENZHEN, "--transformer-kva", 200, "--hottest", hot)
        assert status == 0
        assert "changes nothing" not in talk


def test_prices_of_a_file_beside_a_tariff_are_not_read(ess: Ess, tmp_path: Path, battery: Path) -> None:
    path = csv(tmp_path, day(3))
    lines = path.read_text().splitlines()
    odd = [f"{lines[0]},import_cny_per_kwh", *(f"{line},{'nan' if at else 62.5}" for at, line in enumerate(lines[1:]))]
    path.write_text("\n".join(odd) + "\n")
    for words in (("bill", path), ("plan", "--inputs", path, "--battery", battery, "--json")):
        status, _, talk = ess(*words, "--tariff", SHANGHAI)
        assert (status, talk.count("its prices are not used: --tariff has them")) == (0, 1)
        assert "62.5" not in talk


@pytest.mark.parametrize("option", ["--contract-kw", "--transformer-kva"])
def test_nobody_agrees_nothing(ess: Ess, tmp_path: Path, option: str) -> None:
    status, _, talk = ess("bill", csv(tmp_path, day(3)), "--tariff", SHANGHAI, option, 0)
    assert (status, talk) == (2, f"{option} 0: expected a number above 0\n")


def test_a_peak_so_far_wants_a_tariff_that_charges_for_it(ess: Ess, tmp_path: Path, battery: Path) -> None:
    path = csv(tmp_path, day(3))
    status, _, talk = ess("plan", "--inputs", path, "--battery", battery, "--peak-so-far-kw", 50)
    assert (status, talk) == (2, "--peak-so-far-kw 50.0: expected --tariff TOML beside it\n")


def test_a_bill_says_what_its_peak_is_a_mean_of(ess: Ess, tmp_path: Path) -> None:
    path = tmp_path / "hours.csv"
    rows = [f"2026-06-10T{hour:02}:00:00+08:00,{1000 * hour},0" for hour in range(24)]
    path.write_text("\n".join(["time,load_w,pv_w", *rows]) + "\n")
    (peak,) = (
        line for line in ess("bill", path, "--tariff", SHANGHAI)[1].splitlines() if "demand" in line and "kW" in line
    )
    assert "highest mean import of 60 min; the meter's is of 15 min" in peak


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("Time,Load_W,pv_w", "time, load_w is missing (Time, Load_W: names are in small letters, powers in W)"),
        ("time,load_kw,pv_w", "load_w is missing (load_kw: names are in small letters, powers in W)"),
        ("Time,grid_w", "time is missing (Time: names are in small letters, powers in W)"),
        ("time,grid_kw,cost", "load_w, pv_w is missing (grid_kw: names are in small letters, powers in W)"),
    ],
)
def test_a_column_of_nearly_the_right_name_is_pointed_at(ess: Ess, tmp_path: Path, header: str, told: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(f"{header}\n2026-06-10T00:00:00+08:00,1,0\n2026-06-10T00:15:00+08:00,1,0\n")
    status, _, talk = ess("bill", path, "--tariff", SHANGHAI)
    assert status == 2
    assert told in talk


def test_a_quote_that_is_not_closed_is_told_where_it_stands(ess: Ess, tmp_path: Path) -> None:
    path = csv(tmp_path, day(3))
    path.write_text(path.read_text().replace("\n2026-06-10T01:00", '\n"2026-06-10T01:00'))
    status, _, talk = ess("bill", path, "--tariff", SHANGHAI)
    assert (status, talk.startswith(f"{path}:6: ")) == (2, True)
    assert "a quote that is closed where it is opened" in talk


def test_a_bill_is_told_with_its_items_and_their_sum(ess: Ess, tmp_path: Path) -> None:
    path = csv(tmp_path, day(3))
    found = told(ess, "bill", path, "--tariff", SHANGHAI)
    (only,) = found["months"]
    assert only["total_cny"] == pytest.approx(sum(item["cny"] for item in only["items"]), abs=1e-3)
    assert found["total_cny"] == pytest.approx(only["total_cny"])
    for item in only["items"]:
        assert item["cny"] == pytest.approx(item["quantity"] * item["price_cny"], abs=0.01)
    status, out, talk = ess("bill", path, "--tariff", SHANGHAI)
    assert status == 0
    assert "highest mean import of a 15-min block" in out
    assert "only assumed, in the tariff file: calendar" in out
    assert "2026-06 is there for 1 of its 30 days" in talk


def test_a_bill_of_a_meter_is_that_of_its_load_and_sun(ess: Ess, tmp_path: Path) -> None:
    series = day(3)
    both = told(ess, "bill", csv(tmp_path, series), "--tariff", SHANGHAI)
    meter = tmp_path / "meter.csv"
    grid = [f"{series.at(at).isoformat()},{float(series.net_w[at])!r}" for at in range(96)]
    meter.write_text("\n".join(["time,grid_w", *grid]))
    assert told(ess, "bill", meter, "--tariff", SHANGHAI) == both


def test_a_monthly_step_asks_for_the_transformers_in_a_bill(ess: Ess, tmp_path: Path) -> None:
    path = csv(tmp_path, day(3))
    status, _, talk = ess("bill", path, "--tariff", SHENZHEN)
    assert status == 2
    assert "--transformer-kva: expected the size of the transformers" in talk
    assert told(ess, "bill", path, "--tariff", SHENZHEN, "--transformer-kva", 400)["total_cny"] > 0.0
    assert np.isfinite(told(ess, "bill", path, "--tariff", SHENZHEN, "--transformer-kva", 101)["total_cny"])


def test_days_that_a_tariff_does_not_know_are_said_by_bill_and_plan(ess: Ess, tmp_path: Path, battery: Path) -> None:
    path = csv(tmp_path, replace(day(3), begin=datetime(2024, 7, 1, tzinfo=CHINA)))
    for words in (("bill", path), ("plan", "--inputs", path, "--battery", battery)):
        status, _, talk = ess(*words, "--tariff", SHANGHAI, "--json")
        assert status == 0
        assert f"{path}: it begins on 2024-07-01, and Shanghai" in talk
        assert "agent purchase from 2025-06-01" in talk


def test_days_of_weather_without_a_tariff_that_asks_for_them_are_refused(
    ess: Ess, tmp_path: Path, battery: Path
) -> None:
    path = csv(tmp_path, day(3), priced=True)
    status, out, talk = ess("plan", "--inputs", path, "--battery", battery, "--hottest", tmp_path / "hot.csv")
    assert (status, out) == (2, "")
    assert "hot.csv: expected --tariff TOML beside it" in talk
