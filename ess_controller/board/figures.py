"""Numbers as people read them: kW, %, yuan, times of day; a dash for what is not known."""

from datetime import datetime, tzinfo

UNKNOWN = "–"


def number(value: float | None, digits: int = 1, sign: str = "") -> str:
    """`-12.3`, with a real minus; no minus before a zero; `sign` "+": a plus as well."""
    if value is None or value != value:  # noqa: PLR0124  NaN
        return UNKNOWN
    rounded = round(value, digits) + 0.0
    return f"{rounded:{sign if rounded else ''},.{digits}f}".replace("-", "−").replace(",", "\u202f")


def kw(w: float | None, sign: str = "") -> str:
    """W as kW, without the unit."""
    return number(None if w is None else w / 1000.0, 1, sign)


def percent(share: float | None, digits: int = 0) -> str:
    """0..1 as %."""
    return UNKNOWN if share is None else f"{number(100.0 * share, digits)} %"


def yuan(cny: float | None, sign: str = "") -> str:
    """`¥12.30`; no cents from a thousand on; `sign` "+": a plus as well."""
    if cny is None or cny != cny:  # noqa: PLR0124  NaN
        return UNKNOWN
    shown = number(abs(cny), 2 if abs(cny) < 1000.0 else 0)
    return f"{'−' if cny <= -0.005 else sign}¥{shown}"


def clock(iso: str | None, zone: tzinfo) -> str:
    """`14:05` of an ISO 8601 time, in the site's zone."""
    return UNKNOWN if not iso else f"{datetime.fromisoformat(iso).astimezone(zone):%H:%M}"


def moment(iso: str | None, zone: tzinfo) -> str:
    """`06-01 14:05:09`."""
    return UNKNOWN if not iso else f"{datetime.fromisoformat(iso).astimezone(zone):%m-%d %H:%M:%S}"


def span_of(seconds: float) -> str:
    """`2 h 05 min`, `5 min`, `40 s`: how long."""
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
