"""What a roof would have given while it was held back: at least what it gave, and as much of a clear sky as it gave in
the hours of that day whose clear sky the site could have taken.

Only bright hours are held back. A mean over the others would tell of a duller sun than there is, and one over what was
metered, that the sun gives no more than the site takes.
"""

import numpy as np

from firmware_bridge.records import Bools, Floats, Ints

LIT = 0.03  # of a day's greatest clear sky: below, a share of it is noise


def freed(pv_w: Floats, held: Bools, clear_w: Floats, day: Ints) -> Floats:
    """[step] what was measured, and where the roof was `held` back, what it would have given, W.

    `clear_w` [step] under a clear sky, NaN or 0 where it is not known; `day` [step] from 0 on. Hours that would have
    been held back under a clear sky, and were not, were dull: they say nothing of the others. Of a day of such hours
    alone no more is known than what was metered.
    """
    if not len(pv_w):
        return pv_w
    days, lit = int(day.max()) + 1, np.nan_to_num(clear_w)
    most = np.zeros(days)
    np.maximum.at(most, day, lit)
    bounds, count = np.bincount(day[held], np.nan_to_num(pv_w[held]), days), np.bincount(day[held], minlength=days)
    taken_w = np.divide(bounds, count, out=np.zeros(days), where=count > 0)
    tells = ~held & np.isfinite(pv_w) & (lit > LIT * most[day]) & (lit <= taken_w[day])
    given, possible = (np.bincount(day[tells], each[tells], days) for each in (pv_w, lit))
    index = np.divide(given, possible, out=np.zeros(days), where=possible > 0.0)
    return np.where(held, np.fmax(pv_w, np.minimum(index, 1.0)[day] * lit), pv_w)
