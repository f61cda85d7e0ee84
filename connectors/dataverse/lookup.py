"""Looking rows up by what a text column holds, such as an e-mail address, with the values in no URL.

The reads go inside a `$batch`: a query of a GET ends in the logs of every proxy and server on its way.
https://learn.microsoft.com/power-apps/developer/data-platform/webapi/execute-batch-operations-using-web-api
"""

import uuid
from collections.abc import Iterator, Sequence

from connectors.dataverse import odata
from connectors.dataverse.batch import build_batch, parse_batch
from connectors.dataverse.classify import Verdict, verdict_of
from connectors.dataverse.contract import TableName
from connectors.dataverse.odata import Answer, Request, UnreadableAnswer, read_object
from connectors.dataverse.reading import JsonRow, Reader, selected
from connectors.dataverse.sender import Sender, misconfigured
from connectors.dataverse.settings import DataverseSettings
from connectors.dataverse.wire import Lost
from schemas.errors import CrmUnavailable

# 50 addresses make an inner URL of at most 20 kB; the server takes 64 kB.
VALUES_PER_READ = 50
READS_PER_BATCH = 20
ATTEMPTS = 4

_FINAL = frozenset({Verdict.MISCONFIGURED, Verdict.REFUSED, Verdict.RECONCILE, Verdict.EXPIRED})


class Lookup:
    """Looks rows up in one environment; reads are repeated while an answer is lost, cut or a server error."""

    def __init__(self, sender: Sender, settings: DataverseSettings) -> None:
        self._sender = sender
        self._reader = Reader(sender, settings.origin)
        self._api_path = settings.api_path

    def rows(self, table: TableName, column: str, values: Sequence[str], *, select: Sequence[str]) -> Iterator[JsonRow]:
        """The rows whose column equals one of the values by the environment's own collation; in no order."""
        reads = [
            _read(table, column, values[start : start + VALUES_PER_READ], select)
            for start in range(0, len(values), VALUES_PER_READ)
        ]
        for start in range(0, len(reads), READS_PER_BATCH):
            for content in self._contents(reads[start : start + READS_PER_BATCH]):
                yield from odata.read_rows(content)
                yield from self._further(content, reads[0].label)

    def _further(self, content: JsonRow, label: str) -> Iterator[JsonRow]:
        """Pages beyond the first, which takes more than 5000 rows for 50 values: the server's own links are followed."""
        link = content.get("@odata.nextLink")
        if isinstance(link, str):
            yield from self._reader.rows(self._reader.follow(link, (), label=label), ())

    def _contents(self, reads: Sequence[Request]) -> list[JsonRow]:
        for attempt in range(ATTEMPTS):
            boundary = f"batch_{uuid.uuid4()}"
            request = build_batch(reads, api_path=self._api_path, boundary=boundary, label=reads[0].label)
            contents = _read_contents(self._sender.send(request, self._sender.deadline()), len(reads))
            if contents is not None:
                return contents
            self._sender.pacing.sleep(self._sender.pacing.backoff_s(attempt))
        raise CrmUnavailable(f"{reads[0].label} failed {ATTEMPTS} times. Remedy: check the network, then run again.")


def _read(table: TableName, column: str, values: Sequence[str], select: Sequence[str]) -> Request:
    query = {"$select": selected(table, select), "$filter": odata.in_filter(column, values)}
    return odata.read(table.entity_set, query, label=f"look-up in {table.entity_set}")


def _read_contents(answer: Answer | Lost, count: int) -> list[JsonRow] | None:
    """What each read answered; None where it is worth asking again."""
    if isinstance(answer, Lost):
        return None
    parts = parse_batch(answer) if verdict_of(answer) is Verdict.DONE else [answer]
    for part in parts:
        if part is not None and verdict_of(part) in _FINAL:
            raise misconfigured("look-up", part)
    if len(parts) != count or any(part is None or verdict_of(part) is not Verdict.DONE for part in parts):
        return None
    try:
        return [read_object(part) for part in parts if part is not None]
    except UnreadableAnswer:
        return None
