"""The board *Site today*: power flows, charge, price and the month's peak, what was planned beside what was done."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from ess_controller.boards.board import Panels, board
from ess_controller.boards.panels import (
    BATTERY,
    FULL,
    GREY,
    GRID,
    HALF,
    LOAD,
    QUARTER,
    SUN,
    alarm_book,
    lines,
    number,
    rows,
    states,
)
from ess_controller.boards.query import Query

SOC = ((None, "#C4162A"), (0.15, "#FF9830"), (0.25, "#37872D"))


def site_today() -> Dashboard:
    """One site, the last day."""
    return board(
        "site-today",
        "Site today",
        "Power flows, charge, prices and the month's peak of one site. Positive: towards the site.",
        [*_numbers(), *_powers(), *_expected(), *_prices(), *_states()],
    )


def _numbers() -> Panels:
    """What flows now."""
    return [
        number("Grid", Query("site", ["grid_w"], "last", every=""), "watt", limits=((None, GRID),)),
        number("Battery", Query("site", ["battery_w"], "last", every=""), "watt", says="Discharging is positive."),
        number("Sun", Query("site", ["pv_w"], "last", every=""), "watt", limits=((None, SUN),)),
        number("Charge", Query("site", ["soc"], "last", every=""), "percentunit", limits=SOC),
    ]


def _powers() -> Panels:
    """Who gives and who takes; what was wanted and what was done."""
    return [
        lines(
            "Power",
            [
                Query("site", ["grid_w"], name="grid"),
                Query("site", ["battery_w"], name="battery"),
                Query("site", ["pv_w"], name="sun"),
                Query("site", ["load_w"], name="load"),
            ],
            "watt",
            says="load = grid + battery + sun",
            height=10,
            colours={"grid": GRID, "battery": BATTERY, "sun": SUN, "load": LOAD},
            zero=True,
        ),
        lines(
            "Wanted and done",
            [
                Query("site", ["wanted_w"], name="wanted"),
                Query("site", ["battery_w"], name="done"),
                Query("forecast", ["battery_w"], name="planned", where="\"vintage\" = 'latest'"),
            ],
            "watt",
            says="What rule or plan wanted of the batteries before any bound, what they did, and the plan of then.",
            span=HALF,
            colours={"wanted": "#FF9830", "done": BATTERY, "planned": GREY},
            zero=True,
        ),
    ]


def _expected() -> Panels:
    """Charge and load beside what the plan expected."""
    return [
        lines(
            "Charge, and what the plan keeps of what may be stored",
            [
                Query("site", ["soc"], name="cells, mean"),
                Query("forecast", ["stored_share"], name="planned", where="\"vintage\" = 'latest'"),
            ],
            "percentunit",
            span=HALF,
            colours={"cells, mean": BATTERY, "planned": GREY},
            low=0.0,
            high=1.0,
        ),
        lines(
            "Load less sun, and what was expected of it",
            [
                Query("site", ["net_load_w"], name="measured"),
                Query("forecast", ["net_load_w"], name="expected shortly before", where="\"vintage\" = 'latest'"),
                Query("forecast", ["net_load_w"], name="expected at midnight", where="\"vintage\" = 'day_ahead'"),
            ],
            "watt",
            span=HALF,
            colours={"measured": LOAD, "expected shortly before": "#FF9830", "expected at midnight": GREY},
        ),
    ]


def _prices() -> Panels:
    """What energy costs and is worth, and the month's peak."""
    return [
        lines(
            "Price, and what a stored kWh is worth",
            [
                Query("plan", ["buy_cny_per_kwh"], "last", name="grid"),
                Query("plan", ["stored_cny_per_kwh"], "last", name="stored"),
                Query("plan", ["gives_above_cny_per_kwh"], "last", name="given above"),
                Query("plan", ["takes_below_cny_per_kwh"], "last", name="taken below"),
            ],
            "CNY/kWh",
            says="The battery gives where a kWh saves more than `given above`, takes where it costs less than "
            "`taken below`; what the month's peak would cost comes on top.",
            span=HALF,
            steps=True,
            colours={"grid": GRID, "stored": BATTERY},
        ),
        number(
            "Month's peak so far", Query("plan", ["month_peak_w"], "last", every=""), "watt", limits=((None, GRID),)
        ),
        number(
            "A kW more of it would cost",
            Query("plan", ["peak_cny_per_kw"], "last", every=""),
            "currencyCNY",
            span=QUARTER,
        ),
        lines(
            "Import so far in the billing window",
            [Query("site", ["block_wh"], "last", name="imported")],
            "watth",
            span=HALF,
            height=4,
            steps=True,
        ),
    ]


def _states() -> Panels:
    """What inverters and strings are at, and what happened."""
    return [
        states("Cabinets' inverters", [Query("cabinet", ["pcs_state"], "last", each=["cabinet"], name="$tag_cabinet")]),
        states("Strings", [Query("string", ["mode"], "last", each=["string"], name="$tag_string")]),
        rows(
            "What happened",
            Query("event", ["level", "text"], "", each=["cabinet", "string"], every="", table=True, last=200),
            span=FULL,
        ),
        alarm_book(),
    ]
