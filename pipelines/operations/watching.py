"""Watching: what is overdue beside the runs, days left of secrets and tokens, and telling somebody of a breach once."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from connectors.alerts import AlertSettings, send_alert
from connectors.mail import SmtpSettings
from connectors.store import watching as store
from connectors.store.data_requests import count_overdue
from connectors.store.pending import unmailed_since
from connectors.store.server import logging_faults
from pipelines.operations.disclosing import to_tell
from pipelines.operations.sessions import Session
from pipelines.settings import Settings
from schemas.policy import Policy

DELETION_DUE = FINANCE_DUE = timedelta(days=2)
MAIL_DUE = timedelta(hours=1)
DAYS_LEFT = 21
# Courses and events that an alarm names.
NAMED = 5
# The CRM's change tracking forgets after seven days, unless its administrator has lengthened it.
TOKEN_DAYS, TOKEN_LEFT = 7, 2


def read_watch(session: Session) -> dict[str, Any]:
    """Overdue deletions, links not mailed, requests of data subjects, ended logins, by name the days left of what expires;
    `log_faults`: how the database server's own log would hold people's data; `finance_since`: since when finance has not
    taken all that was landed for it, None where that is not overdue; `to_tell`: by recipient of how many changes they are
    yet to be told.
    """
    feeds = [mapping.feed for mapping in session.workspace.mappings.values() if mapping.finance]
    with session.transaction() as conn:
        facts = store.read_overdue(conn, due=session.now - DELETION_DUE, today=session.now)
        requests = count_overdue(conn, now=session.now)
        unmailed = unmailed_since(conn, due=session.now - MAIL_DUE, now=session.now)
        taken_at = store.last_taken_at(conn, feeds)
    return {
        **facts,
        "unmailed_confirmations": unmailed,
        "requests": requests,
        "finance_since": taken_at if taken_at and session.now - taken_at > FINANCE_DUE else None,
        "to_tell": dict(sorted(Counter(row["recipient"] for row in to_tell(session)).items())),
        "log_faults": logging_faults(session.workspace.address),
        "days_left": days_left(session.workspace.settings, facts["change_tokens"], session.now),
    }


def days_left(settings: Settings, tokens: list[dict[str, Any]], now: datetime) -> dict[str, float]:
    """Days until the secret and the certificate of the CRM's application user and its oldest change token expire."""
    left: dict[str, float] = {}
    if settings.dataverse_secret_expires_on is not None:
        left["secret"] = float((settings.dataverse_secret_expires_on - now.date()).days)
    if settings.dataverse_certificate_path is not None:
        left["certificate"] = (_expires_at(settings.dataverse_certificate_path) - now) / timedelta(days=1)
    if tokens:
        oldest = min(token["moved_at"] for token in tokens)
        left["change_token"] = (oldest + timedelta(days=TOKEN_DAYS) - now) / timedelta(days=1)
    return left


def watch_alarms(facts: dict[str, Any]) -> Iterator[str]:
    """Sentences for what is overdue or about to expire."""
    for what, found in facts["overdue_deletions"].items():
        if found["rows"] and what == "retention":
            yield f"Retention has not run since {found['oldest_at']:%Y-%m-%d}: `crm-intake privacy retention`."
        elif found["rows"] and what == "erasures":
            yield (
                f"{found['rows']} rows of erased people have been left in the CRM since {found['oldest_at']:%Y-%m-%d}:"
                " `crm-intake privacy erase --finish`."
            )
        elif found["rows"]:
            yield f"{found['rows']} {_WHAT[what]} since {found['oldest_at']:%Y-%m-%d}: run `crm-intake run`, and see retention."
    if undated := facts["undated_occasions"]["rows"]:
        yield (
            f"{undated} courses or events tell no date: they are in no statistics, and what is of them goes by the day of each"
            " registration. Give their start or end in the source."
        )
    if unmailed := facts["unmailed_confirmations"]["rows"]:
        yield (
            f"{unmailed} sign-ups wait for the mail with their link, the first since"
            f" {facts['unmailed_confirmations']['oldest_at']:%Y-%m-%d}, and are forgotten in the end: see that"
            " `crm-intake preferences serve` runs, that INTAKE_SMTP_* are right, and what its log says."
        )
    if again := facts["occasions_used_again"]:
        ids = sorted({one["occasion_id"] for one in again})
        yield (
            f"{len(again)} courses or events were over and then told again for a later day"
            f" ({', '.join(ids[:NAMED])}{', …' if len(ids) > NAMED else ''}): what is of those who registered before stays until"
            " that is over, too, and no list that is disclosed has them. Give each its own id in the source, as of its name and"
            " its day; of one that was only postponed, disclose with --postponed."
        )
    if late := facts["requests"]["overdue"]:
        yield f"{late} requests of data subjects are past their month (GDPR 12(3)): `crm-intake privacy requests list`."
    if since := facts["finance_since"]:
        yield (
            f"Finance has not taken all that was landed for it since {since:%Y-%m-%d}, and what it does not take goes from the"
            " landing for good: run `crm-intake finance take`, and mend what it says."
        )
    for recipient, changes in facts["to_tell"].items():
        yield (
            f"Recipient {recipient} is to be told of {changes} changes in what was disclosed to it (GDPR Art. 19):"
            " `crm-intake privacy disclosures --to-tell`."
        )
    for name, days in facts["days_left"].items():
        if days < (TOKEN_LEFT if name == "change_token" else DAYS_LEFT):
            yield f"The {_NAMES[name]} has {max(days, 0):.0f} days left: {_REMEDIES[name]}"
    for login in facts["ended_access"]:
        user = login["user_name"]
        yield f"The access of {user} ended on {login['ends_on']}: `crm-intake access revoke {user} --by NAME`."
    for fault in facts["log_faults"]:
        yield told_of_log(fault)


def told_of_log(fault: str) -> str:
    """The sentence for one fault of the server's log (connectors.store.server.logging_faults)."""
    return f"The log of the database's server can hold people's data: {fault} (docs/deploy.md)."


_WHAT = {
    "landing": "landed batches have been overdue for deletion",
    "purposes": "addresses have ended purposes that the CRM still shows, the oldest",
}
_NAMES = {"secret": "CRM's secret", "certificate": "CRM's certificate", "change_token": "CRM's change token"}
_REMEDIES = {
    "secret": "make a new one, and set INTAKE_DATAVERSE_CLIENT_SECRET and _SECRET_EXPIRES_ON.",
    "certificate": "renew it at INTAKE_DATAVERSE_CERTIFICATE_PATH and in the application user.",
    "change_token": "run `crm-intake run`, or all rows are compared at the next one.",
}


def tell_breaches(session: Session, alarms: list[str]) -> list[str]:
    """Tell whom the settings name of every breach that is new, once while it lasts; the sentences that were told.

    SourceUnavailable where nobody could be told: the breach stays new. Nothing is told, or noted, where nobody is named.
    """
    settings = alert_settings(session.workspace.settings, session.workspace.policy)
    if not settings.is_set:
        return []
    with session.transaction() as conn:
        new = store.untold(conn, {breach_of(alarm): alarm for alarm in alarms})
    if new:
        send_alert(settings, list(new.values()))
        with session.transaction() as conn:
            store.mark_told(conn, new)
    return list(new.values())


def breach_of(alarm: str) -> str:
    """The breach that a sentence tells of, whatever its numbers are today."""
    # Digits of a name, as of a feed or a login, are not numbers.
    return re.sub(r"(?<!\w)[0-9][0-9.,:-]*(?!\w)", "#", alarm)


def alert_settings(settings: Settings, policy: Policy) -> AlertSettings:
    """Whom the settings name."""
    secret = settings.alert_webhook_secret.get_secret_value().encode() if settings.alert_webhook_secret else None
    return AlertSettings(settings.alert_mail_to, smtp_of(settings, policy), settings.alert_webhook_url, secret)


def smtp_of(settings: Settings, policy: Policy) -> SmtpSettings | None:
    """The mail server that the settings name; None where none is."""
    if settings.smtp_host is None:
        return None
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    sender = settings.smtp_sender or policy.organisation.contact
    return SmtpSettings(
        settings.smtp_host, settings.smtp_port, sender, settings.smtp_security, settings.smtp_username, password
    )


def _expires_at(path: Path) -> datetime:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc.astimezone(UTC)
