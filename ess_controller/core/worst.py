"""Finds the worst cell, module or string of each group, and says which one it is."""

import numpy as np

from firmware_bridge.records import Floats, Ints


def lowest(values: Floats, first: Ints, owner: Ints) -> tuple[Floats, Ints]:
    """Smallest value of each group and the index of the member that has it.

    values [n]: NaN is passed over; first [group]: offset of each group's first member; owner [n]: each member's group.
    Returns ([group] inf where nothing was heard, [group] index into values; its first member where nothing was heard).
    """
    heard = np.where(np.isnan(values), np.inf, values)
    smallest = np.minimum.reduceat(heard, first)
    hits = np.flatnonzero(heard <= smallest[owner])
    return smallest, hits[np.searchsorted(hits, first)]


def highest(values: Floats, first: Ints, owner: Ints) -> tuple[Floats, Ints]:
    """Largest value of each group [group] and whose it is [group]; as `lowest`, but -inf where nothing was heard."""
    smallest, at = lowest(-values, first, owner)
    return -smallest, at
