"""Tests of the tests: breaks the guard in every small way there is and asks whether a test notices.

`python -m tests.guard.mutants` tries every mutant of firmware_bridge/guard.py and prints those that survive (exit 1).
A mutant is one change of one node of the syntax tree: a comparison flipped, a term dropped, a constant or name swapped.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from firmware_bridge import guard as original
from tests.guard import test_guard

SOURCE = str(original.__file__)
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.Mult: (ast.Add,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
}
SWAPS = (
    ("min", "max"),
    ("module_cold_c", "module_hot_c"),
    ("bitwise_or", "bitwise_and"),
    ("logical_or", "logical_and"),
    ("isnan", "isfinite"),
    ("any", "all"),
    ("cell_v_min", "cell_v_max"),
    ("cell_c_min", "cell_c_max"),
    ("charge_c_min", "cell_c_min"),
    ("string_a", "string_v"),
    ("pcs_armed", "pcs_local"),
    ("cell_string", "cell_module"),
    ("first_cell_of_string", "first_cell"),
    ("first_string", "first_module"),
    ("no_charge", "no_discharge"),
    ("no_discharge", "no_closing"),
    ("told", "trip"),
    ("first_cell_of_string", "first_module"),
    ("_UNHEARD", "_NO_FALLBACK"),
    ("_COMMAND", "_CLOSING"),
    ("_CLOSING", "_BLEEDING"),
    ("power_w", "wanted_w"),
    ("UNHEARD", "COMMAND"),
    ("CELL_VOLTAGE", "CELL_TEMPERATURE"),
    ("STRING_CURRENT", "CELL_VOLTAGE"),
    ("OPEN", "CLOSED"),
)
EQUIVALENT = {  # what no reading can tell from the original, and why
    "`isnan(seen.pcs_w[cabinet]) * _UNHEARD` only the left term": "Trip.UNHEARD is 1, and so is True",
    "`power_w[cabinet] < 0.0` to LtE": "0 W stays 0 W whichever direction it is judged by, and is not told",
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken guard: what was changed, where, and the changed tree."""

    line: int
    change: str
    tree: ast.Module

    def __str__(self) -> str:
        return f"{SOURCE}:{self.line}: {self.change}"

    def module(self) -> ModuleType:
        """The broken guard, imported. Whatever it raises on import kills it."""
        module = ModuleType("mutant")
        exec(compile(ast.fix_missing_locations(self.tree), "mutant", "exec"), module.__dict__)
        return module


def variants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every small change of one node."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            for other in COMPARISONS[type(op)]:
                yield f"to {other.__name__}", ast.Compare(node.left, [other()], node.comparators)
        case ast.BinOp():
            for operator in OPERATORS.get(type(node.op), ()):
                yield f"to {operator.__name__}", ast.BinOp(node.left, operator(), node.right)
            yield "only the left term", node.left
            yield "only the right term", node.right
        case ast.AugAssign() | ast.Constant():
            yield from simpler(node)
        case ast.BoolOp(op=op, values=[*terms]):
            for index in range(len(terms)):
                rest = terms[:index] + terms[index + 1 :]
                yield f"without `{ast.unparse(terms[index])}`", rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
        case ast.IfExp(body=yes, orelse=no):
            yield "always the first", yes
            yield "always the second", no
        case ast.UnaryOp():
            yield "without its sign", node.operand
        case _:
            yield from renamed(node)


def simpler(node: ast.AugAssign | ast.Constant) -> Iterator[tuple[str, ast.AST]]:
    """An assignment forgotten, a constant changed."""
    match node:
        case ast.AugAssign():
            yield "to a plain assignment", ast.Assign([node.target], node.value)
            yield "left out", ast.Pass()
        case ast.Constant(value=bool(value)):
            yield f"to {not value}", ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield f"to {value + 1}", ast.Constant(value + 1)


def renamed(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The node with another name of a pair in SWAPS."""
    pairs = SWAPS + tuple((after, before) for before, after in SWAPS)
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            yield from ((f"to {after}", ast.Name(after, ast.Load())) for before, after in pairs if before == name)
        case ast.Attribute(value=value, attr=name, ctx=ast.Load()):
            yield from (
                (f"to .{after}", ast.Attribute(value, after, ast.Load())) for before, after in pairs if before == name
            )


def bodies(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes worth changing: what is executed, without docstrings, annotations, imports and subscripts' types."""
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.ClassDef):
            continue
        inside = statement.body if isinstance(statement, ast.FunctionDef) else [statement]
        for part in inside:
            is_text = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
            if not is_text:
                yield from ast.walk(part)


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self._new if node is self._old else super().generic_visit(node)


def unbroken() -> ast.Module:
    """The guard as it is."""
    return ast.parse(Path(SOURCE).read_text(encoding="utf-8"))


@cache
def mutants() -> tuple[Mutant, ...]:
    """Every mutant of the guard, in the order of its lines."""
    tree, made = unbroken(), []
    for index, node in enumerate(bodies(tree)):
        for number, (change, _) in enumerate(variants(node)):
            copy = deepcopy(tree)
            old = next(islice(bodies(copy), index, None))
            _, new = next(islice(variants(old), number, None))
            broken = _Replace(old, new).visit(copy)
            made.append(Mutant(getattr(node, "lineno", 0), f"`{ast.unparse(node)}` {change}", broken))
    return tuple(made)


def tests() -> list[Callable[[], None]]:
    """The tests that have to notice."""
    return [value for name, value in vars(test_guard).items() if name.startswith("test_")]


def survives(mutant: Mutant) -> bool:
    """Whether no test notices that the guard is broken."""
    try:
        broken = mutant.module()
    except Exception:  # noqa: BLE001  a guard that cannot be imported is noticed
        return False
    kept = {name: vars(test_guard)[name] for name in ("guard", "in_words")}
    vars(test_guard).update({name: vars(broken)[name] for name in kept})
    try:
        with np.errstate(all="ignore"):
            for test in tests():
                test()
    except Exception:  # noqa: BLE001  a failing test, or a guard that raises: noticed
        return False
    finally:
        vars(test_guard).update(kept)
    return True


def main() -> int:
    """Try them all."""
    every = mutants()
    alive = [mutant for mutant in every if survives(mutant) and mutant.change not in EQUIVALENT]
    for mutant in alive:
        print(mutant)  # noqa: T201  the answer of this command
    print(f"{len(every)} mutants, {len(alive)} survive", file=sys.stderr)  # noqa: T201
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
