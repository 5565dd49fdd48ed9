"""Alarms by mail: one mail a message to all addresses, over TLS unless the site file says otherwise."""

import hashlib
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from ess_controller.alarms.channel import NO_LIMIT, Outcome, secret
from ess_controller.alarms.http_post import TOO_LATE, cut_off
from ess_controller.alarms.message import Message
from ess_controller.site.alarms import MailSettings


def mail(settings: MailSettings, message: Message) -> EmailMessage:
    """As it is sent. News that is sent again carries the same id: mail programs show it once."""
    made = EmailMessage()
    made["Subject"] = " ".join(message.title.split())  # a line end would be another header
    made["From"] = settings.sender
    made["To"] = ", ".join(settings.to)
    made["Date"] = format_datetime(message.now)
    domain = settings.sender.rpartition("@")[2]
    made["Message-ID"] = f"<{hashlib.sha256(f'{settings.name} {message.key}'.encode()).hexdigest()[:32]}@{domain}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence note answers
    made.set_content(message.text)
    return made


class _Plain(smtplib.SMTP):
    """Says who it is before it connects: so that it can be cut while it waits for a greeting."""

    def __init__(self, line: list[smtplib.SMTP], *given: Any, **named: Any) -> None:
        line.append(self)
        super().__init__(*given, **named)


class _Tls(smtplib.SMTP_SSL):
    """The same over TLS."""

    def __init__(self, line: list[smtplib.SMTP], *given: Any, **named: Any) -> None:
        line.append(self)
        super().__init__(*given, **named)


class Mail:
    """A channel that mails."""

    limit_bytes = NO_LIMIT

    def __init__(self, settings: MailSettings, timeout_s: float = 15.0) -> None:
        """BadInputError where the password is not in the environment."""
        self._settings, self._timeout_s = settings, timeout_s
        self._password = secret(settings.name, settings.password_env)

    def send(self, message: Message) -> Outcome:
        """Hand it to the server."""
        line: list[smtplib.SMTP] = []
        late, timer = cut_off(lambda: line[0].sock if line else None, self._timeout_s)
        try:
            refused = self._send(message, line)
        except (OSError, smtplib.SMTPException, ValueError) as trouble:
            return Outcome(TOO_LATE if late.is_set() else _why(trouble))
        finally:
            timer.cancel()
        del refused  # some addresses: the others have it, and sending again would tell them twice
        return Outcome()

    def _send(self, message: Message, line: list[smtplib.SMTP]) -> dict[str, tuple[int, bytes]]:
        """`line` gets the connection as soon as there is one."""
        given, context = self._settings, ssl.create_default_context()
        made = (
            _Tls(line, given.host, given.port, timeout=self._timeout_s, context=context)
            if given.tls == "tls"
            else _Plain(line, given.host, given.port, timeout=self._timeout_s)
        )
        with made as server:
            if given.tls == "starttls":
                server.starttls(context=context)
            if given.user:
                server.login(given.user, self._password)
            return server.send_message(mail(given, message))

    def show(self, alarms: Sequence[Mapping[str, Any]]) -> None:
        """Mail shows no state."""

    def close(self) -> None:
        """Nothing is held."""


def _why(trouble: Exception) -> str:
    match trouble:
        case smtplib.SMTPResponseException():
            return f"SMTP {trouble.smtp_code}: {_plain(trouble.smtp_error)}"
        case smtplib.SMTPRecipientsRefused():
            return f"no address is taken: {', '.join(trouble.recipients)}"
        case smtplib.SMTPException():
            return _plain(str(trouble)) or type(trouble).__name__
        case ssl.SSLCertVerificationError():
            return f"certificate: {trouble.verify_message}"
        case _:  # ValueError: a host name that is none
            return getattr(trouble, "strerror", None) or str(trouble) or type(trouble).__name__


def _plain(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:200]
