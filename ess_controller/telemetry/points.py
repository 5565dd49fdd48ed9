"""Every point that is reported: one table of measurements, tags, fields, units, types and cadence, filled from a beat.

The table is also the data dictionary. Series follow the module: its code is a tag, and where it sits is a field
(`place`), so that grouping by module and cell follows it wherever it goes; the string is a tag for boards' sake.
"""

from collections.abc import Callable, Mapping

import numpy as np

from ess_controller.core.types import Mode
from ess_controller.telemetry.line_protocol import Column, Field, Measurement
from ess_controller.telemetry.moment import Moment, mean
from firmware_bridge.records import Contactor, Floats, Ints, Layout, PcsState

_MODES = {int(each): each.name.lower() for each in Mode}
_CONTACTORS = {int(each): each.name.lower() for each in Contactor}
_PCS_STATES = {int(each): each.name.lower() for each in PcsState}
SITE_S, CELL_S = 10.0, 30.0

Getter = Callable[[Moment], Column]


def _one(value: float) -> Floats:
    return np.array([value], np.float64)


def _total(values: Floats) -> Floats:
    """[1] the sum; NaN where there is nothing to sum or one is not known."""
    return _one(float(values.sum()) if len(values) else np.nan)


def _words(values: Ints, words: Mapping[int, str]) -> Column:
    return [words.get(value, "unknown") for value in values.tolist()]


def _float(name: str, unit: str, digits: int, says: str, get: Getter) -> Field[Moment]:
    return Field(name, unit, "float", says, get, digits)


def _int(name: str, says: str, get: Getter) -> Field[Moment]:
    return Field(name, "", "int", says, get)


def _text(name: str, says: str, get: Getter) -> Field[Moment]:
    return Field(name, "", "text", says, get)


def _sop(of: str, says: str) -> tuple[Field[Moment], ...]:
    """State of power of each horizon, both ways; `of`: which bound of `sop.Sop`."""
    return tuple(
        _float(
            f"{way}_{name}_w",
            "W",
            1,
            f"{says}, {name.replace('_', ' ')}",
            lambda m, number=number, way=way: getattr(getattr(m.sop[number], of), way),  # type: ignore[misc]
        )
        for number, name in enumerate(("10_s", "30_s", "continuous"))
        for way in ("charge", "discharge")
    )


SITE = Measurement(
    "site",
    ("site",),
    SITE_S,
    (
        _float("grid_w", "W", 1, "at the meter, importing +", lambda m: _one(m.seen.grid_w)),
        _float("battery_w", "W", 1, "all inverters, discharging +", lambda m: _total(m.seen.pcs_w)),
        _float("pv_w", "W", 1, "all solar inverters, generating +", lambda m: _total(m.of_pv(m.seen.pv_w))),
        _float("net_load_w", "W", 1, "load minus sun: grid + battery", lambda m: _one(m.now.net_load_w)),
        _float("wanted_w", "W", 1, "of the battery, before any bound", lambda m: _one(m.beat.decision.wanted_w)),
        _text("wanted_by", "the rule that wanted it", lambda m: [m.beat.decision.wanted_by]),
        _float("soc", "1", 5, "mean over all cells", lambda m: _one(float(m.now.soc.mean()))),
        _float(
            "block_wh",
            "Wh",
            1,
            "imported so far in the billing window that ends next",
            lambda m: _one(m.state.counted.oldest_ws / 3600.0),
        ),
    ),
    "the whole site",
)
CABINET = Measurement(
    "cabinet",
    ("site", "cabinet"),
    SITE_S,
    (
        _float("pcs_w", "W", 1, "its inverter, discharging +", lambda m: m.seen.pcs_w),
        _float("set_w", "W", 1, "what it is told", lambda m: m.beat.commands.pcs_w),
        _float("pcs_set_w", "W", 1, "what it says it was told", lambda m: m.seen.pcs_set_w),
        _text("pcs_state", "what it does", lambda m: _words(m.seen.pcs_state, _PCS_STATES)),
        _int("pcs_armed", "1: its reversion to 0 W is proven", lambda m: m.seen.pcs_armed.astype(np.float64)),
        _int("pcs_local", "1: switched to local", lambda m: m.seen.pcs_local.astype(np.float64)),
        _float("pcs_age_s", "s", 2, "since it was heard", lambda m: m.seen.pcs_age_s),
        _int("contacts", "bits of records.Contact that report trouble", lambda m: m.of_io(m.seen.io_contact)),
        _int("climate", "bits of records.Climate that are on", lambda m: m.of_io(m.seen.io_climate)),
        *_sop("cabinets", "what its strings may carry"),
    ),
    "a cabinet with its inverter and its remote I/O",
)
PV = Measurement(
    "pv",
    ("site", "pv"),
    SITE_S,
    (
        _float("w", "W", 1, "generating +", lambda m: m.of_pv(m.seen.pv_w)),
        _float("limit_w", "W", 1, "most it may generate; none when not curtailed", lambda m: m.pv_limit_w),
        _float("age_s", "s", 2, "since it was heard", lambda m: m.of_pv(m.seen.pv_age_s)),
    ),
    "a solar inverter",
)
STRING = Measurement(
    "string",
    ("site", "cabinet", "string"),
    SITE_S,
    (
        _text("mode", "where it stands", lambda m: _words(m.state.mode, _MODES)),
        _text("contactor", "as fed back", lambda m: _words(m.seen.string_contactor, _CONTACTORS)),
        _float("a", "A", 2, "discharging +, mean over the beat", lambda m: m.seen.string_a),
        _float("v", "V", 2, "battery side of the contactors", lambda m: m.seen.string_v),
        _float("bus_v", "V", 2, "inverter side", lambda m: m.seen.string_bus_v),
        _float("insulation_ohm", "ohm", 1, "to earth", lambda m: m.seen.string_insulation_ohm),
        _float("age_s", "s", 2, "since its box was heard", lambda m: m.seen.string_age_s),
        _int("fault", "fault bits of its box", lambda m: m.seen.string_fault * m.heard_box),
        _float("soc", "1", 5, "mean over its cells", lambda m: mean(m.now.soc, m.layout.first_cell_of_string)),
        _float("soc_min", "1", 5, "its lowest cell", lambda m: m.least(m.now.soc, of_cells=True)),
        _float("soc_max", "1", 5, "its highest cell", lambda m: m.most(m.now.soc, of_cells=True)),
        _float("cell_v_min", "V", 4, "its lowest cell", lambda m: m.least(m.seen.cell_v, of_cells=True)),
        _float("cell_v_max", "V", 4, "its highest cell", lambda m: m.most(m.seen.cell_v, of_cells=True)),
        _float("cell_c_min", "C", 1, "its coldest sensor", lambda m: m.least(m.seen.module_cold_c, of_cells=False)),
        _float("cell_c_max", "C", 1, "its hottest sensor", lambda m: m.most(m.seen.module_hot_c, of_cells=False)),
        _float("charge_limit_a", "A", 2, "what it may carry", lambda m: m.beat.decision.string_bound.charge),
        _float("discharge_limit_a", "A", 2, "what it may carry", lambda m: m.beat.decision.string_bound.discharge),
        *_sop("strings_w", "what it may carry alone"),
    ),
    "modules in series behind one string box",
)
MODULE = Measurement(
    "module",
    ("site", "cabinet", "string", "module"),
    SITE_S,
    (
        _text("place", "where it sits now", lambda m: [m.layout.module_place(n) for n in range(m.layout.modules)]),
        _float("soc", "1", 5, "mean over its cells", lambda m: m.module_soc),
        _float("v", "V", 3, "sum of its cells", lambda m: np.add.reduceat(m.seen.cell_v, m.layout.first_cell)),
        _float("c_min", "C", 1, "its coldest sensor", lambda m: m.seen.module_cold_c),
        _float("c_max", "C", 1, "its hottest sensor", lambda m: m.seen.module_hot_c),
        _float("board_c", "C", 1, "its board", lambda m: m.seen.module_board_c),
        _int("error", "error bits of its board", lambda m: m.seen.module_error * m.heard_module),
        _int(
            "bleeding",
            "cells whose bleed resistor is on",
            lambda m: np.add.reduceat(m.seen.cell_bleeding, m.layout.first_cell, dtype=np.float64) * m.heard_module,
        ),
        _float("soh", "1", 3, "of the intake test", lambda m: m.tuning.module_soh),
        _float("soh_learnt", "1", 4, "its smallest cell over the nameplate, as believed", lambda m: m.module_soh[0]),
        _float("soh_learnt_sd", "1", 4, "standard deviation of that", lambda m: m.module_soh[1]),
        _float("age_s", "s", 2, "since it was heard", lambda m: m.seen.module_age_s),
    ),
    "a module; its series go with it when it moves",
)
CELL = Measurement(
    "cell",
    ("site", "cabinet", "string", "module", "cell"),
    CELL_S,
    (
        _float("v", "V", 4, "as measured", lambda m: m.seen.cell_v),
        _float("soc", "1", 4, "as believed", lambda m: m.now.soc),
        _float("soc_sd", "1", 4, "standard deviation of that", lambda m: m.now.soc_sd),
        _float("capacity_ah", "Ah", 2, "as believed", lambda m: m.now.capacity_ah),
        _float("capacity_sd_ah", "Ah", 2, "standard deviation of that", lambda m: m.now.capacity_sd_ah),
        _int(
            "quality",
            "what is odd about its readings: bits of core.gauge.sensors.Quality",
            lambda m: m.now.quality.astype(np.float64),
        ),
        _int(
            "bleeding",
            "1: its bleed resistor is on",
            lambda m: np.where(np.isnan(m.seen.cell_v), np.nan, m.seen.cell_bleeding),
        ),
    ),
    "a cell group, counted from 01 as on the label",
)
DECISION = Measurement(
    "decision",
    ("site", "cabinet"),
    SITE_S,
    (
        _float("charge_limit_w", "W", 1, "what may flow", lambda m: m.beat.decision.cabinet_bound.charge),
        _text("charge_by", "the rule that says so", lambda m: [rule for rule, _ in m.by("charge")]),
        _text("charge_at", "the cell, module or string it names", lambda m: [at for _, at in m.by("charge")]),
        _float("discharge_limit_w", "W", 1, "what may flow", lambda m: m.beat.decision.cabinet_bound.discharge),
        _text("discharge_by", "the rule that says so", lambda m: [rule for rule, _ in m.by("discharge")]),
        _text("discharge_at", "the cell, module or string it names", lambda m: [at for _, at in m.by("discharge")]),
        _float("set_w", "W", 1, "what the inverter is told", lambda m: m.beat.commands.pcs_w),
        _int("guard", "bits of what the guard cut (guard.in_words)", lambda m: m.beat.trips.astype(np.float64)),
    ),
    "why power is limited; also at every change of rule, at most once a second",
)
DAEMON = Measurement(
    "daemon",
    ("site",),
    SITE_S,
    (
        _int("late_beats", "of this run", lambda m: _one(m.beat.late_beats)),
        *(
            _int(name, says, lambda m, name=name: _one(m.own.get(name, np.nan)))  # type: ignore[misc]
            for name, says in (
                ("beats_dropped", "beats of this run that could not be reported"),
                ("outbox_batches", "waiting for InfluxDB"),
                ("outbox_lines", "waiting for InfluxDB"),
                ("outbox_bytes", "on disk"),
                ("lines_dropped", "never sent: disk full or over budget"),
                ("lines_dead", "refused by InfluxDB, kept aside"),
            )
        ),
        _float("beat_s", "s", 3, "plant time since the beat before", lambda m: _one(m.beat.tick.dt_s)),
    ),
    "the daemon about itself",
)
TABLE: tuple[Measurement[Moment], ...] = (SITE, CABINET, PV, STRING, MODULE, CELL, DECISION, DAEMON)


def rows_of(measurement: Measurement[Moment], layout: Layout, site: str) -> list[dict[str, str]]:
    """Tags of each of its rows, in Layout order."""
    strings = [
        {"cabinet": layout.cabinet_names[cabinet], "string": name}
        for name, cabinet in zip(layout.string_names, layout.string_cabinet.tolist(), strict=True)
    ]
    modules = [
        strings[string] | {"module": code}
        for code, string in zip(layout.module_names, layout.module_string.tolist(), strict=True)
    ]
    position = np.arange(layout.cells) - layout.first_cell[layout.cell_module] + 1
    rows: dict[str, list[dict[str, str]]] = {
        "site": [{}],
        "cabinet": [{"cabinet": name} for name in layout.cabinet_names],
        "pv": [{"pv": name} for name in layout.pv_names],
        "string": strings,
        "module": modules,
        "cell": [
            modules[module] | {"cell": f"{number:02d}"}
            for module, number in zip(layout.cell_module.tolist(), position.tolist(), strict=True)
        ],
    }
    return [{"site": site} | tags for tags in rows[measurement.tags[-1]]]
