"""Writing rows one by one inside `$batch`: each has its own precondition, its own answer and its own result.

No network here: the call is passed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.dataverse.batch import parse_batch
from connectors.dataverse.bulk import RESENDS, measure
from connectors.dataverse.chunks import ChunkSize
from connectors.dataverse.classify import OUTCOMES, Verdict, is_vague, outcome_of, verdict_of
from connectors.dataverse.contract import RowResult
from connectors.dataverse.odata import Answer, Request
from connectors.dataverse.pacing import Pacing
from connectors.dataverse.sender import misconfigured
from connectors.dataverse.wire import Lost
from schemas.errors import CrmError, CrmMisconfigured, CrmUnavailable

Operation = tuple[str, Request]
"""A row's id and the request that writes it."""

# Certainly not executed; an operation alone that was too large for the time it was given may fit it another time.
_ROLLED_BACK = frozenset({Verdict.ROLLED_BACK, Verdict.TOO_LARGE})


@dataclass(frozen=True, slots=True)
class BatchPort:
    """What a batch of rows needs of the outside: to send one `$batch`, to tell of a throttled part, a chunk's size.

    `is_rows_own` tells whether so many rows, all that there were, were refused vaguely for what they hold.
    """

    send: Callable[[Sequence[Request]], Answer | Lost]
    note_throttled: Callable[[Answer], None]
    is_rows_own: Callable[[int], bool]
    size: ChunkSize
    pacing: Pacing


class RowBatch:
    """Writes the rows of one call; used once. With `gone_is_done` a row that is not there counts as acknowledged."""

    def __init__(self, port: BatchPort, *, gone_is_done: bool = False) -> None:
        self._port = port
        self._gone_is_done = gone_is_done
        self._resends = 0
        self._raced: set[str] = set()
        self._vague: dict[str, Answer] = {}
        self._results: dict[str, RowResult] = {}

    def write(self, operations: Sequence[Operation]) -> list[RowResult]:
        """The result of every row, in order; no `$batch` carries more than a chunk's present size.

        `CrmUnavailable` means that nothing was executed, `CrmMisconfigured` that no row was taken for a reason that is
        no row's own. Once a row has another result, such rows are refused, and unsent ones unresolved (`NOT_EXECUTED`).
        A batch that is refused vaguely is halved until those rows are left that it is refused for.
        """
        start = 0
        try:
            while start < len(operations):
                chunk = operations[start : start + self._port.size.rows]
                self._write(list(chunk))
                start += len(chunk)
        except (CrmUnavailable, CrmMisconfigured) as error:
            if not self._results:
                raise
            self._note_unsent(operations, error)
        self._require_one_sound(len(operations))
        return [self._results[row_id] for row_id, _ in operations]

    def _write(self, pending: list[Operation]) -> None:
        while pending:
            answer = self._port.send([request for _, request in pending])
            self._measure(pending, answer)
            if isinstance(answer, Lost):
                self._note_whole(pending, answer)
                return
            verdict = verdict_of(answer)
            if verdict is Verdict.DONE:
                pending = self._settle(pending, answer)
            elif (answer.status == 413 or is_vague(answer)) and len(pending) > 1:
                middle = len(pending) // 2
                self._write(pending[:middle])
                pending = pending[middle:]
            elif answer.status == 413 or OUTCOMES[verdict] == "unresolved":
                # Its operations are no one transaction: whatever the code says, some may have been executed.
                self._note_whole(pending, answer)
                return
            elif is_vague(answer):
                self._note(pending[0][0], answer, outer_id=answer.request_id)
                return
            else:
                raise misconfigured("$batch", answer)

    def _settle(self, pending: list[Operation], answer: Answer) -> list[Operation]:
        """Notes the results in an answer; gives the operations that certainly were not executed and may go again."""
        parts = parse_batch(answer)
        if len(parts) > len(pending):
            parts = []
        self._refuse_if_none_could_succeed(parts, len(pending))
        again: list[Operation] = []
        missing: list[Answer | None] = [None] * (len(pending) - len(parts))
        for operation, part in zip(pending, parts + missing, strict=True):
            if part is not None and self._may_go_again(operation[0], part):
                again.append(operation)
            else:
                self._note(operation[0], part, outer_id=answer.request_id)
        if again:
            self._wait_before_resending(parts)
        return again

    def _refuse_if_none_could_succeed(self, parts: list[Answer | None], count: int) -> None:
        """One row refused for a name or a privilege is that row's trouble; all of them are the configuration's."""
        if self._results or len(parts) < count:
            return
        stated = [part for part in parts if part is not None and verdict_of(part) is Verdict.MISCONFIGURED]
        if len(stated) == count and not all(map(is_vague, stated)):
            raise misconfigured("$batch", stated[0])

    def _require_one_sound(self, count: int) -> None:
        """Rows refused vaguely, without one that was not, are the configuration's trouble unless their table takes rows."""
        if self._vague and len(self._vague) == count and not self._port.is_rows_own(count):
            raise misconfigured("$batch", next(iter(self._vague.values())))

    def _may_go_again(self, row_id: str, part: Answer) -> bool:
        """Throttled rows always, deadlocked ones three times in all, one that lost a race once."""
        verdict = verdict_of(part)
        if verdict is Verdict.RACED and row_id not in self._raced:
            self._raced.add(row_id)
            return True
        return verdict is Verdict.THROTTLED or (verdict in _ROLLED_BACK and self._resends < RESENDS)

    def _measure(self, pending: list[Operation], answer: Answer | Lost) -> None:
        measure(self._port.size, len(pending), sum(len(request.body or b"") for _, request in pending), answer)

    def _wait_before_resending(self, parts: list[Answer | None]) -> None:
        throttled = [part for part in parts if part is not None and verdict_of(part) is Verdict.THROTTLED]
        for part in throttled:
            self._port.note_throttled(part)
        if not throttled:
            self._port.pacing.wait(self._port.pacing.backoff_s(self._resends))
            self._resends += 1

    def _note(self, row_id: str, part: Answer | None, *, outer_id: str | None) -> None:
        if part is None:
            self._results[row_id] = RowResult(row_id, "unresolved", None, None, outer_id)
            return
        if is_vague(part):
            self._vague[row_id] = part
        is_gone = part.status == 404 and verdict_of(part) is Verdict.RECONCILE
        outcome = "acknowledged" if self._gone_is_done and is_gone else outcome_of(part)
        code = None if part.status < 300 else part.error_code
        self._results[row_id] = RowResult(row_id, outcome, part.status, code, part.request_id or outer_id)

    def _note_whole(self, pending: list[Operation], answer: Answer | Lost) -> None:
        status, code = (answer.status, answer.error_code) if isinstance(answer, Answer) else (None, None)
        outcome = outcome_of(answer) if isinstance(answer, Answer) else "unresolved"
        request_id = answer.request_id
        for row_id, _ in pending:
            self._results[row_id] = RowResult(row_id, outcome, status, code, request_id)

    def _note_unsent(self, operations: Sequence[Operation], error: CrmError) -> None:
        for row_id, _ in operations:
            self._results.setdefault(row_id, RowResult.unsent(row_id, error))
