"""How much CO2 a kWh from the grid stands for, by province and year, from a dated file of official mean factors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ess_controller.site.errors import Finding
from ess_controller.site.kinds import LIST, Table, at_most

Text = Annotated[str, Field(min_length=1, max_length=400)]
Province = Annotated[str, Field(pattern=r"^CN(-\d\d)?$", description="CN-31, or CN for all of the country")]
Seen = Literal["notice", "copy", "memory"]


class FactorTable(Table):
    """One figure, and how surely it is the published one."""

    province: Province
    name: Text
    year: int = Field(ge=2000, le=2100, description="that it describes")
    kgco2_per_kwh: float = Field(ge=0.0, le=3.0)
    source: Text = Field(description="the notice that publishes it")
    seen: Seen = Field(description="in the notice itself, in a copy of it, or from memory")


class CarbonFile(Table):
    """Mean factors of the grid."""

    name: Text
    factor: Annotated[tuple[FactorTable, ...], LIST, at_most(5000)] = Field(min_length=1, max_length=5000)


class CarbonTable(Table):
    """Which of the factors counts for the site. Without the table reports tell no CO2."""

    factors_file: str = Field(min_length=1, max_length=1000, description="the path of a file, relative to this one")
    province: Province


@dataclass(frozen=True, slots=True)
class Factor:
    """Of one year."""

    province: str
    name: str
    year: int
    kgco2_per_kwh: float
    source: str
    seen: Seen


@dataclass(frozen=True, slots=True)
class Carbon:
    """A province's factors, the years rising, at least one."""

    factors: tuple[Factor, ...]

    def on(self, year: int) -> Factor:
        """The latest that describes no later year; before the first the first. Figures come two years late."""
        return next((each for each in reversed(self.factors) if each.year <= year), self.factors[0])


def carbon_of(table: CarbonTable | None, file: CarbonFile | None) -> Carbon | None:
    """The site's factors, if the site file names any."""
    if table is None or file is None:
        return None
    mine = [each for each in file.factor if each.province == table.province]
    rows = (Factor(each.province, each.name, each.year, each.kgco2_per_kwh, each.source, each.seen) for each in mine)
    return Carbon(tuple(sorted(rows, key=lambda each: each.year)))


def factor_findings(file: dict[str, Any], _: list[Finding]) -> Iterator[Finding]:
    """A province has one figure for a year."""
    first: dict[tuple[Any, Any], int] = {}
    for at, row in enumerate(file.get("factor", [])):
        if {"province", "year"} <= row.keys():
            what = row["province"], row["year"]
            if first.setdefault(what, at) != at:
                yield Finding(("factor", at, "year"), f"another year; factor[{first[what]}] has {what[0]} in {what[1]}")


def carbon_findings(site: dict[str, Any], file: CarbonFile, name: str) -> Iterator[Finding]:
    """Whether the file knows the site's province; found in the site file."""
    province = site.get("carbon", {}).get("province")
    known = sorted({each.province for each in file.factor})
    if province is not None and province not in known:
        yield Finding(("carbon", "province"), f"one that {name} has a factor for: {', '.join(known)}")
