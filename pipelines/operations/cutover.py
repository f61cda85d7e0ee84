"""The cut-over: opt-ins of the CRM for which nobody has evidence are opted out, once, approved by name.

They become withdrawals by staff in the ledger, dated now; from then on the invariants cover every row of the CRM.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connectors.store import cutover as store
from pipelines.operations.adoption import Adoption, SearchableCrm, adopt_all, opt_ins_left, read_whole_crm
from pipelines.operations.crm_merging import record_decisions
from pipelines.operations.sessions import Session
from pipelines.transforms.adopted_rows import OptIn
from pipelines.transforms.crm_changes import CrmDecision
from schemas.consent import Actor, Value
from schemas.errors import ApprovalRequired

REASON = "cutover"


@dataclass
class CutOver:
    """What is opted in without evidence: rows by table, and the name of exactly these rows."""

    cutover_id: str
    counts: dict[str, int]
    approved_by: str | None = None
    adopted: Adoption | None = field(default=None)


def propose(session: Session, crm: SearchableCrm) -> CutOver:
    """A dry run: what would be opted out, and the id under which somebody may approve it."""
    proposal = _proposal(_left(session, crm))
    with session.transaction() as conn:
        store.propose(conn, proposal.cutover_id, proposal.counts, at=session.now)
    return proposal


def cut_over(session: Session, crm: SearchableCrm, cutover_id: str, *, by: str) -> CutOver:
    """Opt out what the dry run of that id found, if that is still what there is; ApprovalRequired otherwise."""
    left = _left(session, crm)
    proposal = _proposal(left)
    with session.transaction() as conn:
        is_proposed = store.is_proposed(conn, cutover_id)
    if proposal.cutover_id != cutover_id or not is_proposed:
        raise ApprovalRequired(
            proposal.cutover_id,
            f"Dry run {cutover_id} is not what the CRM holds now. Look again with `crm-intake crm adopt --cutover`, "
            "then approve the id that it prints.",
        )
    record_decisions(session, _withdrawals(left, session.now))
    proposal.adopted = adopt_all(session, crm)
    with session.transaction() as conn:
        store.approve(conn, cutover_id, by=by, at=session.now)
    proposal.approved_by = by
    return proposal


def _left(session: Session, crm: SearchableCrm) -> list[OptIn]:
    found = read_whole_crm(session, crm)
    with session.transaction() as conn:
        return opt_ins_left(session, conn, found)


def _proposal(left: Sequence[OptIn]) -> CutOver:
    named = "".join(sorted(f"{opt_in.table}:{opt_in.row_id}:{opt_in.purpose}\n" for opt_in in left))
    return CutOver(hashlib.sha256(named.encode()).hexdigest()[:12], dict(Counter(opt_in.table for opt_in in left)))


def _withdrawals(left: Sequence[OptIn], at: datetime) -> list[CrmDecision]:
    """One withdrawal a purpose and row; that of a topic's row is of its whole purpose, of which there is no evidence."""
    return [
        CrmDecision(
            table=opt_in.table,
            row_id=opt_in.row_id,
            address=opt_in.address,
            purpose=opt_in.purpose,
            topic=None,
            value=Value.WITHDRAW,
            actor=Actor.STAFF,
            at=at,
            reason=REASON,
        )
        for opt_in in left
    ]
