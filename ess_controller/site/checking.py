"""One user's file against its model and its rules: what is wrong becomes problems with their places."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from unicodedata import category

from pydantic import BaseModel, ValidationError

from ess_controller.site.errors import Finding, Problem, cut, findings_of
from ess_controller.site.kinds import words_of
from ess_controller.site.places import KeyPath
from ess_controller.site.sheet import Sheet

Model = TypeVar("Model", bound=BaseModel)
CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's: control, format (as right to left), surrogate, line, paragraph


def checked(model: type[Model], sheet: Sheet) -> tuple[Model | None, list[Finding]]:
    """The sheet as a model, or what is wrong with its single keys."""
    try:
        found, wrong = model.model_validate(sheet.table), []
    except ValidationError as error:
        found, wrong = None, findings_of(error, words_of(model))
    told_of = {finding.path for finding in wrong}
    wrong += [each for each in _unprintable(sheet.table) if told_of.isdisjoint(_around(each.path))]
    return (None if wrong else found), wrong


def _unprintable(table: dict[str, Any]) -> Iterator[Finding]:
    """Texts that would move a terminal's cursor, or forge a line of a bill or a log, where they are shown."""
    left: list[tuple[KeyPath, Any]] = [((), table)]
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            left += [((*path, key), each) for key, each in value.items()]
        elif isinstance(value, list):
            left += [((*path, at), each) for at, each in enumerate(value)]
        elif isinstance(value, str) and any(category(character) in CONTROLS for character in value):
            yield Finding(path, "text on one line, without control characters")


def _around(path: KeyPath) -> Iterator[KeyPath]:
    """It and the tables that it lies in."""
    return (path[:depth] for depth in range(1, len(path) + 1))


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
