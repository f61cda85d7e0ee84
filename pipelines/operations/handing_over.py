"""Contacts that are about to go and that others use: they are given to whoever uses them instead of deleted.

The CRM deletes a contact's cases with it. So before each plan the contacts that it would delete are looked up in the
tables of `crm.in_use_tables`: one that a row made by a user not ours leads to has a dated task for its owner, and is the
CRM's own from then on. The plan then takes back what we wrote, lowers its consent, and deletes nothing. So it is with one
that staff merged into another contact and that still has somebody's rows.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

from connectors.dataverse import RowResult, TableName
from connectors.store import handing_over as store
from pipelines.operations.delivery import table_name
from pipelines.operations.in_use import (
    OWNER,
    TASKS,
    Question,
    UsedCrm,
    decider,
    due_at,
    our_users,
    task_about,
    users_of,
)
from pipelines.operations.sessions import Session
from pipelines.operations.views import showing_purposes
from schemas.errors import CrmMisconfigured
from schemas.policy import Policy
from schemas.tables import CONTACT

_CONTACTS = table_name(CONTACT.logical_name)
UNTOLD = (
    "in_use: a task about a contact that others use was not taken, so nothing may be deleted. Give the application user"
    " the rights to create tasks and to assign them."
)


class HandingCrm(UsedCrm, Protocol):
    """What handing contacts over needs of the CRM's client."""

    def fetch_rows(
        self, table: TableName, ids: Sequence[str], select: Sequence[str]
    ) -> dict[str, dict[str, object]]: ...

    def upsert_many(self, table: TableName, rows: Sequence[Mapping[str, object]]) -> list[RowResult]: ...


def hand_over_used(session: Session, crm: HandingCrm) -> tuple[str, ...]:
    """Hand over what is to go and is used; the reasons for which it cannot be told, and then nothing may be deleted."""
    policy = session.workspace.policy
    with session.transaction() as conn:
        leaving = store.leaving_contacts(
            conn, now=session.now, showing=showing_purposes(policy), allowed=policy.crm.allow_list
        )
    if not leaving:
        return ()
    ours = our_users(crm)
    try:
        used = users_of(crm, policy, leaving, ours)
    except CrmMisconfigured as error:
        return (_reason(policy, len(leaving), error),)
    if used and not session.is_rehearsal and not _are_told(crm, policy, _owners(crm, used, ours), ours, at=session.now):
        return (UNTOLD,)
    with session.transaction() as conn:
        store.hand_over(conn, sorted(used), at=session.now)
    return ()


def _owners(crm: HandingCrm, used: Mapping[UUID, str], ours: frozenset[str]) -> dict[UUID, str]:
    """Who is to decide about each that the CRM has."""
    rows = crm.fetch_rows(_CONTACTS, [str(row_id) for row_id in sorted(used)], [OWNER])
    return {UUID(row_id): decider(row, used[UUID(row_id)], ours) for row_id, row in rows.items()}


def _are_told(
    crm: HandingCrm, policy: Policy, owners: Mapping[UUID, str], ours: frozenset[str], *, at: datetime
) -> bool:
    """Give each owner a task; whether the CRM took them all. Nothing is raised: lowering waits for no task."""
    question = Question("No purpose of ours shows this contact any more.", due_at(policy, at))
    tasks = [
        task_about(row_id, question, task_id=_task_id(row_id, question), owner=None if owner in ours else owner)
        for row_id, owner in owners.items()
    ]
    try:
        results = crm.upsert_many(TASKS, tasks) if tasks else []
    except CrmMisconfigured:
        return False
    return all(result.outcome == "acknowledged" for result in results)


def _task_id(row_id: UUID, question: Question) -> UUID:
    return uuid5(NAMESPACE_URL, f"handed over {row_id} {question.due_at:%Y-%m-%d}")


def _reason(policy: Policy, leaving: int, error: CrmMisconfigured) -> str:
    tables = ", ".join(table.table for table in policy.crm.in_use_tables)
    return (
        f"in_use: whether others use {leaving} contacts that are to go cannot be read (status {error.status}). Give the"
        f" application user read on {tables} (crm.in_use_tables)."
    )
