"""Landing a chunk by UpsertMultiple, which is all or nothing and does not say which row it stumbled over.

A chunk that fails for good is halved until each bad row stands alone and is refused with its own code, while the rest
lands. No network here: the call is passed in.
"""

from collections.abc import Callable, Sequence

from connectors.dataverse.classify import Verdict, verdict_of
from connectors.dataverse.contract import NOT_EXECUTED, Outcome, RowResult
from connectors.dataverse.odata import Answer
from connectors.dataverse.pacing import Pacing
from connectors.dataverse.sender import misconfigured
from connectors.dataverse.wire import Lost
from schemas.errors import CrmError, CrmMisconfigured, CrmUnavailable

Target = tuple[str, bytes]
"""A row's id, and the row encoded as a target of UpsertMultiple."""

RESENDS = 3
"""How often the rows of one call may be sent again after deadlocks and races, all their chunks together."""

_FINAL: dict[Verdict, Outcome] = {
    Verdict.REFUSED: "refused",
    Verdict.TOO_LARGE: "unresolved",
    Verdict.ROLLED_BACK: "unresolved",
}
_SENT_AGAIN = frozenset({Verdict.ROLLED_BACK, Verdict.RACED})
_UNDECIDED = frozenset({Verdict.UNCERTAIN, Verdict.UNAUTHENTICATED, Verdict.THROTTLED})
# Some row of the chunk is the cause; where one half lands, the other holds it.
_A_ROWS_FAULT = frozenset({Verdict.REFUSED, Verdict.RECONCILE})


class BulkLanding:
    """Lands the rows of one call; used once.

    The number of calls for a chunk beyond the first is at most 2·k·log2(n) for k bad rows among n: after a half has landed the
    other is known to hold the cause, so it is halved without being sent whole.
    """

    def __init__(self, send: Callable[[Sequence[bytes]], Answer | Lost], pacing: Pacing) -> None:
        self._send = send
        self._pacing = pacing
        self._resends = 0
        self._results: dict[str, RowResult] = {}

    def land(self, rows: Sequence[Target], chunk_rows: int) -> list[RowResult]:
        """The result of every row, in order; no call carries more than `chunk_rows`.

        `CrmUnavailable` and `CrmMisconfigured` are raised only while nothing has been executed; afterwards rows that
        were not sent are unresolved with `NOT_EXECUTED`.
        """
        try:
            for start in range(0, len(rows), chunk_rows):
                self._land(rows[start : start + chunk_rows])
        except (CrmUnavailable, CrmMisconfigured) as error:
            if not self._results:
                raise
            self._note_unsent(rows, error)
        return [self._results[row_id] for row_id, _ in rows]

    def _land(self, rows: Sequence[Target]) -> bool:
        """Sends rows whole; halves them on failure. Whether all of them landed at once."""
        answer = self._send_until_settled(rows)
        if isinstance(answer, Lost):
            self._note(rows, "unresolved", answer)
            return False
        verdict = verdict_of(answer)
        if verdict is Verdict.DONE:
            self._note(rows, "acknowledged", answer)
        elif verdict in _UNDECIDED:
            self._note(rows, "unresolved", answer)
        elif verdict is Verdict.MISCONFIGURED:
            raise misconfigured("UpsertMultiple", answer)
        elif len(rows) == 1:
            self._note(rows, _final_outcome(verdict, answer), answer)
        else:
            self._halve(rows, is_rows_fault=verdict in _A_ROWS_FAULT)
        return verdict is Verdict.DONE

    def _halve(self, rows: Sequence[Target], *, is_rows_fault: bool) -> None:
        middle = len(rows) // 2
        left, right = rows[:middle], rows[middle:]
        if self._land(left) and is_rows_fault and len(right) > 1:
            self._halve(right, is_rows_fault=True)
        else:
            self._land(right)

    def _send_until_settled(self, rows: Sequence[Target]) -> Answer | Lost:
        """Sends again after a rollback that is no row's fault, within the allowance."""
        while True:
            answer = self._send([target for _, target in rows])
            if isinstance(answer, Lost) or verdict_of(answer) not in _SENT_AGAIN or self._resends >= RESENDS:
                return answer
            self._pacing.sleep(self._pacing.backoff_s(self._resends))
            self._resends += 1

    def _note(self, rows: Sequence[Target], outcome: Outcome, answer: Answer | Lost) -> None:
        status, code = (answer.status, answer.error_code) if isinstance(answer, Answer) else (None, None)
        for row_id, _ in rows:
            self._results[row_id] = RowResult(row_id, outcome, status, code, answer.request_id)

    def _note_unsent(self, rows: Sequence[Target], error: CrmError) -> None:
        for row_id, _ in rows:
            unsent = RowResult(row_id, "unresolved", error.status, NOT_EXECUTED, error.request_id)
            self._results.setdefault(row_id, unsent)


def _final_outcome(verdict: Verdict, answer: Answer) -> Outcome:
    """The outcome of a row that failed alone; a row too large even alone is refused for its size (413)."""
    if answer.status == 413:
        return "refused"
    return _FINAL.get(verdict, "conflict")
