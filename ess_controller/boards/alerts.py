"""Alert rules for Grafana: above all that a site has fallen silent, which no daemon can report of itself.

Grafana looks once a minute. What comes and goes within one is counted over all of the time that is asked for, for the
minute that is under way holds little of it. A series that is in no answer any more counts as well ("Stale alert
instances", grafana.com/docs), so that silence is asked for as a count of 0, over a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FOLDER, EVERY = "ESS", "1m"
RAW_UID, LONG_UID = "ess-influxdb", "ess-influxdb-long"  # of `sites/deploy/grafana/datasources`


@dataclass(frozen=True, slots=True)
class Alert:
    """A query of whose values, series by series, one number is held against a bound."""

    uid: str
    title: str
    query: str  # InfluxQL, with $timeFilter
    of: str  # their last, their mean, their sum
    beyond: tuple[str, float]  # gt: above; lt: below
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
        'SELECT count("late_beats") FROM "daemon" WHERE $timeFilter GROUP BY time(5m), "site" fill(0)',
        "last",
        ("lt", 1.0),
        "5m",  # the five minutes that are under way may have nothing yet
        "critical",
        "Nothing has come from the site for five to ten minutes: its daemon, its network or the database. Told for a"
        " day.",
        back_s=86400,
        silent="Alerting",
    ),
    Alert(
        "ess-stop",
        "A string has stopped with a fault",
        'SELECT count("text") FROM "event" WHERE ("level" = \'stop\' OR "level" = \'error\') AND $timeFilter'
        ' GROUP BY time(1m), "site", "cabinet", "string" fill(0)',
        "sum",
        ("gt", 0.0),
        "0s",
        "critical",
        "See the board Why limited and `ess status`.",
        source_uid=LONG_UID,
    ),
    Alert(
        "ess-hot",
        "A module is hotter than 50 C",
        'SELECT max("c_max") FROM "module" WHERE $timeFilter GROUP BY time(1m), "site", "string", "module" fill(none)',
        "last",
        ("gt", 50.0),
        "2m",
        "critical",
        "Cooling, a loose connection, or a module that fails.",
    ),
    Alert(
        "ess-waiting",
        "Reports pile up in an outbox",
        'SELECT max("outbox_bytes") FROM "daemon" WHERE $timeFilter GROUP BY time(1m), "site" fill(none)',
        "last",
        ("gt", 50e6),
        "30m",
        "warning",
        "The site's way to the database is slow or was cut; nothing is lost yet.",
    ),
    Alert(
        "ess-lost",
        "Reports were lost",
        'SELECT non_negative_difference(max("lines_dropped")) FROM "daemon" WHERE $timeFilter'
        ' GROUP BY time(1m), "site" fill(none)',
        "sum",
        ("gt", 0.0),
        "0s",
        "warning",
        "The outbox was over its budget or the disk was full; the oldest went.",
    ),
    Alert(
        "ess-late",
        "Beats come late",
        'SELECT non_negative_difference(max("late_beats")) FROM "daemon" WHERE $timeFilter'
        ' GROUP BY time(1m), "site" fill(none)',
        "mean",
        ("gt", 5.0),
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
    reduced = _expression("B", {"type": "reduce", "reducer": alert.of, "expression": "A"})
    bound = {"evaluator": {"type": alert.beyond[0], "params": [alert.beyond[1]]}}
    beyond = _expression("C", {"type": "threshold", "expression": "B", "conditions": [bound]})
    return {
        "uid": alert.uid,
        "title": alert.title,
        "condition": "C",
        "data": [asked, reduced, beyond],
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
