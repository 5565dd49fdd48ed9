"""The world's own count of harm done to it, by the truth and not by what its sensors said."""

from typing import Any

from firmware_bridge.records import Envelope
from sim.world import World


def verdict(world: World, envelope: Envelope) -> dict[str, Any]:
    """Cells that truly left the envelope, contactors opened under load (more than `sim.world.pack.LOAD_A`), and the
    worst inrush at closing."""
    truth = world.truth
    outside = (truth.cell_v_min < envelope.cell_v_min) | (truth.cell_v_max > envelope.cell_v_max)
    outside |= (truth.cell_c_min < envelope.cell_c_min) | (truth.cell_c_max > envelope.cell_c_max)
    return {
        "cells_outside_limits": int(outside.sum()),
        "opened_under_load": int(truth.opened_under_load.sum()),
        "contactor_closes": int(truth.closes.sum()),
        "inrush_a_max": float(truth.inrush_a.max()),
    }
