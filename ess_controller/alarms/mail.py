"""Alarms by mail: one mail a message to all addresses, over TLS unless the site file says otherwise."""

import hashlib
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from ess_controller.alarms.channel import NO_LIMIT, Outcome, secret
from ess_controller.alarms.message import Message
from ess_controller.alarms.settings import MailSettings


def mail(settings: MailSettings, message: Message) -> EmailMessage:
    """As it is sent. News that is sent again carries the same id: mail programs show it once."""
    made = EmailMessage()
    made["Subject"] = message.title
    made["From"] = settings.sender
    made["To"] = ", ".join(settings.to)
    made["Date"] = format_datetime(message.now)
    domain = settings.sender.rpartition("@")[2]
    made["Message-ID"] = f"<{hashlib.sha256(f'{settings.name} {message.key}'.encode()).hexdigest()[:32]}@{domain}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence note answers
    made.set_content(message.text)
    return made


class Mail:
    """A channel that mails."""

    limit_bytes = NO_LIMIT

    def __init__(self, settings: MailSettings, timeout_s: float = 15.0) -> None:
        """BadInputError where the password is not in the environment."""
        self._settings, self._timeout_s = settings, timeout_s
        self._password = secret(settings.name, settings.password_env)

    def send(self, message: Message) -> Outcome:
        """Hand it to the server."""
        try:
            refused = self._send(message)
        except smtplib.SMTPResponseException as trouble:
            return Outcome(f"SMTP {trouble.smtp_code}: {_plain(trouble.smtp_error)}")
        except smtplib.SMTPRecipientsRefused as trouble:
            return Outcome(f"no address is taken: {', '.join(trouble.recipients)}")
        except smtplib.SMTPException as trouble:
            return Outcome(str(trouble)[:200] or type(trouble).__name__)
        except ssl.SSLCertVerificationError as trouble:
            return Outcome(f"certificate: {trouble.verify_message}")
        except (OSError, ValueError) as trouble:  # ValueError: a host name that is none
            return Outcome(getattr(trouble, "strerror", None) or str(trouble) or type(trouble).__name__)
        del refused  # some addresses: the others have it, and sending again would tell them twice
        return Outcome()

    def _send(self, message: Message) -> dict[str, tuple[int, bytes]]:
        given, context = self._settings, ssl.create_default_context()
        made = (
            smtplib.SMTP_SSL(given.host, given.port, timeout=self._timeout_s, context=context)
            if given.tls == "tls"
            else smtplib.SMTP(given.host, given.port, timeout=self._timeout_s)
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


def _plain(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:200]
