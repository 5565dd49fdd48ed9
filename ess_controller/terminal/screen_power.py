"""The power table of the terminal's picture: what each cabinet may carry for how long, what bounds it, until when."""

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ess_controller.told.reasons import CHARGE, DISCHARGE

WAYS = (CHARGE, DISCHARGE)
_BLOCKS = " ▁▂▃▄▅▆▇█"


def powers(picture: dict[str, Any]) -> Iterator[Table]:
    """A row a cabinet and way; nothing where the picture tells no state of power."""
    cabinets = [cabinet for cabinet in picture["cabinets"] if cabinet.get("sop")]
    if not cabinets:
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    horizons_s = [each["horizon_s"] for each in cabinets[0]["sop"]]
    table.add_column("may, kW", no_wrap=True)
    for number, horizon_s in enumerate(horizons_s):
        table.add_column(_named(horizon_s, number, len(horizons_s)), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("bounded now by, and until")
    most_w = max(each[f"{way}_w"] or 0.0 for cabinet in cabinets for each in cabinet["sop"] for way in WAYS)
    for cabinet in cabinets:
        for way, style in zip(WAYS, ("green", "cyan"), strict=True):
            told_w = [each[f"{way}_w"] for each in cabinet["sop"]]
            name = cabinet["name"] if way == CHARGE else " " * len(cabinet["name"])
            table.add_row(
                Text.assemble((name, "bold"), f" {way}"),
                *("-" if w is None else f"{w / 1000:.1f}" for w in told_w),
                Text("".join(_block(w, most_w) for w in told_w), style),
                _why(cabinet["limits"], way),
            )
    yield table


def _named(horizon_s: float, number: int, of: int) -> str:
    """The longest horizon stands for continuously."""
    return "on and on" if number == of - 1 else f"{horizon_s:.0f} s"


def _block(w: float | None, most_w: float) -> str:
    """How much of the most that any cabinet may."""
    return _BLOCKS[round((w or 0.0) / most_w * (len(_BLOCKS) - 1))] if most_w > 0.0 else " "


def _why(limits: dict[str, Any], way: str) -> Text:
    """`A1/M04/C08: 4.145 V, at 10 s with 4 A 4.15 V, margin included` and, dim, what would lift it."""
    at, rests_on, lifted_by = (limits.get(f"{way}_{key}", "") for key in ("at", "rests_on", "lifted_by"))
    if not rests_on:
        return Text("")
    return Text.assemble(f"{at}: {rests_on}", (f"; until {lifted_by}" if lifted_by else "", "dim"))
