"""The guard's tests notice when it is broken: a seeded sample here, all by `python -m tests.guard.mutants`."""

import numpy as np

from tests.guard.mutants import EQUIVALENT, Mutant, mutants, survives, unbroken

SAMPLE = 30


def test_a_sample_of_broken_guards_is_noticed() -> None:
    every = [mutant for mutant in mutants() if mutant.change not in EQUIVALENT]
    chosen = np.random.default_rng(20260601).choice(len(every), SAMPLE, replace=False)
    assert [str(every[index]) for index in chosen if survives(every[index])] == []


def test_the_guard_itself_passes_as_a_mutant_without_a_change() -> None:
    assert survives(Mutant(0, "nothing", unbroken()))


def test_every_change_excused_as_equivalent_still_exists() -> None:
    assert EQUIVALENT.keys() <= {mutant.change for mutant in mutants()}
