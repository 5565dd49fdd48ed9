"""Several stores behind one meter, looked at as one."""

from math import lcm

from ess_controller.planning.given.problem import Battery
from ess_controller.planning.given.taper import joined
from ess_controller.planning.given.wear import Wear


def together(groups: tuple[Battery, ...]) -> Battery:
    """One battery of all energy and power. What else differs is its mean by energy."""
    if len(groups) == 1:
        return groups[0]
    energy_wh = sum(each.energy_wh for each in groups)
    charge_w, discharge_w = sum(each.charge_w for each in groups), sum(each.discharge_w for each in groups)

    def mean(values: list[float]) -> float:
        return sum(value * each.energy_wh for value, each in zip(values, groups, strict=True)) / energy_wh

    slices = lcm(*(len(each.wear.cny_per_kwh) for each in groups))
    wear = Wear(
        tuple(mean(list(prices)) for prices in zip(*(each.wear.in_slices(slices) for each in groups), strict=True)),
        mean([each.wear.dwell_soc for each in groups]),
        mean([each.wear.dwell_cny_per_kwh_h for each in groups]),
    )
    ends = [each.soc_min if each.soc_end_min is None else each.soc_end_min for each in groups]
    return Battery(
        energy_wh=energy_wh,
        charge_w=charge_w,
        discharge_w=discharge_w,
        charge_efficiency=mean([each.charge_efficiency for each in groups]),
        discharge_efficiency=mean([each.discharge_efficiency for each in groups]),
        soc_min=mean([each.soc_min for each in groups]),
        soc_max=mean([each.soc_max for each in groups]),
        soc_start=mean([each.soc_start for each in groups]),
        soc_end_min=None if all(each.soc_end_min is None for each in groups) else mean(ends),
        export=groups[0].export,
        wear_cny_per_kwh=mean([each.wear_cny_per_kwh for each in groups]),
        export_w=groups[0].export_w,
        import_w=groups[0].import_w,
        wear=wear,
        charge_by_soc=joined([(each.charge_w, each.charge_by_soc) for each in groups]),
        discharge_by_soc=joined([(each.discharge_w, each.discharge_by_soc) for each in groups]),
        feed_in_w=groups[0].feed_in_w,
    )
