"""What kinds of reports there are: which bucket each goes to, and in which order they go when the disk is full."""

from enum import IntEnum

from ess_controller.site.influx import InfluxSettings


class Kind(IntEnum):
    """Over budget, what has the smallest number goes first, the oldest of it before the younger."""

    BURST = 0  # 1-s records around an alarm
    RECORD = 1  # 10-s records: site, cabinet, string, module, decision, limit, plan, daemon
    CELL = 2  # 30-s records of every cell
    FORECAST = 3  # what was expected: newer words on the same hours take the place of older ones, so it goes in order
    MINUTE = 4  # means of a minute
    EVENT = 5  # what happened; a day's value; a module's health
    LONG = 6  # means of 15 min and of a day

    @property
    def words(self) -> str:
        """`burst`."""
        return self.name.lower()


RAW = (Kind.BURST, Kind.RECORD, Kind.CELL, Kind.FORECAST)
YEAR = (Kind.MINUTE,)
EVER = (Kind.EVENT, Kind.LONG)
IN_ORDER = frozenset({Kind.FORECAST})


def lanes_of(settings: InfluxSettings) -> dict[str, tuple[Kind, ...]]:
    """Bucket -> what goes there."""
    found: dict[str, tuple[Kind, ...]] = {}
    for bucket, kinds in ((settings.bucket, RAW), (settings.bucket_1m, YEAR), (settings.bucket_long, EVER)):
        found[bucket] = found.get(bucket, ()) + kinds
    return found
