"""Every mistake in a site's files is told with its file, line, key and value, and with what was expected there."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ess_controller.site import CellFile, SiteError, load, schema
from ess_controller.site.errors import Finding, plain
from ess_controller.site.places import KeyPath, spell
from ess_controller.site.rules import ORDER, number, number_findings
from tests.site.site_files import BENCH_TEXT, SITES, Table, bench, cell, problems_of, whole, with_value, written

MODULE = ("cabinet", 0, "string", 0, "module", 3)
WRONG = {"text": "much", "yes or no": True, "no number": math.nan, "beyond all": -1e12, "a list": [1.0]}


def numbers(table: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Paths of all numbers; of the ten modules of a string one."""
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        if path[-1:] == ("module",) and key != 3:
            continue
        if isinstance(value, dict | list):
            yield from numbers(value, (*path, key))
        elif isinstance(value, float | int) and not isinstance(value, bool):
            yield (*path, key)


BENCH_NUMBERS = set(numbers(bench()))


def one(problems: list[Any]) -> Any:
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


@pytest.mark.parametrize("path", list(numbers(whole())), ids=spell)
def test_a_wrong_number_in_the_site_file_is_one_line_that_names_it(tmp_path: Path, path: KeyPath) -> None:
    original = bench() if path in BENCH_NUMBERS else whole()
    for wrong in WRONG.values():
        table = with_value(original, path, wrong)
        problem = one(problems_of(tmp_path, table))
        assert (problem.file, problem.key) == (str(tmp_path / "site.toml"), spell(path))
        assert problem.line == written(table)[1][path]
        assert str(problem).startswith(f"{problem.file}:{problem.line}: {spell(path)} = ")
        assert "number" in problem.expected or "pair" in problem.expected


@pytest.mark.parametrize("path", list(numbers(cell())), ids=spell)
def test_a_wrong_number_in_the_cell_file_is_one_line_that_names_it(tmp_path: Path, path: KeyPath) -> None:
    for wrong in WRONG.values():
        table = with_value(cell(), path, wrong)
        problem = one(problems_of(tmp_path, bench(), table))
        assert (problem.file, problem.key) == (str(tmp_path / "cell.toml"), spell(path))
        assert problem.line == written(table)[1][path]


def test_the_line_reads_as_it_should() -> None:
    site = load_error(SITES / "bench", {"box": "tcp://[::1]:502/1"})
    assert str(site) == '--bus: box = "tcp://[::1]:502/1": expected a CAN bus, for cabinet[0].string[0].box'


def load_error(path: Path, overrides: dict[str, str]) -> SiteError:
    with pytest.raises(SiteError) as caught:
        load(path, overrides)
    return caught.value


def test_a_slot_beyond_its_nibble_is_told_in_full(tmp_path: Path) -> None:
    text = BENCH_TEXT.replace("../cells/nmc811-2p-232ah.toml", "cell.toml").replace("slot = 3,", "slot = 17,")
    line = text[: text.index("slot = 17")].count("\n") + 1
    problem = one(problems_of(tmp_path, text))
    expected = "cabinet[0].string[0].module[3].slot = 17: expected a whole number from 0 to 15"
    assert str(problem) == f"{tmp_path}/site.toml:{line}: {expected}"


def test_every_mistake_is_told_in_the_order_of_the_files(tmp_path: Path) -> None:
    table = bench()
    table["time_zone"] = "Asia/Nowhere"
    table["limits"]["rated_amps"] = table["limits"].pop("rated_a")
    table["limits"]["charge_by_c"][2] = [5.0, 0.5]
    table["mode"]["trip_cell_v_max"] = 4.3
    table["cabinet"][0]["string"][0]["module"][3]["slot"] = 2
    table["cabinet"][0]["string"][0]["module"][5]["code"] = "BMW-IX3-02041"
    table["cabinet"][0]["string"][0]["module"][5]["soh"] = 78
    problems = problems_of(tmp_path, table, with_value(cell(), ("ocv", "v", 3), 2.0))
    assert [problem.key for problem in problems] == [
        "time_zone",
        "limits.rated_a",
        "limits.charge_by_c[2]",
        "limits.rated_amps",
        "mode.trip_cell_v_max",
        "cabinet[0].string[0].module[3].slot",
        "cabinet[0].string[0].module[5].code",
        "cabinet[0].string[0].module[5].soh",
        "ocv.v[3]",
    ]


@pytest.mark.parametrize(
    ("path", "value", "key", "expected"),
    [
        (("beat", "period_s"), ..., "beat.period_s", "a number from 0.02 to 1; the key is missing"),
        (("beat",), ..., "beat", "a table; the key is missing"),
        (("beat",), 3, "beat", "a table"),
        (("cabinet",), [], "cabinet", "1 to 100 tables"),
        (("cabinet",), [1], "cabinet[0]", "a table"),
        ((*MODULE, "weight_kg"), 30, f"{spell(MODULE)}.weight_kg", "no such key, only code, dialect, bus"),
        ((*MODULE, "cell"), 9, f"{spell(MODULE)}.cell", 'no such key; did you mean "cells"?'),
        ((*MODULE, "cells"), 17, f"{spell(MODULE)}.cells", "a whole number from 8 to 16"),
        ((*MODULE, "slot"), 3.0, f"{spell(MODULE)}.slot", "a whole number from 0 to 15"),
        ((*MODULE, "crc"), "maybe", f"{spell(MODULE)}.crc", '"on" or "learn" or "off"'),
        ((*MODULE, "dialect"), "cscx", f"{spell(MODULE)}.dialect", '"csc" or "sunspec_battery"'),
        ((*MODULE, "code"), "../x", f"{spell(MODULE)}.code", "a name of at most 40"),
        (("meter", "dialect"), "sunspec_pcs", "meter.dialect", '"sunspec_meter"'),
        (("dispatch", "rule"), "trade", "dispatch.rule", '"self_consumption" or "time_of_use" or "setpoint"'),
        (("dispatch", "peak_w"), 0, "dispatch.peak_w", "a number above 0, or inf"),
        (("dispatch", "contract_w"), math.inf, "dispatch.contract_w", "a number above 0 and at most 100000000"),
        (("buses", "a b"), "unix:x", 'buses."a b"', "a name of at most 40"),
        (("buses", "pcs"), 5, "buses.pcs", "text"),
        (("time_zone",), "Asia", "time_zone", "an IANA time zone"),
        (("time_zone",), "/etc/passwd", "time_zone", "an IANA time zone"),
        (("time_zone",), "../UTC", "time_zone", "an IANA time zone"),
        (("limits", "charge_by_soc"), [[0.5, 0.0]], "limits.charge_by_soc", "2 to 100 pairs"),
        (("limits", "charge_by_soc", 1), [0.95], "limits.charge_by_soc[1]", "a pair [SOC 0..1, share 0..1]"),
        (("limits", "charge_by_soc", 1), [0.9, 0, 0], "limits.charge_by_soc[1]", "a pair [SOC 0..1, share 0..1]"),
    ],
)
def test_a_key_that_is_wrong_by_itself(tmp_path: Path, path: KeyPath, value: object, key: str, expected: str) -> None:
    problem = one(problems_of(tmp_path, with_value(bench(), path, value)))
    assert problem.key == key
    assert problem.expected.startswith(expected)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("limits.cell_v_max", 4.19, "less than mode.trip_cell_v_max = 4.19"),
        ("limits.cell_v_min", 2.6, "more than mode.trip_cell_v_min = 2.6"),
        ("limits.deep_discharge_v", 2.5, "less than envelope.cell_v_min = 2.5"),
        ("limits.rated_a", 175, "less than mode.trip_a = 175"),
        ("mode.trip_cell_v_max", 4.21, "at most envelope.cell_v_max = 4.2"),
        ("mode.trip_cell_v_min", 2.4, "at least envelope.cell_v_min = 2.5"),
        ("mode.trip_cell_c_max", 56, "at most envelope.cell_c_max = 55"),
        ("mode.trip_a", 181, "at most envelope.string_a_max = 180"),
        ("mode.break_a", 150, "less than limits.rated_a = 150"),
        ("mode.precharge_a", 5.1, "at most mode.break_a = 5"),
        ("mode.join_a", 175, "less than mode.trip_a = 175"),
        ("mode.join_v", 24, "at most 23.5, 10 % of an empty string of 94 cells"),
        ("mode.precharge_v", 24, "at most 23.5, 10 % of an empty string of 94 cells"),
        ("envelope.cell_v_max", 4.21, "at most 4.2, data_sheet.v_max of "),
        ("envelope.cell_v_min", 2.49, "at least 2.5, data_sheet.v_min of "),
        ("envelope.charge_c_min", -0.1, "at least 0, data_sheet.charge_c_min of "),
        ("limits.horizon_s", 0.1, "at least two beats, 0.2"),
        ("dispatch.rule", "time_of_use", "another rule where no [contract] with its tariff_file tells"),
        ("dispatch.block_s", 1000, "seconds that divide an hour evenly, such as 900"),
        ("dispatch.slide_s", 70, "seconds that divide dispatch.block_s = 900 evenly, at most that: plain blocks"),
        ("dispatch.slide_s", 1800, "seconds that divide dispatch.block_s = 900 evenly, at most that: plain blocks"),
        ("dispatch.peak_w", 80001, "at most dispatch.contract_w = 80000, or inf"),
        ("dispatch.set_w", -50001, "at most 50000 either way, envelope.pcs_w_max for each cabinet"),
        ("limits.charge_by_cell_v", [[4.05, 1.0], [4.19, 0.01]], "share 0 at mode.trip_cell_v_max = 4.19 and above"),
        ("limits.discharge_by_cell_v", [[2.5, 0.0], [3, 1]], "share 0 at mode.trip_cell_v_min = 2.6 and below"),
        ("limits.charge_by_c", [[-1, 0], [9, 1], [50, 0]], "share 0 at envelope.charge_c_min = 0 and below"),
        ("limits.charge_by_c", [[-5, 1], [0, 0], [9, 1], [50, 0]], "share 0 at envelope.charge_c_min = 0 and below"),
        ("limits.charge_by_c", [[0, 0], [9, 1], [50, 0], [60, 1]], "share 0 at mode.trip_cell_c_max = 53 and above"),
        ("limits.discharge_by_c", [[-15, 0.1], [50, 0]], "share 0 at envelope.cell_c_min = -20 and below"),
    ],
)
def test_numbers_that_do_not_fit_each_other(tmp_path: Path, key: str, value: object, expected: str) -> None:
    problem = one(problems_of(tmp_path, with_value(bench(), tuple(key.split(".")), value)))
    assert problem.key == key
    assert problem.expected.startswith(expected)


@pytest.mark.parametrize(("key", "relation", "other"), ORDER)
def test_limits_lie_inside_trips_and_trips_inside_the_envelope(key: str, relation: str, other: str) -> None:
    bound = number(whole(), other)
    beyond = {"<": bound, "<=": bound + 0.001, ">": bound, ">=": bound - 0.001}[relation]
    words = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least"}[relation]
    path = tuple(key.split("."))
    found = list(number_findings(with_value(whole(), path, beyond)))
    assert Finding(path, f"{words} {other} = {plain(bound)}") in found
    assert list(number_findings(whole())) == list(number_findings(bench())) == []


def test_what_is_wrong_by_itself_breaks_no_rule_besides() -> None:
    for path in numbers(whole()):
        if path[0] not in ("cabinet", "contract"):
            assert list(number_findings(with_value(whole(), path[:2] if path[0] != "pv" else path, ...))) == []


@pytest.mark.parametrize(
    ("curve", "points", "at", "expected"),
    [
        ("charge_by_cell_v", [[4.0, 1], [4.0, 0.5], [4.1, 0]], 1, "a first number above 4, that of the pair before"),
        ("charge_by_cell_v", [[4.0, 0.5], [4.1, 0.6], [4.15, 0]], 1, "a share of at most 0.5: this curve falls"),
        ("discharge_by_soc", [[0.1, 0], [0.2, 1], [0.3, 0.5]], 2, "a share of at least 1: this curve rises"),
        ("charge_by_soh", [[0.8, 0], [0.6, 1]], 1, "a first number above 0.8, that of the pair before"),
    ],
)
def test_a_curve_that_turns_back(tmp_path: Path, curve: str, points: list[Any], at: int, expected: str) -> None:
    problem = one(problems_of(tmp_path, with_value(bench(), ("limits", curve), points)))
    assert (problem.key, problem.expected) == (f"limits.{curve}[{at}]", expected)


@pytest.mark.parametrize(
    ("path", "value", "key", "expected"),
    [
        (("ocv", "v", 12), 3.2796, "ocv.v[12]", "more than 3.2796, the number before"),
        (("ocv", "soc", 0), 0.003, "ocv.soc[0]", "0: the curve covers SOC 0 to 1"),
        (("ocv", "soc", 30), 0.995, "ocv.soc[30]", "1: the curve covers SOC 0 to 1"),
        (("resistance", "r1_ohm"), [0.001, 0.002], "resistance.r1_ohm", "6 numbers, one for each of resistance.soc"),
        (("resistance", "r0_ohm", 1), 0.0, "resistance.r0_ohm[1]", "more than 0"),
        (("hysteresis", "soc", 1), 0.0, "hysteresis.soc[1]", "more than 0, the number before"),
        (("resistance", "soh_factor", 1), 1.1, "resistance.soh_factor", "a factor of 1 where by_soh is 1"),
        (("resistance", "temperature_factor", 3), 2, "resistance.temperature_factor", "a factor of 1 where"),
        (("data_sheet", "v_max"), 4.49, "data_sheet.v_max", "at most 4.4863, 0.25 V above the full cell of ocv.v"),
        (("data_sheet",), ..., "data_sheet", "a table; the key is missing"),
        (("name",), "", "name", "text"),
        (("nameplate_ah",), ..., "nameplate_ah", "a number above 0 and at most 5000; the key is missing"),
    ],
)
def test_a_cell_file_that_is_wrong(tmp_path: Path, path: KeyPath, value: object, key: str, expected: str) -> None:
    problem = one(problems_of(tmp_path, bench(), with_value(cell(), path, value)))
    assert problem.key == key
    assert problem.expected.startswith(expected)


def test_the_cell_file_of_another_chemistry_is_seen(tmp_path: Path) -> None:
    iron_phosphate = with_value(cell(), ("ocv",), {"soc": [0, 0.5, 1], "v": [2.5, 3.28, 3.4]})
    iron_phosphate = with_value(iron_phosphate, ("data_sheet", "v_max"), 3.65)
    problem = one(problems_of(tmp_path, bench(), iron_phosphate))
    assert problem.key == "envelope.cell_v_max"
    assert problem.expected.startswith("at most 3.65, data_sheet.v_max of ")


def test_limits_of_another_chemistry_are_seen_though_they_agree_with_each_other(tmp_path: Path) -> None:
    table = bench()
    table["envelope"] |= {"cell_v_min": 0.6, "cell_v_max": 5.0, "charge_c_min": -60, "cell_c_min": -60.0}
    table["mode"] |= {"trip_cell_v_min": 0.6, "trip_cell_v_max": 5.0}
    table["limits"] |= {"cell_v_min": 0.7, "cell_v_max": 4.45, "deep_discharge_v": 0.5}
    table["limits"] |= {"charge_by_cell_v": [[4.4, 1.0], [4.45, 0.0]], "discharge_by_cell_v": [[0.6, 0.0], [0.7, 1.0]]}
    table["limits"] |= {"charge_by_c": [[-60, 0.0], [-59, 1.0], [48, 0.0]], "discharge_by_c": [[-60, 0.0], [50, 0.0]]}
    problems = problems_of(tmp_path, table)
    assert [problem.key for problem in problems] == [
        "envelope.cell_v_min",
        "envelope.cell_v_max",
        "envelope.charge_c_min",
    ]


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    problem = one(problems_of(tmp_path, with_value(bench(), ("time_zone",), "\x1b[31m\x9b\u202e" + "x" * 40)))
    assert problem.value == '"\\u001b[31m\\u009b\\u202e' + "x" * 34 + "..."


def keys_of(node: Table, top: Table) -> Iterator[tuple[str, Table]]:
    node = top["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    for name, inner in node.get("properties", {}).items():
        yield name, inner
        yield from keys_of(inner.get("items", inner), top)
    if "properties" in node:
        assert node["additionalProperties"] is False
        assert {"default", "null"}.isdisjoint(str(node).replace("'", " ").split())


def test_editors_learn_every_key_from_the_same_models() -> None:
    site, cells = schema(), schema(CellFile)
    names = {name for name, _ in keys_of(site, site)} | {name for name, _ in keys_of(cells, cells)}
    assert {"slot", "charge_by_cell_v", "peak_w", "soh_factor", "box", "azimuth_deg", "closed_is_well"} <= names
    slot = next(inner for name, inner in keys_of(site, site) if name == "slot")
    assert (slot["type"], slot["minimum"], slot["maximum"]) == ("integer", 0, 15)


def test_editors_learn_which_tables_may_be_absent() -> None:
    absent = set(schema()["properties"]) - set(schema()["required"])
    tables = {
        "balance",
        "health",
        "wear",
        "climate",
        "location",
        "contract",
        "weather",
        "serve",
        "page",
        "influx",
        "alarms",
        "carbon",
        "expected_load",
        "pv",
    }
    assert absent == tables
    assert set(schema(CellFile)["properties"]) - set(schema(CellFile)["required"]) == {"ageing"}
