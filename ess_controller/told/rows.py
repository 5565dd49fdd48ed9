"""Which rows there are of each level of a site, by their tags: cabinets, strings, modules, cells, rules."""

import numpy as np

from ess_controller.core.arbitration import RULES
from ess_controller.told.arbitrated import WAYS
from ess_controller.told.reasons import name_of
from firmware_bridge.records import Layout

RULE_NAMES = tuple(name_of(rule) for rule in RULES)


def rows(level: str, layout: Layout) -> list[dict[str, str]]:
    """Tags of each row, in Layout order. `level`: site, cabinet, pv, string, module, cell, or limit (ways, in each its
    rules, in each its cabinets)."""
    strings = [
        {"cabinet": layout.cabinet_names[cabinet], "string": name}
        for name, cabinet in zip(layout.string_names, layout.string_cabinet.tolist(), strict=True)
    ]
    modules = [
        strings[string] | {"module": code}
        for code, string in zip(layout.module_names, layout.module_string.tolist(), strict=True)
    ]
    position = np.arange(layout.cells) - layout.first_cell[layout.cell_module] + 1
    cells = zip(layout.cell_module.tolist(), position.tolist(), strict=True)
    named = ((way, rule) for way in WAYS for rule in RULE_NAMES)
    found: dict[str, list[dict[str, str]]] = {
        "site": [{}],
        "cabinet": [{"cabinet": name} for name in layout.cabinet_names],
        "pv": [{"pv": name} for name in layout.pv_names],
        "string": strings,
        "module": modules,
        "cell": [modules[module] | {"cell": f"{number:02d}"} for module, number in cells],
        "limit": [{"cabinet": name, "way": way, "rule": rule} for way, rule in named for name in layout.cabinet_names],
    }
    return found[level]
