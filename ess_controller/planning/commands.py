"""The commands of the planner: `ess plan` for a site or for foreign files, and `ess bill`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ess_controller.errors import BadInputError, TroubleError
from ess_controller.extras import check_installed

if TYPE_CHECKING:
    from ess_controller.planning.inputs import Metered
    from ess_controller.planning.problem import Prices
    from ess_controller.planning.site_plan import Sources
    from ess_controller.planning.tariff_prices import Terms
    from ess_controller.site.tariff import Tariff

TariffPath = Annotated[Path | None, typer.Option("--tariff", metavar="TOML", help="A tariff file.")]
SupplyOption = Annotated[
    str | None, typer.Option(metavar="CLASS", help="Voltage class; else the first of the tariff file.")
]
CustomerOption = Annotated[
    str | None, typer.Option(metavar="CLASS", help="Class of customer; else the first of the tariff file.")
]
DemandOption = Annotated[
    str | None,
    typer.Option(metavar="MODE", help="Counted by: actual, contract or capacity; else actual, if the file has that."),
]
ContractKw = Annotated[float | None, typer.Option(metavar="KW", help="Agreed demand, with --demand contract.")]
Kva = Annotated[
    float | None,
    typer.Option(metavar="KVA", help="Of the transformers, with --demand capacity or a monthly step."),
]
Hottest = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="date,hottest_c: days on which the tariff's critical peak may come by weather."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]

LARGEST_KW = 1e6  # more than any site has
SLOWEST_S = 120.0  # of a solver: a year in quarters of an hour takes ten seconds


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(plan)
    app.command()(bill)


def plan(
    site: Annotated[
        Path | None,
        typer.Argument(metavar="SITE", help="A site: its cabinets, its tariff, what its daemon has measured."),
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="From when on, with SITE; else from now on.")] = None,
    home: Annotated[Path | None, typer.Option(help="The daemon's folder, with SITE.")] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="time,load_w,pv_w[,import_cny_per_kwh,export_cny_per_kwh], a sure forecast."),
    ] = None,
    battery: Annotated[
        list[Path], typer.Option(metavar="TOML", help="The battery; several: groups, each with an inverter of its own.")
    ] = [],  # noqa: B006
    tariff: TariffPath = None,
    supply: SupplyOption = None,
    customer: CustomerOption = None,
    demand: DemandOption = None,
    contract_kw: ContractKw = None,
    transformer_kva: Kva = None,
    hottest: Hottest = None,
    peak_so_far_kw: Annotated[
        float, typer.Option(metavar="KW", help="Highest billing block of the month before the series begins.")
    ] = 0.0,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the plan.")] = None,
    as_json: Json = False,
) -> None:
    """The cheapest use of a battery over load and sun that are taken as sure: a site's next day, or --inputs.

    A row's time is when its step begins; its values are means of the step. cost_cny is energy + demand - feed-in.
    Demand is each month's peak at the price of a whole month; what is paid whatever the peak is stands beside it
    (fixed_demand_cny). Wear is weighed, but is on no bill: wear_cny. battery_w is positive when discharging; load_w =
    grid_w + battery_w + pv_w. Sun that may not flow out is curtailed, and only that. solve_ms is the median of 20 warm
    re-solves, filling the programme included, each with the series turned by one step more. gap_cny: a better plan
    would be at most so much cheaper. Exit status 1: the solver failed, and a rule stands in (why).
    """
    if plot is not None:
        check_installed("matplotlib", "ess plan --plot")
    from ess_controller.planning.lp import Planner
    from ess_controller.planning.plan_answer import answer, solve_ms, table

    if site is not None:
        if inputs is not None or battery:
            raise BadInputError(f"{site}: expected either SITE, or --inputs with --battery")
        from ess_controller.planning.site_plan import for_site

        given = for_site(site, at, home)
    elif inputs is None or not battery:
        raise BadInputError("ess plan: expected SITE, or --inputs with --battery")
    else:
        _check_numbers(contract_kw=contract_kw, transformer_kva=transformer_kva, peak_so_far_kw=peak_so_far_kw)
        loaded = tariff_of_file(tariff, supply, customer)
        metered = read_metered(inputs, loaded)
        prices, fixed_cny = prices_of(inputs, metered, loaded, demand, contract_kw, transformer_kva, hottest)
        given = _of_files(inputs, battery, metered, prices, fixed_cny, peak_so_far_kw, tariff is not None)
    groups, series, prices, ends = given.groups, given.series, given.prices, given.ends
    planner = Planner(slowest_s=SLOWEST_S)
    found = planner.plan(groups, series, prices, ends=ends)
    taken_ms = solve_ms(planner, groups, series, prices, ends)
    if plot is not None:
        from ess_controller.planning.plan_plot import save_plot

        save_plot(plot, found, series, prices)
    told = answer(found, groups, series, prices, ends, taken_ms, given.fixed_cny)
    print(json.dumps(told) if as_json else "\n".join(table(told, series)))
    if told["gap_cny"] is None:
        raise TroubleError(found.why)


def _of_files(
    inputs: Path,
    battery: list[Path],
    metered: "Metered",
    prices: "Prices",
    fixed_cny: float,
    peak_so_far_kw: float,
    has_tariff: bool,
) -> "Sources":
    """What foreign files plan with."""
    from ess_controller.planning.battery_file import load_battery
    from ess_controller.planning.filling import Ends
    from ess_controller.planning.inputs import faint, ill_fitting
    from ess_controller.planning.site_plan import Sources

    groups = tuple(load_battery(path) for path in battery)
    for path, group in zip(battery, groups, strict=True):
        if group.export != groups[0].export:
            raise BadInputError(
                f'{path}: export = "{group.export}": expected "{groups[0].export}", as {battery[0]} has'
            )
    power_w = sum(min(each.charge_w, each.discharge_w) for each in groups)
    _say(inputs, faint(metered.series, power_w), ill_fitting(metered.series, prices.block_s) if has_tariff else "")
    return Sources(groups, metered.series, prices, Ends(peak_so_far_w=1000.0 * peak_so_far_kw), fixed_cny)


def bill(
    series: Annotated[
        Path, typer.Argument(metavar="SERIES.csv", help="time,load_w,pv_w or time,grid_w, importing positive.")
    ],
    tariff: Annotated[Path, typer.Option(metavar="TOML", help="A tariff file.")],
    supply: SupplyOption = None,
    customer: CustomerOption = None,
    demand: DemandOption = None,
    contract_kw: ContractKw = None,
    transformer_kva: Kva = None,
    hottest: Hottest = None,
    as_json: Json = False,
) -> None:
    """What a metered series costs under a tariff: by month and item, with what was charged and why.

    Of a month that the series holds in part, energy is that of the part, and the demand charge that of a whole month.
    """
    _check_numbers(contract_kw=contract_kw, transformer_kva=transformer_kva)
    from ess_controller.planning.bill import bill as bill_of
    from ess_controller.planning.bill_answer import answer, table
    from ess_controller.planning.inputs import ill_fitting

    loaded = tariff_of_file(tariff, supply, customer)
    assert loaded is not None
    terms = _terms(loaded, demand, contract_kw, transformer_kva, bills=True)
    metered = read_metered(series, loaded, may_be_metered=True)
    _say(series, ill_fitting(metered.series, loaded.demand_rules.block_s))
    told = answer(bill_of(loaded, terms, metered.series, _days(hottest)), loaded)
    for month in told["months"]:
        if not month["whole"]:
            print(
                f"{series}: {month['month']} is there for {month['days']:g} of its {month['of_days']} days",
                file=sys.stderr,
            )
    print(json.dumps(told) if as_json else "\n".join(table(told)))


def _say(path: Path, *notes: str) -> None:
    for note in filter(None, notes):
        print(f"{path}: {note}", file=sys.stderr)


def _check_numbers(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not 0.0 <= value <= LARGEST_KW:
            option = f"--{name.replace('_', '-')}"
            raise BadInputError(f"{option} {value:g}: expected a number from 0 to {LARGEST_KW:.0f}")


def tariff_of_file(path: Path | None, supply: str | None, customer: str | None) -> "Tariff | None":
    """The tariff that is asked for, if one is; raises SiteError."""
    from ess_controller.site.tariff import load_tariff

    known: Any = {"supply": supply, "customer": customer}  # words: checked against those that the file has
    return None if path is None else load_tariff(path, **known)


def read_metered(path: Path, tariff: "Tariff | None", *, may_be_metered: bool = False) -> "Metered":
    """The series, in the tariff's time zone; what is strange in it is told."""
    from ess_controller.planning.inputs import read_series

    metered = read_series(path, tariff.zone if tariff else None, may_be_metered=may_be_metered)
    _say(path, *metered.notes)
    return metered


def _days(path: Path | None) -> dict[str, float]:
    from ess_controller.planning.inputs import read_hottest

    return {} if path is None else read_hottest(path)


def _terms(
    tariff: "Tariff", demand: str | None, contract_kw: float | None, kva: float | None, *, bills: bool
) -> "Terms":
    """What is agreed, with everything that the way of counting asks for."""
    from math import nan

    from ess_controller.planning.tariff_prices import Terms

    mode: Any = demand or ("actual" if "actual" in tariff.demand else next(iter(tariff.demand)))
    if mode not in tariff.demand:
        raise BadInputError(
            f"--demand {mode}: expected {' or '.join(tariff.demand)}, that {tariff.name} has prices for"
        )
    if mode == "contract" and contract_kw is None:
        raise BadInputError("--contract-kw: expected the agreed demand, with --demand contract")
    steps = bills and tariff.monthly_step is not None
    if kva is None and (mode == "capacity" or steps):
        why = (
            "--demand capacity" if mode == "capacity" else "a tariff whose price depends on kWh bought for each of them"
        )
        raise BadInputError(f"--transformer-kva: expected the size of the transformers, with {why}")
    return Terms(mode, nan if contract_kw is None else contract_kw, nan if kva is None else kva)


def prices_of(
    path: Path,
    metered: "Metered",
    tariff: "Tariff | None",
    demand: str | None,
    contract_kw: float | None,
    kva: float | None,
    hottest: Path | None,
) -> "tuple[Prices, float]":
    """Prices of the series, of the tariff or in the file; and what its months' demand costs whatever the peak."""
    import numpy as np

    from ess_controller.planning.problem import DemandCost, Prices, months
    from ess_controller.planning.tariff_prices import fixed_cny, prices_over

    series, imports, exports = metered.series, metered.import_cny_per_kwh, metered.export_cny_per_kwh
    if tariff is not None:
        if imports is not None or exports is not None:
            _say(path, "its prices are not used: --tariff has them")
        terms = _terms(tariff, demand, contract_kw, kva, bills=False)
        if tariff.monthly_step is not None:
            print(
                f"{tariff.name}: the monthly step moves no energy between hours; it is in bills only", file=sys.stderr
            )
        begins = (series.at(first).date() for first, _ in months(series))
        fixed = sum(fixed_cny(tariff, terms, day) for day in begins)
        return prices_over(tariff, terms, series, _days(hottest)), fixed
    if imports is None:
        raise BadInputError(f"{path}:1: expected a column import_cny_per_kwh, or --tariff TOML")
    if exports is None:
        _say(path, "no export_cny_per_kwh: what flows out earns nothing")
        exports = np.zeros(len(series))
    return Prices(imports, exports, DemandCost((), ()), 900.0), 0.0
