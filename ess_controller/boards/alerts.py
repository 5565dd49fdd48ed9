"""Alert rules for Grafana: above all that a site has fallen silent, which no daemon can report of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FOLDER, EVERY = "ESS", "1m"
RAW_UID, LONG_UID = "ess-influxdb", "ess-influxdb-long"  # of `sites/deploy/grafana/datasources`


@dataclass(frozen=True, slots=True)
class Alert:
    """A query whose newest value of each series is held against a bound."""

    uid: str
    title: str
    query: str  # InfluxQL, with $timeFilter
    above: float
    holds: str  # for so long
    severity: str
    says: str
    back_s: int = 900
    silent: str = "OK"  # what no data mean: OK, or Alerting
    source_uid: str = RAW_UID


ALERTS: Sequence[Alert] = (
    Alert(
        "ess-silent",
        "A site has fallen silent",
        'SELECT count("grid_w") FROM "site" WHERE $timeFilter GROUP BY time(1m), "site" fill(0)',
        -1.0,  # never by its value: no data at all, or a series that has gone, is what counts
        "5m",
        "critical",
        "Nothing has come from the site for five minutes: its daemon, its network or the database.",
        silent="Alerting",
    ),
    Alert(
        "ess-stop",
        "A string has stopped with a fault",
        'SELECT count("text") FROM "event" WHERE ("level" = \'stop\' OR "level" = \'error\') AND $timeFilter'
        ' GROUP BY time(1m), "site", "cabinet", "string" fill(0)',
        0.0,
        "0s",
        "critical",
        "See the board Why limited and `ess status`.",
        source_uid=LONG_UID,
    ),
    Alert(
        "ess-hot",
        "A module is hotter than 50 C",
        'SELECT max("c_max") FROM "module" WHERE $timeFilter GROUP BY time(1m), "site", "string", "module" fill(none)',
        50.0,
        "2m",
        "critical",
        "Cooling, a loose connection, or a module that fails.",
    ),
    Alert(
        "ess-waiting",
        "Reports pile up in an outbox",
        'SELECT max("outbox_bytes") FROM "daemon" WHERE $timeFilter GROUP BY time(1m), "site" fill(none)',
        50e6,
        "30m",
        "warning",
        "The site's way to the database is slow or was cut; nothing is lost yet.",
    ),
    Alert(
        "ess-lost",
        "Reports were lost",
        'SELECT non_negative_difference(max("lines_dropped")) FROM "daemon" WHERE $timeFilter'
        ' GROUP BY time(1m), "site" fill(none)',
        0.0,
        "0s",
        "warning",
        "The outbox was over its budget or the disk was full; the oldest went.",
    ),
    Alert(
        "ess-late",
        "Beats come late",
        'SELECT non_negative_difference(max("late_beats")) FROM "daemon" WHERE $timeFilter'
        ' GROUP BY time(1m), "site" fill(none)',
        5.0,
        "10m",
        "warning",
        "The controller's computer is too busy.",
    ),
)


def provisioned(alerts: Sequence[Alert] = ALERTS) -> dict[str, Any]:
    """The file that Grafana reads at its start (provisioning/alerting)."""
    rules = [_rule(each) for each in alerts]
    return {
        "apiVersion": 1,
        "groups": [{"orgId": 1, "name": "ess", "folder": FOLDER, "interval": EVERY, "rules": rules}],
    }


def _rule(alert: Alert) -> dict[str, Any]:
    asked = {
        "refId": "A",
        "relativeTimeRange": {"from": alert.back_s, "to": 0},
        "datasourceUid": alert.source_uid,
        "model": {"refId": "A", "query": alert.query, "rawQuery": True, "resultFormat": "time_series"},
    }
    newest = _expression("B", {"type": "reduce", "reducer": "last", "expression": "A"})
    bound = {"evaluator": {"type": "gt" if alert.above >= 0.0 else "lt", "params": [alert.above]}}
    beyond = _expression("C", {"type": "threshold", "expression": "B", "conditions": [bound]})
    return {
        "uid": alert.uid,
        "title": alert.title,
        "condition": "C",
        "data": [asked, newest, beyond],
        "noDataState": alert.silent,
        "execErrState": "Error",
        "for": alert.holds,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.says},
    }


def _expression(ref: str, model: dict[str, Any]) -> dict[str, Any]:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": "__expr__",
        "model": {"refId": ref, **model},
    }
