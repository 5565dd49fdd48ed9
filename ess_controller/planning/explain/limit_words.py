"""`--explain` in words: what keeps a battery from giving or taking more, or at rest."""

from collections.abc import Iterator
from typing import Any

Told = dict[str, Any]
GRID_STILL_W = 1.0
LITTLE = 0.005  # CNY per kWh: less is no difference to tell of


def why_no_more(told: Told, group: Told, verb: str) -> Iterator[str]:
    """The limit that binds, and what moving it would be worth; where none does, what else keeps it there."""
    limit, worth = group["limit"], cny(group["limit_cny_per_kwh"] or 0.0)
    if (group["limit_cny_per_kwh"] or 0.0) < LITTLE:
        yield _just_so_much(told, group, verb)
    elif limit == "power":
        free = told["without_power_limit_w"]
        would = f"; without it {kw(abs(free))}" if free is not None else ""
        yield f"It cannot {verb} more: the inverter's limit, worth {worth} a kWh{would}."
    elif limit == "taper":
        yield f"It cannot {verb} more: its cells bear no more power so {_end(verb)}, worth {worth} a kWh."
    elif limit == "full" and verb == "take":
        yield f"Then it is full; a kWh more of room would be worth {worth}."
    elif limit == "empty" and verb == "give":
        yield f"Then it is empty; a kWh more would be worth {worth}."
    elif limit == "end" and verb == "give":
        yield f"No less may be left at the end; a kWh less of that would be worth {worth}."
    elif limit == "import":
        rest = f"worth {worth} a kWh"
        yield (
            f"It gives what keeps import at the site's limit, {rest}."
            if verb == "give"
            else f"It cannot take more: the site's import limit, {rest}."
        )
    else:
        yield _just_so_much(told, group, verb)


def _just_so_much(told: Told, group: Told, verb: str) -> str:
    """What a power ends at that no limit binds."""
    buys, sells = cny(told["import_cny_per_kwh"]), cny(told["export_cny_per_kwh"])
    end = "full" if verb == "take" else "empty"
    if group[f"is_{end}"]:
        return f"Then it is {end}."
    if abs(told["grid_w"]) < GRID_STILL_W and told["wasted_sun_w"] < 1.0:
        sun = f"The sun is taken, {kw(told['pv_w'] - told['load_w'])} beyond the load"
        give = f"The load is covered: more would flow out, for {sells} a kWh."
        return give if verb == "give" else f"{sun}: more would be bought, at {buys} a kWh."
    if (told["peak"] or {}).get("here_cny_per_kwh", 0.0) > LITTLE:
        return f"It {verb}s what keeps the block at the month's peak."
    if verb == "take" and told["grid_w"] < 0.0:
        return f"The rest of the sun earns {sells} a kWh: a kWh more in the store would be worth no more than that."
    other = "taken" if verb == "take" else "given"
    return f"No limit holds it: a kWh {other} at another hour is worth as much."


def at_rest(group: Told, taken: float, given: float) -> str:
    """What keeps a store at rest; `taken`, `given`: what a kWh would gain, CNY."""
    limit, worth = group["limit"], group["limit_cny_per_kwh"] or 0.0
    if limit in ("full", "empty") and worth >= LITTLE:
        return f"it is {limit}, and a kWh more of {'room' if limit == 'full' else 'energy'} would be worth {cny(worth)}"
    for end, verb, gain in (("empty", "take", taken), ("full", "give", given)):
        if group[f"is_{end}"]:
            return f"it is {end}, and to {verb} " + ("is as good at another hour" if gain > -LITTLE else "does not pay")
    return "neither pays"


def _end(verb: str) -> str:
    return "near to full" if verb == "take" else "near to empty"


def kw(power_w: float) -> str:
    """A power."""
    return f"{power_w / 1000.0:.1f} kW"


def cny(price: float) -> str:
    """A price."""
    return f"{price + 0.0:.2f} CNY" if abs(price) >= 0.005 else "nothing"
