"""The command `ess bill`: what a metered series costs under a tariff."""

import json
import sys
from math import nan
from pathlib import Path
from typing import Annotated

import typer

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
    hottest_days,
    in_force,
    only_tariff,
    read_metered,
    say,
    tariff_of_file,
    terms_of_options,
)


def bill(
    series: Annotated[
        Path, typer.Argument(metavar="SERIES.csv", help="time,load_w,pv_w or time,grid_w, importing positive.")
    ],
    tariff: Tariffs,
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
    agreed = Agreed(only_tariff(tariff), supply, customer, demand, contract_kw, transformer_kva, hottest)
    check_agreed(None, agreed)
    from ess_controller.planning.bills.answer import answer, table
    from ess_controller.planning.bills.bill import bill as bill_of
    from ess_controller.planning.given.inputs import faint, ill_fitting
    from ess_controller.planning.given.tariff_prices import doubts_over

    loaded = tariff_of_file(agreed)
    assert loaded is not None
    metered = read_metered(series, loaded, may_be_metered=True)
    loaded = in_force(loaded, metered)
    terms = terms_of_options(loaded, agreed, bills=True)
    rules = loaded.demand_rules
    say(
        series,
        *doubts_over(loaded, terms, metered.series),
        faint(metered.series, nan, contract_kw, transformer_kva),
        ill_fitting(metered.series, rules.block_s, rules.slide_s),
    )
    told = answer(bill_of(loaded, terms, metered.series, hottest_days(hottest, loaded)), loaded)
    for month in told["months"]:
        if not month["whole"]:
            print(
                f"{series}: {month['month']} is there for {month['days']:g} of its {month['of_days']} days",
                file=sys.stderr,
            )
    print(json.dumps(told) if as_json else "\n".join(table(told)))
