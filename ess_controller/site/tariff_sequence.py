"""Tariff files in sequence: each may name the one that holds after it, from its valid_from on."""

from collections.abc import Iterator

from ess_controller.site.companions import Companion, companion
from ess_controller.site.errors import Finding, Problem, plain
from ess_controller.site.tariff_rules import tariff_findings
from ess_controller.site.tariff_tables import TariffFile

KEY = ("followed_by",)


def followers(first: Companion[TariffFile]) -> tuple[tuple[TariffFile, ...], list[Problem]]:
    """The files that hold after it, in their order, and all that is wrong with them or between them."""
    found: list[TariffFile] = []
    before = first
    while before.sheet is not None and before.content is not None and before.content.followed_by is not None:
        following = companion(before.sheet, KEY, "a tariff file", TariffFile, tariff_findings)
        if following.sheet is None or following.content is None or following.problems:
            return tuple(found), following.problems
        unfit = list(_unfit(before.content, following.content))
        if unfit:
            return tuple(found), [before.sheet.problem(Finding(KEY, expected)) for expected in unfit]
        found.append(following.content)
        before = following
    return tuple(found), []


def _unfit(before: TariffFile, then: TariffFile) -> Iterator[str]:
    """What a file that follows another must be: later (so no chain ends in itself), of the same meter, and of no fewer
    customers."""
    if then.valid_from <= before.valid_from:
        yield f"a file with a valid_from after {before.valid_from}; it has {then.valid_from}"
    for name, own, others in (
        ("time_zone", before.time_zone, then.time_zone),
        ("demand_rules.block_s", plain(before.demand_rules.block_s), plain(then.demand_rules.block_s)),
        ("demand_rules.slide_s", plain(before.demand_rules.slide_s), plain(then.demand_rules.slide_s)),
    ):
        if own != others:
            yield f"a file with {name} = {own}, as here; it has {others}"
    for name, words, known in (
        ("supplies", before.supplies, then.supplies),
        ("customers", before.customers, then.customers),
        ("demand modes", before.modes, then.modes),
    ):
        missing = [word for word in words if word not in known]
        if missing:
            yield f"a file with all {name} of this one; it has no {', '.join(missing)}"
