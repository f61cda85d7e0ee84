"""Mails over SMTP (RFC 5321): what a message looks like, and handing it to the server. Nothing of it is logged here."""

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import localtime, make_msgid

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


def make_message(settings: SmtpSettings, address: str, subject: str, body: str) -> EmailMessage:
    """A mail that no answering machine is to answer (RFC 3834)."""
    message = EmailMessage()
    message["From"] = settings.sender
    message["To"] = address
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    message["Date"] = localtime()
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    return message


def submit(settings: SmtpSettings, message: EmailMessage) -> None:
    """Hand a mail to the server; OSError or smtplib.SMTPException where it is not taken, or is not who it says."""
    # smtplib believes any certificate unless it is given a context.
    context, where = ssl.create_default_context(), (settings.host, settings.port)
    if settings.security == "tls":
        connected: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=_TIMEOUT_S, context=context)
    else:
        connected = smtplib.SMTP(*where, timeout=_TIMEOUT_S)
    with connected as server:
        if settings.security == "starttls":
            server.starttls(context=context)
        if settings.username and settings.password:
            server.login(settings.username, settings.password)
        server.send_message(message)
