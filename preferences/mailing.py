"""Mails with one-time links, over SMTP (RFC 5321), sent apart from the request that asked for them.

Whoever asks gets the same answer at the same speed, whether a mail goes out or not. A mail that could not be sent is
counted, and its link expires unused.
"""

import logging
import smtplib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from connectors.mail import SmtpSettings, make_message, submit
from pipelines.operations.watching import smtp_of
from pipelines.operations.workspace import Workspace
from schemas.errors import IntakeError

LOG = logging.getLogger(__name__)


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
            submit(self._settings, make_message(self._settings, address, subject, body))
        # ValueError: an address or a header that no mail can have.
        except (OSError, ValueError, smtplib.SMTPException) as refused:
            LOG.error("A one-time link could not be mailed: %s.", type(refused).__name__)


def _quietly(work: Callable[[], None]) -> None:
    try:
        work()
    except IntakeError as error:
        LOG.error("A one-time link could not be made: %s.", type(error).__name__)


def smtp_settings(workspace: Workspace) -> SmtpSettings | None:
    """The mail server that the settings name; None where none is."""
    return smtp_of(workspace.settings, workspace.policy)
