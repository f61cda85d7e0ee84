"""Landing rows by UpsertMultiple, which is all or nothing and does not say which row it stumbled over.

A chunk that fails for good is halved until few rows are left, and those go one by one inside a `$batch`, where each bad
row is refused with its own code; the rest lands. So does one that is refused vaguely: whether that is every row's trouble,
the rows that go singly tell. No network here: the calls are passed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.dataverse.chunks import ChunkSize
from connectors.dataverse.classify import Verdict, is_out_of_time, is_vague, outcome_of, verdict_of, verdict_of_write
from connectors.dataverse.contract import Outcome, RowResult
from connectors.dataverse.odata import Answer
from connectors.dataverse.pacing import Pacing
from connectors.dataverse.sender import misconfigured
from connectors.dataverse.wire import Lost
from schemas.errors import CrmError, CrmMisconfigured, CrmUnavailable

Target = tuple[str, bytes]
"""A row's id, and the row encoded as a target of UpsertMultiple."""

RESENDS = 3
"""How often the rows of one call may be sent again after deadlocks, all their chunks together."""

SINGLY_ROWS = 128
"""From so many rows on a failed chunk is halved; fewer go singly, so one of the starting size does at once.

A single upsert takes the server some five times as long as a row in bulk, and a request some ten times. Halving a chunk
of 100 saves server time for one bad row and none for several, and its calls wait for each other: with 1 % of bad rows it
took twice the requests and a quarter of the speed (B5).
"""

_UNDECIDED = frozenset({Verdict.UNCERTAIN, Verdict.UNAUTHENTICATED, Verdict.THROTTLED})
# Some row of the chunk is the cause; where one half lands, the other holds it.
_A_ROWS_FAULT = frozenset({Verdict.REFUSED, Verdict.RECONCILE, Verdict.RACED})
_BAD = frozenset({"refused", "conflict"})


def measure(size: ChunkSize, rows: int, size_bytes: int, answer: Answer | Lost) -> None:
    """What the answer to a call of so many rows tells of the size of the next one."""
    verdict = None if isinstance(answer, Lost) else verdict_of(answer)
    if isinstance(answer, Lost):
        if answer.is_late:
            size.timed_out(rows)
    elif verdict is Verdict.DONE:
        size.served(rows, size_bytes=size_bytes, seconds=answer.elapsed_s)
    elif answer.status == 413:
        size.too_large(rows, size_bytes=size_bytes)
    elif verdict is Verdict.TOO_LARGE or is_out_of_time(answer):
        size.timed_out(rows)


@dataclass(frozen=True, slots=True)
class BulkPort:
    """What landing needs of the outside: to send targets in one call, to send rows singly by their ids, a chunk's size."""

    send: Callable[[Sequence[bytes]], Answer | Lost]
    send_singly: Callable[[Sequence[str]], list[RowResult]]
    size: ChunkSize
    pacing: Pacing


class BulkLanding:
    """Lands the rows of one call; used once.

    The number of calls for a chunk beyond the first is at most 2·k·log2(n) for k bad rows among n: after a half has
    landed the other is known to hold the cause, so it is halved without being sent whole.
    """

    def __init__(self, port: BulkPort) -> None:
        self._port = port
        self._resends = 0
        self._results: dict[str, RowResult] = {}

    def land(self, rows: Sequence[Target]) -> list[RowResult]:
        """The result of every row, in order; no call carries more than a chunk's present size.

        `CrmUnavailable` and `CrmMisconfigured` are raised only while nothing has been executed; afterwards rows that
        were not sent are unresolved with `NOT_EXECUTED`.
        """
        start = 0
        try:
            while start < len(rows):
                chunk = rows[start : start + self._port.size.rows]
                self._land(chunk)
                start += len(chunk)
        except (CrmUnavailable, CrmMisconfigured) as error:
            if not self._results:
                raise
            self._note_unsent(rows, error)
        results = [self._results[row_id] for row_id, _ in rows]
        self._port.size.settled(len(rows), bad=sum(result.outcome in _BAD for result in results))
        return results

    def _land(self, rows: Sequence[Target]) -> bool:
        """Sends rows whole, and in parts on failure. Whether all of them landed at once."""
        answer = self._send_until_settled(rows)
        self._measure(rows, answer)
        if isinstance(answer, Lost):
            self._note(rows, "unresolved", answer)
            return False
        verdict = verdict_of_write(answer)
        if verdict is Verdict.DONE:
            self._note(rows, "acknowledged", answer)
        elif verdict in _UNDECIDED:
            self._note(rows, "unresolved", answer)
        elif verdict is Verdict.NO_BULK:
            self._send_singly(rows)
        elif verdict is Verdict.MISCONFIGURED and not is_vague(answer):
            raise misconfigured("UpsertMultiple", answer)
        elif verdict is Verdict.MISCONFIGURED:
            self._divide(rows, is_rows_fault=True)
        elif len(rows) == 1:
            self._note(rows, outcome_of(answer), answer)
        else:
            self._divide(rows, is_rows_fault=verdict in _A_ROWS_FAULT)
        return verdict is Verdict.DONE

    def _divide(self, rows: Sequence[Target], *, is_rows_fault: bool) -> None:
        """Sends in parts what failed whole, or is known to hold a bad row."""
        if is_rows_fault and len(rows) < SINGLY_ROWS:
            self._send_singly(rows)
            return
        middle = len(rows) // 2
        left, right = rows[:middle], rows[middle:]
        if self._land(left) and is_rows_fault and len(right) > 1:
            self._divide(right, is_rows_fault=True)
        else:
            self._land(right)

    def _send_singly(self, rows: Sequence[Target]) -> None:
        results = self._port.send_singly([row_id for row_id, _ in rows])
        self._results |= {result.row_id: result for result in results}

    def _send_until_settled(self, rows: Sequence[Target]) -> Answer | Lost:
        """Sends again after a rollback that is no row's fault: three times after deadlocks, once after a lost race."""
        races = 0
        while True:
            answer = self._port.send([target for _, target in rows])
            verdict = None if isinstance(answer, Lost) else verdict_of(answer)
            if verdict is Verdict.RACED and not races:
                races += 1
            elif verdict is Verdict.ROLLED_BACK and self._resends < RESENDS:
                self._resends += 1
            else:
                return answer
            self._port.pacing.wait(self._port.pacing.backoff_s(self._resends))

    def _measure(self, rows: Sequence[Target], answer: Answer | Lost) -> None:
        if isinstance(answer, Lost) or verdict_of(answer) is verdict_of_write(answer):
            measure(self._port.size, len(rows), sum(len(target) for _, target in rows), answer)

    def _note(self, rows: Sequence[Target], outcome: Outcome, answer: Answer | Lost) -> None:
        status, code = (answer.status, answer.error_code) if isinstance(answer, Answer) else (None, None)
        request_id = answer.request_id
        for row_id, _ in rows:
            self._results[row_id] = RowResult(row_id, outcome, status, code, request_id)

    def _note_unsent(self, rows: Sequence[Target], error: CrmError) -> None:
        for row_id, _ in rows:
            self._results.setdefault(row_id, RowResult.unsent(row_id, error))
