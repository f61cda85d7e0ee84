"""Several reads in one `$batch`: one round trip instead of many, and no query of theirs in a URL that proxies log.

https://learn.microsoft.com/power-apps/developer/data-platform/webapi/execute-batch-operations-using-web-api
"""

import uuid
from collections.abc import Iterator, Sequence

from connectors.dataverse.batch import build_batch, parse_batch
from connectors.dataverse.classify import Verdict, verdict_of
from connectors.dataverse.odata import Answer, Request, UnreadableAnswer, read_object
from connectors.dataverse.pacing import Deadline
from connectors.dataverse.reading import JsonRow, Reader, rows_of
from connectors.dataverse.sender import Sender, misconfigured
from connectors.dataverse.settings import DataverseSettings
from connectors.dataverse.wire import Lost
from schemas.errors import CrmUnavailable

ATTEMPTS = 4

_FINAL = frozenset({Verdict.MISCONFIGURED, Verdict.REFUSED, Verdict.RECONCILE, Verdict.EXPIRED})


class BatchedReads:
    """Reads one environment; of a batch those reads are repeated whose answer is lost, cut, throttled or a server error."""

    def __init__(self, sender: Sender, settings: DataverseSettings) -> None:
        self._sender = sender
        self._reader = Reader(sender, settings.origin)
        self._api_path = settings.api_path

    def contents(self, reads: Sequence[Request], *, label: str) -> list[JsonRow]:
        """What each read answered, in order; `CrmMisconfigured` where one of them is refused for good.

        Throttled ones are asked for again as long as the call's deadline allows, others a few times.
        """
        found: dict[int, JsonRow] = {}
        deadline, attempt = self._sender.deadline(), 0
        while True:
            asked = [number for number in range(len(reads)) if number not in found]
            parts = self._ask([reads[number] for number in asked], deadline, label=label)
            contents = zip(asked, map(_read, parts), strict=True)
            found |= {number: content for number, content in contents if content is not None}
            if len(found) == len(reads):
                return [found[number] for number in range(len(reads))]
            if not self._is_throttled(parts):
                attempt += 1
                self._wait(attempt, label=label)

    def _ask(self, reads: Sequence[Request], deadline: Deadline, *, label: str) -> list[Answer | None]:
        """The answer to each read, None where there is none that could be read; refused for good is an error."""
        boundary = f"batch_{uuid.uuid4()}"
        answer = self._sender.send(
            build_batch(reads, api_path=self._api_path, boundary=boundary, label=label), deadline
        )
        if isinstance(answer, Lost):
            return [None] * len(reads)
        parts = parse_batch(answer) if verdict_of(answer) is Verdict.DONE else [answer]
        for part in parts:
            if part is not None and verdict_of(part) in _FINAL:
                raise misconfigured(label, part)
        if verdict_of(answer) is not Verdict.DONE or len(parts) > len(reads):
            return [None] * len(reads)
        return [*parts, *[None] * (len(reads) - len(parts))]

    def _is_throttled(self, parts: Sequence[Answer | None]) -> bool:
        """Whether limits are why an answer is missing; then the gate has closed for as long as each part asks."""
        throttled = [part for part in parts if part is not None and verdict_of(part) is Verdict.THROTTLED]
        for part in throttled:
            self._sender.note_throttled(part)
        return bool(throttled)

    def _wait(self, attempt: int, *, label: str) -> None:
        if attempt >= ATTEMPTS:
            raise CrmUnavailable(f"{label} failed {ATTEMPTS} times. Remedy: check the network, then run again.")
        self._sender.pacing.wait(self._sender.pacing.backoff_s(attempt - 1))

    def rows(self, content: JsonRow, *, label: str) -> Iterator[JsonRow]:
        """The rows of one answer and of the pages beyond its first: the server's own links are followed."""
        yield from rows_of(content, label=label)
        link = content.get("@odata.nextLink")
        if isinstance(link, str):
            yield from self._reader.rows(self._reader.follow(link, (), label=label), ())


def _read(part: Answer | None) -> JsonRow | None:
    """What a read answered; None where it is worth asking again."""
    if part is None or verdict_of(part) is not Verdict.DONE:
        return None
    try:
        return read_object(part)
    except UnreadableAnswer:
        return None
