"""Validation: what the CRM would refuse of a plan, found before the first call: one bad row fails a whole bulk call.

A row that is too long, holds an option that is not among the table's, or a value of another type becomes a refused intent
that names column and fault, never the value. A lowering is sent as it is, since nothing holds it back; a column that the
CRM does not have is no row's fault, and the CRM says so.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from sqlalchemy import Connection

from connectors.dataverse import TableDefinition, TableName, validate_rows
from connectors.dataverse.validation import RowFault
from connectors.store import outbox
from pipelines.operations.sending import table_name
from pipelines.operations.sessions import Session
from schemas.intents import Phase

NOT_THE_ROWS = "unknown_column"

Columns = Mapping[str, Mapping[str, object]]


class DescribedCrm(Protocol):
    """What validation needs of the CRM's client."""

    def fetch_metadata(self, table: TableName, *, no_older_than_s: float = 0.0) -> TableDefinition: ...


def refuse_invalid(
    session: Session, crm: DescribedCrm, written: Iterable[tuple[Phase, str]], *, no_older_than_s: float = 0.0
) -> int:
    """Refuse the intents of this run that the CRM could not take; returns how many.

    They are read from the outbox, some at a time; `written` are the phases and tables of which there are any. Asks only
    for tables written; one that was described a while ago (`no_older_than_s`) is not asked for again.
    """
    phases: dict[str, list[Phase]] = defaultdict(list)
    for phase, name in sorted(written):
        if Phase.LOWERING < phase < Phase.REMOVE_REGISTRATIONS:
            phases[name].append(phase)
    refused = 0
    for name in sorted(phases):
        columns = crm.fetch_metadata(table_name(name), no_older_than_s=no_older_than_s).columns
        with session.transaction() as conn:
            refused += sum(_refuse_of(session, conn, phase, name, columns) for phase in phases[name])
    return refused


def _refuse_of(session: Session, conn: Connection, phase: Phase, name: str, columns: Columns) -> int:
    count = 0
    for some in outbox.iter_unsent(conn, session.run_id, phase, name):
        faults = validate_rows([row for _, row in some], columns)
        refused = [(one, code) for (one, _), found in zip(some, faults, strict=True) if (code := _code(found))]
        if refused:
            outbox.refuse_unsent(conn, refused)
        count += len(refused)
    return count


def _code(faults: Sequence[RowFault]) -> str:
    """`local:lastname:too_long`; empty for a row without a fault of its own."""
    return ",".join(f"local:{one.column}:{one.fault}" for one in faults if one.fault != NOT_THE_ROWS)
