"""Which keys a tariff file has: hours, ratios, parts of a price, demand charges; each number with source and date."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from ess_controller.site.kinds import LIST, Customer, DemandMode, Name, Supply, Table, at_most

DayKind = Literal["workday", "weekend", "holiday"]
CUSTOMERS: tuple[Customer, ...] = ("commercial", "large_industry")
DAY_KINDS: tuple[DayKind, ...] = ("workday", "weekend", "holiday")

Text = Annotated[str, Field(min_length=1, max_length=400)]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", description="HH:MM, 00:00 to 24:00")]
Ratio = Annotated[float, Field(ge=0.0, le=5.0)]
# A hundredfold price is a slip of the decimal point; prices below zero are real.
CnyPerKwh = Annotated[float, Field(ge=-5.0, le=5.0)]
CnyPerMonth = Annotated[float, Field(ge=0.0, le=200.0)]
Month = Annotated[int, Field(ge=1, le=12)]
Months = Annotated[tuple[Month, ...], LIST, Field(min_length=1, max_length=12, description="months 1..12"), at_most(12)]
Span = Annotated[tuple[Clock, Clock, Name], LIST, Field(description="[from HH:MM, to HH:MM, period]")]
Date = Annotated[date, Field(description="a date, such as 2026-08-01")]
Dates = Annotated[tuple[Date, ...], LIST, at_most(1000)]


class Sourced(Table):
    """What is said of every number: where it stands, of when, and whether somebody has only assumed it."""

    source: Text = Field(description="the document that says so")
    dated: str = Field(pattern=r"^20\d\d(-\d\d){0,2}$", description="the year, month or day of the document, as text")
    assumed: bool = Field(description="true where no document was found that says exactly this")


class CalendarTable(Sourced):
    """Days that are not what their weekday says; years that are not listed have weekends only."""

    holidays: Dates = Field(max_length=1000, description="dates of public holidays")
    working_weekends: Dates = Field(max_length=1000, description="dates of weekend days that are worked")


class DayTable(Sourced):
    """The periods of one kind of day, local time: each begins where the one before ends."""

    name: Name
    hours: Annotated[tuple[Span, ...], LIST, at_most(48)] = Field(
        min_length=1, max_length=48, description="spans [from, to, period]"
    )


class ScheduleTable(Sourced):
    """Which day pattern holds when and for whom, and what its periods cost: a ratio to the flat price, or a price."""

    customers: Annotated[tuple[Customer, ...], LIST, at_most(2)] = Field(
        min_length=1, max_length=2, description='of "commercial", "large_industry"'
    )
    months: Months
    days: Annotated[tuple[DayKind, ...], LIST, at_most(3)] = Field(
        min_length=1, max_length=3, description='of "workday", "weekend", "holiday"'
    )
    day: Name = Field(description="the name of a [[day]]")
    ratio: dict[Name, Ratio] | None = Field(default=None, description="period = ratio to the flat price")
    cny_per_kwh: dict[Name, CnyPerKwh] | None = Field(default=None, description="period = price, all parts included")


class HotDaysTable(Sourced):
    """Days that become critical by their weather."""

    at_c: float = Field(ge=0.0, le=60.0, description="highest temperature of the day from which on they do, C")
    where: Text = Field(description="where it is measured")
    months: Months
    day: Name = Field(description="the name of the [[day]] that then holds")


class EnergyTable(Sourced):
    """One part of the price of a kWh, from a date on. The same part may stand again with a later date."""

    part: Text = Field(description="what is paid: agent purchase, transmission and distribution, ...")
    valid_from: Date
    in_ratio: bool = Field(description="true where the periods' ratios apply to this part")
    cny_per_kwh: dict[Supply, CnyPerKwh] = Field(description="voltage class = price")


class DemandTable(Sourced):
    """The monthly charge of one demand mode: per kW, with the mode capacity per kVA."""

    mode: DemandMode
    valid_from: Date
    cny_per_month: dict[Supply, CnyPerMonth] = Field(description="voltage class = charge for a kW (capacity: a kVA)")


class DemandRulesTable(Sourced):
    """How demand is counted and what exceeding an agreed one costs."""

    block_s: float = Field(ge=60.0, le=3600.0, description="billing window, s")
    slide_s: float = Field(ge=60.0, le=3600.0, description="a window begins so often, s; as block_s: plain blocks")
    tolerated_share: float = Field(ge=1.0, le=2.0, description="of the agreed demand, not charged as excess")
    excess_factor: float = Field(ge=1.0, le=10.0, description="price of what lies beyond")
    least_share: float = Field(ge=0.0, le=1.0, description="of the transformers, least that may be agreed")


class MonthlyStepTable(Sourced):
    """Another price for every kWh of a month in which much was bought for the transformers' size."""

    kwh_per_kva: float = Field(gt=0.0, le=1000.0, description="bought in the month, above which it holds")
    cny_per_kwh: CnyPerKwh = Field(description="added to the price of every kWh of that month")


class FeedInTable(Sourced):
    """What a kWh earns that flows into the grid."""

    cny_per_kwh: CnyPerKwh


KvaPair = Annotated[
    tuple[float, float], LIST, Field(description="a pair [least, most] kVA of the customers it holds for")
]
Parts = Annotated[
    tuple[EnergyTable, ...], LIST, Field(min_length=1, max_length=200, description="parts of a price"), at_most(200)
]


class TariffFile(Sourced):
    """A tariff of one place, from a date on."""

    name: Text = Field(description="text of 1 to 400 characters")
    time_zone: str = Field(min_length=1, max_length=64, description="an IANA time zone, such as Asia/Shanghai")
    valid_from: Date
    supplies: Annotated[tuple[Supply, ...], LIST, at_most(7)] = Field(
        min_length=1, max_length=7, description="voltage classes that every price is given for"
    )
    followed_by: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="the path of the tariff file that holds from its valid_from on, relative to this file",
    )
    transformer_kva: KvaPair | None = None
    calendar: CalendarTable
    day: Annotated[tuple[DayTable, ...], LIST, at_most(50)] = Field(min_length=1, max_length=50)
    schedule: Annotated[tuple[ScheduleTable, ...], LIST, at_most(100)] = Field(min_length=1, max_length=100)
    hot_days: HotDaysTable | None = None
    energy: Parts | None = None
    demand: Annotated[tuple[DemandTable, ...], LIST, at_most(50)] = Field(min_length=1, max_length=50)
    demand_rules: DemandRulesTable
    monthly_step: MonthlyStepTable | None = None
    feed_in: FeedInTable

    @property
    def customers(self) -> tuple[Customer, ...]:
        """The classes of customers that it has prices for."""
        return tuple(dict.fromkeys(customer for schedule in self.schedule for customer in schedule.customers))

    @property
    def modes(self) -> tuple[DemandMode, ...]:
        """The ways of counting demand that it has charges for."""
        return tuple(dict.fromkeys(entry.mode for entry in self.demand))
