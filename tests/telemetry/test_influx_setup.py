"""`ess influx setup`: a bucket, its retention, the mapping of InfluxQL; done once, said plainly, nothing overturned."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ess_controller.errors import TroubleError
from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.influx_by_version import DAY_S
from ess_controller.telemetry.influx_setup import Keep, setup
from tests.rig.influx import MISSING, free_port, influxd
from tests.rig.influx_v2 import TOKEN, Standing, standing


def settings(url: str, org: str = "dealers", bucket: str = "ess") -> InfluxSettings:
    return InfluxSettings(url, org, bucket, bucket, bucket, "ESS_INFLUX_TOKEN", 500.0)


@pytest.fixture
def two() -> Iterator[Standing]:
    with standing() as stand:
        yield stand


def test_bucket_and_mapping_are_made_once(two: Standing) -> None:
    told = setup(settings(two.url), TOKEN, Keep(30))
    assert "bucket ess: made, keeps data 30 days" in told
    assert "InfluxQL: database ess is mapped to the bucket, policy autogen" in told
    assert two.buckets[0]["retentionRules"] == [{"type": "expire", "everySeconds": 30 * DAY_S}]
    assert two.dbrps[0]["bucketID"] == two.buckets[0]["id"]
    again = setup(settings(two.url), TOKEN, Keep())
    assert "bucket ess: was there, keeps data 30 days" in again
    assert "InfluxQL: database ess was mapped to the bucket" in again
    assert len(two.buckets) == len(two.dbrps) == 1


def test_each_bucket_keeps_for_its_own_time_and_a_shared_one_for_the_longest(two: Standing) -> None:
    three = replace(settings(two.url), bucket_1m="ess_1m", bucket_long="ess_long")
    setup(three, TOKEN, Keep(30, 400, 0))
    kept = {each["name"]: [rule["everySeconds"] // DAY_S for rule in each["retentionRules"]] for each in two.buckets}
    assert kept == {"ess": [30], "ess_1m": [400], "ess_long": []}
    assert {each["database"] for each in two.dbrps} == set(kept)
    assert Keep(30, 400, 0).of_buckets(settings(two.url)) == {"ess": 0}
    assert Keep(30, 400).of_buckets(settings(two.url)) == {"ess": 400}


def test_a_retention_that_is_asked_for_is_changed_and_said(two: Standing) -> None:
    setup(settings(two.url), TOKEN, Keep(0))
    assert two.buckets[0]["retentionRules"] == []
    assert "bucket ess: was there; keeps data 90 days from now on" in setup(settings(two.url), TOKEN, Keep(90))
    assert two.buckets[0]["retentionRules"][0]["everySeconds"] == 90 * DAY_S


def test_a_dry_run_says_what_it_would_do_and_does_none_of_it(two: Standing) -> None:
    told = setup(settings(two.url), TOKEN, Keep(30), dry=True)
    assert "bucket ess: would be made, and would keep data 30 days" in told
    assert "InfluxQL: database ess would be mapped to the bucket, policy autogen" in told
    assert (two.buckets, two.dbrps) == ([], [])
    setup(settings(two.url), TOKEN, Keep(30))
    told = setup(settings(two.url), TOKEN, Keep(90), dry=True)
    assert "bucket ess: was there; would keep data 90 days from now on" in told
    assert "InfluxQL: database ess was mapped to the bucket" in told
    assert two.buckets[0]["retentionRules"][0]["everySeconds"] == 30 * DAY_S


def test_a_dry_run_asks_three_core_which_databases_it_has() -> None:
    with standing(version="3.1.0") as three:
        told = setup(settings(three.url), TOKEN, Keep(400), dry=True)
        assert "database ess: would be made, and would keep data 400 days" in told
        assert three.databases == []
        setup(settings(three.url), TOKEN, Keep(400))
        assert "database ess: was there" in setup(settings(three.url), TOKEN, Keep(400), dry=True)


def test_a_database_that_is_mapped_elsewhere_is_left(two: Standing) -> None:
    two.dbrps.append({"database": "ess", "bucketID": "another", "default": True})
    with pytest.raises(TroubleError, match="mapped to another bucket"):
        setup(settings(two.url), TOKEN, Keep())
    assert len(two.dbrps) == 1


def test_an_unknown_organisation_and_a_wrong_token_are_told_without_the_token(two: Standing) -> None:
    with pytest.raises(TroubleError, match=r"influx.org = 'nobody'"):
        setup(settings(two.url, org="nobody"), TOKEN, Keep())
    with pytest.raises(TroubleError, match="unauthorized access") as told:
        setup(settings(two.url), "secret-of-mine", Keep())
    assert "secret-of-mine" not in str(told.value)


def test_three_core_makes_a_database_and_needs_no_mapping() -> None:
    with standing(version="3.1.0") as three:
        told = setup(settings(three.url), TOKEN, Keep(400))
        assert three.databases == [{"db": "ess", "retention_period": "400d"}]
        assert told[0].endswith("InfluxDB 3.1.0")
        assert "InfluxQL: nothing to map" in told
        assert "database ess: was there" in setup(settings(three.url), TOKEN, Keep(400))


@pytest.mark.skipif(shutil.which("influxd") is None, reason=MISSING)
def test_a_real_influxd_of_1_6_gets_its_database(tmp_path: Path) -> None:
    with influxd(tmp_path) as server:
        where = settings(f"http://127.0.0.1:{server.port}")
        assert "database ess: would be made" in setup(where, TOKEN, Keep(14), dry=True)
        assert "database ess: made" in setup(where, TOKEN, Keep(14))
        assert "retention: would be 90 days" in setup(where, TOKEN, Keep(90), dry=True)
        kept = server.query("ess", "SHOW RETENTION POLICIES")
        assert [(each["name"], each["duration"], each["default"]) for each in kept] == [("autogen", "336h0m0s", True)]
        assert "database ess: was there" in setup(where, TOKEN, Keep())
        with pytest.raises(TroubleError, match="expected a name without quotes"):
            setup(settings(where.url, bucket='e"; DROP DATABASE "ess'), TOKEN, Keep())


def test_nobody_and_somebody_else_are_told(two: Standing) -> None:
    with pytest.raises(TroubleError, match="nobody answers"):
        setup(settings(f"http://127.0.0.1:{free_port()}"), TOKEN, Keep())
    with standing(version="") as other, pytest.raises(TroubleError, match="no InfluxDB"):
        setup(settings(other.url), TOKEN, Keep())
