"""Reports go to nobody whose certificate does not hold, and the token with them."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from ess_controller.site.influx import InfluxSettings
from ess_controller.telemetry.batch import Batch
from ess_controller.telemetry.influx import Influx
from ess_controller.telemetry.store import Store
from ess_controller.telemetry.upload import Uploader
from tests.rig.influx import TOKEN, Front

pytestmark = pytest.mark.rig


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """One that nobody has signed but itself, for 127.0.0.1, with its key."""
    return made(tmp_path, "2")


def made(tmp_path: Path, days: str) -> Path:
    """A certificate that holds so many days from now; -1: it has expired."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path, key, request, names = (tmp_path / name for name in ("own.pem", "key.pem", "own.csr", "names"))
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    asked: list[str | Path] = [
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=127.0.0.1",
        "-keyout",
        key,
        "-out",
        request,
    ]
    signed: list[str | Path] = [
        "x509",
        "-req",
        "-in",
        request,
        "-signkey",
        key,
        "-days",
        days,
        "-extfile",
        names,
        "-out",
        path,
    ]
    for arguments in (asked, signed):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
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


def test_a_certificate_that_has_expired_is_refused_and_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expired = made(tmp_path, "-1")
    monkeypatch.setenv("SSL_CERT_FILE", str(expired))
    front = Front(certificate=expired).up()
    store = Store(tmp_path / "o.db")
    store.put([Batch.of(b"m x=1i 1\n")])
    influx = Influx(InfluxSettings(front.url, "org", "bucket", "bucket", "bucket", "-", 1.0), TOKEN, timeout_s=5.0)
    uploader = Uploader(store, influx.write, front.url, Random(1))
    uploader.step()
    uploader.step()
    assert "certificate has expired" in store.depth().trouble
    assert "certificate has expired" in caplog.text
    assert front.tokens == set()
    store.close()
    influx.close()
    front.down()
