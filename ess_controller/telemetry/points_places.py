"""What is reported of each place, from the site down to a cell: a table of fields, units and types.

Series follow the module: its code is a tag, and where it sits is a field (`place`), so that grouping by module and cell
follows it wherever it goes; the string is a tag for boards' sake.
"""

import numpy as np

from ess_controller.core.types import Mode
from ess_controller.telemetry.columns import count, number, one, sop, text, total, words
from ess_controller.telemetry.kinds import Kind
from ess_controller.telemetry.line_protocol import Measurement
from ess_controller.telemetry.moment import Moment, mean
from firmware_bridge.records import Contactor, PcsState

_MODES = {int(each): each.name.lower() for each in Mode}
_CONTACTORS = {int(each): each.name.lower() for each in Contactor}
_PCS_STATES = {int(each): each.name.lower() for each in PcsState}
SITE_S, CELL_S = 10.0, 30.0

SITE = Measurement(
    "site",
    ("site",),
    SITE_S,
    (
        number("grid_w", "W", 1, "at the meter, importing +", lambda m: one(m.seen.grid_w)),
        number("battery_w", "W", 1, "all inverters, discharging +", lambda m: total(m.seen.pcs_w)),
        number("pv_w", "W", 1, "all solar inverters, generating +", lambda m: total(m.of_pv(m.seen.pv_w))),
        number("net_load_w", "W", 1, "load minus sun: grid + battery", lambda m: one(m.now.net_load_w)),
        number("load_w", "W", 1, "grid + battery + sun", lambda m: one(m.load_w)),
        number("wanted_w", "W", 1, "of the battery, before any bound", lambda m: one(m.beat.decision.wanted_w)),
        text("wanted_by", "the rule that wanted it", lambda m: [m.beat.decision.wanted_by]),
        number("soc", "1", 5, "mean over all cells", lambda m: one(float(m.now.soc.mean()))),
        number(
            "block_wh",
            "Wh",
            1,
            "imported so far in the billing window that ends next",
            lambda m: one(m.state.counted.oldest_ws / 3600.0),
        ),
    ),
    "the whole site",
)
CABINET = Measurement(
    "cabinet",
    ("site", "cabinet"),
    SITE_S,
    (
        number("pcs_w", "W", 1, "its inverter, discharging +", lambda m: m.seen.pcs_w),
        number("set_w", "W", 1, "what it is told", lambda m: m.beat.commands.pcs_w),
        number("pcs_set_w", "W", 1, "what it says it was told", lambda m: m.seen.pcs_set_w),
        text("pcs_state", "what it does", lambda m: words(m.seen.pcs_state, _PCS_STATES)),
        count("pcs_armed", "1: its reversion to 0 W is proven", lambda m: m.seen.pcs_armed.astype(np.float64)),
        count("pcs_local", "1: switched to local", lambda m: m.seen.pcs_local.astype(np.float64)),
        number("pcs_age_s", "s", 2, "since it was heard", lambda m: m.seen.pcs_age_s),
        count("contacts", "bits of records.Contact that report trouble", lambda m: m.of_io(m.seen.io_contact)),
        count("climate", "bits of records.Climate that are on", lambda m: m.of_io(m.seen.io_climate)),
        *sop("cabinets", "what its strings may carry"),
    ),
    "a cabinet with its inverter and its remote I/O",
)
PV = Measurement(
    "pv",
    ("site", "pv"),
    SITE_S,
    (
        number("w", "W", 1, "generating +", lambda m: m.of_pv(m.seen.pv_w)),
        number("limit_w", "W", 1, "most it may generate; none when not curtailed", lambda m: m.pv_limit_w),
        number("age_s", "s", 2, "since it was heard", lambda m: m.of_pv(m.seen.pv_age_s)),
    ),
    "a solar inverter",
)
STRING = Measurement(
    "string",
    ("site", "cabinet", "string"),
    SITE_S,
    (
        text("mode", "where it stands", lambda m: words(m.state.mode, _MODES)),
        text("contactor", "as fed back", lambda m: words(m.seen.string_contactor, _CONTACTORS)),
        number("a", "A", 2, "discharging +, mean over the beat", lambda m: m.seen.string_a),
        number("v", "V", 2, "battery side of the contactors", lambda m: m.seen.string_v),
        number("bus_v", "V", 2, "inverter side", lambda m: m.seen.string_bus_v),
        number("insulation_ohm", "ohm", 1, "to earth", lambda m: m.seen.string_insulation_ohm),
        number("age_s", "s", 2, "since its box was heard", lambda m: m.seen.string_age_s),
        count("fault", "fault bits of its box", lambda m: m.seen.string_fault * m.heard_box),
        number("soc", "1", 5, "mean over its cells", lambda m: mean(m.now.soc, m.layout.first_cell_of_string)),
        number("soc_min", "1", 5, "its lowest cell", lambda m: m.least(m.now.soc, of_cells=True)),
        number("soc_max", "1", 5, "its highest cell", lambda m: m.most(m.now.soc, of_cells=True)),
        number("cell_v_min", "V", 4, "its lowest cell", lambda m: m.least(m.seen.cell_v, of_cells=True)),
        number("cell_v_max", "V", 4, "its highest cell", lambda m: m.most(m.seen.cell_v, of_cells=True)),
        number("cell_c_min", "C", 1, "its coldest sensor", lambda m: m.least(m.seen.module_cold_c, of_cells=False)),
        number("cell_c_max", "C", 1, "its hottest sensor", lambda m: m.most(m.seen.module_hot_c, of_cells=False)),
        number("charge_limit_a", "A", 2, "what it may carry", lambda m: m.beat.decision.string_bound.charge),
        number("discharge_limit_a", "A", 2, "what it may carry", lambda m: m.beat.decision.string_bound.discharge),
        *sop("strings_w", "what it may carry alone"),
    ),
    "modules in series behind one string box",
)
MODULE = Measurement(
    "module",
    ("site", "cabinet", "string", "module"),
    SITE_S,
    (
        text("place", "where it sits now", lambda m: [m.layout.module_place(n) for n in range(m.layout.modules)]),
        number("soc", "1", 5, "mean over its cells", lambda m: m.module_soc),
        number("v", "V", 3, "sum of its cells", lambda m: np.add.reduceat(m.seen.cell_v, m.layout.first_cell)),
        number("c_min", "C", 1, "its coldest sensor", lambda m: m.seen.module_cold_c),
        number("c_max", "C", 1, "its hottest sensor", lambda m: m.seen.module_hot_c),
        number("board_c", "C", 1, "its board", lambda m: m.seen.module_board_c),
        count("error", "error bits of its board", lambda m: m.seen.module_error * m.heard_module),
        count(
            "bleeding",
            "cells whose bleed resistor is on",
            lambda m: np.add.reduceat(m.seen.cell_bleeding, m.layout.first_cell, dtype=np.float64) * m.heard_module,
        ),
        number("soh", "1", 3, "of the intake test", lambda m: m.tuning.module_soh),
        number("soh_learnt", "1", 4, "its smallest cell over the nameplate, as believed", lambda m: m.module_soh[0]),
        number("soh_learnt_sd", "1", 4, "standard deviation of that", lambda m: m.module_soh[1]),
        number("age_s", "s", 2, "since it was heard", lambda m: m.seen.module_age_s),
    ),
    "a module; its series go with it when it moves",
)
CELL = Measurement(
    "cell",
    ("site", "cabinet", "string", "module", "cell"),
    CELL_S,
    (
        number("v", "V", 4, "as measured", lambda m: m.seen.cell_v),
        number("soc", "1", 4, "as believed", lambda m: m.now.soc),
        number("soc_sd", "1", 4, "standard deviation of that", lambda m: m.now.soc_sd),
        number("capacity_ah", "Ah", 2, "as believed", lambda m: m.now.capacity_ah),
        number("capacity_sd_ah", "Ah", 2, "standard deviation of that", lambda m: m.now.capacity_sd_ah),
        count(
            "quality",
            "what is odd about its readings: bits of core.gauge.sensors.Quality",
            lambda m: m.now.quality.astype(np.float64),
        ),
        count(
            "bleeding",
            "1: its bleed resistor is on",
            lambda m: np.where(np.isnan(m.seen.cell_v), np.nan, m.seen.cell_bleeding),
        ),
    ),
    "a cell group, counted from 01 as on the label",
    Kind.CELL,
)
PLACES: tuple[Measurement[Moment], ...] = (SITE, CABINET, PV, STRING, MODULE, CELL)
