"""Double opt-in at the door: sign-ups that wait get their mail, and the page behind it confirms by one press.

A GET confirms nothing, so that a mail scanner cannot (I16, I19). A link that is no good is refused like every other.
"""

import logging
import threading
import time
from functools import partial
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from connectors.store import narrow_calls
from pipelines.operations.double_opt_in import ToConfirm, confirm, confirmations_to_mail, mail_confirmation
from pipelines.operations.sessions import Session
from pipelines.transforms.preference_links import Scope, read_token
from preferences.answers import refused
from preferences.door import Door
from preferences.languages import chosen_language, texts_of
from preferences.rendering import Pages
from schemas.errors import ActRefused, IntakeError

LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 10.0
# A server that is away is tried less and less often; one mail that it refuses is tried again apart from the others.
_LONGEST_PAUSE_S = 300.0
_REFUSED_WAITS_S = 600.0
_AT_ONCE = 100


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
        self._refused_until: dict[UUID, float] = {}
        self._thread = threading.Thread(target=self._follow, name="confirmations", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the mail under way."""
        self._stopped.set()
        self._thread.join(20)

    def mail_once(self) -> int:
        """Mail what waits, and remember of each that the server took it; how many it took. The others wait still.

        SourceUnavailable where the server takes none.
        """
        session, mailed, now = Session(self._door.workspace), 0, time.monotonic()
        self._refused_until = {one: until for one, until in self._refused_until.items() if until > now}
        for waiting in confirmations_to_mail(session, limit=_AT_ONCE + len(self._refused_until)):
            if self._stopped.is_set():
                break
            if waiting.confirmation_id not in self._refused_until:
                mailed += mail_confirmation(session, waiting.confirmation_id, partial(self._mail, waiting))
        return mailed

    def _mail(self, waiting: ToConfirm) -> bool:
        language = chosen_language(waiting.language, None)
        t, organisation = texts_of(language)["mail"], self._door.workspace.policy.organisation.name
        link = f"{self._door.base_url}/confirm/{waiting.token}?lang={language}"
        expires_at = self._door.local(waiting.expires_at)
        until = f"{expires_at.day}.{expires_at.month}.{expires_at.year}"
        body = t["confirm_body"].format(link=link, until=until, organisation=organisation)
        is_taken = self._door.mailer.deliver(waiting.address, t["confirm_subject"], body)
        if not is_taken:
            self._refused_until[waiting.confirmation_id] = time.monotonic() + _REFUSED_WAITS_S
        return is_taken

    def _follow(self) -> None:
        pause = LOOK_EVERY_S
        while not self._stopped.wait(pause):
            try:
                self.mail_once()
                pause = LOOK_EVERY_S
            except IntakeError as error:
                LOG.warning("Confirmations will be mailed later: %s", error)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
