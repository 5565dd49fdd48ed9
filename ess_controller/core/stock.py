"""What is stored and can be had, and what room is left: by each string's first cell to be empty or full."""

import numpy as np

from ess_controller.core.types import Estimate, Mode, Tuning
from firmware_bridge.records import Floats, Ints


def stock(tuning: Tuning, now: Estimate, modes: Ints) -> tuple[Floats, Floats]:
    """[cabinet] Wh at the strings' terminals that can still be given, and taken, between empty_soc and full_soc.

    A string whose contactors a fault holds open has neither, nor has one whose SOC is not known yet.
    """
    of_string = usable(tuning, now.soc, now.capacity_ah)
    fit = modes < int(Mode.RELEASE)
    given, taken = (np.where(fit, np.nan_to_num(each), 0.0) for each in of_string)
    first = tuning.layout.first_string
    return np.add.reduceat(given, first), np.add.reduceat(taken, first)


def usable(tuning: Tuning, soc: Floats, capacity_ah: Floats) -> tuple[Floats, Floats]:
    """[string] the same, Wh, of strings whose cells are so full, `soc` [cell], and so large; NaN where a cell is
    unknown."""
    first, volts = tuning.layout.first_cell_of_string, tuning.string_usable_v
    to_empty_ah = np.maximum((soc - tuning.empty_soc) * capacity_ah, 0.0)
    to_full_ah = np.maximum((tuning.full_soc - soc) * capacity_ah, 0.0)
    return np.minimum.reduceat(to_empty_ah, first) * volts, np.minimum.reduceat(to_full_ah, first) * volts
