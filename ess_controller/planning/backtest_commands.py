"""The command `ess backtest`: what value dispatch would have saved on a recorded series."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ess_controller.errors import BadInputError
from ess_controller.extras import check_installed
from ess_controller.planning.shared_commands import (
    ContractKw,
    CustomerOption,
    DemandOption,
    Hottest,
    Json,
    Kva,
    SupplyOption,
    TariffPath,
    prices_of,
    read_metered,
    tariff_of_file,
)

if TYPE_CHECKING:
    from ess_controller.planning.backtest import Known
    from ess_controller.planning.problem import Series


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backtest)


def backtest(
    inputs: Annotated[
        Path, typer.Option(metavar="CSV", help="time,load_w,pv_w[,import_cny_per_kwh,export_cny_per_kwh], recorded.")
    ],
    battery: Annotated[Path, typer.Option(metavar="TOML", help="The battery.")],
    tariff: TariffPath = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="When to begin, 2026-06-01; what lies before is history.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.01, metavar="N", help="How long; else to the end.")] = None,
    supply: SupplyOption = None,
    customer: CustomerOption = None,
    demand: DemandOption = None,
    contract_kw: ContractKw = None,
    transformer_kva: Kva = None,
    hottest: Hottest = None,
    replan_min: Annotated[float, typer.Option(min=1.0, metavar="MIN", help="A new plan so often.")] = 30.0,
    know: Annotated[
        str,
        typer.Option(metavar="WHAT", help="load, pv or load,pv: what forecasts foresee, to see what that is worth."),
    ] = "",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Draw week, savings and peaks there.")] = None,
    as_json: Json = False,
) -> None:
    """Run value dispatch over a recorded series, from past data only, beside no battery, a rule and perfect foresight.

    value_share is what the controller saves of what perfect foresight, each month's optimum on the true series, would.
    Costs are bills and wear, less what more is stored at the end than at the begin, at the price of the cheapest hour.
    The rule charges in cheap hours, gives in dear ones and keeps the month's peak. Where --inputs is finer than the
    billing block, each step is decided anew within it.
    """
    from ess_controller.planning.backtest import cut, run_backtest
    from ess_controller.planning.backtest_answer import answer, table
    from ess_controller.planning.battery_file import load_battery
    from ess_controller.planning.calendar_grid import by_weekday, kind_by_tariff
    from ess_controller.planning.inputs import faint

    if out is not None:
        check_installed("matplotlib", "ess backtest --out")
    store, loaded = load_battery(battery), tariff_of_file(tariff, supply, customer)
    metered = read_metered(inputs, loaded)
    first, end = _span(metered.series, start, days)
    series = metered.series.cut(0, end)
    prices, _ = prices_of(inputs, metered, loaded, demand, contract_kw, transformer_kva, hottest)
    prices = cut(prices, 0, end)
    if suspicion := faint(series, min(store.charge_w, store.discharge_w)):
        print(f"{inputs}: {suspicion}", file=sys.stderr)
    kinds = by_weekday if loaded is None else kind_by_tariff(loaded)
    found = run_backtest(series, prices, store, kinds, first, 60.0 * replan_min, _known(know))
    if out is not None:
        from ess_controller.planning.backtest_plot import save_plots

        save_plots(out, found, cut(prices, first, end))
    told = answer(found)
    print(json.dumps(told) if as_json else "\n".join(table(told)))


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
    end = len(series) if days is None else first + max(round(days * 86400.0 / series.step_s), 1)
    if end > len(series):
        raise BadInputError(f"--days {days:g}: expected at most {(len(series) - first) * series.step_s / 86400.0:g}")
    return first, end


def _known(know: str) -> "frozenset[Known]":
    words = [word.strip() for word in know.split(",") if word.strip()]
    if not set(words) <= {"load", "pv"}:
        raise BadInputError(f"--know {know}: expected load, pv or load,pv")
    return frozenset(cast("list[Known]", words))
