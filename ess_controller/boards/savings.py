"""The board *Savings and carbon*: each day's cost with and without the battery, the month's peak, energy in and out."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from ess_controller.boards.board import Panels, board
from ess_controller.boards.panels import BATTERY, GREEN, GREY, GRID, HALF, LOAD, SUN, bars, lines, number, rows
from ess_controller.boards.query import Query


def savings() -> Dashboard:
    """Days and months, from the daemon's own means: no raw points are read."""
    return board(
        "savings",
        "Savings and carbon",
        "Each day with the battery and without it, priced by the site's tariff; the month's demand beside it.",
        [*_sums(), *_energy_cost(), *_demand(), *_energy(), *_meter()],
        begin="now-30d",
        refresh="15m",
    )


def _sums() -> Panels:
    """Of the days in view."""
    return [
        number(
            "Saved on energy, days in view",
            Query("value", ["saved_energy_cny"], "sum", every=""),
            "currencyCNY",
            limits=((None, GREEN),),
            spark=False,
        ),
        number(
            "Saved on the month's demand so far",
            Query("value", ["saved_month_demand_cny"], "last", every=""),
            "currencyCNY",
            limits=((None, GREEN),),
            spark=False,
        ),
        number(
            "Month's peak with the battery",
            Query("plan", ["month_peak_w"], "last", every=""),
            "watt",
            limits=((None, GRID),),
            spark=False,
        ),
        number(
            "Stored energy that came back",
            Query("site_1d", ["discharged_wh"], "sum", every=""),
            "watth",
            limits=((None, BATTERY),),
            spark=False,
        ),
    ]


def _energy_cost() -> Panels:
    """What energy cost, with and without the battery."""
    return [
        bars(
            "Saved on energy, day by day",
            [Query("value", ["saved_energy_cny"], "", every="", name="saved")],
            "currencyCNY",
            colours={"saved": GREEN},
        ),
        bars(
            "What a day's energy cost",
            [
                Query("value", ["with_energy_cny"], "", every="", name="with"),
                Query("value", ["without_energy_cny"], "", every="", name="without"),
            ],
            "currencyCNY",
            colours={"with": BATTERY, "without": GREY},
        ),
    ]


def _demand() -> Panels:
    """The highest block, and what the month's demand costs."""
    return [
        bars(
            "Highest block of a day, and highest window as billed",
            [
                Query("value", ["with_peak_kw"], "", every="", name="with"),
                Query("value", ["without_peak_kw"], "", every="", name="without"),
                Query("value", ["billed_peak_kw"], "", every="", name="as billed"),
            ],
            "kwatt",
            colours={"with": BATTERY, "without": GREY, "as billed": GRID},
        ),
        bars(
            "The month's demand so far",
            [
                Query("value", ["with_month_demand_cny"], "", every="", name="with"),
                Query("value", ["without_month_demand_cny"], "", every="", name="without"),
            ],
            "currencyCNY",
            colours={"with": BATTERY, "without": GREY},
        ),
    ]


def _energy() -> Panels:
    """Where energy came from and went."""
    return [
        bars(
            "Energy of a day",
            [
                Query("site_1d", ["import_wh"], "", every="", name="import"),
                Query("site_1d", ["export_wh"], "", every="", name="export"),
                Query("site_1d", ["generated_wh"], "", every="", name="sun"),
                Query("site_1d", ["used_wh"], "", every="", name="load"),
            ],
            "watth",
            colours={"import": GRID, "export": GREY, "sun": SUN, "load": LOAD},
        ),
        bars(
            "Into the battery and out of it",
            [
                Query("site_1d", ["charged_wh"], "", every="", name="charged"),
                Query("site_1d", ["discharged_wh"], "", every="", name="discharged"),
            ],
            "watth",
            colours={"charged": GREY, "discharged": BATTERY},
        ),
    ]


def _meter() -> Panels:
    """Quarter hours, and every day in figures."""
    return [
        lines(
            "Quarter hours at the meter",
            [Query("site_15m", ["grid_w"], name="grid", every="$__interval")],
            "watt",
            span=HALF,
            colours={"grid": GRID},
            steps=True,
        ),
        rows(
            "Days",
            Query(
                "value",
                [
                    "known_share",
                    "with_energy_cny",
                    "without_energy_cny",
                    "saved_energy_cny",
                    "saved_month_demand_cny",
                    "with_peak_kw",
                    "without_peak_kw",
                    "billed_peak_kw",
                ],
                "",
                every="",
                table=True,
                last=400,
            ),
            span=HALF,
            units={
                "known_share": ("percentunit", 0),
                "with_energy_cny": ("currencyCNY", 2),
                "without_energy_cny": ("currencyCNY", 2),
                "saved_energy_cny": ("currencyCNY", 2),
                "saved_month_demand_cny": ("currencyCNY", 2),
                "with_peak_kw": ("kwatt", 1),
                "without_peak_kw": ("kwatt", 1),
                "billed_peak_kw": ("kwatt", 1),
            },
        ),
    ]
