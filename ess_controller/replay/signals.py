"""What a beat told the site and why, as named lists of numbers: what a journal keeps and two runs are compared by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ess_controller.core.health import DIAGNOSES
from ess_controller.core.types import Mode, Rule
from ess_controller.daemon import Beat
from firmware_bridge.guard import in_words
from firmware_bridge.records import Climate, Contactor, Layout

Signals = Mapping[str, tuple[float, ...]]
"""One beat: signal -> a number for each device. A device's bits are one whole number."""

COMMANDS = ("pcs_w", "pcs_run", "contactor", "bleed", "pv_limit_w", "climate")
"""What devices are told, after the guard; the others say why."""

UNITS = {"pcs_w": "W", "pv_limit_w": "W"}
_OF = {  # signal -> what its devices are called
    "pcs_w": "cabinet_names",
    "pcs_run": "cabinet_names",
    "trips": "cabinet_names",
    "charge_by": "cabinet_names",
    "discharge_by": "cabinet_names",
    "contactor": "string_names",
    "mode": "string_names",
    "diagnosis": "string_names",
    "pv_limit_w": "pv_names",
}
_BITS = np.left_shift(1, np.arange(len(DIAGNOSES)))


def signals_of(beat: Beat) -> dict[str, tuple[float, ...]]:
    """Every signal of one beat. `bleed` is left out while no cell bleeds, or it would be most of a journal."""
    told, decision = beat.commands, beat.decision
    signals = {
        "pcs_w": told.pcs_w,
        "pcs_run": told.pcs_run,
        "contactor": told.contactor,
        "pv_limit_w": told.pv_limit_w,
        "climate": told.climate,
        "trips": beat.trips,
        "mode": beat.state.mode,
        "diagnosis": _BITS @ decision.active,
        "charge_by": decision.cabinet_bound.charge_by,
        "discharge_by": decision.cabinet_bound.discharge_by,
    }
    if np.count_nonzero(told.bleed):
        signals["bleed"] = told.bleed
    return {name: tuple(values.tolist()) for name, values in signals.items() if len(values)}


def device_names(signal: str, layout: Layout) -> tuple[str, ...]:
    """Who a signal's numbers belong to, in order."""
    if signal == "climate":
        return tuple(layout.cabinet_names[cabinet] for cabinet in layout.io_cabinet)
    if signal == "bleed":
        return tuple(layout.cell_name(cell) for cell in range(layout.cells))
    names: tuple[str, ...] = getattr(layout, _OF[signal]) if signal in _OF else ()
    return names


def in_plain_words(signal: str, value: float) -> str:
    """A signal's number for people."""
    if not np.isfinite(value):
        return str(value)
    if signal in UNITS:
        return f"{value:,.0f} {UNITS[signal]}"
    return _WORDS.get(signal, hex)(int(value))


def _named(kind: type[IntEnum]) -> Callable[[int], str]:
    """The name of a number; the number itself where it has none."""
    names = {int(one): one.name.lower().replace("_", " ") for one in kind}
    return lambda number: names.get(number, str(number))


_WORDS: Mapping[str, Callable[[int], str]] = {
    "mode": _named(Mode),
    "contactor": _named(Contactor),
    "charge_by": _named(Rule),
    "discharge_by": _named(Rule),
    "diagnosis": lambda bits: ", ".join(row.name for bit, row in enumerate(DIAGNOSES) if bits >> bit & 1) or "none",
    "trips": lambda bits: in_words(bits) or "none",
    "climate": lambda bits: ", ".join(str(one.name).lower() for one in Climate if one & bits) or "all off",
    "pcs_run": lambda run: "run" if run else "stop",
    "bleed": lambda on: "bleeds" if on else "rests",
}


# --- names, so that a journal outlives a new rule in the middle of the list -------------------------------------------


def vocabulary() -> dict[str, list[str]]:
    """The names behind the numbers of `mode`, `diagnosis`, `charge_by` and `discharge_by` today."""
    return {
        "mode": [mode.name for mode in Mode],
        "rule": [rule.name for rule in Rule],
        "diagnosis": [row.name for row in DIAGNOSES],
    }


@dataclass(frozen=True)
class Translator:
    """Numbers of another time's vocabulary in those of today. What is unknown today gets a number of its own."""

    modes: tuple[int, ...]
    rules: tuple[int, ...]
    diagnoses: tuple[int, ...]

    @classmethod
    def of(cls, then: Mapping[str, list[str]]) -> "Translator | None":
        """None where nothing has changed."""
        now = vocabulary()
        if not then or then == now:
            return None
        places = []
        for kind in ("mode", "rule", "diagnosis"):
            unknown = 1000 if kind != "diagnosis" else len(DIAGNOSES)
            names = list(then.get(kind, now[kind]))
            places.append(tuple(now[kind].index(n) if n in now[kind] else unknown + i for i, n in enumerate(names)))
        return cls(*places)

    def __call__(self, signals: Signals) -> Signals:
        """The same beat in the numbers of today."""
        tables = {"mode": self.modes, "charge_by": self.rules, "discharge_by": self.rules}
        found = dict(signals)
        for name, table in tables.items():
            if name in found:
                found[name] = tuple(table[int(n)] if 0 <= n < len(table) else n for n in found[name])
        if "diagnosis" in found:
            found["diagnosis"] = tuple(
                sum(1 << place for bit, place in enumerate(self.diagnoses) if int(n) >> bit & 1)
                for n in found["diagnosis"]
            )
        return found
