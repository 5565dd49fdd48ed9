"""The options that `ess plan`, `ess bill` and `ess backtest` share, and what they say of a tariff."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

Tariffs = Annotated[list[Path], typer.Option("--tariff", metavar="TOML", help="A tariff file.")]
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


class Agreed(NamedTuple):
    """What the command line says of a tariff."""

    tariff: Path | None
    supply: str | None
    customer: str | None
    demand: str | None
    contract_kw: float | None
    transformer_kva: float | None
    hottest: Path | None
