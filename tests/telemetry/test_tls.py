"""Reports go to nobody whose certificate does not hold, and the token with them."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ess_controller.telemetry.influx import Influx
from ess_controller.telemetry.settings import InfluxSettings
from tests.rig.influx import TOKEN, Front

pytestmark = pytest.mark.rig


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """One that nobody has signed but itself, for 127.0.0.1, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "own.pem"
    key = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / "key.pem"), "-out", str(path)]
    subprocess.run(["openssl", *key, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "key.pem").read_text())
    return path


@pytest.fixture
def secured(certificate: Path) -> Iterator[Front]:
    made = Front(certificate=certificate).up()
    yield made
    made.down()


def outcome(front: Front) -> tuple[int, str]:
    influx = Influx(InfluxSettings(front.url, "org", "bucket", "bucket", "bucket", "-", 1.0), TOKEN, timeout_s=5.0)
    told = influx.write(b"m x=1i 1\n")
    influx.close()
    return told.status, told.why


def test_a_certificate_that_nobody_vouches_for_is_refused_and_hears_no_token(secured: Front) -> None:
    status, why = outcome(secured)
    assert status == 0
    assert "CERTIFICATE_VERIFY_FAILED" in why
    assert secured.tokens == set()


def test_an_authority_of_one_s_own_is_trusted_where_the_environment_says_so(
    secured: Front, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert outcome(secured) == (204, "")
    assert secured.taken == [b"m x=1i 1"]
