"""Reads a world.toml: what the simulated site is truly like, or every mistake with its place and what was expected."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from ess_controller.errors import BadInputError
from ess_controller.site.errors import Finding, findings_of
from ess_controller.site.places import KeyPath
from ess_controller.site.schema import schema
from ess_controller.site.sheet import Sheet, UnreadableError
from sim.world.curve import CurveError, read_curve
from sim.world.scenario import MadeUp, Measured, OnRecord, Scenario
from sim.world.series import SeriesError, read_series

FILE_NAME = "world.toml"

Model = TypeVar("Model", bound=BaseModel)


def load(path: Path) -> Scenario:
    """Read and check a world.toml, or the one in a folder; the files that it names come back absolute.

    Raises BadInputError with a line for each mistake: file:line, key, value and what was expected.
    """
    path = path / FILE_NAME if path.is_dir() else path
    sheet = read_sheet(path)
    premises = sheet.table.get("premises")
    measured = isinstance(premises, dict) and "series_file" in premises
    found: Scenario = checked(OnRecord, sheet) if measured else checked(MadeUp, sheet)
    curve = _file(sheet, ("cell", "ocv_file"), path.parent / found.cell.ocv_file)
    try:
        read_curve(Path(curve))
    except CurveError as trouble:
        raise BadInputError(str(trouble)) from None
    found = found.model_copy(update={"cell": found.cell.model_copy(update={"ocv_file": curve})})
    return _with_series(found, sheet, path.parent) if isinstance(found, OnRecord) else found


def _with_series(found: OnRecord, sheet: Sheet, folder: Path) -> OnRecord:
    """With the measured year's path absolute, its file checked, and all that the premises take from it."""
    premises = found.premises
    series_file = _file(sheet, ("premises", "series_file"), folder / premises.series_file)
    try:
        columns = list(read_series(Path(series_file)).columns)
    except SeriesError as trouble:
        raise BadInputError(str(trouble)) from None
    wrong = [
        Finding(place, f"a column of {Path(series_file).name}: {', '.join(columns)}")
        for place, column in _columns(premises)
        if column not in columns
    ]
    wrong += _inconsistent(premises)
    if wrong:
        refuse(sheet, wrong)
    return found.model_copy(update={"premises": premises.model_copy(update={"series_file": series_file})})


def _columns(premises: Measured) -> Iterator[tuple[KeyPath, str]]:
    yield ("premises", "load_column"), premises.load_column
    for at, sun in enumerate(premises.sun):
        yield ("premises", "sun", at, "column"), sun.column


def _inconsistent(premises: Measured) -> Iterator[Finding]:
    """What concerns two keys at once."""
    named = [sun.pv for sun in premises.sun]
    for at, name in enumerate(named):
        if name in named[:at]:
            yield Finding(("premises", "sun", at, "pv"), "a solar inverter that has no panels yet")
    for at, charger in enumerate(premises.charger):
        place = ("premises", "charger", at)
        least_wh, most_wh = charger.energy_wh
        if charger.open_h >= charger.close_h:
            yield Finding((*place, "close_h"), f"an hour after open_h = {charger.open_h:g} (beyond 24: the next day)")
        if least_wh > most_wh:
            yield Finding((*place, "energy_wh"), "the least energy first")


def _file(sheet: Sheet, place: KeyPath, path: Path) -> str:
    """The absolute path of a file that another one names."""
    if not os.path.isfile(path):  # also where links go in a circle, or a name is too long to ask for
        refuse(sheet, [Finding(place, f"a file, relative to this one, but there is no {os.path.abspath(path)}")])
    return os.path.realpath(path)


def read_sheet(path: Path) -> Sheet:
    """A TOML file of the world's. BadInputError when it cannot be read, or is no TOML."""
    try:
        return Sheet.read(path, str(path))
    except UnreadableError as trouble:
        raise BadInputError(str(trouble.problem)) from None


def checked(model: type[Model], sheet: Sheet) -> Model:
    """The sheet as a model. BadInputError with every mistake."""
    try:
        return model.model_validate(sheet.table)
    except ValidationError as trouble:
        refuse(sheet, findings_of(trouble, schema(model)))


def refuse(sheet: Sheet, findings: list[Finding]) -> NoReturn:
    """Raises BadInputError with a line for each finding, in the order of the file."""
    problems = sorted(map(sheet.problem, findings), key=lambda problem: problem.line)
    raise BadInputError("\n".join(map(str, problems))) from None
