"""Places for modules: how many of each kind every string takes, and where modules are today."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ess_controller.errors import BadInputError
from ess_controller.intake.matching import MOST_STATES, SHELF, Modules, states
from ess_controller.intake.modules import Intake
from ess_controller.site.errors import Problem
from firmware_bridge.records import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Seats:
    """Strings to be filled."""

    names: tuple[str, ...]  # [string]
    shapes: Ints  # [string, kind] modules of each kind
    given: Ints  # [module] -> string or SHELF: as built, or by the order of the file
    built: bool  # that is where they are; else only the order given


def seats(intake: Intake, strings: int | None, per_string: int | None, *, spare: bool) -> Seats:
    """Places as they are today, or as was asked for; raises BadInputError where counts do not fit."""
    asked = f"--strings {strings}" if strings else f"--per-string {per_string}"
    if intake.strings is None:
        found = _asked(intake, strings, per_string, spare, asked)
    else:
        found = _built(intake, intake.strings, spare)
        sizes = set(found.shapes.sum(axis=1).tolist())
        if strings and len(found.names) != strings:
            raise _refused(intake, asked, f"{len(found.names)}, as in the column string, or no such column")
        if per_string and sizes != {per_string}:
            now = " or ".join(map(str, sorted(sizes)))
            raise _refused(intake, f"--per-string {per_string}", f"{now}, as in the column string, or no such column")
    if states(found.shapes) > MOST_STATES:
        raise _refused(intake, "string", "strings of fewer different compositions: which goes first cannot be searched")
    return found


def _built(intake: Intake, strings: Sequence[str], spare: bool) -> Seats:
    modules = intake.modules
    names = tuple(
        dict.fromkeys(filter(None, strings)) if intake.cabinets else sorted(set(strings) - {""}, key=_natural)
    )
    place = np.array([names.index(name) if name else SHELF for name in strings])
    if not spare and (place == SHELF).any():
        lonely = modules.codes[int(np.argmax(place == SHELF))]
        raise _refused(intake, "string", f"a string for every module, or --spare: {lonely} has none")
    shapes = np.zeros((len(names), modules.kind.max() + 1), np.int64)
    seated = place != SHELF
    np.add.at(shapes, (place[seated], modules.kind[seated]), 1)
    cells = shapes @ np.unique(modules.cells)
    if not intake.cabinets and len(set(cells)) > 1:
        told = ", ".join(f"{name}: {count}" for name, count in zip(names, cells, strict=True))
        raise _refused(intake, "string", f"as many cell groups in every string, or they could not be parallel; {told}")
    return Seats(names, shapes, place, built=True)


def _natural(name: str) -> list[tuple[int, str]]:
    """A2 before A10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _asked(intake: Intake, strings: int | None, per_string: int | None, spare: bool, asked: str) -> Seats:
    """Strings alike, filled in the order of the file."""
    modules, count = intake.modules, len(intake.modules.codes)
    if not strings and not per_string:
        expected = "--strings or --per-string, or a column string with where modules are today"
        raise _refused(intake, "", expected)
    wanted = strings or count // (per_string or count)
    kinds = np.bincount(modules.kind)
    share = kinds // max(wanted, 1)
    fits = wanted > 0 and share.sum() > 0 and (spare or not (kinds % wanted).any())
    if per_string and fits and len(kinds) == 1:
        fits = per_string <= share[0] if spare else per_string == share[0]
        share = np.array([per_string])
    elif per_string and fits:
        fits = int(share.sum()) == per_string
    if not fits:
        by_length = bool(per_string and not strings)
        raise _refused(intake, asked, _counts_in_words(modules, kinds, spare, by_length))
    place = np.full(count, SHELF)
    for kind, each in enumerate(share):
        here = np.flatnonzero(modules.kind == kind)[: each * wanted]
        place[here] = np.repeat(np.arange(wanted), each)
    names = tuple(str(number) for number in range(1, wanted + 1))
    return Seats(names, np.tile(share, (wanted, 1)), place, built=False)


def _counts_in_words(modules: Modules, kinds: Ints, spare: bool, by_length: bool) -> str:
    """What would fit; `by_length`: how long strings may be, else how many there may be."""
    if len(kinds) == 1:
        what = f"the {kinds[0]} modules"
    else:
        sizes = np.unique(modules.cells)
        told = " and ".join(f"{count} of {cells} cells" for count, cells in zip(kinds, sizes, strict=True))
        what = f"the modules of each kind ({told}: every string has as many of each)"
    if spare:
        return f"strings that can be filled from {what}"
    common = int(np.gcd.reduce(kinds))
    strings = [each for each in range(1, common + 1) if common % each == 0]
    fitting = sorted(int(kinds.sum()) // each for each in strings) if by_length else strings
    return f"a number that divides {what}: {', '.join(map(str, fitting))}; or --spare, and some stay out"


def _refused(intake: Intake, key: str, expected: str) -> BadInputError:
    return BadInputError(str(Problem(str(intake.source), 0, key, "", expected)))
