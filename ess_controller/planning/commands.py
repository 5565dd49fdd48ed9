"""The command `ess plan`, for a site or for foreign files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ess_controller.errors import BadInputError, TroubleError
from ess_controller.extras import check_installed
from ess_controller.planning.bills.commands import bill
from ess_controller.planning.given.options import (
    Agreed,
    ContractKw,
    CustomerOption,
    DemandOption,
    Hottest,
    Json,
    Kva,
    SupplyOption,
    Tariffs,
)
from ess_controller.planning.given.shared_commands import (
    check_agreed,
    check_numbers,
    only,
    only_tariff,
    prices_of,
    read_metered,
    say,
    say_nothing,
    tariff_of_file,
)

if TYPE_CHECKING:
    from ess_controller.planning.given.problem import Battery, Prices, Series
    from ess_controller.planning.lp.plan import Plan
    from ess_controller.planning.planner.plan_sources import Sources
    from ess_controller.planning.planner.reopened import Reopened

    Answered = tuple[dict[str, Any], Plan, Series, Prices]  # as JSON, and what is drawn of it

NO_SITE = {"in_force": None, "capacity_test": None}
SLOWEST_S = 120.0  # of a solver: a year in quarters of an hour takes ten seconds


SiteToPlan = Annotated[
    Path | None,
    typer.Argument(metavar="SITE", help="A site: its cabinets, its tariff, what its daemon has measured."),
]
At = Annotated[str | None, typer.Option(metavar="TIME", help="From when on, with SITE; else from now on.")]
Home = Annotated[Path | None, typer.Option(help="The daemon's folder, with SITE.")]
Weather = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A weather forecast, with SITE: Open-Meteo's JSON, or CSV.")
]
Sure = Annotated[
    list[Path],
    typer.Option(metavar="CSV", help="time,load_w,pv_w[,import_cny_per_kwh,export_cny_per_kwh], a sure forecast."),
]
Batteries = Annotated[
    list[Path], typer.Option(metavar="TOML", help="The battery; several: groups, each with an inverter of its own.")
]
PeakSoFarKw = Annotated[
    float, typer.Option(metavar="KW", help="Highest import of the month so far, before the series begins.")
]
Explain = Annotated[
    str | None, typer.Option(metavar="TIME", help="Why the battery does what it does then, and what would change it.")
]
Plot = Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the plan.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(plan)
    app.command()(bill)


def plan(
    site: SiteToPlan = None,
    at: At = None,
    home: Home = None,
    weather: Weather = None,
    inputs: Sure = [],  # noqa: B006
    battery: Batteries = [],  # noqa: B006
    tariff: Tariffs = [],  # noqa: B006
    supply: SupplyOption = None,
    customer: CustomerOption = None,
    demand: DemandOption = None,
    contract_kw: ContractKw = None,
    transformer_kva: Kva = None,
    hottest: Hottest = None,
    peak_so_far_kw: PeakSoFarKw = 0.0,
    explain: Explain = None,
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """The cheapest use of a battery over load and sun that are taken as sure: a site's next day, or --inputs.

    A row's time is when its step begins; its values are means of the step. cost_cny is energy + demand - feed-in.
    Demand is each month's peak at the price of a whole month; what is paid whatever the peak is stands beside it
    (fixed_demand_cny). Wear is weighed, but is on no bill: wear_cny. battery_w is positive when discharging; load_w =
    grid_w + battery_w + pv_w. Where there is a feed_in_limit_w, sun beyond it is curtailed, and all that would flow out
    where that would cost; else nothing is (curtailed_kwh). solve_ms is the median of 20 warm re-solves, fewer where
    they take more than 5 s together, filling the programme included, each with the series turned by one step more.
    gap_cny: a better plan would be at most so much cheaper. With --at the plan that the site's planner made then is
    made again from its own inputs, where it is kept (kept: when it was made, whether every number is that of then),
    else a plan is made from the meter book; --explain says why. in_force: the plan that the daemon goes by then, and
    why_not, if it does not; capacity_test: the one that is placed. Import beyond the site's limit (import_limit_w) is
    let pass only where the battery cannot hold it, and said. Exit status 1: the solver failed, and a rule stands in
    (why).
    """
    if plot is not None:
        check_installed("matplotlib", "ess plan --plot")
    if site is not None and (inputs or battery):
        raise BadInputError(f"{site}: expected either SITE, or --inputs with --battery")
    series = only("--inputs", inputs)
    agreed = Agreed(only_tariff(tariff), supply, customer, demand, contract_kw, transformer_kva, hottest)
    check_agreed(site, agreed)
    if site is not None:
        own = f"nothing of it with {site}, which has its own"
        say_nothing(own, tariff=agreed.tariff, peak_so_far_kw=peak_so_far_kw or None)
        answered = _of_site(site, at, home, weather, hottest, explain)
    elif series is None or not battery:
        raise BadInputError("ess plan: expected SITE, or --inputs with --battery")
    else:
        say_nothing("SITE beside it", at=at, home=home, weather=weather)
        check_numbers(peak_so_far_kw=peak_so_far_kw)
        if agreed.tariff is None:
            say_nothing("--tariff TOML beside it", peak_so_far_kw=peak_so_far_kw or None)
        answered = _planned(_of_files(series, battery, agreed, peak_so_far_kw), explain)
    _give(*answered, plot, as_json)


def _of_site(
    site: Path, at: str | None, home: Path | None, weather: Path | None, hottest: Path | None, explain: str | None
) -> "Answered":
    """The plan that is kept of then, else one that is made now."""
    from ess_controller.planning.planner.plan_sources import for_site, kept_plan, standing_then

    kept = None if at is None or weather is not None else kept_plan(site, at, home)
    if kept is not None:
        told, found, series, prices = _of_kept(kept, site, home, explain)
        return told | standing_then(site, at or "", home), found, series, prices
    return _planned(for_site(site, at, home, hottest, weather), explain)


def _planned(given: "Sources", explain: str | None) -> "Answered":
    """The cheapest plan over what is given as sure."""
    from ess_controller.planning.answer import answer, solve_ms
    from ess_controller.planning.lp.solver import Planner

    groups, series, prices, ends = given.groups, given.series, given.prices, given.ends
    planner = Planner(slowest_s=SLOWEST_S)
    found = planner.plan(groups, series, prices, ends=ends)
    taken_ms = solve_ms(planner, groups, series, prices, ends)
    told = answer(found, groups, series, prices, ends, taken_ms, given.fixed_cny)
    if explain is not None:
        from ess_controller.planning.explain.step import explained, step_at

        step = step_at(series, explain)
        told["explain"] = explained(groups, series, prices, ends, found, step)
    return told | {"kept": None} | dict(given.standing), found, series, prices


def _give(
    told: dict[str, Any], found: "Plan", series: "Series", prices: "Prices", plot: Path | None, as_json: bool
) -> None:
    """Draw and print it; TroubleError where the solver failed."""
    from ess_controller.planning.answer import table

    if plot is not None:
        from ess_controller.planning.plot import save_plot

        save_plot(plot, found, series, prices)
    print(json.dumps(told) if as_json else "\n".join(table(told, series)))
    if told["gap_cny"] is None and told["kept"] is None:
        raise TroubleError(found.why)


def _of_kept(kept: "Reopened", site: Path, home: Path | None, explain: str | None) -> "Answered":
    """A plan that the daemon went by, as it was."""
    from ess_controller.planning.answer import answer, of_kept
    from ess_controller.planning.explain.step import step_at
    from ess_controller.planning.explain.value import explained
    from ess_controller.planning.given.problem import cut
    from ess_controller.planning.lp.filling import Ends
    from ess_controller.planning.planner.plan_sources import book_of
    from ess_controller.planning.planner.reopened import path_of
    from ess_controller.site import clock_note

    found = path_of(kept)
    end = len(found.battery_w)
    series, prices = kept.series.cut(0, end), cut(kept.prices, kept.series, 0, end)
    ends = Ends(peak_so_far_w=kept.kept.month_peak_w)
    told = answer(found, (kept.battery,), series, prices, ends, float("nan"), kept.fixed_cny) | {"kept": of_kept(kept)}
    if explain is not None:
        told["explain"] = explained(kept, step_at(series, explain), book_of(site, home))
    say(site, clock_note(kept.plan.ahead_s), *kept.doubts)
    return told, found, series, prices


def _of_files(inputs: Path, battery: list[Path], agreed: Agreed, peak_so_far_kw: float) -> "Sources":
    """What foreign files plan with."""
    from ess_controller.planning.given.inputs import faint, highest_w, ill_fitting
    from ess_controller.planning.lp.filling import Ends
    from ess_controller.planning.planner.plan_sources import Sources

    tariff = tariff_of_file(agreed)
    metered = read_metered(inputs, tariff)
    prices, fixed_cny = prices_of(inputs, metered, tariff, agreed)
    groups = _groups(battery, highest_w(metered.series))
    power_w = sum(min(each.charge_w, each.discharge_w) for each in groups)
    say(
        inputs,
        faint(metered.series, power_w, agreed.contract_kw, agreed.transformer_kva),
        ill_fitting(metered.series, prices.block_s, prices.slide_s) if tariff is not None else "",
    )
    return Sources(groups, metered.series, prices, Ends(peak_so_far_w=1000.0 * peak_so_far_kw), fixed_cny, NO_SITE)


def _groups(battery: list[Path], most_w: float) -> "tuple[Battery, ...]":
    """The batteries of files, with one rule for what may flow out."""
    from ess_controller.planning.given.battery_file import ill_sized, load_battery

    groups = tuple(load_battery(path) for path in battery)
    for path, group in zip(battery, groups, strict=True):
        say(path, ill_sized(group, most_w))
        if group.export != groups[0].export:
            raise BadInputError(
                f'{path}: export = "{group.export}": expected "{groups[0].export}", as {battery[0]} has'
            )
        if group.feed_in_w != groups[0].feed_in_w:
            raise BadInputError(
                f"{path}: feed_in_w = {group.feed_in_w:g}: expected {groups[0].feed_in_w:g}, as {battery[0]} has"
            )
    return groups
