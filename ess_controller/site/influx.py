"""Where reports go: the table [influx] of a site file."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """An InfluxDB that takes `/api/v2/write` (2.x, 3 Core, 1.8), and how much disk its outbox may take."""

    url: str  # http://host:8086 or https://...; certificates are verified
    org: str
    bucket: str  # of what the daemon sees: records, bursts, cells, forecasts
    bucket_1m: str  # of means of a minute; may be the same
    bucket_long: str  # of what is kept longest: events, values, health, means of 15 min and a day; may be the same
    token_env: str  # name of the environment variable that holds the token; the token itself is in no file
    outbox_mb: float  # disk for what is not acknowledged yet, MB; beyond, the oldest goes and is counted

    @property
    def where(self) -> str:
        """The URL for the log: without what may be a secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
