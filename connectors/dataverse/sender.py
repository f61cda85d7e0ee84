"""What is done about an answer before anybody sees it: throttling, tokens, failed connections, repeated reads.

`send` never repeats a request that may have been executed; `read_json` does, a few times.
"""

from contextlib import suppress
from dataclasses import dataclass

from connectors.dataverse.classify import Verdict, verdict_of
from connectors.dataverse.odata import Answer, Request, UnreadableAnswer, read_object
from connectors.dataverse.pacing import Deadline, Pacing, retry_after_s
from connectors.dataverse.settings import DataverseSettings
from connectors.dataverse.throttle import ThrottleGate
from connectors.dataverse.tokens import Tokens
from connectors.dataverse.vouching import require_vouched
from connectors.dataverse.wire import Held, Lost, NotSent, Reply, Wire
from schemas.errors import ChangeTokenExpired, CrmConflict, CrmError, CrmMisconfigured, CrmUnavailable


@dataclass(frozen=True, slots=True)
class Lane:
    """One application user: its tokens and its gate, for its quota is its own."""

    tokens: Tokens
    gate: ThrottleGate


class Sender:
    """Sends requests of one application user within deadlines; thread-safe."""

    def __init__(self, settings: DataverseSettings, wire: Wire, *, lane: Lane, pacing: Pacing) -> None:
        self._settings = settings
        self._wire = wire
        self._lane = lane
        self.pacing = pacing

    @property
    def gate(self) -> ThrottleGate:
        """The gate of its application user."""
        return self._lane.gate

    def deadline(self) -> Deadline:
        """The deadline of a call that begins now; no request is begun after it, one under way is waited for."""
        return self.pacing.deadline(self._settings.deadline_s)

    def send(self, request: Request, deadline: Deadline) -> Answer | Lost:
        """The answer to a write, or `Lost`.

        `CrmUnavailable` means that it was certainly not executed, `CrmMisconfigured` that our token is not accepted,
        nor the one that replaced it.
        """
        unsent = 0
        rejected: str | None = None
        while True:
            reply, token = self._exchange(request, deadline)
            if isinstance(reply, Held):
                continue
            if isinstance(reply, NotSent):
                self._wait(unsent, deadline, reason=reply.reason, request=request)
                unsent += 1
            elif isinstance(reply, Lost):
                return reply
            elif verdict_of(reply) is Verdict.THROTTLED:
                rejected = None  # Throttled, so known: after a wait at the gate as long as the server asked.
            elif verdict_of(reply) is not Verdict.UNAUTHENTICATED:
                return reply
            elif rejected is not None:
                raise misconfigured(request.label, reply)
            else:
                rejected = token
                self._replace(rejected)

    def read_json(self, request: Request, deadline: Deadline) -> tuple[Answer, dict[str, object]]:
        """The answer to a read with its JSON, asked for again while it is lost, cut or a server error.

        `CrmUnavailable` after that; `ChangeTokenExpired`, `CrmConflict` (no such row), `CrmMisconfigured` at once.
        """
        attempt = 0
        while True:
            reply = self.send(request, deadline)
            if isinstance(reply, Answer) and verdict_of(reply) is Verdict.DONE:
                try:
                    return reply, read_object(reply)
                except UnreadableAnswer:
                    self._wait(attempt, deadline, reason="unreadable answer", request=request)
            else:
                self._wait(attempt, deadline, reason=_reason_to_ask_again(request, reply), request=request)
            attempt += 1

    def note_throttled(self, part: Answer) -> None:
        """A part of a batch met a limit: the gate closes for as long as that part asks."""
        self._pause(part, admitted_at=self.pacing.clock())

    def _exchange(self, request: Request, deadline: Deadline) -> tuple[Reply, str]:
        with self._lane.gate.admitted(deadline) as admitted_at:
            # Only now: one taken before a long wait at the gate would have expired in it.
            try:
                token = self._lane.tokens.token()
            except CrmUnavailable:
                return NotSent("no token", ""), ""
            require_vouched()
            reply = self._wire.exchange(request, token, is_open=lambda: self._lane.gate.is_open)
            # Before the place is given back: else another thread would slip in inside the Retry-After.
            self._steer(reply, admitted_at)
        return reply, token

    def _replace(self, rejected: str) -> None:
        # Where the authority is down the next exchange asks it again, and waits for it.
        with suppress(CrmUnavailable):
            self._lane.tokens.refresh(rejected)

    def _steer(self, reply: Reply, admitted_at: float) -> None:
        if not isinstance(reply, Answer):
            return
        self._lane.gate.hint(reply.dop_hint)
        is_asked_to_wait = reply.status == 503 and reply.header("Retry-After") is not None
        if is_asked_to_wait or verdict_of(reply) is Verdict.THROTTLED:
            self._pause(reply, admitted_at=admitted_at)
        elif reply.status < 500:
            self._lane.gate.grow()

    def _pause(self, answer: Answer, *, admitted_at: float) -> None:
        asked_s = retry_after_s(answer.header("Retry-After"), answered_at=answer.header("Date"))
        pause_s = None if asked_s is None else min(asked_s, self._settings.retry_after_cap_s)
        self._lane.gate.pause(pause_s, admitted_at=admitted_at)

    def _wait(self, attempt: int, deadline: Deadline, *, reason: str, request: Request) -> None:
        pause_s = self.pacing.backoff_s(attempt)
        if attempt + 1 >= self._settings.attempts or pause_s >= deadline.remaining_s:
            raise CrmUnavailable(f"{request.label} failed ({reason}). Remedy: check the network, then run again.")
        self.pacing.wait(pause_s)


def misconfigured(label: str, answer: Answer) -> CrmMisconfigured:
    """The error for an answer that no row can mend."""
    return CrmMisconfigured(
        f"{label} was refused. Remedy: run the doctor; check the application user, its roles, table and column names.",
        status=answer.status,
        code=answer.error_code,
        request_id=answer.request_id,
    )


_ASK_AGAIN = frozenset({Verdict.UNCERTAIN, Verdict.ROLLED_BACK, Verdict.TOO_LARGE, Verdict.RACED})


def _reason_to_ask_again(request: Request, reply: Answer | Lost) -> str:
    if isinstance(reply, Lost):
        return reply.reason
    if verdict_of(reply) in _ASK_AGAIN:
        return f"status {reply.status}"
    raise _read_error(request, reply)


def _read_error(request: Request, answer: Answer) -> CrmError:
    verdict = verdict_of(answer)
    kind: type[CrmError]
    if verdict is Verdict.EXPIRED:
        kind, message = ChangeTokenExpired, f"{request.label}: the change token has expired. Remedy: read it all again."
    elif verdict is Verdict.RECONCILE:
        kind, message = CrmConflict, f"{request.label}: there is no such row."
    else:
        return misconfigured(request.label, answer)
    return kind(message, status=answer.status, code=answer.error_code, request_id=answer.request_id)
