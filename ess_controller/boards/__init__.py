"""Grafana boards and alert rules, written in Python and checked against the table of points.

`python -m ess_controller.boards` writes them to `sites/boards`. Queries are InfluxQL: InfluxDB 1.8, 2 (with the mapping
that `ess influx setup` makes) and 3 Core answer it.
"""
