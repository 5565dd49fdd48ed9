"""A site's cabinets as batteries for the planner: from its file, and from what the running daemon says is stored."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ess_controller.core.stock import usable
from ess_controller.core.types import Tuning
from ess_controller.errors import BadInputError
from ess_controller.planning.given.problem import Battery, Export
from ess_controller.planning.given.taper import KNOTS, Line, concave, of_string
from ess_controller.planning.given.wear import NO_WEAR, SLICES, Wear, priced
from ess_controller.site import Site
from firmware_bridge.records import Floats

FEW, SLICES_OF_MANY = 2, 2  # cabinets; a programme of 4 stores and 4 slices took 0.8 s, of 2 slices 0.2 s, 1 % apart
MIDDLE = 0.5  # between empty and full, where nobody knows
Stock = Sequence[tuple[float, float]]  # [cabinet] Wh that can be given, and taken


def groups_of(site: Site, stock: Stock | None = None) -> tuple[Battery, ...]:
    """A battery a cabinet. `stock` None: modules as large as their SOH says, and half full.

    Energy is that at the strings between the SOCs at which nothing may be given or taken any more; losses are those of
    the inverter at its worst; power is the inverter's, or what SOH leaves of the strings', and near full and empty what
    voltage and SOC leave (`taper.of_string`). What the site's peak guard, contract and feed-in limit leave is the
    site's, the same in each.
    """
    tuning = site.tuning
    stock = stock_of_file(tuning) if stock is None else stock
    wear = wear_of(site, SLICES if len(stock) <= FEW else SLICES_OF_MANY)
    least, most = tuning.empty_soc, tuning.full_soc
    found = []
    for cabinet, (given_wh, taken_wh) in enumerate(stock):
        usable_wh = given_wh + taken_wh
        if usable_wh <= 0.0:
            continue
        efficiency = tuning.limits.inverter_efficiency
        charge_w, discharge_w, into, out_of = _powers(tuning, cabinet)
        found.append(
            Battery(
                energy_wh=usable_wh / (most - least),
                charge_w=charge_w,
                discharge_w=discharge_w,
                charge_efficiency=efficiency,
                discharge_efficiency=efficiency,
                soc_min=least,
                soc_max=most,
                soc_start=least + (most - least) * given_wh / usable_wh,
                soc_end_min=None,
                export=export_of(site),
                wear_cny_per_kwh=0.0,
                export_w=tuning.dispatch.export_w,
                import_w=min(tuning.dispatch.peak_w, tuning.dispatch.contract_w),
                wear=wear,
                charge_by_soc=into,
                discharge_by_soc=out_of,
                feed_in_w=tuning.dispatch.feed_in_w,
            )
        )
    if not found:
        raise BadInputError(f"{site.name}: no cabinet has anything to give or to take: expected one that is in service")
    return tuple(found)


def wear_of(site: Site, slices: int) -> Wear:
    """Prices of what the planner does to the modules: the same in all cabinets, for prices are by the kWh."""
    if site.wear is None or site.ageing is None:
        return NO_WEAR
    return priced(site.ageing, site.wear, site.tuning.empty_soc, site.tuning.full_soc, slices)


def stock_of_file(tuning: Tuning) -> list[tuple[float, float]]:
    """[cabinet] Wh of cells as large as their modules' SOH says, half full between the limits."""
    middle = tuning.empty_soc + MIDDLE * (tuning.full_soc - tuning.empty_soc)
    given, taken = usable(tuning, np.full(tuning.layout.cells, middle), tuning.cell_ah)
    rows = (np.add.reduceat(each, tuning.layout.first_string).tolist() for each in (given, taken))
    return list(zip(*rows, strict=True))


def stock_of_picture(picture: dict[str, Any]) -> list[tuple[float, float]]:
    """[cabinet] Wh as the running daemon shows them."""
    return [(float(each["given_wh"] or 0.0), float(each["taken_wh"] or 0.0)) for each in picture["cabinets"]]


def export_of(site: Site) -> Export:
    """What may flow out, by the site's rule."""
    if site.tuning.dispatch.export_w > 0.0:
        return "any"
    return "none" if site.tuning.dispatch.feed_in_w <= 0.0 else "pv_surplus"


def _powers(tuning: Tuning, cabinet: int) -> tuple[float, float, Line, Line]:
    """Charge and discharge of a cabinet, W, and what SOC leaves of them: its inverter's, or what its weakest string
    bears for long (`taper.of_string`), times its strings."""
    strings = [int(each) for each in tuning.layout.strings_of_cabinet[cabinet]]
    soc = np.linspace(tuning.empty_soc, tuning.full_soc, KNOTS)
    volts = [float(tuning.string_usable_v[each]) for each in strings]
    of_strings = zip(volts, (of_string(tuning, each, soc) for each in strings), strict=True)
    into, out_of = np.array([(charge_a * v, discharge_a * v) for v, (charge_a, discharge_a) in of_strings]).min(axis=0)
    most_w = tuning.envelope.pcs_w_max
    into_w = np.minimum(len(strings) * into, most_w)
    out_w = np.minimum(len(strings) * out_of * tuning.limits.inverter_efficiency, most_w)
    charge_w, discharge_w = float(into_w.max()), float(out_w.max())
    return charge_w, discharge_w, _of_soc(soc, into_w, charge_w), _of_soc(soc, out_w, discharge_w)


def _of_soc(soc: Floats, by_soc_w: Floats, most_w: float) -> Line:
    """What SOC leaves of `most_w`; nothing is left of none, as where a module is too old to be charged."""
    return concave(soc, by_soc_w / most_w) if most_w > 0.0 else ()
