"""The table of points as a data dictionary: for the terminal, as JSON, and as `sites/points.md`."""

from collections.abc import Iterator
from typing import Any

from ess_controller.telemetry.line_protocol import Measurement
from ess_controller.telemetry.points import EVERYTHING

SCHEMA_VERSION = 1
_BUCKETS = {"minute": "bucket_1m", "event": "bucket_long", "long": "bucket_long"}
_WHENEVER = "whenever it happens"
_HEAD = """\
What the daemon reports, made by `ess points --markdown`. Times are UTC in ms, powers positive towards the site's busbar
(discharging, generating, importing +). What is not known is left out. Cells and modules keep their series wherever they
are moved to: `module` is the code on the label. Around an alarm, `site`, `cabinet`, `string`, `module`, `decision` and
the `cell`s of the string concerned come each second, from 30 s before to 30 s after.
"""


def plain() -> dict[str, Any]:
    """For scripts."""
    return {"schema_version": SCHEMA_VERSION, "measurements": [_measurement(each) for each in EVERYTHING]}


def _measurement(each: Measurement[Any]) -> dict[str, Any]:
    return {
        "name": each.name,
        "says": each.says,
        "tags": list(each.tags),
        "every_s": each.cadence_s or None,
        "kind": each.report.words,
        "bucket": _BUCKETS.get(each.report.words, "bucket"),
        "fields": [
            {
                "name": field.name,
                "type": field.kind,
                "unit": field.unit,
                "digits": field.digits if field.kind == "float" else None,
                "says": field.says,
            }
            for field in each.fields
        ],
    }


def every(seconds: float | None) -> str:
    """A cadence in words."""
    if seconds is None:
        return _WHENEVER
    for unit, length_s in (("d", 86400.0), ("min", 60.0)):
        if seconds >= length_s:
            return f"every {seconds / length_s:g} {unit}"
    return f"every {seconds:g} s"


def markdown() -> Iterator[str]:
    """The file `sites/points.md`, line by line."""
    yield "# Points"
    yield ""
    yield from _HEAD.splitlines()
    for each in plain()["measurements"]:
        yield ""
        yield f"## {each['name']}"
        yield ""
        tags = ", ".join(f"`{tag}`" for tag in each["tags"])
        yield f"{each['says']}; {every(each['every_s'])}; tags {tags}; to `{each['bucket']}`."
        yield ""
        yield "| field | type | unit | is |"
        yield "|---|---|---|---|"
        for field in each["fields"]:
            yield f"| `{field['name']}` | {field['type']} | {field['unit']} | {field['says']} |"


def table(name: str = "") -> Iterator[str]:
    """For the terminal; `name`: only that measurement."""
    for each in plain()["measurements"]:
        if name in ("", each["name"]):
            yield f"{each['name']}: {each['says']}; {every(each['every_s'])}; by {', '.join(each['tags'])}"
            for field in each["fields"]:
                yield f"  {field['name']:<28}{field['type']:<7}{field['unit']:<9}{field['says']}"
