"""The way to InfluxDB: one write of prebuilt lines through influxdb-client, and what became of it, in plain words."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService
from urllib3.exceptions import HTTPError

from ess_controller.clock import utc_now
from ess_controller.site.influx import InfluxSettings

ACKNOWLEDGED = 204  # and nothing else: a hotel's log-in page answers 200
REFUSED = (400, 422)  # by 1.x and 2.x, and by 3 Core
TOO_LARGE = 413
NOT_ALLOWED = (401, 403, 404)
TIMEOUT_S = 20.0  # of a whole request
LONGEST_WORD = 300  # of a server's explanation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write."""

    status: int  # of HTTP; 0: no answer
    why: str = ""  # in words; never holds the token
    retry_after_s: float | None = None  # as the server asks

    @property
    def acknowledged(self) -> bool:
        """InfluxDB has the lines."""
        return self.status == ACKNOWLEDGED


class Influx:
    """A bucket to write to. Certificates are verified (against SSL_CERT_FILE, where that is set, else the system's)."""

    def __init__(self, settings: InfluxSettings, token: str, timeout_s: float = TIMEOUT_S) -> None:
        self.settings, self._token = settings, token
        self._client = InfluxDBClient(
            settings.url, token, org=settings.org, timeout=round(timeout_s * 1000), verify_ssl=True, retries=False
        )
        self._service = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]  # theirs

    def write(self, lines: bytes, bucket: str = "") -> Outcome:
        """Write line protocol with time stamps in ms; "": to the bucket of records. Never raises for anything that a
        network or a server can do."""
        try:
            _, status, _ = self._service.post_write_with_http_info(  # type: ignore[no-untyped-call]
                org=self.settings.org,
                bucket=bucket or self.settings.bucket,
                body=gzip.compress(lines, 1),
                content_encoding="gzip",
                content_type="text/plain; charset=utf-8",
                precision=WritePrecision.MS,
            )
        except ApiException as trouble:
            return self._refused(trouble)
        except (HTTPError, OSError) as trouble:
            return Outcome(0, self._clean(f"{type(trouble).__name__}: {trouble}"))
        except UnicodeDecodeError:
            return Outcome(0, "what answers there is no InfluxDB")
        except ValueError:  # its words may hold the token
            return Outcome(0, "no request can be made of this url and this token")
        if status != ACKNOWLEDGED:
            return Outcome(status, "expected 204: no InfluxDB answers there")
        return Outcome(status)

    def _refused(self, trouble: ApiException) -> Outcome:
        body = str(trouble.body or "")
        try:
            told = json.loads(body)
            words = str(told.get("message") or told.get("error") or body)
        except (ValueError, AttributeError):
            words = body
        why = self._clean(f"{trouble.reason}: {words}" if words else str(trouble.reason))
        return Outcome(int(trouble.status or 0), why, retry_after_s(trouble.headers or {}))

    def _clean(self, text: str) -> str:
        """One line, not too long, without the token."""
        if self._token:
            text = text.replace(self._token, "***")
        return " ".join(text.split())[:LONGEST_WORD]

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()  # type: ignore[no-untyped-call]


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """What `Retry-After` asks, seconds or a date (RFC 9110, 10.2.3); None where it asks nothing that makes sense."""
    asked = headers.get("Retry-After")
    if asked is None:
        return None
    if asked.strip().isascii() and asked.strip().isdecimal():
        return float(asked[:9])
    try:
        when = parsedate_to_datetime(asked)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or utc_now())).total_seconds())
