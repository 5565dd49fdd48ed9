"""One user's file against its model and its rules: what is wrong becomes problems with their places."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ess_controller.site.errors import Finding, Problem, cut, findings_of
from ess_controller.site.kinds import words_of
from ess_controller.site.sheet import Sheet

Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], sheet: Sheet) -> tuple[Model | None, list[Finding]]:
    """The sheet as a model, or what is wrong with its single keys."""
    try:
        return model.model_validate(sheet.table), []
    except ValidationError as error:
        return None, findings_of(error, words_of(model))


def told(sheet: Sheet, findings: Iterable[Finding], place: Callable[[Finding], Problem]) -> list[Problem]:
    """Findings with their places; what they name is taken out of the sheet."""
    findings = list(findings)
    problems = [place(finding) for finding in findings]
    for finding in findings:
        cut(sheet.table, finding.path)
    return problems


def read_and_check(
    path: Path, file: str, model: type[Model], rules: Callable[[dict[str, Any], list[Finding]], Iterable[Finding]]
) -> tuple[Sheet, Model | None, list[Problem]]:
    """A file with its model (None where a single key is wrong) and all its problems. Raises UnreadableError.

    `rules` say what is wrong between keys, given what has passed the model and what has not.
    """
    sheet = Sheet.read(path, file)
    found, wrong = checked(model, sheet)
    problems = told(sheet, wrong, sheet.problem)
    return sheet, found, problems + told(sheet, rules(sheet.table, wrong), sheet.problem)
