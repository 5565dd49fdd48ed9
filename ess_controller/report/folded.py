"""What came again and again in one place, as one line with its number: so that what came once is seen among it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ess_controller.report.ledger import Event

MOST = 5  # comings of one event in one place that are told one by one


def folded(events: Sequence[Event]) -> tuple[list[Event], list[dict[str, Any]]]:
    """Those that are told one by one, in their order; and the others as JSON, the most frequent first: level and text
    of the last coming, the state at the end, `times` that it came, `first_utc` and `last_utc` of all told of it."""
    by_key: dict[tuple[str, str], list[Event]] = {}
    for each in events:
        by_key.setdefault((each.place, each.what), []).append(each)
    often = {key: own for key, own in by_key.items() if _times(own) > MOST}
    told = [
        asdict(_last_coming(own))
        | {"state": own[-1].state, "times": _times(own), "first_utc": own[0].utc, "last_utc": own[-1].utc}
        for own in often.values()
    ]
    for row in told:
        del row["utc"]
    rare = [each for each in events if (each.place, each.what) not in often]
    return rare, sorted(told, key=lambda row: (-row["times"], row["first_utc"]))


def _times(events: Sequence[Event]) -> int:
    return sum(each.state != "over" for each in events)


def _last_coming(events: Sequence[Event]) -> Event:
    """With its level, and what is to be done about it."""
    return next(each for each in reversed(events) if each.state != "over")
