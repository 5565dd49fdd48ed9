"""Mails reach a mail server, over TLS where the site says so, and say in words why not."""

import email
import email.policy
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from socket import create_server
from threading import Event, Thread

import pytest

from ess_controller.alarms.channel import Outcome
from ess_controller.alarms.http_post import TOO_LATE
from ess_controller.alarms.mail import Mail
from ess_controller.clock import wall_s
from ess_controller.site.alarms import MailSettings
from tests.alarms.made import later
from tests.alarms.mail_server import MailServer
from tests.alarms.test_webhooks import message

TO = ("wang@example.com", "li@example.com")


@pytest.fixture
def server() -> Iterator[MailServer]:
    made = MailServer()
    yield made
    made.close()


def settings(server: MailServer, tls: str = "none", user: str = "") -> MailSettings:
    password_env = "ESS_TEST_MAIL" if user else ""
    login = (tls, user, password_env)
    return MailSettings("mail", "notice", 1, "127.0.0.1", server.port, *login, "ess@example.com", TO)


def read(text: str) -> EmailMessage:
    return email.message_from_string(text, policy=email.policy.default)


def test_a_mail_goes_to_all_and_a_repeat_has_the_same_id(server: MailServer) -> None:
    channel = Mail(settings(server))
    assert [channel.send(message()), channel.send(message())] == [Outcome(), Outcome()]
    (to, first), (_, again) = server.mails
    assert to == list(TO)
    assert read(first)["Subject"] == "ESS bench：新告警 2 条，恢复 0 条"
    assert "电芯过压: A1/M03/C07 [BMW-IX3-04213]: 4.213 V" in read(first).get_content()
    assert read(first)["Message-ID"] == read(again)["Message-ID"]
    channel.send(message(later(60)))
    assert read(server.mails[-1][1])["Message-ID"] != read(first)["Message-ID"]


def test_one_address_that_is_gone_keeps_it_from_nobody_else(server: MailServer) -> None:
    server.refuse = {TO[0]}
    assert Mail(settings(server)).send(message()) == Outcome()
    assert server.mails[0][0] == [TO[1]]
    server.refuse = set(TO)
    assert Mail(settings(server)).send(message()).why == f"no address is taken: {', '.join(TO)}"


def test_a_busy_server_is_asked_again(server: MailServer) -> None:
    server.busy = 1
    channel = Mail(settings(server))
    assert channel.send(message()).why == "SMTP 421: too busy"
    assert channel.send(message()).taken


def test_nobody_at_the_port(server: MailServer) -> None:
    given = replace(settings(server), port=9)
    assert Mail(given, timeout_s=1.0).send(message()).why == "Connection refused"
    given = replace(settings(server), host="no-such-host.invalid")
    assert not Mail(given, timeout_s=1.0).send(message()).taken


def test_a_server_without_starttls_gets_no_mail(server: MailServer) -> None:
    assert "STARTTLS" in Mail(settings(server, "starttls")).send(message()).why
    assert server.mails == []


@pytest.mark.rig
def test_the_password_goes_over_tls_to_whom_we_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "own.pem"
    key = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / "key.pem"), "-out", str(path)]
    subprocess.run(["openssl", *key, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "key.pem").read_text())
    server = MailServer(path, ("ess", "a password"))
    monkeypatch.setenv("ESS_TEST_MAIL", "a password")
    given = settings(server, "starttls", "ess")
    assert Mail(given).send(message()).why.startswith("certificate: ")
    assert server.logins == []
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert Mail(given).send(message()) == Outcome()
    assert server.logins == [True]
    monkeypatch.setenv("ESS_TEST_MAIL", "another")
    assert Mail(given).send(message()).why == "SMTP 535: wrong user or password"
    server.close()


def test_a_server_that_drips_is_cut_off_in_time() -> None:
    ending, held = Event(), create_server(("127.0.0.1", 0))

    def drip() -> None:
        line, _ = held.accept()
        with suppress(OSError), line:
            line.sendall(b"220-")
            while not ending.wait(0.02):  # a byte now and then: no single read takes long
                line.sendall(b"x")

    Thread(target=drip, daemon=True).start()
    given = MailSettings("m", "info", 1, "127.0.0.1", held.getsockname()[1], "none", "", "", "ess@example.com", TO)
    began_s = wall_s()
    assert Mail(given, timeout_s=0.5).send(message()).why == TOO_LATE
    assert wall_s() - began_s < 20.0
    ending.set()
    held.close()


def test_a_line_end_in_a_title_is_no_header_of_its_own(server: MailServer) -> None:
    evil = replace(message(), title="ESS\r\nBcc: everybody@example.com\n\n<b>", text="a\r\n.\r\nMAIL FROM:<x@y>\r\nend")
    assert Mail(settings(server)).send(evil) == Outcome()
    ((to, text),) = server.mails
    assert to == list(TO)
    found = read(text)
    assert found["Bcc"] is None
    assert found["Subject"] == "ESS Bcc: everybody@example.com <b>"
    assert "MAIL FROM" in found.get_content()
