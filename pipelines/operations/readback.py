"""Read-back: what people withdrew in the CRM becomes events of the ledger before anything is planned.

A read-back is a batch of the source `dataverse` that can only lower; it goes through the same merge as all others.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from uuid import UUID, uuid4

import pandas as pd
from sqlalchemy import Connection

from connectors.dataverse import TableName
from connectors.store import batches, crm_rows
from connectors.store.arrow_columns import table_from_frame
from connectors.store.bulk import drop_staged, stage_tables
from connectors.store.merge import MergeRequest, StagedTables, merge_batch
from connectors.store.migrate import PIPELINE_ROLE
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import purpose_rules
from pipelines.transforms.emails import canonical_address, is_role_address
from pipelines.transforms.identity import resolve_subjects
from pipelines.transforms.readings import conform
from pipelines.transforms.row_ids import row_ids
from pipelines.transforms.withdrawals import (
    CONSENT_COLUMNS,
    CONTACT_COLUMNS,
    CrmWithdrawal,
    consent_withdrawals,
    contact_withdrawals,
)
from schemas.consent import NAMELESS, Value
from schemas.mappings import Source
from schemas.records import (
    ANSWER_COLUMNS,
    DECISION_COLUMNS,
    FAULT_COLUMNS,
    OCCASION_COLUMNS,
    SUBMISSION_COLUMNS,
)
from schemas.tables import CONSENT, CONTACT, ConsentValue

FEED = "dataverse_readback"
EPOCH = "1970-01-01T00:00:00Z"


class ReadableCrm(Protocol):
    """What the read-back needs of the CRM's client."""

    def iter_rows(
        self, table: TableName, select: Sequence[str], *, filter: str | None = None
    ) -> Iterator[dict[str, Any]]: ...


def read_back(session: Session, crm: ReadableCrm) -> int:
    """Bring withdrawals made in the CRM since the last read-back into the ledger; returns how many decisions they made."""
    with session.transaction() as conn:
        cursors = {
            name: crm_rows.position(conn, name) or EPOCH for name in (CONTACT.logical_name, CONSENT.logical_name)
        }
    contacts = list(
        _changed(crm, CONTACT.logical_name, CONTACT_COLUMNS, cursors, "donotbulkemail eq true or donotemail eq true")
    )
    lowered = f"msdynmkt_value eq {int(ConsentValue.OPTED_OUT)}"
    consents = list(_changed(crm, CONSENT.logical_name, CONSENT_COLUMNS, cursors, lowered))
    with session.transaction() as conn:
        known = crm_rows.columns_of(
            conn, _ids(contacts, "contactid"), _ids(consents, "msdynmkt_contactpointconsent4id")
        )
    found = contact_withdrawals(contacts, known) + consent_withdrawals(consents, known, session.workspace.policy)
    request = stage_withdrawals(session, found) if found else None
    with session.transaction() as conn:
        if request is not None:
            merge_batch(conn, request, resolve=resolve_subjects)
            if not session.is_rehearsal:
                drop_staged(conn, session.staged)
        crm_rows.note_values(conn, [(w.table, w.row_id, {w.column: w.value}) for w in found])
        for name, rows in ((CONTACT.logical_name, contacts), (CONSENT.logical_name, consents)):
            crm_rows.move(conn, name, max((row["modifiedon"] for row in rows), default=cursors[name]))
    if not session.is_rehearsal:
        session.staged.clear()
    return len(found)


def _changed(
    crm: ReadableCrm, table: str, select: Sequence[str], cursors: dict[str, str], condition: str
) -> Iterator[dict[str, Any]]:
    return crm.iter_rows(table_name(table), list(select), filter=f"modifiedon ge {cursors[table]} and ({condition})")


def _ids(rows: Sequence[dict[str, Any]], column: str) -> list[UUID]:
    return [UUID(str(row[column])) for row in rows]


def stage_withdrawals(session: Session, found: Sequence[CrmWithdrawal]) -> MergeRequest:
    """Stage withdrawals found in the CRM as a batch that can only lower; the caller merges it."""
    batch_id = uuid4()
    with session.transaction() as conn:
        _record_batch(conn, session, batch_id)
    submissions, decisions = _frames(session, found, batch_id)
    salt = UUID(bytes=session.workspace.keys.current("guid_salt").secret[:16])
    names = [f"dataverse|{i}" for i in submissions["submission_id"]]
    staged = table_from_frame(submissions, uuid_columns=["batch_id"]).append_column("maker_id", row_ids(salt, names))
    frames = {
        "submissions": staged.append_column("registration_id", row_ids(salt, names)),
        "decisions": table_from_frame(decisions),
        "faults": table_from_frame(conform(pd.DataFrame(), FAULT_COLUMNS)),
        "occasions": table_from_frame(conform(pd.DataFrame(), OCCASION_COLUMNS)).append_column(
            "occasion_pk", row_ids(salt, ())
        ),
        "answers": table_from_frame(conform(pd.DataFrame(), ANSWER_COLUMNS)),
    }
    tables = stage_tables(
        session.workspace.address, {f"b_{batch_id.hex}_{n}": f for n, f in frames.items()}, role=PIPELINE_ROLE
    )
    session.staged += tables
    return MergeRequest(
        batch_ids=[batch_id],
        run_id=session.run_id,
        source=str(Source.DATAVERSE),
        feed=FEED,
        kind="readback",
        mapping_hash="",
        now=session.now,
        expires_at=session.workspace.landing_ends_at(session.now, stopped=False),
        raises=True,
        ledger_key=session.workspace.keys.current("ledger").secret,
        staged=StagedTables(**dict(zip(frames, tables, strict=True))),
        rules=purpose_rules(session.workspace.policy),
    )


def _record_batch(conn: Connection, session: Session, batch_id: UUID) -> None:
    batches.record_batch(
        conn, batch_id, source=str(Source.DATAVERSE), feed=FEED, received_at=session.now, content_hash=batch_id.hex
    )


def _frames(session: Session, found: Sequence[CrmWithdrawal], batch_id: UUID) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, decisions = [], []
    for row_no, withdrawal in enumerate(found, start=1):
        address = canonical_address(withdrawal.address)
        if address.key is None:
            continue
        rows.append(_submission(withdrawal, row_no, address.address, address.key) | {"received_at": session.now})
        decisions.append(_decision(withdrawal, row_no, min(withdrawal.modified_at, session.now)))
    submissions = conform(pd.DataFrame(rows), SUBMISSION_COLUMNS)
    submissions = submissions.assign(batch_id=str(batch_id), batch_row_no=submissions["row_no"])
    return submissions.astype({"batch_id": "str"}), conform(pd.DataFrame(decisions), DECISION_COLUMNS)


def _submission(withdrawal: CrmWithdrawal, row_no: int, address: str | None, key: str) -> dict[str, Any]:
    """A row that names nobody: whoever reads the address; it can only lower."""
    name = f"{withdrawal.table}:{withdrawal.row_id}:{withdrawal.purpose}:{withdrawal.topic or ''}"
    flags = ("is_sale", "is_payer", "notice_shown", "is_enquiry", "is_deleted", "is_usable")
    return {
        "row_no": row_no,
        "submission_id": f"{name}:{withdrawal.modified_at:%Y%m%dT%H%M%S}",
        "content_hash": withdrawal.modified_at.isoformat(),
        "version_at": withdrawal.modified_at,
        "address": address,
        "address_key": key,
        "is_role_address": is_role_address(key),
        "given_key": NAMELESS,
        **dict.fromkeys(flags, False),
    }


def _decision(withdrawal: CrmWithdrawal, row_no: int, at: Any) -> dict[str, Any]:
    return {
        "row_no": row_no,
        "purpose": withdrawal.purpose,
        "topic": withdrawal.topic,
        "value": str(Value.WITHDRAW),
        "actor": str(withdrawal.actor),
        "clock": str(Source.DATAVERSE),
        "occurred_at": withdrawal.modified_at,
        "precision_s": 0,
        "effective_at": at,
        "states_current_value": False,
        "reason": withdrawal.reason,
        "channel": "crm",
    }
