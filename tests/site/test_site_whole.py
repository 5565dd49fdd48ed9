"""A site with sun, contacts, gateways and a contract: what the file says is what the rest works with."""

import math
from pathlib import Path

import pytest

from ess_controller.site import Contract, Location, PvArray, WeatherSource, load
from firmware_bridge.records import Climate, Contact, IoChannel, PvSpec
from tests.site.site_files import SITES, Table, bench, loaded, problems_of, whole, with_value, written

STRING, B1 = ("cabinet", 0, "string", 0), ("cabinet", 1, "string", 0)
IO = ("cabinet", 0, "io")
LEGACY = (
    "true, once somebody has tested that this inverter falls to 0 W when its timer runs out: it cannot be read back"
)


def found(folder: Path, table: Table) -> list[tuple[str, str]]:
    return [(problem.key, problem.expected) for problem in problems_of(folder, table)]


def two_strings(**second: object) -> Table:
    table = bench()
    table["buses"] |= {"modules2": "unix:modules2.can", "box2": "unix:box2.can"}
    string = bench()["cabinet"][0]["string"][0] | {"name": "A2"}
    string["box"]["bus"] = "box2"
    for module in string["module"]:
        module["code"], module["bus"] = module["code"] + "-2", "modules2"
    table["cabinet"][0]["string"].append(string | second)
    return table


def test_solar_inverters_contacts_and_gateways_are_on_the_wires(tmp_path: Path) -> None:
    plant = loaded(tmp_path, whole()).plant
    assert plant.register_buses == ("pcs", "pcs-b", "meter", "pv", "io", "gateway-b")
    assert plant.can_buses == ("modules", "box")
    assert plant.pvs == (PvSpec("roof", "pv", 30000.0),)
    assert plant.meter_positive_imports
    assert [cabinet.pcs_dialect for cabinet in plant.cabinets] == ["sunspec_pcs", "sunspec_pcs_legacy"]
    assert [cabinet.pcs_fallback_is_zero for cabinet in plant.cabinets] == [False, True]
    assert [cabinet.battery_bus for cabinet in plant.cabinets] == ["", "gateway-b"]
    assert [cabinet.battery_positive_discharges for cabinet in plant.cabinets] == [True, False]
    assert math.isnan(plant.cabinets[0].pcs_discharge_reference_w)
    assert plant.cabinets[1].pcs_discharge_reference_w == 40_000.0
    assert {(string.name, string.box_bus) for string in plant.strings} == {("A1", "box"), ("B1", "")}
    assert {module.bus for module in plant.cabinets[1].strings[0].modules} == {""}
    assert (plant.layout.io_cabinet.tolist(), plant.layout.gateway_cabinet.tolist()) == ([0], [1])


def test_a_closed_chain_is_well_and_a_closed_smoke_contact_is_not(tmp_path: Path) -> None:
    io = loaded(tmp_path, whole()).plant.cabinets[0].io
    assert io is not None
    assert io.inputs[:3] == (
        IoChannel(Contact.ESTOP, 0, inverted=True),
        IoChannel(Contact.INTERLOCK, 1, inverted=True),
        IoChannel(Contact.SMOKE, 2),
    )
    assert io.outputs[2] == IoChannel(Climate.HEATER, 2)


def test_place_roof_and_contract_are_told(tmp_path: Path) -> None:
    site = loaded(tmp_path, whole())
    assert site.location == Location(31.2, 121.4, 5.0)
    assert site.weather == WeatherSource("https://api.open-meteo.com/v1/forecast", 3.0, 36.0)
    assert site.pv_arrays == ((PvArray(20.0, 10.0, 165.0), PvArray(15.0, 10.0, 255.0)),)
    assert site.contract == Contract("under_1kv", "commercial", "contract", 160.0, 315.0)
    assert site.tariff is not None
    tariff, expected = site.notes
    assert tariff.startswith("tariff Shanghai, industry and commerce, two-part, under 1 kV: only assumed: calendar, ")
    assert expected.startswith("expected load: ")
    assert site.tariff.demand["contract"].values[0] == 40.8
    assert site.serve_url == "tcp://127.0.0.1:15029/1"
    assert site.influx is not None
    assert (site.influx.token_env, site.influx.outbox_mb) == ("T", 64.0)
    assert site.tuning.climate is not None
    assert site.tuning.climate.chiller_on_c == 35.0
    assert site.origins["BMW-IX3-02041"] == "iX3 2021, 118 000 km, leasing return, retired 2025-04"


def test_the_bench_has_none_of_it() -> None:
    site = load(SITES / "bench", {})
    assert [site.location, site.contract, site.tariff, site.influx, site.weather, site.tuning.climate] == [None] * 6
    assert (site.serve_url, site.pv_arrays, site.isolated, site.plant.pvs) == ("", (), (), ())


def test_a_string_out_of_service_is_left_out_of_everything(tmp_path: Path) -> None:
    site = loaded(tmp_path, two_strings(in_service=False))
    assert site.isolated == ("A2",)
    assert site.notes == ("string A2 is not in service: nothing is said to it or heard from it",)
    assert [string.name for string in site.plant.strings] == ["A1"]
    assert site.plant.can_buses == ("modules", "box")
    assert len(site.tuning.cell_ah) == 94
    assert "BMW-IX3-02041-2" in site.origins


def test_a_cabinet_needs_a_string_in_service(tmp_path: Path) -> None:
    table = with_value(two_strings(in_service=False), (*STRING, "in_service"), False)
    expected = "true for at least one string of the cabinet"
    assert found(tmp_path, table) == [("cabinet[0].string[1].in_service", expected)]


def test_a_gateway_isolates_its_strings_itself(tmp_path: Path) -> None:
    expected = "true: the gateway numbers its strings and tells itself which one is isolated"
    table = with_value(whole(), (*B1, "in_service"), False)
    assert found(tmp_path, table) == [("cabinet[1].string[0].in_service", expected)]


@pytest.mark.parametrize(
    ("path", "value", "key", "expected"),
    [
        (("cabinet", 1, "pcs", "fallback_is_zero"), False, "cabinet[1].pcs.fallback_is_zero", LEGACY),
        (("cabinet", 1, "pcs", "fallback_is_zero"), ..., "cabinet[1].pcs.fallback_is_zero", LEGACY),
        (("cabinet", 0, "pcs", "fallback_is_zero"), True, "cabinet[0].pcs.fallback_is_zero", "no such key: the fall"),
        (
            ("cabinet", 0, "pcs", "discharge_reference_w"),
            4e4,
            "cabinet[0].pcs.discharge_reference_w",
            "no such key: sun",
        ),
        (("cabinet", 1, "pcs", "discharge_reference_w"), 0, "cabinet[1].pcs.discharge_reference_w", "a number above 0"),
        (("cabinet", 1, "battery", "positive_discharges"), ..., "cabinet[1].battery.positive_discharges", "true or f"),
        (("cabinet", 0, "pcs", "dialect"), "goodwe", "cabinet[0].pcs.dialect", '"sunspec_pcs" or "sunspec_pcs_leg'),
        ((*STRING, "box"), ..., "cabinet[0].string[0].box", "a table; the key is missing"),
        ((*STRING, "module", 2, "slot"), ..., "cabinet[0].string[0].module[2].slot", "a whole number from 0 to 15"),
        ((*STRING, "module", 2, "bus"), ..., "cabinet[0].string[0].module[2].bus", "the name of a CAN bus"),
        ((*STRING, "module", 2, "crc"), ..., "cabinet[0].string[0].module[2].crc", '"on" or "learn" or "off"'),
        ((*STRING, "module", 2, "origin"), ..., "cabinet[0].string[0].module[2].origin", "where it comes from: car"),
        ((*B1, "module", 2, "slot"), 3, "cabinet[1].string[0].module[2].slot", "no such key: cabinet[1].battery"),
        ((*B1, "box"), {"dialect": "sbox", "bus": "box", "crc": "on"}, "cabinet[1].string[0].box", "no such table"),
        ((*B1, "module", 2, "dialect"), "csc", "cabinet[1].string[0].module[2].dialect", '"sunspec_battery": cabinet'),
        ((*IO, "inputs", "horn"), 9, "cabinet[0].io.inputs.horn", "no such key, only estop, interlock, smoke, gas"),
        ((*IO, "inputs", "smok"), 9, "cabinet[0].io.inputs.smok", 'no such key; did you mean "smoke"?'),
        ((*IO, "inputs", "gas"), 2, "cabinet[0].io.inputs.gas", "an address of its own; smoke has it"),
        ((*IO, "outputs", "fan"), 65536, "cabinet[0].io.outputs.fan", "a whole number from 0 to 65535"),
        ((*IO, "inputs"), 3, "cabinet[0].io.inputs", "a table: contact = discrete input"),
        ((*IO, "inputs", "estop"), ..., "cabinet[0].io.closed_is_well[0]", "one of the inputs: interlock, smoke"),
        ((*IO, "closed_is_well"), ["gas", "gas"], "cabinet[0].io.closed_is_well[1]", "each name once"),
        ((*IO, "closed_is_well"), ..., "cabinet[0].io.closed_is_well", "at most 5 names of inputs whose closed"),
        (("climate",), ..., "climate", "a table for the outputs of cabinet[0].io; the key is missing"),
        ((*IO, "outputs"), {}, "climate", "a cabinet whose io has outputs, or no such table"),
        (("climate", "fan_off_c"), 30, "climate.fan_on_c", "more than climate.fan_off_c = 30"),
        (("climate", "chiller_on_c"), 41, "climate.chiller_on_c", "at most 40, where limits.charge_by_c begins"),
        (("location",), ..., "location", "a table, where the sun is to be known for [[pv]]; the key is missing"),
        (("weather", "source"), "ftp://host/w.json", "weather.source", "http://, https://, or the path of a file"),
        (("weather", "every_h"), 48.0, "weather.every_h", "a number from 0.25 to 24"),
        (("location", "latitude"), 121.4, "location.latitude", "a number from -90 to 90"),
        (("pv", 0, "rated_w"), 30, "pv[0].rated_w", "17500 to 70000, for arrays of 35000 W"),
        (("pv", 0, "dialect"), "sunspec_pvx", "pv[0].dialect", '"sunspec_pv"'),
        (("pv", 0, "array"), [], "pv[0].array", "1 to 20 tables"),
        (("pv",), [], "pv", "1 to 100 solar inverters"),
        (("contract", "contract_kw"), ..., "contract.contract_kw", "a number, the agreed demand that"),
        (("contract", "contract_kw"), 120, "contract.contract_kw", "at least 126, 40 % of contract.transformer_kva"),
        (("contract", "contract_kw"), 316, "contract.contract_kw", "at most 315, the site's transformers"),
        (("contract", "demand"), "actual", "contract.contract_kw", 'no such key with demand = "actual"'),
        (("contract", "supply"), "10kv", "contract.supply", '"under_1kv", that '),
        (("contract", "supply"), "10", "contract.supply", '"under_1kv" or "10kv" or '),
        (("contract", "transformer_kva"), 100, "contract.contract_kw", "at most 100, the site's transformers"),
        (("contract", "tariff_file"), "no.toml", "contract.tariff_file", "a tariff file, relative to this one; "),
        (("dispatch", "block_s"), 600, "dispatch.block_s", "900, the billing window of "),
        (("dispatch", "slide_s"), 900, "dispatch.slide_s", "60, by which the billing window slides of "),
        (("serve", "url"), "tcp://127.0.0.1:15029/3", "serve.url", "unit 1, that of the first cabinet, not 3"),
        (
            ("serve", "url"),
            "tcp://127.0.0.1:15022/1",
            "serve.url",
            "a port or line on which no device is; buses.pv is ",
        ),
        (("serve", "url"), "rtu:serial.tty?unit=1", "serve.url", "a port or line on which no device is; buses.io is "),
        (("serve", "url"), "socketcan:can0", "serve.url", "tcp://HOST:PORT/1 or rtu:PATH: Modbus, not CAN"),
        (("serve", "url"), "http://x", "serve.url", "tcp://HOST:PORT/1 or rtu:PATH"),
        (("page", "trusted_proxy"), "proxy.example", "page.trusted_proxy", "the address of the TLS proxy before it"),
        (("page", "trusted_proxy"), "*", "page.trusted_proxy", "the address of the TLS proxy before it"),
        (("influx", "token"), "secret", "influx.token", 'no such key; did you mean "token_env"?'),
        (("influx", "token_env"), "a-b=", "influx.token_env", "the name of the environment variable that holds"),
        (("influx", "url"), "127.0.0.1:8086", "influx.url", "http(s)://HOST:PORT"),
        (("meter", "positive_imports"), ..., "meter.positive_imports", "true or false: true where it counts imports"),
        (("meter", "positive_imports"), "yes", "meter.positive_imports", "true or false: true where it counts imports"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, path: tuple[str | int, ...], value: object, key: str, expected: str
) -> None:
    problems = problems_of(tmp_path, with_value(whole(), path, value))
    assert [problem.key for problem in problems] == [key], "\n".join(map(str, problems))
    assert problems[0].expected.startswith(expected)


def test_without_contract_kw_nothing_is_agreed(tmp_path: Path) -> None:
    table = with_value(with_value(whole(), ("contract", "contract_kw"), ...), ("contract", "demand"), "capacity")
    contract = loaded(tmp_path, table).contract
    assert contract is not None
    assert math.isnan(contract.contract_kw)


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        ("io", "rtu:serial.tty?unit=248", "a bus URL; unit '248', expected 1..247"),
        ("io", "tcp://127.0.0.1:15024/256", "a bus URL; unit 256 is outside 0..255"),
        (
            "pcs-b",
            "rtu:serial.tty?unit=8&baud=9600",
            "baud, parity and stop bits of buses.io, which is on the same line",
        ),
        ("pv", "unix:pv.can", "a Modbus device, for pv[0]"),
    ],
)
def test_units_and_lines_that_cannot_be(tmp_path: Path, name: str, url: str, expected: str) -> None:
    table = with_value(whole(), ("buses", name), url)
    assert found(tmp_path, table) == [(f"buses.{name}", expected)]


def test_two_units_of_one_number_on_a_line_are_told(tmp_path: Path) -> None:
    table = with_value(whole(), ("buses", "io"), "rtu:serial.tty?unit=8")
    expected = "a bus of its own; rtu:serial.tty?unit=8 is already that of cabinet[0].io"
    assert found(tmp_path, table) == [("cabinet[1].pcs.bus", expected)]


def test_a_code_is_unique_over_the_whole_site(tmp_path: Path) -> None:
    table = with_value(whole(), (*B1, "module", 2, "code"), "BMW-IX3-02041")
    expected = "a code of its own; cabinet[0].string[0].module[0] has it"
    assert found(tmp_path, table) == [("cabinet[1].string[0].module[2].code", expected)]


def test_two_string_boxes_cannot_share_a_bus(tmp_path: Path) -> None:
    table = two_strings()
    table["cabinet"][0]["string"][1]["box"]["bus"] = "box"
    del table["buses"]["box2"]
    expected = "a bus without cabinet[0].string[0].box: both use CAN id 0x100"
    assert found(tmp_path, table) == [("cabinet[0].string[1].box.bus", expected)]


def test_sixteen_strings_do_not_fit_a_served_unit(tmp_path: Path) -> None:
    table = whole()
    strings = [table["cabinet"][1]["string"][0]]
    for number in range(2, 17):
        string = whole()["cabinet"][1]["string"][0] | {"name": f"B{number}"}
        for module in string["module"]:
            module["code"] += str(number)
        strings.append(string)
    table["cabinet"][1]["string"] = strings
    assert found(tmp_path, table) == [
        ("cabinet[1].string", "at most 15 strings: more do not fit a served unit, or no [serve]")
    ]


def test_modules_may_stand_on_one_line_each(tmp_path: Path) -> None:
    """As in the shipped files: an array of inline tables. The line is that of the module."""
    text = (SITES / "shanghai-dealer" / "site.toml").read_text(encoding="utf-8")
    text = text.replace("../cells/nmc811-2p-232ah.toml", "cell.toml").replace("../tariffs/shanghai.toml", "tariff.toml")
    text = text.replace("../carbon/china.toml", str(SITES / "carbon" / "china.toml"))
    assert problems_of(tmp_path, text) == []
    lines = text.split("\n")
    third = [at for at, line in enumerate(lines) if "slot = 2," in line][3]
    lines[third] = lines[third].replace("slot = 2,", "slot = 22,")
    (problem,) = problems_of(tmp_path, "\n".join(lines))
    assert (problem.line, problem.key, problem.value) == (third + 1, "cabinet[1].string[1].module[2].slot", "22")


def test_the_whole_site_is_written_and_read_alike(tmp_path: Path) -> None:
    assert problems_of(tmp_path, written(whole())[0]) == []
