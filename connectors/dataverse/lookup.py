"""Looking rows up by what a text column holds, such as an e-mail address, with the values in no URL.

The reads go inside a `$batch`: a query of a GET ends in the logs of every proxy and server on its way.
"""

from collections.abc import Iterator, Sequence

from connectors.dataverse import odata
from connectors.dataverse.batched_reads import BatchedReads
from connectors.dataverse.contract import TableName
from connectors.dataverse.odata import Request
from connectors.dataverse.reading import JsonRow, selected

# 50 addresses make an inner URL of at most 20 kB; the server takes 64 kB.
VALUES_PER_READ = 50
READS_PER_BATCH = 20


def iter_matching(
    batched: BatchedReads, table: TableName, column: str, values: Sequence[str], *, select: Sequence[str]
) -> Iterator[JsonRow]:
    """The rows whose column equals one of the values by the environment's own collation; in no order."""
    reads = [
        _read(table, column, values[start : start + VALUES_PER_READ], select)
        for start in range(0, len(values), VALUES_PER_READ)
    ]
    for start in range(0, len(reads), READS_PER_BATCH):
        label = reads[start].label
        for content in batched.contents(reads[start : start + READS_PER_BATCH], label=label):
            yield from batched.rows(content, label=label)


def _read(table: TableName, column: str, values: Sequence[str], select: Sequence[str]) -> Request:
    query = {"$select": selected(table, select), "$filter": odata.in_filter(column, values)}
    return odata.read(table.entity_set, query, label=f"look-up in {table.entity_set}")
