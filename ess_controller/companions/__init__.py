"""Processes beside the daemon (planner, alarm watch, uploader): started, missed when they hang, replaced, ended."""
