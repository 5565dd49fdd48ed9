"""Makes in an InfluxDB what reports and boards need: bucket, retention, and on 2.x the mapping that InfluxQL asks for.

Says each thing that was done or found; what is there is not changed, but for a retention that was asked for.
APIs: docs.influxdata.com, InfluxDB v2 API (`/api/v2/orgs`, `/buckets`, `/dbrps`), 1.8 `/query`, 3 Core
`/api/v3/configure/database`.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from ess_controller.errors import TroubleError
from ess_controller.telemetry.settings import InfluxSettings

DAY_S = 86400
POLICY = "autogen"  # the name that 1.x gives a database's own retention policy, and that our mapping bears


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

    def change(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> Answer:
        """The same, of one that changes something; not sent where it is only asked."""
        return Answer(200, {}) if self.dry else self.ask(method, path, body, **query)

    def made(self, done: str, would: str) -> str:
        """In words, what `change` did or would do."""
        return would if self.dry else done

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
    major = version.partition(".")[0]
    of_major = {"1": _of_1, "2": _of_2, "3": _of_3}.get(major)
    if of_major is None:
        raise TroubleError(f"{settings.where}: InfluxDB {version}: expected 1.x, 2.x or 3.x")
    for bucket, days in keep.of_buckets(settings).items():
        told += of_major(server, settings, bucket, days)
    return told


def _kept(keep_days: int | None) -> str:
    return "for ever" if not keep_days else f"{keep_days} days"


# --- 1.x ------------------------------------------------------------------------------------------------------------


def _of_1(server: Server, settings: InfluxSettings, bucket: str, keep_days: int | None) -> list[str]:
    name = bucket.partition("/")[0]
    if _refused_name(name):
        raise TroubleError(f"influx: bucket {bucket!r}: expected a name without quotes, backslashes or line ends")
    shown = _query(server, "SHOW DATABASES")
    there = name in [row[0] for row in _values(shown)]
    told = [f"database {name}: was there"]
    if not there:
        _changed(server, f'CREATE DATABASE "{name}"')
        told = [f"database {name}: {server.made('made', 'would be made')}"]
    if keep_days is not None:
        lasts = "INF" if keep_days == 0 else f"{keep_days}d"
        _changed(server, f'ALTER RETENTION POLICY "{POLICY}" ON "{name}" DURATION {lasts} DEFAULT')
        told.append(f"retention: {server.made('', 'would be ')}{_kept(keep_days)}")
    return [*told, "InfluxQL: asks the database by its name, nothing to map"]


def _refused_name(name: str) -> bool:
    return not name or any(each in name for each in "\"'\\\r\n")


def _changed(server: Server, text: str) -> None:
    if not server.dry:
        _query(server, text)


def _query(server: Server, text: str) -> Answer:
    answer = server.ask("POST", "/query", q=text)
    results = answer.told.get("results", [{}]) if isinstance(answer.told, dict) else [{}]
    error = results[0].get("error") if results else None
    if not answer.well or error:
        raise TroubleError(f"{text}: {error or answer.why}")
    return answer


def _values(answer: Answer) -> list[list[str]]:
    return [row for each in answer.told["results"][0].get("series", []) for row in each.get("values", [])]


# --- 2.x ------------------------------------------------------------------------------------------------------------


def _of_2(server: Server, settings: InfluxSettings, bucket: str, keep_days: int | None) -> list[str]:
    org = _org(server, settings)
    ident, told = _bucket(server, bucket, org, keep_days)
    return told + _mapping(server, bucket, org, ident)


def _well(answer: Answer, doing: str) -> Any:
    if not answer.well:
        raise TroubleError(f"{doing}: {answer.why}")
    return answer.told


def _org(server: Server, settings: InfluxSettings) -> str:
    found = server.ask("GET", "/api/v2/orgs", org=settings.org)
    orgs = found.told.get("orgs", []) if found.well else []
    if not orgs and found.status in (200, 404):
        raise TroubleError(
            f"influx.org = {settings.org!r}: the server knows no such organisation, or the token may not see it"
        )
    return str(_well(found, f"organisation {settings.org}")["orgs"][0]["id"])


def _rules(keep_days: int | None) -> list[dict[str, Any]]:
    return [{"type": "expire", "everySeconds": keep_days * DAY_S}] if keep_days else []


def _bucket(server: Server, name: str, org: str, keep_days: int | None) -> tuple[str, list[str]]:
    found = server.ask("GET", "/api/v2/buckets", name=name, orgID=org)
    there = found.told.get("buckets", []) if found.well else []
    if not found.well and found.status != 404:
        _well(found, f"bucket {name}")
    if not there:
        made = _well(
            server.change("POST", "/api/v2/buckets", {"orgID": org, "name": name, "retentionRules": _rules(keep_days)}),
            f"bucket {name} cannot be made",
        )
        done = server.made("made, keeps", "would be made, and would keep")
        return str(made.get("id", "")), [f"bucket {name}: {done} data {_kept(keep_days)}"]
    bucket = there[0]
    now_s = sum(int(rule.get("everySeconds", 0)) for rule in bucket.get("retentionRules", []))
    if keep_days is not None and now_s != keep_days * DAY_S:
        body = {"retentionRules": _rules(keep_days)}
        _well(server.change("PATCH", f"/api/v2/buckets/{bucket['id']}", body), f"retention of bucket {name}")
        done = server.made("keeps", "would keep")
        return str(bucket["id"]), [f"bucket {name}: was there; {done} data {_kept(keep_days)} from now on"]
    return str(bucket["id"]), [f"bucket {name}: was there, keeps data {_kept(now_s // DAY_S)}"]


def _mapping(server: Server, name: str, org: str, bucket: str) -> list[str]:
    """InfluxQL speaks of databases: without a mapping 2.x answers no board."""
    found = _well(server.ask("GET", "/api/v2/dbrps", orgID=org, db=name), "DBRP mappings")
    for each in found.get("content", []):
        if each.get("database") == name and each.get("bucketID") == bucket:
            return [f"InfluxQL: database {name} was mapped to the bucket"]
        if each.get("database") == name and each.get("default"):
            raise TroubleError(f"InfluxQL: database {name} is mapped to another bucket: expected {bucket}")
    body = {"orgID": org, "bucketID": bucket, "database": name, "retention_policy": POLICY, "default": True}
    _well(server.change("POST", "/api/v2/dbrps", body), "DBRP mapping cannot be made")
    return [f"InfluxQL: database {name} {server.made('is', 'would be')} mapped to the bucket, policy {POLICY}"]


# --- 3 Core ---------------------------------------------------------------------------------------------------------


def _of_3(server: Server, settings: InfluxSettings, bucket: str, keep_days: int | None) -> list[str]:
    name = bucket
    body: dict[str, Any] = {"db": name}
    if keep_days:
        body["retention_period"] = f"{keep_days}d"
    there = server.dry and _is_there(server, name)
    made = Answer(409, {}) if there else server.change("POST", "/api/v3/configure/database", body)
    if made.status == 409:
        note = [] if keep_days is None else ["its retention is not changed: 3 Core sets that when a database is made"]
        return [f"database {name}: was there", *note, "InfluxQL: nothing to map"]
    _well(made, f"database {name} cannot be made")
    done = server.made("made, keeps", "would be made, and would keep")
    return [f"database {name}: {done} data {_kept(keep_days)}", "InfluxQL: nothing to map"]


def _is_there(server: Server, name: str) -> bool:
    """3 Core lists its databases as rows of one column."""
    rows = _well(server.ask("GET", "/api/v3/configure/database", format="json"), "databases")
    return any(name in row.values() for row in rows if isinstance(row, dict))
