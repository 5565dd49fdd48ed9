"""What `ess match` answers: JSON with stable keys, a table for people, a CSV that it reads again."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.intake.match.job import WITHIN, Match
from ess_controller.intake.matching import SHELF
from ess_controller.intake.modules import Intake
from firmware_bridge.records import Floats, Ints

SCHEMA_VERSION = 1
ASSUMPTIONS = (
    "all cell groups are full together: aligned at the top, by balancing",
    "a string ends with its smallest cell group; every group of a module counts as the module's smallest",
    "energy at open-circuit voltage, from full to empty: no losses, no reserve of the site's limits",
    "strings in parallel end together: each keeps to its own charge, as at low current their voltages make them",
)


def answer(match: Match, voltage: str, intake: Intake) -> dict[str, Any]:
    """The answer as JSON. Energies at the site's strings, in kWh; shares 0..1; unknown is null."""
    given_wh, best_wh = float(match.given.site_wh), float(match.best.site_wh)
    low_wh, high_wh = np.percentile(match.random_wh, WITHIN)
    sure = match.gain is not None
    low, middle, high = np.percentile(match.gain, (WITHIN[0], 50.0, WITHIN[1])) if match.gain is not None else (0,) * 3
    codes = match.modules.codes
    return {
        "schema_version": SCHEMA_VERSION,
        "modules": len(codes),
        "cells": int(match.modules.cells.sum()),
        "given_is": "built" if match.seats.built else "order of the file",
        "strings": [_string(match, at) for at in range(len(match.seats.names))],
        "spare": [codes[each] for each in np.flatnonzero(match.place == SHELF)],
        "given_kwh": _kilo(given_wh),
        "random_kwh": _kilo(float(match.random_wh.mean())),
        "random_low_kwh": _kilo(low_wh),
        "random_high_kwh": _kilo(high_wh),
        "sorted_kwh": _kilo(float(match.sorted.site_wh)),
        "best_kwh": _kilo(best_wh),
        "gain_kwh": _kilo(best_wh - given_wh),
        "gain": _share(best_wh / given_wh - 1.0),
        "gain_over_random": _share(best_wh / float(match.random_wh.mean()) - 1.0),
        "gain_low": _share(low) if sure else None,
        "gain_median": _share(middle) if sure else None,
        "gain_high": _share(high) if sure else None,
        "swaps": [
            {"modules": [codes[one], codes[other]], "then_kwh": _kilo(after_wh)}
            for (one, other), after_wh in zip(match.swaps, match.after_wh, strict=True)
        ],
        "assumptions": [*ASSUMPTIONS, voltage],
        "capacities": _capacities(match, intake.known_by),
        "notes": list(intake.notes),
    }


def _capacities(match: Match, known_by: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the grouping rests on, in the order of the modules."""
    modules = match.modules
    return [
        {
            "module": code,
            "capacity_ah": round(float(modules.capacity_ah[at]), 4),
            "capacity_sd_ah": _known(modules.sd_ah[at], 4),
            "by": known_by.get(code, "file"),
        }
        for at, code in enumerate(modules.codes)
    ]


def _string(match: Match, string: int) -> dict[str, Any]:
    modules = match.modules
    members = _members(match.modules.order, match.place, string)
    ah, cells = modules.capacity_ah[members], modules.cells[members]
    limiting, ohm = int(members[-1]), float((cells * modules.r10_ohm[members]).sum())
    return {
        "name": match.seats.names[string],
        "modules": [modules.codes[each] for each in members],
        "cells": int(cells.sum()),
        "usable_ah": round(float(match.best.charge_ah[string]), 4),
        "usable_kwh": _kilo(float(match.best.energy_wh[string])),
        "limited_by": modules.codes[limiting],
        "limited_by_cell": modules.weakest[limiting] or None,
        "limited_by_soh": _known(modules.capacity_ah[limiting] / modules.nameplate_ah[limiting], 4),
        "without_it_ah": round(float(ah[-2]), 4) if len(ah) > 1 else None,
        "used": round(float(ah[-1] * cells.sum() / (ah * cells).sum()), 4),
        "r10_ohm": _known(ohm, 6),
    }


def _members(order: Ints, place: Ints, string: int) -> Ints:
    """From the largest on."""
    return np.asarray(order[place[order] == string])


def _kilo(wh: float | np.floating[Any]) -> float:
    return round(float(wh) / 1000.0, 4)


def _share(share: float | np.floating[Any]) -> float:
    return round(float(share), 6) + 0.0  # no -0.0


def _known(number: float | np.floating[Any], digits: int) -> float | None:
    return round(float(number), digits) if np.isfinite(number) else None


def table(told: dict[str, Any]) -> Iterator[str]:
    """The answer for people, line by line."""
    for string in told["strings"]:
        soh = f", SOH {string['limited_by_soh']:.2f}" if string["limited_by_soh"] else ""
        ohm = f", {1000.0 * string['r10_ohm']:.1f} mΩ" if string["r10_ohm"] else ""
        yield f"{string['name']}: {string['usable_ah']:.4g} Ah, {string['usable_kwh']:.4g} kWh{ohm}"
        yield f"    {' '.join(string['modules'])}"
        where = f" ({string['limited_by_cell']})" if string["limited_by_cell"] else ""
        then = f"; the next would allow {string['without_it_ah']:.4g} Ah" if string["without_it_ah"] else ""
        yield f"    {string['used']:.1%} of its cells used: limited by {string['limited_by']}{where}{soh}{then}"
    if told["spare"]:
        yield f"spare: {' '.join(told['spare'])}"
    yield ""
    now = "as built" if told["given_is"] == "built" else "order given"
    yield f"{now:12} {told['given_kwh']:8.2f} kWh"
    low, high = told["random_low_kwh"], told["random_high_kwh"]
    yield f"{'random':12} {told['random_kwh']:8.2f} kWh, nine of ten from {low:.2f} to {high:.2f}"
    yield f"{'sorted':12} {told['sorted_kwh']:8.2f} kWh"
    yield f"{'best':12} {told['best_kwh']:8.2f} kWh"
    gain = f"{told['gain']:+.2%} on {now}, {told['gain_over_random']:+.2%} on random"
    yield f"{'gain':12} {told['gain_kwh']:8.2f} kWh, {gain}"
    if told["gain_low"] is not None:
        sure = f"nine of ten from {told['gain_low']:+.2%} to {told['gain_high']:+.2%}"
        yield f"{'':12} as capacities may truly be: {sure}, half above {told['gain_median']:+.2%}"
    yield from _swap_lines(told)
    yield from (f"assumed: {each}" for each in told["assumptions"])


def _swap_lines(told: dict[str, Any]) -> Iterator[str]:
    if told["given_is"] == "built":
        yield f"{'swaps':12} {len(told['swaps']):8d}" + (", in turn:" if told["swaps"] else ": nothing to be gained")
    for swap in told["swaps"]:
        yield f"    {swap['modules'][0]} <-> {swap['modules'][1]}, then {swap['then_kwh']:.2f} kWh"


def write_csv(path: Path, match: Match) -> None:
    """The new grouping, a line a module, the spare ones last and without a string; `ess match` reads it."""
    modules, groups = match.modules, len(match.seats.names)
    columns: dict[str, Floats] = {"capacity_sd_ah": modules.sd_ah, "r10_ohm": modules.r10_ohm}
    columns = {name: each for name, each in columns.items() if np.isfinite(each).all()}
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("module", "string", "capacity_ah", "cells", *columns))
            for string in (*range(groups), SHELF):
                name = "" if string == SHELF else match.seats.names[string]
                for each in _members(modules.order, match.place, string):
                    numbers = (
                        f"{column[each]:.8g}" for column in (modules.capacity_ah, modules.cells, *columns.values())
                    )
                    rows.writerow((modules.codes[each], name, *numbers))
    except OSError as trouble:
        raise BadInputError(f"--out {path}: cannot be written: {trouble.strerror}") from None
