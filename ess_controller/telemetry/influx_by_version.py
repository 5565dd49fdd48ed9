"""How a bucket, its retention and what InfluxQL needs are made in InfluxDB 1.x, 2.x and 3 Core: each speaks otherwise.

APIs: docs.influxdata.com, InfluxDB v2 API (`/api/v2/orgs`, `/buckets`, `/dbrps`), 1.8 `/query`, 3 Core
`/api/v3/configure/database`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ess_controller.errors import TroubleError
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.influx_server import Answer, Server

DAY_S = 86400
POLICY = "autogen"  # the name that 1.x gives a database's own retention policy, and that our mapping bears

# The server, the site's settings, a bucket, after how many days its data go (0: never; None: left as it is); lines that
# say what was done or found.
Maker = Callable[[Server, InfluxSettings, str, int | None], list[str]]


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


OF_MAJOR: Mapping[str, Maker] = {"1": _of_1, "2": _of_2, "3": _of_3}
