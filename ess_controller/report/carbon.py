"""CO2 of a span by the grid's mean factor: what was bought, what the sun spared, and what storing cost.

With one mean factor for all hours a kWh moved from one hour to another spares nothing, and what is lost on the way is
bought: shifting costs CO2. Only sun that would have been thrown away is gained. Whether hours differ in their marginal
emissions a yearly mean cannot tell.
"""

from typing import Any

from ess_controller.site.carbon import Carbon


def carbon(found: Carbon, year: int, kwh: dict[str, float], lost_kwh: float | None) -> dict[str, Any]:
    """kgCO2, `kwh` being load, pv, import, export and import_without of the span; `lost_kwh` in the battery and its
    inverters, None: not measured.

    `bought` and `bought_without` are location-based, of imports alone (GHG Protocol Scope 2 Guidance, 2015, 4.1).
    """
    factor = found.on(year)
    of = factor.kgco2_per_kwh
    return {
        "province": factor.province,
        "name": factor.name,
        "year": factor.year,
        "kgco2_per_kwh": of,
        "source": factor.source,
        "seen": factor.seen,
        "bought_kg": round(kwh["import"] * of, 2),
        "bought_without_kg": round(kwh["import_without"] * of, 2),
        "sun_kg": round(kwh["pv"] * of, 2),
        "sun_used_here_kg": round((kwh["pv"] - kwh["export"]) * of, 2),
        "losses_kg": None if lost_kwh is None else round(lost_kwh * of, 2),
    }
