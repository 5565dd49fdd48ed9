"""Asks an InfluxDB by its REST addresses, as `ess influx setup` does; a dry run only asks and changes nothing."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from ess_controller.errors import TroubleError
from ess_controller.site.influx import InfluxSettings


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one request."""

    status: int
    told: Any  # JSON, or text where it is none

    @property
    def well(self) -> bool:
        """Done as asked."""
        return 200 <= self.status < 300

    @property
    def why(self) -> str:
        """The server's words, on one line."""
        told = self.told.get("message") or self.told.get("error") if isinstance(self.told, dict) else self.told
        return " ".join(f"HTTP {self.status}: {told}".split())[:300]


class Server:
    """An InfluxDB by its REST addresses. TroubleError where nobody answers; its words never hold the token.

    `dry`: it is only asked, and changes nothing.
    """

    def __init__(self, settings: InfluxSettings, token: str, timeout_s: float = 20.0, *, dry: bool = False) -> None:
        self._settings, self._token, self.dry = settings, token, dry
        self._pool = urllib3.PoolManager(timeout=timeout_s, retries=False)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> Answer:
        """One request."""
        url = self._settings.url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Token {self._token}"
        try:
            reply = self._pool.request(
                method, url, headers=headers, body=None if body is None else json.dumps(body).encode()
            )
        except (urllib3.exceptions.HTTPError, UnicodeError, ValueError) as trouble:
            why = str(trouble).replace(self._token, "***") if self._token else str(trouble)
            raise TroubleError(f"{self._settings.where}: nobody answers: {' '.join(why.split())[:200]}") from None
        text = reply.data.decode(errors="replace")
        try:
            return Answer(reply.status, json.loads(text) if text else {})
        except ValueError:
            return Answer(reply.status, text)

    def change(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> Answer:
        """The same, of one that changes something; not sent where it is only asked."""
        return Answer(200, {}) if self.dry else self.ask(method, path, body, **query)

    def made(self, done: str, would: str) -> str:
        """In words, what `change` did or would do."""
        return would if self.dry else done

    def version(self) -> str:
        """As the server says, like 2.7.1; TroubleError where what answers is no InfluxDB."""
        health = self.ask("GET", "/health")
        if health.well and isinstance(health.told, dict) and health.told.get("version"):
            return str(health.told["version"]).removeprefix("v")
        try:
            reply = self._pool.request("GET", self._settings.url.rstrip("/") + "/ping")
        except (urllib3.exceptions.HTTPError, UnicodeError, ValueError):
            raise TroubleError(f"{self._settings.where}: no InfluxDB answers there") from None
        told = reply.headers.get("X-Influxdb-Version") or _pinged(reply.data)
        if not told:
            raise TroubleError(f"{self._settings.where}: what answers there is no InfluxDB")
        return told.removeprefix("v")


def _pinged(body: bytes) -> str:
    """3 Core answers a ping with JSON."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    return str(told.get("version", "")) if isinstance(told, dict) else ""
