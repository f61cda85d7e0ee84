"""Mails with one-time links, over SMTP (RFC 5321), sent apart from the request that asked for them.

Whoever asks gets the same answer at the same speed, whether a mail goes out or not. A mail that could not be sent is
counted, and its link expires unused. Only what is written down as waiting is tried again (preferences.confirming).
"""

import logging
import smtplib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from connectors.mail import SmtpSettings, make_message, submit
from pipelines.operations.watching import smtp_of
from pipelines.operations.workspace import Workspace
from schemas.errors import IntakeError, SourceUnavailable

LOG = logging.getLogger(__name__)
# What a server says of one mail, and not of all.
_OF_ONE = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPNotSupportedError, ValueError)


class Mailer:
    """Sends mails in the background, or at once; `close` waits for those on their way."""

    def __init__(self, settings: SmtpSettings | None) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="mail")

    @property
    def is_set(self) -> bool:
        """Whether there is a server that could take mails."""
        return self._settings is not None

    def send(self, address: str, subject: str, body: str) -> None:
        """Send a mail soon; the address is in no log."""
        self._pool.submit(self._deliver, address, subject, body)

    def run(self, work: Callable[[], None]) -> None:
        """Do something in the background that ends in a mail, or in none."""
        self._pool.submit(_quietly, work)

    def close(self) -> None:
        """Wait for the mails on their way."""
        self._pool.shutdown(wait=True)

    def deliver(self, address: str, subject: str, body: str) -> bool:
        """Hand a mail to the server now; False where it refuses this one, or where no mail can have such an address.

        SourceUnavailable where there is no server, or none that takes mails just now.
        """
        if self._settings is None:
            raise SourceUnavailable("No mail server is set: INTAKE_SMTP_HOST.")
        try:
            submit(self._settings, make_message(self._settings, address, subject, body))
        # An SMTPException is an OSError. A certificate that nobody vouches for is a ValueError, too, and stops every mail.
        except (OSError, ValueError) as refused:
            if isinstance(refused, ssl.SSLError) or not isinstance(refused, _OF_ONE):
                what = type(refused).__name__
                raise SourceUnavailable(f"The mail server takes no mail ({what}): see INTAKE_SMTP_*.") from None
            LOG.error("A one-time link could not be mailed: %s.", type(refused).__name__)
            return False
        return True

    def _deliver(self, address: str, subject: str, body: str) -> None:
        try:
            self.deliver(address, subject, body)
        except SourceUnavailable as error:
            LOG.error("A one-time link was not sent. %s", error)


def _quietly(work: Callable[[], None]) -> None:
    try:
        work()
    except IntakeError as error:
        LOG.error("A one-time link could not be made: %s.", type(error).__name__)


def smtp_settings(workspace: Workspace) -> SmtpSettings | None:
    """The mail server that the settings name; None where none is."""
    return smtp_of(workspace.settings, workspace.policy)
