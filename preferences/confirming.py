"""Double opt-in at the door: sign-ups that wait get their mail, and the page behind it confirms by one press.

A GET confirms nothing, so that a mail scanner cannot (I16, I19). A link that is no good is refused like every other.
"""

import logging
import threading

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.store import narrow_calls
from pipelines.operations.double_opt_in import ToConfirm, confirm, confirmations_to_mail, mark_mailed
from pipelines.operations.sessions import Session
from pipelines.transforms.preference_links import Scope, read_token
from preferences.answers import refused
from preferences.door import Door
from preferences.languages import chosen_language, texts_of
from preferences.rendering import Pages
from schemas.errors import ActRefused, IntakeError

LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 10.0


def confirming_router(door: Door, pages: Pages) -> APIRouter:
    """The routes of the link in a confirmation's mail."""
    router = APIRouter(tags=["confirm"])

    @router.head("/confirm/{token}", include_in_schema=False)
    @router.get("/confirm/{token}", operation_id="show_confirm")
    def show(request: Request, token: str) -> Response:
        door.mailbox_of(token, Scope.CONFIRM)
        if not read_token(token, Scope.CONFIRM, door.keys.known(), now=door.now()).is_good:
            return refused(door, pages, request)
        texts = pages.texts(request)["confirm"]
        return pages.show(request, "press", texts=texts, label=texts["confirm"])

    @router.post("/confirm/{token}")
    def press(request: Request, token: str) -> Response:
        try:
            confirmed = confirm(Session(door.workspace), token)
        except ActRefused:
            return refused(door, pages, request)
        with door.transaction() as conn:
            narrow_calls.call_by_events(conn, confirmed.events)
        t = pages.texts(request)
        return pages.show(
            request, "message", heading=t["done"]["heading"], lines=[t["confirm"]["done"]], is_readable=False
        )

    return router


class ConfirmationMails:
    """Mails the links of sign-ups that wait, from a thread of the service, until `stop`."""

    def __init__(self, door: Door) -> None:
        self._door, self._stopped = door, threading.Event()
        self._thread = threading.Thread(target=self._follow, name="confirmations", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the mail under way."""
        self._stopped.set()
        self._thread.join(20)

    def mail_once(self) -> int:
        """Mail what waits; each is marked first, so that no two processes mail the same one. Returns how many."""
        session, mailed = Session(self._door.workspace), 0
        for waiting in confirmations_to_mail(session):
            if mark_mailed(session, waiting.confirmation_id):
                self._mail(waiting)
                mailed += 1
        return mailed

    def _mail(self, waiting: ToConfirm) -> None:
        language = chosen_language(waiting.language, None)
        t, organisation = texts_of(language)["mail"], self._door.workspace.policy.organisation.name
        link = f"{self._door.base_url}/confirm/{waiting.token}?lang={language}"
        expires_at = self._door.local(waiting.expires_at)
        until = f"{expires_at.day}.{expires_at.month}.{expires_at.year}"
        body = t["confirm_body"].format(link=link, until=until, organisation=organisation)
        self._door.mailer.send(waiting.address, t["confirm_subject"], body)

    def _follow(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            try:
                self.mail_once()
            except IntakeError as error:
                LOG.warning("Confirmations will be mailed later: %s", error)
