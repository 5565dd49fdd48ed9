"""A power station's table in place of a campaign's sun."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.planning.station import DAY, station_year

HEAD = "time,irradiance,power_mw"
MARCH_1 = 60  # of a leap year


def table(path: Path, days: int = 365, head: str = HEAD) -> Path:
    """At noon so many MW as days of its year have begun; and what comes after the year."""
    begin, rows = datetime(2019, 1, 1), [head]  # noqa: DTZ001  the station's own time
    for quarter in range(days * DAY + 4):
        at = begin + timedelta(minutes=15 * quarter)
        power = 1 + quarter // DAY if quarter % DAY == DAY // 2 else 0
        rows.append(f"{at},{1000 - quarter % 7},{power}")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_each_day_stands_for_the_same_day_of_the_loads_year(tmp_path: Path) -> None:
    noon = station_year(table(tmp_path / "sun.csv"), 500.0).reshape(-1, DAY)[:, DAY // 2] * 500.0
    assert noon[0] == pytest.approx(1.0)
    assert noon[MARCH_1 - 2 : MARCH_1 + 1] == pytest.approx([59.0, 59.0, 60.0])  # 28 and 29 February, 1 March
    assert noon[-1] == pytest.approx(365.0)


def test_what_is_missing_or_strange_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "sun.csv"
    with pytest.raises(ValueError, match=r"time, irradiance, p: expected one whose name begins with power"):
        station_year(table(path, head="time,irradiance,p"), 1.0)
    with pytest.raises(ValueError, match=r"% of 2019 missing"):
        station_year(table(path, days=300), 1.0)
    path.write_text(f"{HEAD}\n2019-01-01 00:00:00,1\n")
    with pytest.raises(ValueError, match=r"line 2: expected a time and a power"):
        station_year(path, 1.0)
