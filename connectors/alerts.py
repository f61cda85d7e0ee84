"""Alerts to people who watch: a mail, a webhook, or both. An alert holds sentences of `status`, and nobody's data."""

import hashlib
import hmac
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
import requests

from connectors.mail import SmtpSettings, make_message, submit
from schemas.errors import SourceUnavailable

_TIMEOUT_S = 20
SUBJECT = "crm-intake: something is overdue"


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """To whom: a mail address by a server, a URL that takes JSON (signed by `secret`, if there is one), or both."""

    mail_to: str | None = None
    smtp: SmtpSettings | None = None
    webhook_url: str | None = None
    webhook_secret: bytes | None = field(default=None, repr=False)

    @property
    def is_set(self) -> bool:
        """Whether anybody is to be told."""
        return bool((self.mail_to and self.smtp) or self.webhook_url)


def send_alert(settings: AlertSettings, sentences: Sequence[str]) -> None:
    """Tell of breaches. SourceUnavailable where a way did not take it: it is told again at the next look."""
    if settings.mail_to and settings.smtp:
        body = "\n\n".join([*sentences, "See `crm-intake status`."])
        try:
            submit(settings.smtp, make_message(settings.smtp, settings.mail_to, SUBJECT, body))
        except (OSError, smtplib.SMTPException) as refused:
            raise SourceUnavailable(
                f"The alert could not be mailed ({type(refused).__name__}): see INTAKE_SMTP_*."
            ) from None
    if settings.webhook_url:
        _post(settings.webhook_url, settings.webhook_secret, sentences)


def _post(url: str, secret: bytes | None, sentences: Sequence[str]) -> None:
    body = orjson.dumps({"text": "\n".join(sentences), "alarms": list(sentences)})
    headers = {"Content-Type": "application/json"}
    if secret is not None:
        headers["X-Signature-SHA256"] = hmac.new(secret, body, hashlib.sha256).hexdigest()
    try:
        answer = requests.post(url, data=body, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as refused:
        raise SourceUnavailable(f"The alert's webhook did not answer ({type(refused).__name__}).") from None
    if not 200 <= answer.status_code < 300:
        raise SourceUnavailable(f"The alert's webhook answered {answer.status_code}: see INTAKE_ALERT_WEBHOOK_URL.")
