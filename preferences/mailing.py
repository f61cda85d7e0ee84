"""Mails with one-time links, over SMTP (RFC 5321), sent apart from the request that asked for them.

Whoever asks gets the same answer at the same speed, whether a mail goes out or not. A mail that could not be sent is
counted, and its link expires unused.
"""

import logging
import smtplib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import localtime, make_msgid

from pipelines.operations.workspace import Workspace
from schemas.errors import IntakeError

LOG = logging.getLogger(__name__)
_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The mail server; `security` is `starttls`, `tls` or `none` (a relay on the same machine)."""

    host: str
    port: int
    sender: str
    security: str = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class Mailer:
    """Sends mails in the background; `close` waits for those on their way."""

    def __init__(self, settings: SmtpSettings | None) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="mail")

    def send(self, address: str, subject: str, body: str) -> None:
        """Send a mail soon; the address is in no log."""
        self._pool.submit(self._deliver, address, subject, body)

    def run(self, work: Callable[[], None]) -> None:
        """Do something in the background that ends in a mail, or in none."""
        self._pool.submit(_quietly, work)

    def close(self) -> None:
        """Wait for the mails on their way."""
        self._pool.shutdown(wait=True)

    def _deliver(self, address: str, subject: str, body: str) -> None:
        if self._settings is None:
            LOG.error("No mail server is set: INTAKE_SMTP_HOST. A one-time link was not sent.")
            return
        try:
            _submit(self._settings, _message(self._settings, address, subject, body))
        except (OSError, smtplib.SMTPException) as refused:
            LOG.error("A one-time link could not be mailed: %s.", type(refused).__name__)


def _quietly(work: Callable[[], None]) -> None:
    try:
        work()
    except IntakeError as error:
        LOG.error("A one-time link could not be made: %s.", type(error).__name__)


def smtp_settings(workspace: Workspace) -> SmtpSettings | None:
    """The mail server that the settings name; None where none is."""
    settings = workspace.settings
    if settings.smtp_host is None:
        return None
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    sender = settings.smtp_sender or workspace.policy.organisation.contact
    return SmtpSettings(
        settings.smtp_host, settings.smtp_port, sender, settings.smtp_security, settings.smtp_username, password
    )


def _message(settings: SmtpSettings, address: str, subject: str, body: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = settings.sender
    message["To"] = address
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    message["Date"] = localtime()
    # RFC 3834: no answering machine is to answer.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    return message


def _submit(settings: SmtpSettings, message: EmailMessage) -> None:
    kind = smtplib.SMTP_SSL if settings.security == "tls" else smtplib.SMTP
    with kind(settings.host, settings.port, timeout=_TIMEOUT_S) as server:
        if settings.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if settings.username and settings.password:
            server.login(settings.username, settings.password)
        server.send_message(message)
