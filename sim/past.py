"""What a simulated site's meter saw before the start: so that its planner knows load and sun from the first hour on."""

from datetime import UTC, datetime

import numpy as np

from ess_controller.core.windows import Billing
from ess_controller.errors import BadInputError
from ess_controller.planning.meter.book import Block
from ess_controller.site import Site
from firmware_bridge.records import Floats
from sim.world.premises import place
from sim.world.scenario import Scenario

DAYS = 28.0  # a site that is built has its grid company's load curve at least that far back
SAMPLE_S = 180.0


def past(site: Site, scenario: Scenario, start: datetime, days: float = DAYS, seed: int | None = None) -> list[Block]:
    """The billing blocks of the days before `start` as metered without a battery; the block of `start` is not in it.

    BadInputError where the premises lack the panels of an inverter.
    """
    billing, pvs = site.tuning.billing, site.plant.pvs
    end = int((start.timestamp() + billing.likeliest_s) // billing.block_s)
    first = end - round(days * 86400.0 / billing.block_s)
    a_block = max(round(billing.block_s / SAMPLE_S), 1)
    try:
        there = place(scenario.premises, scenario.seed if seed is None else seed, [each.name for each in pvs])
    except ValueError as trouble:
        raise BadInputError(f"{site.name}: {trouble}") from None
    begin_s, step_s = first * billing.block_s - billing.likeliest_s, billing.block_s / a_block
    middles_s = begin_s + (np.arange((end - first) * a_block) + 0.5) * step_s
    seen = [there.at(datetime.fromtimestamp(at_s, UTC)) for at_s in middles_s.tolist()]
    rated_w = np.array([each.rated_w for each in pvs])
    load_w = np.array([each.load_w - each.roof_w for each in seen])
    sun_w = np.array([float(np.minimum(each.sun_w, rated_w).sum()) for each in seen])
    pv_w = np.minimum(sun_w, np.maximum(load_w, 0.0) + site.tuning.dispatch.feed_in_w)
    import_w = np.maximum(load_w - pv_w, 0.0)
    windows_w = _windows(import_w, billing, step_s)
    of_sample = (load_w, pv_w, import_w, np.maximum(pv_w - load_w, 0.0), (pv_w < sun_w).astype(np.float64))
    means = (_means(each, a_block) for each in of_sample)
    highest_w = np.fmax.reduce(windows_w.reshape(-1, a_block), axis=1)
    rows = zip(*means, highest_w.tolist(), strict=True)
    return [
        Block(first + at, load, 1.0, pv, 1.0, bought, sold, 1.0, window, held)
        for at, (load, pv, bought, sold, held, window) in enumerate(rows)
    ]


def _means(values: Floats, count: int) -> list[float]:
    means: list[float] = values.reshape(-1, count).mean(axis=1).tolist()
    return means


def _windows(import_w: Floats, billing: Billing, step_s: float) -> Floats:
    """[sample] mean of the demand window that ends with it, W; NaN where none does, or where they do not slide."""
    length, every = round(billing.block_s / step_s), max(round(billing.slide_s / step_s), 1)
    found = np.full(len(import_w), np.nan)
    if billing.slots > 1 and len(import_w) >= length:
        total_w = np.concatenate(([0.0], np.cumsum(import_w)))
        found[length - 1 :] = (total_w[length:] - total_w[:-length]) / length
        found[(np.arange(len(found)) + 1) % every != 0] = np.nan
    return found
