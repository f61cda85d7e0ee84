"""Validation: what the CRM would refuse of a plan, found before the first call: one bad row fails a whole bulk call.

A row that is too long, holds an option that is not among the table's, or a value of another type becomes a refused intent
that names column and fault, never the value. A lowering is sent as it is, since nothing holds it back; a column that the
CRM does not have is no row's fault, and the CRM says so.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from connectors.dataverse import TableDefinition, TableName, validate_rows
from connectors.dataverse.validation import RowFault
from connectors.store import outbox
from pipelines.operations.sending import table_name
from pipelines.operations.sessions import Session
from schemas.intents import Intent, Method, Phase

NOT_THE_ROWS = "unknown_column"


class DescribedCrm(Protocol):
    """What validation needs of the CRM's client."""

    def fetch_metadata(self, table: TableName, *, no_older_than_s: float = 0.0) -> TableDefinition: ...


def refuse_invalid(
    session: Session, crm: DescribedCrm, intents: Sequence[Intent], *, no_older_than_s: float = 0.0
) -> int:
    """Refuse the intents of this run's plan that the CRM could not take; returns how many.

    Asks only for tables written; one that was described a while ago (`no_older_than_s`) is not asked for again.
    """
    by_table: dict[str, list[Intent]] = defaultdict(list)
    for intent in intents:
        if intent.method is not Method.DELETE and intent.phase is not Phase.LOWERING:
            by_table[intent.table_name].append(intent)
    refused: list[tuple[Intent, str]] = []
    for name, planned in sorted(by_table.items()):
        columns = crm.fetch_metadata(table_name(name), no_older_than_s=no_older_than_s).columns
        refused += [(intent, code) for intent, code in _codes(planned, columns) if code]
    if refused:
        with session.transaction() as conn:
            outbox.refuse_unsent(conn, session.run_id, refused)
    return len(refused)


def _codes(intents: Sequence[Intent], columns: Mapping[str, Mapping[str, object]]) -> list[tuple[Intent, str]]:
    faults = validate_rows([intent.columns for intent in intents], columns)
    return [(intent, _code(found)) for intent, found in zip(intents, faults, strict=True)]


def _code(faults: Sequence[RowFault]) -> str:
    """`local:lastname:too_long`; empty for a row without a fault of its own."""
    return ",".join(f"local:{one.column}:{one.fault}" for one in faults if one.fault != NOT_THE_ROWS)
