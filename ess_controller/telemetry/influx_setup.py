"""Makes in an InfluxDB what reports and boards need: bucket, retention, and on 2.x the mapping that InfluxQL asks for.

Says each thing that was done or found; what is there is not changed, but for a retention that was asked for.
"""

from dataclasses import dataclass

from ess_controller.errors import TroubleError
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.influx_by_version import OF_MAJOR
from ess_controller.telemetry.influx_server import Server


@dataclass(frozen=True, slots=True)
class Keep:
    """After how many days data go: of raw points, of means of a minute, of all else. 0: never; None: left as it is."""

    raw: int | None = None
    minutes: int | None = None
    long: int | None = None

    def of_buckets(self, settings: InfluxSettings) -> dict[str, int | None]:
        """Bucket -> days; of one that several share, the longest."""
        found: dict[str, int | None] = {}
        for bucket, days in (
            (settings.bucket, self.raw),
            (settings.bucket_1m, self.minutes),
            (settings.bucket_long, self.long),
        ):
            found[bucket] = _longer(found[bucket], days) if bucket in found else days
        return found


def _longer(one: int | None, other: int | None) -> int | None:
    known = [days for days in (one, other) if days is not None]
    return None if not known else 0 if 0 in known else max(known)


def setup(settings: InfluxSettings, token: str, keep: Keep, *, dry: bool = False) -> list[str]:
    """Make what is missing; lines that say what was done, or with `dry` what would be, and nothing is. TroubleError
    with the server's words where something cannot be done."""
    server = Server(settings, token, dry=dry)
    version = server.version()
    told = [f"{settings.where}: InfluxDB {version}"]
    made_in = OF_MAJOR.get(version.partition(".")[0])
    if made_in is None:
        raise TroubleError(f"{settings.where}: InfluxDB {version}: expected 1.x, 2.x or 3.x")
    for bucket, days in keep.of_buckets(settings).items():
        told += made_in(server, settings, bucket, days)
    return told
