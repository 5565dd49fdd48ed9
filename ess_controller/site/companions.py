"""The files that a site file names: its cell file and its tariff file, each with its problems."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from ess_controller.site.checking import Model, read_and_check
from ess_controller.site.errors import Finding, Problem
from ess_controller.site.places import KeyPath
from ess_controller.site.sheet import Sheet, UnreadableError


@dataclass(frozen=True, slots=True)
class Companion(Generic[Model]):
    """A file beside the site file."""

    sheet: Sheet | None  # None: there is none that can be read
    content: Model | None  # None: something in it is wrong by itself
    problems: list[Problem]

    @property
    def sound(self) -> Model | None:
        """Its content if nothing at all is wrong with it."""
        return None if self.problems else self.content


def companion(
    site: Sheet,
    named_at: KeyPath,
    what: str,
    model: type[Model],
    rules: Callable[[dict[str, Any], list[Finding]], Iterable[Finding]],
) -> Companion[Model]:
    """The file that the site file names at `named_at`. One that is not there is the site file's mistake."""
    name: Any = site.table
    for key in named_at:
        name = name.get(key) if isinstance(name, dict) else None
    if not isinstance(name, str):
        return Companion(None, None, [])
    place = Path(site.file).parent / name
    try:
        sheet, content, problems = read_and_check(place, os.path.normpath(place), model, rules)
    except UnreadableError as error:
        if error.in_text:
            return Companion(None, None, [error.problem])
        expected = f"{what}, relative to this one; {error.problem.file}: {error.reason}"
        return Companion(None, None, [site.problem(Finding(named_at, expected))])
    return Companion(sheet, content, problems)
