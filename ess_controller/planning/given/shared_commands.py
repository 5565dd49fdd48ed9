"""What commands about tariffs and series share: how what is asked for is checked and read."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ess_controller.errors import BadInputError
from ess_controller.planning.given.options import Agreed

if TYPE_CHECKING:
    from ess_controller.planning.given.inputs import Metered
    from ess_controller.planning.given.problem import Prices
    from ess_controller.planning.given.tariff_prices import Terms
    from ess_controller.site.tariff import Tariff

LARGEST_KW = 1e6  # more than any site has


def say(path: Path, *notes: str) -> None:
    """What is strange about a file, on stderr; empty notes say nothing."""
    for note in filter(None, notes):
        print(f"{path}: {note}", file=sys.stderr)


def check_numbers(**values: float | None) -> None:
    """Numbers of options, by name; raises BadInputError."""
    for name, value in values.items():
        if value is not None and not 0.0 <= value <= LARGEST_KW:
            option = f"--{name.replace('_', '-')}"
            raise BadInputError(f"{option} {value:g}: expected a number from 0 to {LARGEST_KW:.0f}")


def only(option: str, paths: Sequence[Path], hint: str = "") -> Path | None:
    """The file of an option, None where it was not given: of several, all but one would change nothing.

    Raises BadInputError for the second, with a `hint` at what to do instead.
    """
    if len(paths) > 1:
        raise BadInputError(f"{option} {paths[1]}: expected one file, and {paths[0]} is given already{hint}")
    return paths[0] if paths else None


def only_tariff(paths: Sequence[Path]) -> Path | None:
    """The same of --tariff."""
    return only("--tariff", paths, '; followed_by = "..." in it names the one that holds after it')


def say_nothing(why: str, **values: object) -> None:
    """Options, by name, that change nothing in such a call: left unsaid, whoever gave one would believe it counted.

    Raises BadInputError for the first that was given.
    """
    for name, value in values.items():
        if value is not None:
            raise BadInputError(f"--{name.replace('_', '-')} {value}: expected {why}")


def check_agreed(site: Path | None, agreed: Agreed) -> None:
    """Whether what is said of a tariff has one to be said of, in numbers that are some; raises BadInputError."""
    terms = {name: value for name, value in agreed._asdict().items() if name not in ("tariff", "hottest")}
    if site is not None:
        say_nothing(f"nothing of it with {site}, whose site.toml has the tariff and what is agreed", **terms)
    elif agreed.tariff is None:
        say_nothing("--tariff TOML beside it", **terms, hottest=agreed.hottest)
    check_numbers(contract_kw=agreed.contract_kw, transformer_kva=agreed.transformer_kva)
    for option, value in (("--contract-kw", agreed.contract_kw), ("--transformer-kva", agreed.transformer_kva)):
        if value == 0.0:
            raise BadInputError(f"{option} 0: expected a number above 0")


def tariff_of_file(agreed: Agreed) -> "Tariff | None":
    """The tariff that is asked for, if one is; raises SiteError."""
    from ess_controller.site.tariff import load_tariff

    # words: checked against those that the file has
    known: Any = {"supply": agreed.supply, "customer": agreed.customer}
    return None if agreed.tariff is None else load_tariff(agreed.tariff, **known)


def read_metered(path: Path, tariff: "Tariff | None", *, may_be_metered: bool = False) -> "Metered":
    """The series, in the tariff's time zone; what is strange in it is told."""
    from ess_controller.planning.given.inputs import read_series

    zone = tariff.zone if tariff else None
    metered = read_series(path, zone, may_be_metered=may_be_metered, priced=tariff is None)
    say(path, *metered.notes)
    return metered


def in_force(tariff: "Tariff", metered: "Metered") -> "Tariff":
    """Those of a sequence that hold on a day of the series."""
    series = metered.series
    return tariff.within(series.at(0).date(), series.at(len(series) - 1).date())


def hottest_days(path: Path | None, tariff: "Tariff") -> dict[str, float]:
    """ISO date -> highest temperature, C, of --hottest; told where the tariff does not ask. Raises BadInputError."""
    from ess_controller.planning.given.inputs import read_hottest

    if path is None:
        return {}
    if all(each.hot_days is None for each in tariff.all):
        say(path, f"--hottest changes nothing: {tariff.name} has no prices that follow the weather")
    return read_hottest(path)


def terms_of_options(tariff: "Tariff", agreed: Agreed, *, bills: bool) -> "Terms":
    """What is agreed, with everything that the way of counting asks for."""
    from math import nan

    from ess_controller.planning.given.tariff_prices import Terms

    contract_kw, kva = agreed.contract_kw, agreed.transformer_kva
    mode: Any = agreed.demand or ("actual" if "actual" in tariff.demand else next(iter(tariff.demand)))
    if mode not in tariff.demand:
        raise BadInputError(
            f"--demand {mode}: expected {' or '.join(tariff.demand)}, that {tariff.name} has prices for"
        )
    if mode == "contract" and contract_kw is None:
        raise BadInputError("--contract-kw: expected the agreed demand, with --demand contract")
    steps = any(each.monthly_step is not None for each in tariff.all)
    if kva is None and (mode == "capacity" or (steps and bills)):
        why = (
            "--demand capacity" if mode == "capacity" else "a tariff whose price depends on kWh bought for each of them"
        )
        raise BadInputError(f"--transformer-kva: expected the size of the transformers, with {why}")
    for each in tariff.all:
        _check_terms(each, mode, contract_kw, kva)
    if mode != "contract" and contract_kw is not None:
        print(f"--contract-kw {contract_kw:g}: changes nothing with --demand {mode}", file=sys.stderr)
    if mode == "actual" and kva is not None and not steps:
        print(f"--transformer-kva {kva:g}: changes nothing with --demand {mode}", file=sys.stderr)
    return Terms(mode, nan if contract_kw is None else contract_kw, nan if kva is None else kva)


def _check_terms(tariff: "Tariff", mode: str, contract_kw: float | None, kva: float | None) -> None:
    """Whether the tariff is for such a customer, and lets him agree so little."""
    from ess_controller.site.errors import plain

    if kva is None:
        return
    least, most = tariff.transformer_kva
    if not least <= kva <= most:
        raise BadInputError(
            f"--transformer-kva {plain(kva)}: expected {plain(least)} to {plain(most)}, that {tariff.name} is for"
        )
    share = tariff.demand_rules.least_share
    if mode == "contract" and contract_kw is not None and contract_kw < share * kva:
        raise BadInputError(
            f"--contract-kw {plain(contract_kw)}: expected at least {plain(share * kva)}, "
            f"{plain(100.0 * share)} % of --transformer-kva {plain(kva)}, the least that may be agreed by {tariff.name}"
        )


def prices_of(path: Path, metered: "Metered", tariff: "Tariff | None", agreed: Agreed) -> "tuple[Prices, float]":
    """Prices of the series, of the tariff or in the file; and what its months' demand costs whatever the peak."""
    import numpy as np

    from ess_controller.planning.given.problem import DemandCost, Prices, months
    from ess_controller.planning.given.tariff_prices import doubts_over, fixed_cny, prices_over

    series, imports, exports = metered.series, metered.import_cny_per_kwh, metered.export_cny_per_kwh
    if tariff is not None:
        tariff = in_force(tariff, metered)
        terms = terms_of_options(tariff, agreed, bills=False)
        say(path, *doubts_over(tariff, terms, series))
        if any(each.monthly_step is not None for each in tariff.all):
            print(
                f"{tariff.name}: the monthly step moves no energy between hours; it is in bills only", file=sys.stderr
            )
        begins = (series.at(first).date() for first, _ in months(series))
        fixed = sum(fixed_cny(tariff, terms, day) for day in begins)
        return prices_over(tariff, terms, series, hottest_days(agreed.hottest, tariff)), fixed
    if imports is None:
        raise BadInputError(f"{path}:1: expected a column import_cny_per_kwh, or --tariff TOML")
    if exports is None:
        say(path, "no export_cny_per_kwh: what flows out earns nothing")
        exports = np.zeros(len(series))
    return Prices(imports, exports, DemandCost((), ()), 900.0), 0.0
