"""Decisions read in the CRM as a batch of the source `dataverse`, which goes through the same merge as all others."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pandas as pd
from sqlalchemy import Connection

from connectors.store import batches
from connectors.store.arrow_columns import table_from_frame
from connectors.store.bulk import drop_staged, stage_tables
from connectors.store.merge import MergeRequest, StagedTables, merge_batch
from connectors.store.migrate import PIPELINE_ROLE
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import purpose_rules
from pipelines.transforms.crm_changes import CrmDecision
from pipelines.transforms.emails import canonical_address, is_role_address
from pipelines.transforms.identity import resolve_subjects
from pipelines.transforms.readings import conform
from pipelines.transforms.row_ids import row_ids
from pipelines.transforms.wordings import wording_row
from schemas.consent import NAMELESS, Value
from schemas.mappings import Source
from schemas.policy import RegisteredProfile
from schemas.records import (
    ANSWER_COLUMNS,
    DECISION_COLUMNS,
    FAULT_COLUMNS,
    OCCASION_COLUMNS,
    SUBMISSION_COLUMNS,
)

FEED = "dataverse_readback"
CHANNEL = "crm"


def record_decisions(session: Session, found: Sequence[CrmDecision]) -> None:
    """Bring what rows of the CRM say into the ledger, as one batch."""
    request = stage_decisions(session, found)
    if request is None:
        return
    with session.transaction() as conn:
        merge_batch(conn, request, resolve=resolve_subjects)
        if not session.is_rehearsal:
            drop_staged(conn, session.staged)
    if not session.is_rehearsal:
        session.staged.clear()


def stage_decisions(session: Session, found: Sequence[CrmDecision]) -> MergeRequest | None:
    """Stage the decisions as one batch, ready to be merged; None where no address of theirs can be read."""
    submissions, decisions = _frames(session, found)
    if submissions.empty:
        return None
    batch_id = uuid4()
    with session.transaction() as conn:
        _record_batch(conn, session, batch_id)
    submissions = submissions.assign(batch_id=str(batch_id), batch_row_no=submissions["row_no"])
    staged = _stage(session, submissions.astype({"batch_id": "str"}), decisions, batch_id)
    return MergeRequest(
        batch_ids=[batch_id],
        run_id=session.run_id,
        source=str(Source.DATAVERSE),
        feed=FEED,
        kind="readback",
        mapping_hash="",
        now=session.now,
        keep=session.workspace.landing_keeps(stopped=False),
        raises=True,
        ledger_key=session.workspace.keys.current("ledger").secret,
        tombstone_keys=session.workspace.keys.all_keys("tombstone"),
        staged=staged,
        rules=purpose_rules(session.workspace.policy),
        wordings=[_wording(d.profile) for d in found if d.profile is not None],
    )


def _record_batch(conn: Connection, session: Session, batch_id: UUID) -> None:
    batches.record_batch(
        conn, batch_id, source=str(Source.DATAVERSE), feed=FEED, received_at=session.now, content_hash=batch_id.hex
    )


def _stage(session: Session, submissions: pd.DataFrame, decisions: pd.DataFrame, batch_id: UUID) -> StagedTables:
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
    return StagedTables(**dict(zip(frames, tables, strict=True)))


def _frames(session: Session, found: Sequence[CrmDecision]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One submission and one decision for each different decision about each address."""
    seen: set[tuple[str, str]] = set()
    addresses_of: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    decisions: list[dict[str, Any]] = []
    for decision in found:
        address, name = canonical_address(decision.address), _name(decision)
        if address.key is None or (name, address.key) in seen:
            continue
        seen.add((name, address.key))
        # One row may speak of two addresses; its id must tell them apart and must not be made of them.
        addresses_of[name] += 1
        told, row_no = _submission(decision, address.address, address.key), len(rows) + 1
        named = {"row_no": row_no, "received_at": session.now, "submission_id": f"{name}:{addresses_of[name]}"}
        rows.append(told | named)
        decisions.append(_decision(decision, row_no, session))
    return conform(pd.DataFrame(rows), SUBMISSION_COLUMNS), conform(pd.DataFrame(decisions), DECISION_COLUMNS)


def _name(decision: CrmDecision) -> str:
    what = f"{decision.purpose}:{decision.topic or ''}:{decision.value}:{decision.clock or ''}"
    return f"{decision.table}:{decision.row_id}:{what}:{decision.at:%Y%m%dT%H%M%S}"


def _submission(decision: CrmDecision, address: str | None, key: str) -> dict[str, Any]:
    """A row that names nobody: whoever reads the address. Only a grant gives ground for anything."""
    grants, is_role = decision.value is Value.GRANT, is_role_address(key)
    flags = ("is_sale", "is_payer", "notice_shown", "is_enquiry", "is_deleted")
    return {
        "content_hash": decision.at.isoformat(),
        "version_at": decision.at,
        "submitted_from": decision.at,
        "submitted_to": decision.at,
        "address": address,
        "address_key": key,
        "is_role_address": is_role,
        "given_key": NAMELESS,
        "is_usable": grants and not is_role,
        "withheld": "role_address" if grants and is_role else None,
        **dict.fromkeys(flags, False),
    }


def _decision(decision: CrmDecision, row_no: int, session: Session) -> dict[str, Any]:
    profile = decision.profile
    return {
        "row_no": row_no,
        "purpose": decision.purpose,
        "topic": decision.topic,
        "value": str(decision.value),
        "actor": str(decision.actor),
        "clock": decision.clock or str(Source.DATAVERSE),
        "occurred_at": decision.at,
        "precision_s": 0,
        # What is carried along from another address was dated when it was received there, maybe since this run began.
        "effective_at": decision.at if decision.clock else min(decision.at, session.now),
        "states_current_value": False,
        "reason": decision.reason,
        "channel": CHANNEL,
        "wording_hash": _wording(profile)["wording_hash"] if profile else None,
        "notice_version": profile.notice_version if profile else None,
    }


def _wording(profile: RegisteredProfile) -> dict[str, str]:
    return wording_row(profile.wording, language=profile.language, version=profile.version)
