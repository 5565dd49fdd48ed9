"""Reads a world.toml: what the simulated site is truly like, or every mistake with its place and what was expected."""

from pathlib import Path
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from ess_controller.errors import BadInputError
from ess_controller.site.errors import Finding, findings_of
from ess_controller.site.schema import schema
from ess_controller.site.sheet import Sheet, UnreadableError
from sim.world.scenario import Scenario

FILE_NAME = "world.toml"

Model = TypeVar("Model", bound=BaseModel)


def load(path: Path) -> Scenario:
    """Read and check a world.toml, or the one in a folder; `cell.ocv_file` comes back absolute.

    Raises BadInputError with a line for each mistake: file:line, key, value and what was expected.
    """
    path = path / FILE_NAME if path.is_dir() else path
    sheet = read_sheet(path)
    found = checked(Scenario, sheet)
    curve = (path.parent / found.cell.ocv_file).resolve()
    if not curve.is_file():
        refuse(sheet, [Finding(("cell", "ocv_file"), f"a file, relative to this one, but there is no {curve}")])
    return found.model_copy(update={"cell": found.cell.model_copy(update={"ocv_file": str(curve)})})


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
