"""The command `ess match`."""

import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ess_controller.commands import Home
from ess_controller.errors import BadInputError

if TYPE_CHECKING:
    from ess_controller.intake.modules import Intake
    from ess_controller.site import Site

FLAT_V = 3.7  # where no curve is told: the middle of what NMC cells hold on the way down


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(match)


def match(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="MODULES.csv", help="A line a module: module,capacity_ah or cell01_ah,...; string."),
    ] = None,
    strings: Annotated[int | None, typer.Option(min=1, metavar="N", help="How many strings.")] = None,
    per_string: Annotated[int | None, typer.Option(min=1, metavar="N", help="Modules in a string.")] = None,
    spare: Annotated[bool, typer.Option("--spare", help="Modules that fit nowhere may stay out.")] = False,
    site: Annotated[
        Path | None, typer.Option(metavar="SITE", help="The modules of a site; a file then lists those on the shelf.")
    ] = None,
    home: Home = None,
    cell: Annotated[
        Path | None, typer.Option(metavar="CELL.toml", help="OCV by this cell file; else 3.7 V, or the site's own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="CSV", help="Write the new grouping.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random groupings and of the gain's interval.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Group modules into strings so that the site can use the most energy, and say what was gained.

    Against the strings as they are (column `string`, or the site's), else against the order of the file; and against
    groupings at random. Columns capacity_sd_ah, cells, r10_ohm, nameplate_ah and string may be left out. A site's
    modules count by what its daemon has learnt of them, else by intake test; with --spare those on its shelf come in.
    """
    if find_spec("scipy") is None:
        raise BadInputError("ess match: expected scipy to be installed: it comes with the extra `sim`")
    from ess_controller.intake.match.answer import answer, table, write_csv
    from ess_controller.intake.match.job import carry_out
    from ess_controller.intake.match.seats import seats
    from ess_controller.intake.matching import Drain
    from ess_controller.site import load
    from ess_controller.site.cell_file import load_cell

    if site is not None and (strings or per_string):
        raise BadInputError("--site: expected neither --strings nor --per-string: the site's strings stay as long")
    loaded = load(site, {}) if site is not None else None
    intake = _intake(file, loaded, home, spare=spare)
    curve = load_cell(cell) if cell else loaded.tuning.cell if loaded else None
    there = seats(intake, strings, per_string, spare=spare)
    found = carry_out(intake.modules, there, Drain.of(curve.ocv) if curve else Drain.flat(FLAT_V), seed)
    if out is not None:
        write_csv(out, found)
    voltage = f"open-circuit voltage of {curve.name}" if curve else f"{FLAT_V} V all the way down: no --cell was told"
    told = answer(found, voltage, intake)
    if not as_json:
        for note in intake.notes:
            print(note, file=sys.stderr)
    print(json.dumps(told) if as_json else "\n".join(table(told)))


def _intake(file: Path | None, site: "Site | None", home: Path | None, *, spare: bool) -> "Intake":
    """The modules there are: of a file, or of a site by what its daemon has learnt; a file beside a site lists those on
    its shelf."""
    from ess_controller.ageing.known_modules import remembered
    from ess_controller.intake.match.of_site import site_modules
    from ess_controller.intake.modules import read_modules
    from ess_controller.kept.home import find

    if file is None and site is None:
        raise BadInputError("ess match: expected MODULES.csv or --site SITE")
    if site is not None and file is not None and not spare:
        raise BadInputError("--site with MODULES.csv: expected --spare as well: the file lists modules on the shelf")
    sheet = read_modules(file) if file is not None else None
    if site is None:
        assert sheet is not None
        return sheet
    record, notes = remembered(find(site.folder, home))
    found = site_modules(site, record, sheet, spare=spare)
    return replace(found, notes=(*notes, *found.notes))
