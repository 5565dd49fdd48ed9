"""The command `ess backtest`: what value dispatch would have saved on a recorded series."""

import json
import sys
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ess_controller.errors import BadInputError
from ess_controller.extras import check_installed
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
    only,
    only_tariff,
    prices_of,
    read_metered,
    say,
    say_nothing,
    tariff_of_file,
)

if TYPE_CHECKING:
    from ess_controller.planning.backtest.of_site import Recorded
    from ess_controller.planning.backtest.plans import Known
    from ess_controller.planning.given.problem import Series

SiteThatMeasured = Annotated[
    Path | None, typer.Argument(metavar="SITE", help="A site: what its daemon has measured, its battery and tariff.")
]
Home = Annotated[Path | None, typer.Option(help="The daemon's folder, with SITE.")]
RecordedCsv = Annotated[
    list[Path],
    typer.Option(metavar="CSV", help="time,load_w,pv_w[,import_cny_per_kwh,export_cny_per_kwh], recorded."),
]
Batteries = Annotated[list[Path], typer.Option(metavar="TOML", help="The battery.")]
Start = Annotated[
    str | None, typer.Option(metavar="TIME", help="When to begin, 2026-06-01; what lies before is history.")
]
Days = Annotated[float | None, typer.Option(min=0.01, metavar="N", help="How long; else to the end.")]
ReplanMin = Annotated[float, typer.Option(min=1.0, metavar="MIN", help="A new plan so often.")]
Know = Annotated[
    str, typer.Option(metavar="WHAT", help="load, pv, peak or several: what is foreseen, to see what that is worth.")
]
Mpc = Annotated[bool, typer.Option("--mpc", help="Run a plain LP-MPC on persistence too, planned anew each hour.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Draw week, savings and peaks there.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backtest)


def backtest(
    site: SiteThatMeasured = None,
    home: Home = None,
    inputs: RecordedCsv = [],  # noqa: B006
    battery: Batteries = [],  # noqa: B006
    tariff: Tariffs = [],  # noqa: B006
    start: Start = None,
    days: Days = None,
    supply: SupplyOption = None,
    customer: CustomerOption = None,
    demand: DemandOption = None,
    contract_kw: ContractKw = None,
    transformer_kva: Kva = None,
    hottest: Hottest = None,
    replan_min: ReplanMin = 30.0,
    know: Know = "",
    mpc: Mpc = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Run value dispatch over a recorded series, from past data only, beside no battery, a rule and perfect foresight.

    value_share is what the controller saves of what perfect foresight, each month's optimum on the true series, would.
    Costs are bills and wear, less what more is stored at the end than at the begin, at the price of the cheapest hour;
    what demand costs whatever the peak (agreed, or of the transformers) is in none of them.
    The rule charges in cheap hours, gives in dear ones and keeps the month's peak. Where --inputs is finer than the
    billing block, each step is decided anew within it. With SITE: over what the meter book of its daemon holds, beside
    what the battery really did (really_cny; from the meter, its losses as the site file has them), with the blocks that
    the book does not know (gaps) taken as the day before, the battery at rest.
    """
    import numpy as np

    from ess_controller.planning.backtest.answer import answer, table
    from ess_controller.planning.backtest.run import run_backtest
    from ess_controller.planning.given.problem import cut

    if out is not None:
        check_installed("matplotlib", "ess backtest --out")
    _check_asked(replan_min, days)
    agreed = Agreed(only_tariff(tariff), supply, customer, demand, contract_kw, transformer_kva, hottest)
    past = _past(site, home, only("--inputs", inputs), only("--battery", battery), agreed)
    first, end = _span(past.series, start, days)
    series, prices = past.series.cut(0, end), cut(past.prices, past.series, 0, end)
    if out is not None:
        from ess_controller.planning.backtest.plot import make_folder, save_plots

        make_folder(out)
    done_w = None if past.done_w is None else np.nan_to_num(past.done_w[:end])
    found = run_backtest(
        series,
        prices,
        past.battery,
        past.kinds,
        first,
        60.0 * replan_min,
        _known(know),
        done_w,
        mpc=mpc,
        prices_known=past.prices_known,
    )
    if out is not None:
        save_plots(out, found, cut(prices, series, first, end), past.battery)
    gaps = past.gaps(first, end)
    told = answer(found) | ({"gaps": gaps} if gaps else {})
    print(json.dumps(told) if as_json else "\n".join(table(told)))


def _check_asked(replan_min: float, days: float | None) -> None:
    """Times that end, and a plan that lasts until the next; raises BadInputError."""
    from ess_controller.planning.value.replan import HORIZON_H

    if days is not None and not isfinite(days):
        raise BadInputError(f"--days {days:g}: expected a number that ends")
    if not replan_min <= 60.0 * HORIZON_H:
        raise BadInputError(
            f"--replan-min {replan_min:g}: expected at most {60.0 * HORIZON_H:g}, as far as a plan reaches"
        )


def _past(
    site: Path | None, home: Path | None, inputs: Path | None, battery: Path | None, agreed: Agreed
) -> "Recorded":
    """What was recorded, of a site or in files; what is strange about it is told. BadInputError."""
    check_agreed(site, agreed)
    if site is not None and inputs is None and battery is None and agreed.tariff is None:
        from ess_controller.planning.backtest.of_site import recorded

        say_nothing(f"nothing of it with {site}: its meter book knows no temperatures", hottest=agreed.hottest)
        past = recorded(site, home)
        say(site, *past.notes)
        return past
    if site is None and inputs is not None and battery is not None:
        say_nothing("SITE beside it", home=home)
        return _of_files(inputs, battery, agreed)
    raise BadInputError("ess backtest: expected SITE, or --inputs with --battery")


def _of_files(inputs: Path, battery: Path, agreed: Agreed) -> "Recorded":
    """What foreign files have recorded."""
    from ess_controller.planning.backtest.of_site import Recorded
    from ess_controller.planning.given.battery_file import ill_sized, load_battery
    from ess_controller.planning.given.calendar_grid import by_weekday, kind_by_tariff
    from ess_controller.planning.given.inputs import faint, highest_w, ill_fitting

    tariff = tariff_of_file(agreed)
    store, metered = load_battery(battery), read_metered(inputs, tariff)
    prices, _ = prices_of(inputs, metered, tariff, agreed)
    say(battery, ill_sized(store, highest_w(metered.series)))
    say(
        inputs,
        faint(metered.series, min(store.charge_w, store.discharge_w), agreed.contract_kw, agreed.transformer_kva),
        ill_fitting(metered.series, prices.block_s, prices.slide_s) if tariff is not None else "",
    )
    kinds = by_weekday if tariff is None else kind_by_tariff(tariff)
    return Recorded(metered.series, prices, store, kinds, None, None, prices_known=tariff is not None)


def _span(series: "Series", start: str | None, days: float | None) -> tuple[int, int]:
    """The first step to run, and the step after the last."""
    first = 0
    if start is not None:
        try:
            begin = datetime.fromisoformat(start)
        except ValueError:
            raise BadInputError(f"--start {start}: expected a day or a time, like 2026-06-01") from None
        begin = begin if begin.tzinfo else begin.replace(tzinfo=series.begin.tzinfo)
        first = round((begin.timestamp() - series.begin.timestamp()) / series.step_s)
        if not 0 <= first < len(series):
            raise BadInputError(f"--start {start}: expected a time from {series.at(0)} to {series.at(len(series) - 1)}")
        if series.at(first).timestamp() != begin.timestamp():
            print(f"--start {start}: taken as {series.at(first)}, the nearest step", file=sys.stderr)
    end = len(series) if days is None else first + max(round(days * 86400.0 / series.step_s), 1)
    if end > len(series):
        raise BadInputError(f"--days {days:g}: expected at most {(len(series) - first) * series.step_s / 86400.0:g}")
    return first, end


def _known(know: str) -> "frozenset[Known]":
    words = [word.strip() for word in know.split(",") if word.strip()]
    if not set(words) <= {"load", "pv", "peak"}:
        raise BadInputError(f"--know {know}: expected load, pv, peak or several of them, like load,pv")
    return frozenset(cast("list[Known]", words))
