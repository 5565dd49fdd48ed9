"""The modules of a site for `ess match --site`: by what its daemon has learnt of them, else by intake test; and those
on its shelf."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ess_controller.ageing.known_modules import INTAKE, Known, in_site, on_shelf, sources
from ess_controller.errors import BadInputError
from ess_controller.intake.matching import Modules
from ess_controller.intake.modules import Intake
from ess_controller.kept.cell_record import Remembered
from ess_controller.site import Site
from ess_controller.site.errors import Problem

SAME_TEST = 0.001  # a record is of the sheet's intake test when their capacities differ by no more


def site_modules(site: Site, record: Remembered, shelf: Intake | None, *, spare: bool) -> Intake:
    """The modules in service; with `spare` those on the shelf too: of the sheet `shelf`, or whom the record knows.

    A module counts as its smallest cell where that has been learnt; by intake test all its cells are alike.
    """
    modules = in_site(site, record)
    extra: list[Known] = []
    if spare and shelf is None:
        extra = on_shelf(site, record)
    elif shelf is not None:
        extra = _on_sheet(site, record, shelf)
    notes = [f"string {name} is not in service: its modules are left out" for name in site.isolated]
    notes += shelf.notes if shelf is not None else ()
    if spare and not extra:
        notes.append("no module on the shelf is known: none can be brought in (MODULES.csv lists them)")
    everyone = [*modules, *extra]
    by_code = {each.code: each.source for each in everyone}
    notes += sources(by_code)
    strings = tuple(each.string for each in everyone)
    cabinets = site.plant.layout.cabinets
    return Intake(_modules(everyone), strings, tuple(notes), site.folder, cabinets, by_code)


def _modules(known: Sequence[Known]) -> Modules:
    smallest = [each.smallest for each in known]
    return Modules(
        codes=tuple(each.code for each in known),
        capacity_ah=np.array([each.capacity_ah.min() for each in known]),
        sd_ah=np.array([each.capacity_sd_ah[cell] for each, cell in zip(known, smallest, strict=True)]),
        cells=np.array([len(each.capacity_ah) for each in known]),
        r10_ohm=np.array([each.r10_ohm.mean() for each in known]),
        nameplate_ah=np.array([each.nameplate_ah for each in known]),
        weakest=tuple(f"cell {cell + 1}" if each.learnt else "" for each, cell in zip(known, smallest, strict=True)),
    )


def _on_sheet(site: Site, record: Remembered, shelf: Intake) -> list[Known]:
    """Modules of an intake sheet; one that a daemon here has known since that test, by what was learnt."""
    sheet, remembered = shelf.modules, {each.code: each for each in on_shelf(site, record)}
    found = []
    for at, code in enumerate(sheet.codes):
        if code in site.origins:
            raise BadInputError(str(Problem(str(shelf.source), 0, "module", code, "a module that is in no string")))
        count, alike = int(sheet.cells[at]), np.ones(int(sheet.cells[at]))
        of_sheet = Known(
            *(code, "", float(sheet.nameplate_ah[at]), sheet.capacity_ah[at] * alike, sheet.sd_ah[at] * alike),
            *(sheet.r10_ohm[at] * alike, np.nan * alike, INTAKE, False),
        )
        known = remembered.get(code)
        same = known is not None and len(known.capacity_ah) == count
        same = same and abs(float(record[code][1].intake_ah.min()) / float(sheet.capacity_ah[at]) - 1.0) < SAME_TEST
        if known is not None and same:
            known = replace(known, nameplate_ah=of_sheet.nameplate_ah, r10_ohm=of_sheet.r10_ohm)
            found.append(known)
        else:
            found.append(of_sheet)
    return found
