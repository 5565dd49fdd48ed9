"""`--explain` in words: short sentences that an operator understands, each from a number of `step`."""

from collections.abc import Iterator
from datetime import datetime

from ess_controller.planning.explain.limit_words import LITTLE, Told, at_rest, cny, kw, why_no_more


def words(told: Told) -> list[str]:
    """Sentences, in the order in which one asks."""
    return [
        *_what(told),
        *_price(told),
        *(line for group in told["groups"] for line in _group(told, group)),
        *_peak(told),
        *_holds(told),
        *_load(told),
        *_doubts(told),
    ]


def _what(told: Told) -> Iterator[str]:
    soc = f"state of charge {told['soc_before']:.0%}, then {told['soc_after']:.0%}"
    yield f"At {_clock(told, told['time'])} the battery {_does(told['battery_w'])} ({soc}); the grid {_grid(told)}."
    if len(told["groups"]) > 1:
        each = ", ".join(f"group {at + 1} {_does(group['battery_w'])}" for at, group in enumerate(told["groups"]))
        yield f"{each[0].upper()}{each[1:]}."


def _does(power_w: float) -> str:
    if abs(power_w) < 1.0:
        return "rests"
    return f"gives {kw(power_w)}" if power_w > 0.0 else f"takes {kw(-power_w)}"


def _grid(told: Told) -> str:
    if told["wasted_sun_w"] > 1.0:
        takes = f"takes {kw(-told['grid_w'])}, all that may flow out" if told["grid_w"] < -1.0 else "gives nothing"
        return f"{takes}, and {kw(told['wasted_sun_w'])} of sun are not used"
    if abs(told["grid_w"]) < 1.0:
        return "gives and takes nothing"
    return f"gives {kw(told['grid_w'])}" if told["grid_w"] > 0.0 else f"takes {kw(-told['grid_w'])}"


def _price(told: Told) -> Iterator[str]:
    load = told["load_cny_per_kwh"]
    if told["wasted_sun_w"] > 1.0:
        yield "A kWh more of sun would earn nothing."
    elif told["price_kind"] == "export":
        yield f"A kWh that flows out earns {cny(told['export_cny_per_kwh'])}."
    else:
        yield f"A kWh bought costs {cny(told['import_cny_per_kwh'])}."
    peak = (told["peak"] or {}).get("here_cny_per_kwh") or 0.0
    more = f", {cny(peak)} of it for the month's peak" if peak > LITTLE else ""
    yield f"A kWh more of load would cost {_either(load)}{more}."


def _group(told: Told, group: Told) -> Iterator[str]:
    name = f"Group {told['groups'].index(group) + 1}: a" if len(told["groups"]) > 1 else "A"
    yield f"{name} kWh in the store is worth {_either(group['stored_cny_per_kwh'])}{_set_by(told, group)}."
    yield from _pays(told, group)
    if group["battery_w"] > 0.0 and group["charged_at"]:
        start = ", or was there at the begin" if group["had_at_begin"] else ""
        yield f"What it gives was taken {_flows(told, group['charged_at'])}{start}."
    elif group["battery_w"] < 0.0 and group["given_at"]:
        yield f"What it takes is given {_flows(told, group['given_at'])}."


def _set_by(told: Told, group: Told) -> str:
    for each in group["set_by"]:
        if each["kind"] in ("charged", "given"):
            what, way = (
                ("taking one costs", "charge") if each["kind"] == "charged" else ("giving it saves", "discharge")
            )
            lost, peak = 1.0 - group[f"{way}_efficiency"], each["peak_cny_per_kwh"]
            more = f" ({cny(peak)} of it for the month's peak)" if peak > LITTLE else ""
            return f": what {what} {_span(told, each)}, at {cny(each['cny_per_kwh'])}{more} and {lost:.0%} lost"
        if each["kind"] == "end":
            return ": what is left at the end counts so much"
        return ": so dear is it to reach what must be left at the end"
    return ""


def _pays(told: Told, group: Told) -> Iterator[str]:
    """What giving saves against what it draws, or what taking costs against what it stores; and what ends it."""
    saves, worth = told["saves_cny_per_kwh"], group["stored_cny_per_kwh"]["shadow"]
    if worth is None:
        return
    drawn, stored = worth / group["discharge_efficiency"], worth * group["charge_efficiency"]
    wear = group["wear_cny_per_kwh"]
    worn = f" and {cny(wear)} of wear" if wear > LITTLE else ""
    if group["battery_w"] > 0.0:
        gain = _gain(saves - drawn - wear)
        yield f"A kWh given saves {cny(saves)} and draws {cny(drawn)} from the store{worn}: {gain}."
        yield from why_no_more(told, group, "give")
    elif group["battery_w"] < 0.0:
        yield f"A kWh taken costs {cny(saves)} and stores {cny(stored)}: {_gain(stored - saves)}."
        yield from why_no_more(told, group, "take")
    else:
        yield (
            f"To give one would save {cny(saves)} and draw {cny(drawn)} from the store{worn}; to take one would cost "
            f"{cny(saves)} and store {cny(stored)}: {at_rest(group, stored - saves, saves - drawn - wear)}."
        )


def _gain(gain: float) -> str:
    return f"each gains {cny(gain)}" if gain > LITTLE else "that is even"


def _flows(told: Told, spans: list[Told]) -> str:
    most = sorted(spans, key=lambda each: -each["kwh"])[:3]
    parts = [
        f"{_span(told, each)} ({each['kwh']:.1f} kWh at {cny(each['cny_per_kwh'])})"
        for each in sorted(most, key=lambda each: each["steps"][0])
    ]
    rest = sum(each["kwh"] for each in spans) - sum(each["kwh"] for each in most)
    return ", ".join(parts) + (f", and {rest:.1f} kWh at other times" if rest > 0.05 else "")


def _peak(told: Told) -> Iterator[str]:
    peak = told["peak"]
    if peak is None:
        return
    name = f"The month's peak ({kw(peak['month_w'])})"
    here = peak["here_cny_per_kw"] or 0.0
    if here > LITTLE:
        yield f"{name} is what holds here: a kW less of it saves {peak['month_cny_per_kw']:.2f} CNY, {here:.2f} here."
    elif peak["block_w"] > peak["month_w"] - 1.0:
        yield f"{name} is touched here, but costs nothing more by it."
    else:
        yield f"{name} is not touched: this block has {kw(peak['block_w'])}."
    if told["without_demand_w"] is not None:
        yield f"If no peak cost anything, the battery here {_would(told['without_demand_w'])}."


def _holds(told: Told) -> Iterator[str]:
    own, period = told["step_price"], told["period_price"]
    if own is None:
        return
    name = "the price" if told["price_kind"] == "import" else "what fed-in sun earns"
    if told["tie"] is not None:
        low, high = told["tie"]["from_w"], told["tie"]["to_w"]
        yield f"Here {_between(low, high)} cost the same, for the same can be done at another hour of as good a price."
        first, end = period["steps"]
        name += " of all these hours" if end > first + 1 else ""
        own = period
    if own["below"] is None and own["above"] is None:
        yield f"No other decision comes if {name} is anything from {own['tried'][0]:.2f} to {own['tried'][1]:.2f} CNY."
        return
    for side, verb in (("below", "fell below"), ("above", "rose above")):
        if own[side] is None:
            yield f"It holds however far {name} {'falls' if side == 'below' else 'rises'}."
        else:
            many = own is period and period["steps"][1] > period["steps"][0] + 1
            mean = f" on their average, where now it {_does(period['battery_w'])}" if many else ""
            yield f"If {name} {verb} {own[side]['at']:.3f} CNY, it {_would(own[side]['battery_w'])}{mean}."


def _would(power_w: float) -> str:
    if abs(power_w) < 50.0:
        return "would rest"
    return f"would give {kw(power_w)}" if power_w > 0.0 else f"would take {kw(-power_w)}"


def _load(told: Told) -> Iterator[str]:
    load = told["load"]
    if load is None:
        return
    share = load["share"]
    else_who = "the sun that is not used" if told["wasted_sun_w"] > 1.0 else "the grid"
    who = "the battery" if share > 0.99 else else_who if abs(share) < 0.01 else f"the battery to {share:.0%}"
    above, below = load["above"], load["below"]
    until = f" up to {kw(above['at'])} of load" if above is not None else ""
    since = f", and less down to {kw(below['at'])}" if below is not None else ""
    yield f"More load would be borne by {who}{until}{since}."


def _doubts(told: Told) -> Iterator[str]:
    if told["one_way"]:
        yield "Prices let power flow both ways at once on paper: worths are those within the directions of this plan."
    if told["off_cny"] is not None and told["off_cny"] > 0.01:
        yield f"They belong to a plan that is {told['off_cny']:.2f} CNY cheaper than this one."
    if told["step_price"] is None:
        yield "What other prices would change was not looked for: the plan has too many steps."
    elif told["directions_held"] and told["one_way"]:
        yield "Other prices were tried with the directions of all other hours held."


def _either(worth: Told) -> str:
    less, more, shadow = worth["one_less"], worth["one_more"], worth["shadow"]
    if less is not None and more is not None and abs(less - more) > LITTLE:
        return f"{cny(more)} (one more) to {cny(less)} (one less)"
    return "an unknown amount" if shadow is None else cny(shadow)


def _between(low: float, high: float) -> str:
    return f"all powers from {low / 1000.0:+.1f} to {_signed(high)}"


def _signed(power_w: float) -> str:
    return f"{power_w / 1000.0 + 0.0:+.1f} kW"


def _span(told: Told, span: Told) -> str:
    return f"from {_clock(told, span['from'])} to {_clock(told, span['to'])}"


def _clock(told: Told, time: str) -> str:
    at, here = datetime.fromisoformat(time), datetime.fromisoformat(told["time"])
    return f"{at:%H:%M}" if at.date() == here.date() else f"{at:%m-%d %H:%M}"
