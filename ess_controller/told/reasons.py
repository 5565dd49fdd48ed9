"""Why power is bounded, in words for whoever stands before it: where, on which number it rests, what would lift it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ess_controller.core.aged import aged
from ess_controller.core.estimate import obeying
from ess_controller.core.limits import STRING_RULES
from ess_controller.core.types import Decision, Rule, Tuning
from firmware_bridge.records import Floats, Measurements

CHARGE, DISCHARGE = "charge", "discharge"
_NAMES = {Rule.MODULE_SOH: "module SOH", Rule.CELL_SOC: "cell SOC", Rule.PCS: "PCS"}


def name_of(rule: Rule) -> str:
    """As operators read it."""
    return _NAMES.get(rule, rule.name.lower().replace("_", " "))


@dataclass(frozen=True, slots=True)
class Reason:
    """Of one way of one cabinet. Empty texts where nothing is bounded."""

    at: str  # cell, module or string
    rests_on: str  # the number
    lifted_by: str


@dataclass(frozen=True, slots=True, eq=False)
class _Spot:
    """The cell that a rule names, and all that its text may need."""

    tuning: Tuning
    seen: Measurements
    decision: Decision
    cell: int
    way: str

    @property
    def charges(self) -> bool:
        """Which way is asked about."""
        return self.way == CHARGE

    @property
    def module(self) -> int:
        return int(self.tuning.layout.cell_module[self.cell])

    @property
    def string(self) -> int:
        return int(self.tuning.layout.cell_string[self.cell])


def why(tuning: Tuning, seen: Measurements, decision: Decision, cabinet: int, way: str) -> Reason:
    """One cabinet's bound one way, "charge" or "discharge"."""
    bound = decision.cabinet_bound
    rule = Rule(int((bound.charge_by if way == CHARGE else bound.discharge_by)[cabinet]))
    return reason(tuning, seen, decision, rule, cabinet, way)


def reason(tuning: Tuning, seen: Measurements, decision: Decision, rule: Rule, cabinet: int, way: str) -> Reason:
    """Of any rule's word on one cabinet, whether it acts or not."""
    if rule in STRING_RULES:
        spot = _Spot(tuning, seen, decision, blamed(tuning, decision, rule, cabinet, way), way)
        place, rests_on, lifted_by = _OF_STRING[rule]
        return Reason(place(spot), rests_on(spot), lifted_by(spot))
    if rule == Rule.NONE:
        return Reason("", "", "")
    text, lifts = _OF_CABINET[rule]
    return Reason(tuning.layout.cabinet_names[cabinet], text(tuning, seen, decision, cabinet), lifts)


def blamed(tuning: Tuning, decision: Decision, rule: Rule, cabinet: int, way: str) -> int:
    """The cell of a cabinet that a string rule bounds most."""
    words: Floats = getattr(decision.rules, way)[STRING_RULES.index(rule)]
    mine = tuning.layout.string_cabinet[tuning.layout.cell_string] == cabinet
    return int(np.where(mine, words, np.inf).argmin())


# --- places -------------------------------------------------------------------------------------------------------


def _cell(spot: _Spot) -> str:
    return spot.tuning.layout.cell_name(spot.cell)


def _module(spot: _Spot) -> str:
    return f"{spot.tuning.layout.module_place(spot.module)} {spot.tuning.layout.module_names[spot.module]}"


def _string(spot: _Spot) -> str:
    return spot.tuning.layout.string_names[spot.string]


# --- numbers, and what would lift them ----------------------------------------------------------------------------


def _unheard(spot: _Spot) -> str:
    seen = spot.seen
    parts = (
        (not seen.box_heard[spot.string], "its string box"),
        (bool(np.isnan(seen.cell_v[spot.cell])), "its voltage"),
        (bool(np.isnan(seen.module_hot_c[spot.module])), "its module's temperatures"),
    )
    return " and ".join(name for missing, name in parts if missing) + " not heard"


def _volts(spot: _Spot) -> str:
    knobs = spot.tuning.limits
    end_v = knobs.cell_v_max if spot.charges else knobs.cell_v_min
    return f"{spot.seen.cell_v[spot.cell]:.3f} V, nothing beyond {end_v:.2f} V"


def _volts_ahead(spot: _Spot) -> str:
    """The voltage now, and where the bound itself would lead; a margin is kept, so that it is no limit yet."""
    knobs, ahead = spot.tuning.limits, spot.decision.estimate.outlook
    end_v = knobs.cell_v_max if spot.charges else knobs.cell_v_min
    allowed_a = max(float((ahead.charge_a if spot.charges else ahead.discharge_a)[0, spot.cell]), 0.0)
    now_v = spot.seen.cell_v[spot.cell]
    return f"{now_v:.3f} V, at {ahead.horizon_s[0]:.0f} s with {allowed_a:.0f} A {end_v:.2f} V, margin included"


def _volts_lift(spot: _Spot) -> str:
    """Its curve's first full share; the voltage sinks and rises with current too."""
    knobs = spot.tuning.limits
    if spot.charges:
        curve = knobs.charge_by_cell_v
        return f"falls below {curve.x[curve.y >= 1.0].max(initial=knobs.cell_v_min):.2f} V"
    curve = knobs.discharge_by_cell_v
    return f"rises above {curve.x[curve.y >= 1.0].min(initial=knobs.cell_v_max):.2f} V"


def _ahead_lift(spot: _Spot) -> str:
    cold = spot.seen.module_cold_c[spot.module] < 15.0  # where resistance rises steeply
    way = "is emptier" if spot.charges else "is fuller"
    return f"{way}, or has rested" + (", or is warmer" if cold else "")


def _hot(spot: _Spot) -> bool:
    """Whether its hottest sensor bounds more than its coldest."""
    knobs = spot.tuning.limits
    curve = knobs.charge_by_c if spot.charges else knobs.discharge_by_c
    hot, cold = curve(np.array([spot.seen.module_hot_c[spot.module], spot.seen.module_cold_c[spot.module]])).tolist()
    return bool(hot < cold) or (hot == cold and spot.seen.module_hot_c[spot.module] > curve.x.mean())


def _degrees(spot: _Spot) -> str:
    hot = _hot(spot)
    c = (spot.seen.module_hot_c if hot else spot.seen.module_cold_c)[spot.module]
    return f"{'hottest' if hot else 'coldest'} sensor {c:.1f} C"


def _degrees_lift(spot: _Spot) -> str:
    knobs = spot.tuning.limits
    curve = knobs.charge_by_c if spot.charges else knobs.discharge_by_c
    full_c = curve.x[curve.y >= 1.0]
    if not len(full_c):
        return ""
    return f"cools below {full_c.max():.0f} C" if _hot(spot) else f"warms above {full_c.min():.0f} C"


def _charge_state(spot: _Spot) -> str:
    now = spot.decision.estimate
    return f"{now.soc[spot.cell] * 100:.1f} % SOC, give or take {now.soc_sd[spot.cell] * 100:.1f} %"


def _charge_state_lift(spot: _Spot) -> str:
    knobs = spot.tuning.limits
    curve = knobs.charge_by_soc if spot.charges else knobs.discharge_by_soc
    full = curve.x[curve.y >= 1.0]
    if not len(full):
        return ""
    if spot.charges:
        return f"discharges below {full.max() * 100:.0f} % SOC"
    return f"charges above {full.min() * 100:.0f} % SOC"


def _weaker(spot: _Spot) -> bool:
    """Whether the cell itself is known to be weaker than its module's intake test says."""
    found = aged(spot.tuning, spot.decision.estimate)
    return bool(found.cell[spot.cell] < spot.tuning.module_soh[spot.module])


def _aged(spot: _Spot) -> str:
    """The cell where it is known to be the weaker one, else its module."""
    return f"{_cell(spot)} {spot.tuning.layout.module_names[spot.module]}" if _weaker(spot) else _module(spot)


def _age(spot: _Spot) -> str:
    intake, now = spot.tuning.module_soh[spot.module], spot.decision.estimate
    if not _weaker(spot):
        return f"SOH {intake:.2f} at intake"
    soh = np.array((now.capacity_ah[spot.cell], now.capacity_sd_ah[spot.cell]))
    soh /= spot.tuning.module_nameplate_ah[spot.module]
    module = aged(spot.tuning, now).module[spot.module]
    return f"SOH {soh[0]:.2f} learnt, give or take {soh[1]:.2f}; its module {module:.2f}, at intake {intake:.2f}"


def _age_lift(spot: _Spot) -> str:
    again = ", or deep swings between rests show more capacity" if _weaker(spot) else ""
    return f"a younger module takes its place{again}"


def _rated(spot: _Spot) -> str:
    return f"rated {spot.tuning.limits.rated_a:.0f} A"


def _always(text: str) -> Callable[..., str]:
    return lambda *of: text


def _inverter(tuning: Tuning, seen: Measurements, decision: Decision, cabinet: int) -> str:
    if not obeying(seen)[cabinet]:
        return "its inverter is silent, local, in fault or not armed"
    return f"rated {seen.pcs_charge_w[cabinet] / 1e3:.0f} kW in, {seen.pcs_discharge_w[cabinet] / 1e3:.0f} kW out"


def _grid(tuning: Tuning, seen: Measurements, decision: Decision, cabinet: int) -> str:
    dispatch, net_w = tuning.dispatch, decision.estimate.net_load_w
    ends = f"import up to {dispatch.contract_w / 1e3:.0f} kW, export up to {dispatch.export_w / 1e3:.0f} kW"
    return "the meter is not heard" if np.isnan(net_w) else f"site without battery {net_w / 1e3:.1f} kW, {ends}"


def _ordered(tuning: Tuning, seen: Measurements, decision: Decision, cabinet: int) -> str:
    order = decision.order
    if not order.run or order.limit_w is None:
        return "an order to rest"
    return f"an order: no more than {order.limit_w / 1e3:.1f} kW for the whole site"


_Text = Callable[[_Spot], str]
_OF_STRING: dict[Rule, tuple[_Text, _Text, _Text]] = {  # where, on which number it rests, what lifts it
    Rule.COMMUNICATION: (_cell, _unheard, _always("is heard again")),
    Rule.SETTLING: (_string, _always("all has not been well for long enough"), _always("all stays well for a while")),
    Rule.DEEP_DISCHARGE: (_cell, _always("was found deeply discharged"), _always("an operator looks and clears it")),
    Rule.CELL_VOLTAGE: (_cell, _volts, _volts_lift),
    Rule.CELL_VOLTAGE_PREDICTED: (_cell, _volts_ahead, _ahead_lift),
    Rule.CELL_TEMPERATURE: (_module, _degrees, _degrees_lift),
    Rule.CELL_SOC: (_cell, _charge_state, _charge_state_lift),
    Rule.MODULE_SOH: (_aged, _age, _age_lift),
    Rule.STRING_CURRENT: (_string, _rated, _always("nothing: it is what the string is built for")),
}
_OF_CABINET: dict[Rule, tuple[Callable[[Tuning, Measurements, Decision, int], str], str]] = {
    Rule.CONTACTORS: (_always("no string is closed, or one joins"), "a string is closed and none joins"),
    Rule.PCS: (_inverter, "its inverter obeys, or is a larger one"),
    Rule.GRID_CONTRACT: (_grid, "the site takes less"),
    Rule.GRID_EXPORT: (_grid, "the site takes more"),
    Rule.OPERATOR: (_ordered, "the order expires or is withdrawn"),
}
