"""Reconciliation: what the ledger says the CRM should hold against what it holds, row by row and column by column.

Every difference is explained (an intent waits, was refused, or met a conflict; the row is not ours) or it is reported.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text

from connectors.dataverse import TableName
from connectors.store.planning import is_cut_over, load_occasions
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.operations.views import iter_views
from pipelines.transforms.desired import desired_rows
from pipelines.transforms.minimise import RowKey, minimise_occasion
from pipelines.transforms.plan import RAISED
from pipelines.transforms.readback import as_read, read_columns
from schemas.tables import CONTACT, EVENT, PROVENANCE, TABLES


class ReadableCrm(Protocol):
    """What reconciliation needs of the CRM's client."""

    def iter_rows(self, table: TableName, select: list[str]) -> Iterator[dict[str, Any]]: ...


@dataclass
class Reconciliation:
    """Rows compared; differences by table and kind; `unexplained` holds (table, row id, kind), `unmanaged` rows not ours.

    Once the CRM is cut over, no row without evidence may let mail go: one that does is a difference, too.
    """

    compared: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[tuple[str, UUID, str]] = field(default_factory=list)
    unmanaged: Counter[str] = field(default_factory=Counter)
    is_cut_over: bool = False


def reconcile(session: Session, crm: ReadableCrm) -> Reconciliation:
    """Compare every row of ours; reads the whole CRM tables, writes nothing."""
    outcome = Reconciliation()
    with session.transaction() as conn:
        addresses, in_review = _desired_addresses(session, conn)
        desired = {**addresses, **_desired_occasions(conn)}
        excused = {**in_review, **_excused(conn)}
        statement = "select table_name, row_id from intake.crm_row where is_ours"
        ours = {(row.table_name, row.row_id) for row in conn.execute(text(statement))}
        outcome.is_cut_over = is_cut_over(conn)
    for logical_name in TABLES:
        _compare_table(crm, logical_name, desired, excused, ours, outcome)
    return outcome


def _desired_addresses(session: Session, conn: Any) -> tuple[dict[RowKey, dict[str, Any]], dict[RowKey, str]]:
    """What the addresses should have, and which of it waits for somebody to decide which contact is whose."""
    policy = session.workspace.policy
    desired: dict[RowKey, dict[str, Any]] = {}
    in_review: dict[RowKey, str] = {}
    for view, _ in iter_views(conn, policy, now=session.now, every=True):
        rows = desired_rows(view, policy, now=session.now)
        desired.update(rows)
        if view.is_in_review:
            in_review.update(dict.fromkeys(rows, "in_review"))
    return desired, in_review


def _desired_occasions(conn: Any) -> dict[tuple[str, UUID], dict[str, Any]]:
    return {
        (EVENT.logical_name, row["occasion_pk"]): minimise_occasion(
            row["name"], row["kind"], row["starts_at"], row["ends_at"]
        )
        for row in load_occasions(conn, table=EVENT.logical_name, every=True)
    }


def _excused(conn: Any) -> dict[tuple[str, UUID], str]:
    """Rows whose latest intent did not come through, with its state."""
    statement = (
        "select distinct on (table_name, row_id) table_name, row_id, state from intake.outbox_intent"
        " order by table_name, row_id, intent_id desc"
    )
    return {(r.table_name, r.row_id): r.state for r in conn.execute(text(statement)) if r.state != "acknowledged"}


def _compare_table(
    crm: ReadableCrm,
    logical_name: str,
    desired: dict[tuple[str, UUID], dict[str, Any]],
    excused: dict[tuple[str, UUID], str],
    ours: set[tuple[str, UUID]],
    outcome: Reconciliation,
) -> None:
    table = TABLES[logical_name]
    select = [table.primary_key, *read_columns(logical_name, table.columns)]
    wanted = {key for key in desired if key[0] == logical_name}
    for row in crm.iter_rows(table_name(logical_name), select):
        key = (logical_name, UUID(str(row[table.primary_key])))
        wanted.discard(key)
        if key not in desired and key not in ours:
            outcome.unmanaged[logical_name] += 1
            if outcome.is_cut_over and _lets_mail_go(logical_name, row):
                outcome.unexplained.append((*key, "without_evidence"))
            continue
        outcome.compared += 1
        kind = "left_over" if key not in desired else _difference(logical_name, desired[key], row)
        _note(outcome, key, kind, excused)
    for key in wanted:
        _note(outcome, key, "missing", excused)


def _lets_mail_go(table: str, row: dict[str, Any]) -> bool:
    column, raised, _ = RAISED.get(table, (None, None, None))
    has_address = table != CONTACT.logical_name or bool(row.get("emailaddress1"))
    return column is not None and has_address and row.get(column) == raised


def _difference(table: str, columns: dict[str, Any], row: dict[str, Any]) -> str | None:
    written = {name: value for name, value in columns.items() if name not in PROVENANCE}
    differing = sorted(name for name, value in as_read(table, written).items() if row.get(name) != value)
    return f"differs:{','.join(differing)}" if differing else None


def _note(
    outcome: Reconciliation, key: tuple[str, UUID], kind: str | None, excused: dict[tuple[str, UUID], str]
) -> None:
    if kind is None:
        return
    if key in excused:
        outcome.explained[f"{key[0]}:{kind.split(':')[0]}:{excused[key]}"] += 1
    else:
        outcome.unexplained.append((*key, kind))
