"""Several reads in one `$batch`: one round trip instead of many, and no query of theirs in a URL that proxies log.

https://learn.microsoft.com/power-apps/developer/data-platform/webapi/execute-batch-operations-using-web-api
"""

import uuid
from collections.abc import Iterator, Sequence

from connectors.dataverse.batch import build_batch, parse_batch
from connectors.dataverse.classify import Verdict, verdict_of
from connectors.dataverse.odata import Answer, Request, UnreadableAnswer, read_object
from connectors.dataverse.reading import JsonRow, Reader, rows_of
from connectors.dataverse.sender import Sender, misconfigured
from connectors.dataverse.settings import DataverseSettings
from connectors.dataverse.wire import Lost
from schemas.errors import CrmUnavailable

ATTEMPTS = 4

_FINAL = frozenset({Verdict.MISCONFIGURED, Verdict.REFUSED, Verdict.RECONCILE, Verdict.EXPIRED})


class BatchedReads:
    """Reads one environment; a batch is repeated while an answer in it is lost, cut or a server error."""

    def __init__(self, sender: Sender, settings: DataverseSettings) -> None:
        self._sender = sender
        self._reader = Reader(sender, settings.origin)
        self._api_path = settings.api_path

    def contents(self, reads: Sequence[Request], *, label: str) -> list[JsonRow]:
        """What each read answered, in order; `CrmMisconfigured` where one of them is refused for good."""
        for attempt in range(ATTEMPTS):
            boundary = f"batch_{uuid.uuid4()}"
            request = build_batch(reads, api_path=self._api_path, boundary=boundary, label=label)
            contents = _read_contents(self._sender.send(request, self._sender.deadline()), len(reads), label=label)
            if contents is not None:
                return contents
            self._sender.pacing.sleep(self._sender.pacing.backoff_s(attempt))
        raise CrmUnavailable(f"{label} failed {ATTEMPTS} times. Remedy: check the network, then run again.")

    def rows(self, content: JsonRow, *, label: str) -> Iterator[JsonRow]:
        """The rows of one answer and of the pages beyond its first: the server's own links are followed."""
        yield from rows_of(content, label=label)
        link = content.get("@odata.nextLink")
        if isinstance(link, str):
            yield from self._reader.rows(self._reader.follow(link, (), label=label), ())


def _read_contents(answer: Answer | Lost, count: int, *, label: str) -> list[JsonRow] | None:
    """What each read answered; None where it is worth asking again."""
    if isinstance(answer, Lost):
        return None
    parts = parse_batch(answer) if verdict_of(answer) is Verdict.DONE else [answer]
    for part in parts:
        if part is not None and verdict_of(part) in _FINAL:
            raise misconfigured(label, part)
    if len(parts) != count or any(part is None or verdict_of(part) is not Verdict.DONE for part in parts):
        return None
    try:
        return [read_object(part) for part in parts if part is not None]
    except UnreadableAnswer:
        return None
