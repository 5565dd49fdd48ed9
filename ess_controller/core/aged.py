"""How aged modules and their cells are, for the limits: the intake test, and what has surely been learnt since.

"Surely" is one standard deviation above what the gauge believes: a doubt alone derates nobody, knowledge does. Nothing
learnt makes a module younger than its test said. All of it moves slowly and without steps, so that no bound flaps.
"""

from dataclasses import dataclass

import numpy as np

from ess_controller.core.types import Estimate, Tuning
from firmware_bridge.records import Floats

SURE_SIGMAS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Aged:
    """SOH, shares of the nameplate's capacity."""

    module: Floats  # [module] the lower of its intake test and the mean of its cells
    cell: Floats  # [cell] learnt; no more than its module's

    def charge_share(self, tuning: Tuning) -> Floats:
        """[cell] of the rated current that its string may charge.

        The site's curve says what a module of this age may be charged with; a cell weaker than its module makes that
        less in proportion, so that it meets no higher C-rate than the curve allows its module.
        """
        of_cells = tuning.layout.cell_module
        return np.asarray((tuning.limits.charge_by_soh(self.module) / self.module)[of_cells] * self.cell)


def aged(tuning: Tuning, now: Estimate) -> Aged:
    """By what is believed in this beat."""
    layout = tuning.layout
    sure = (now.capacity_ah + SURE_SIGMAS * now.capacity_sd_ah) / tuning.module_nameplate_ah[layout.cell_module]
    mean = np.add.reduceat(sure, layout.first_cell) / np.bincount(layout.cell_module)
    module = np.minimum(mean, tuning.module_soh)
    return Aged(module, np.minimum(sure, module[layout.cell_module]))
