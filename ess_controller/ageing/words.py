"""The answer of `ess health` for people: a line a string and module, what speaks against a module, what is watched."""

from collections.abc import Iterator
from typing import Any

from ess_controller.ageing.forecast import HORIZONS
from ess_controller.ageing.known_modules import INTAKE, sources
from ess_controller.ageing.leak import FEWEST_RESTS, SHORTEST_DAYS
from ess_controller.replay.report import table

MEASURED_DAYS = 180  # of history, before fading shows above what an estimator errs by
ASSUMED_SHARE = 0.1  # of a resistance: a larger standard deviation is that of the intake's guess
_HEAD = ("string", "module", "cell", "days", "SOH", "8 of 10", "R/new", "30 d", "90 d", "a year", "8 of 10 ")
_CELL_HEAD = ("module", "cell", "SOH", "8 of 10", "R10 mΩ", "leak mA", "sd", "knee")


def lines_of(told: dict[str, Any], *, cells: bool = False) -> list[str]:
    """The whole answer; `cells`: with a line for each cell."""
    head = (*_HEAD, "end of use", "verdict")
    rows = [_row(each["name"], "all", each, "") for each in told["strings"]]
    rows += [_row(each["string"], each["code"], each, each["verdict"]) for each in told["modules"]]
    first = f"{told['site']}: SOH of each one's smallest cell over its nameplate, now and ahead; in use until it is"
    lines = [f"{first} {told['line_soh']:g}", *table(head, rows), ""]
    if cells:
        lines += [*table(_CELL_HEAD, [row for each in told["modules"] for row in _cell_rows(each)]), ""]
    for each in told["modules"]:
        if each["verdict"] != "keep":
            lines += [f"{each['code']}: {each['verdict']}", *(f"    {why}" for why in each["evidence"])]
    lines += _watched(told)
    for each in told["notices"]:
        where = each["module"] + (f" cell {each['cell']}" if each["cell"] else "")
        lines.append(f"notice: {where}: {each['diagnosis']}: {each['action']}")
    return lines


def _row(string: str, code: str, each: dict[str, Any], verdict: str) -> list[Any]:
    ahead = each["soh_in_days"]
    return [
        *(string, code, None if each.get("known_by") == INTAKE else each.get("smallest_cell"), each.get("days")),
        *(_shown(each["soh"]["middle"]), _span(each["soh"]), _resistance(each)),
        *(_shown(ahead[str(days)]["middle"]) for days in HORIZONS),
        *(_span(ahead[str(HORIZONS[-1])]), _end_of_use(each), verdict),
    ]


def _resistance(each: dict[str, Any]) -> str | None:
    """In brackets: not measured yet, as its age makes it likely."""
    ohm, sd = each.get("resistance_over_new"), each.get("resistance_over_new_sd")
    if ohm is None or sd is None:
        return None
    return f"({ohm:.2f})" if sd > ASSUMED_SHARE * ohm else f"{ohm:.2f}"


def _end_of_use(each: dict[str, Any]) -> str:
    """`2028-08 (2027-03 to 2031-01)`: the middle, and 8 of 10."""
    early, middle, late = (each["line_date"][key] for key in ("early", "middle", "late"))
    if each["soh"]["middle"] is None:
        return "not known"
    if middle is not None and middle <= each["date"]:
        return "passed"
    middle_words = "not in sight" if middle is None else middle[:7]
    if early is None:
        return middle_words
    return f"{middle_words} ({'now' if early <= each['date'] else early[:7]} to {late[:7] if late else 'much later'})"


def _cell_rows(module: dict[str, Any]) -> Iterator[list[Any]]:
    for number, cell in enumerate(module["cells"], 1):
        ohm, leak, sd, knee = (cell[key] for key in ("r10_ohm", "leak_ma", "leak_sd_ma", "knee_probability"))
        yield [
            *(module["code"], number, _shown(cell["soh"]["middle"]), _span(cell["soh"])),
            None if ohm is None else f"{1000.0 * ohm:.3f}",
            *(None if ma is None else f"{ma:.1f}" for ma in (leak, sd)),
            None if knee is None else f"{knee:.2f}",
        ]


def _watched(told: dict[str, Any]) -> Iterator[str]:
    """How sure all this can be: of fading, self-discharge and knees."""
    modules = told["modules"]
    new = {each["code"]: each["known_by"] for each in modules if each["known_by"] != "history"}
    yield from (f"no history here yet, {line}" for line in (sources(new) if new else ()))
    days = min(each["days"] for each in modules)
    if days < MEASURED_DAYS:
        prior = f"{told['fade_per_year']:g} a year (health.fade_per_year)"
        yield f"fading: forecasts still rest on {prior}: {days} of {MEASURED_DAYS} days of history are there"
    if any((_resistance(each) or "").startswith("(") for each in modules):
        yield "resistance: in brackets where it is not measured yet: no step of current within beats of 10 s or less"
    cells = [cell for each in modules for cell in each["cells"]]
    known = [cell for cell in cells if cell["leak_sd_ma"] is not None]
    if known:
        doubt = sorted(cell["leak_sd_ma"] for cell in known)[len(known) // 2]
        suspected = sum(each["diagnosis"] == "soft short suspected" for each in told["notices"])
        words = f"{suspected} suspected" if suspected else "none suspected"
        yield f"self-discharge: {len(known)} of {len(cells)} cells judged to {doubt:.1f} mA: {words}"
    else:
        yield f"self-discharge: not judged before {FEWEST_RESTS} days with a rest within {SHORTEST_DAYS:g} days"
    likely = [each for each in modules if each["knee_probability"] is not None]
    if likely:
        most = max(likely, key=lambda each: float(each["knee_probability"]))
        share, line = most["knee_probability"], told["knee_told_from"]
        yield f"knee: most likely behind {most['code']} cell {most['knee_cell']}: {share:.0%}, told from {line:.0%}"


def _shown(soh: float | None) -> str | None:
    return None if soh is None else f"{soh:.3f}"


def _span(interval: dict[str, float | None]) -> str:
    low, high = interval["low"], interval["high"]
    return "-" if low is None or high is None else f"{low:.3f}..{high:.3f}"
