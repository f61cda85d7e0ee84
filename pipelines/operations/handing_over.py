"""Contacts that are about to go and that others use: they are given to whoever uses them instead of deleted.

The CRM deletes a contact's cases with it. So before each plan the contacts that it would delete are looked up in the
tables of `crm.in_use_tables`: one that a row made by a user not ours leads to has a dated task for its owner, and is the
CRM's own from then on. The plan then takes back what we wrote, lowers its consent, and deletes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

from connectors.dataverse import RowResult, TableName, WhoAmI
from connectors.store import handing_over as store
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.operations.views import showing_purposes
from schemas.errors import CrmMisconfigured
from schemas.policy import InUseTable, Policy
from schemas.tables import CONTACT

TASKS = TableName("tasks", "task", "activityid")
_CONTACTS = table_name(CONTACT.logical_name)
_MADE_BY, _OWNER = "_createdby_value", "_ownerid_value"
_ABSENT = 404
_CONTACTS_AT_A_TIME = 50
UNTOLD = (
    "in_use: a task about a contact that others use was not taken, so nothing may be deleted. Give the application user"
    " the rights to create tasks and to assign them."
)


class HandingCrm(Protocol):
    """What handing contacts over needs of the CRM's client."""

    def who_are_we(self) -> list[WhoAmI]: ...

    def iter_rows(
        self, table: TableName, select: Sequence[str], *, filter: str | None = None
    ) -> Iterator[dict[str, Any]]: ...

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
    ours = frozenset(one.user_id.lower() for one in crm.who_are_we())
    try:
        used = _used(crm, policy, leaving, ours)
    except CrmMisconfigured as error:
        return (_reason(policy, len(leaving), error),)
    if used and not session.is_rehearsal and not _are_told(crm, policy, _owners(crm, used, ours), ours, at=session.now):
        return (UNTOLD,)
    with session.transaction() as conn:
        store.hand_over(conn, sorted(used), at=session.now)
    return ()


def _used(crm: HandingCrm, policy: Policy, row_ids: Sequence[UUID], ours: frozenset[str]) -> dict[UUID, str]:
    """Of these contacts those that others use, with the owner of a row that leads there."""
    used: dict[UUID, str] = {}
    for table in policy.crm.in_use_tables:
        for lookup in table.lookups:
            for start in range(0, len(row_ids), _CONTACTS_AT_A_TIME):
                for row in _leading(crm, table, lookup, row_ids[start : start + _CONTACTS_AT_A_TIME]):
                    maker = str(row.get(_MADE_BY) or "").lower()
                    if maker not in ours:
                        used.setdefault(UUID(str(row[lookup])), str(row.get(_OWNER) or maker).lower())
    return used


def _leading(crm: HandingCrm, table: InUseTable, lookup: str, row_ids: Sequence[UUID]) -> Iterator[dict[str, Any]]:
    """The rows of a table that lead to one of some contacts; none where the CRM has no such table."""
    name = TableName(table.entity_set, table.table, table.primary_key)
    named = " or ".join(f"{lookup} eq {row_id}" for row_id in row_ids)
    try:
        yield from crm.iter_rows(name, [_MADE_BY, _OWNER, lookup], filter=named)
    except CrmMisconfigured as error:
        if error.status != _ABSENT:
            raise


def _owners(crm: HandingCrm, used: Mapping[UUID, str], ours: frozenset[str]) -> dict[UUID, str]:
    """Who is to decide about each: the contact's own owner, or that of the row that leads there where it is ours."""
    rows = crm.fetch_rows(_CONTACTS, [str(row_id) for row_id in sorted(used)], [_OWNER])
    owners = {UUID(row_id): str(row.get(_OWNER) or "").lower() for row_id, row in rows.items()}
    return {
        row_id: using if not owners[row_id] or owners[row_id] in ours else owners[row_id]
        for row_id, using in used.items()
        if row_id in owners
    }


def _are_told(
    crm: HandingCrm, policy: Policy, owners: Mapping[UUID, str], ours: frozenset[str], *, at: datetime
) -> bool:
    """Give each owner a task; whether the CRM took them all. Nothing is raised: lowering waits for no task."""
    due_at = at + timedelta(days=policy.crm.erasure_task_days)
    tasks = [_task(row_id, None if owner in ours else owner, due_at) for row_id, owner in owners.items()]
    try:
        results = crm.upsert_many(TASKS, tasks) if tasks else []
    except CrmMisconfigured:
        return False
    return all(result.outcome == "acknowledged" for result in results)


def _task(row_id: UUID, owner: str | None, due_at: datetime) -> dict[str, object]:
    task: dict[str, object] = {
        "activityid": str(uuid5(NAMESPACE_URL, f"handed over {row_id} {due_at:%Y-%m-%d}")),
        "subject": f"Decide about this contact by {due_at:%Y-%m-%d}",
        "description": "No purpose of ours shows this contact any more. What crm-intake wrote here is cleared and mail is"
        " off. Others use this contact: delete it, or note the ground for keeping it.",
        "scheduledend": due_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "regardingobjectid_contact_task@odata.bind": f"/contacts({row_id})",
    }
    return task if owner is None else {**task, "ownerid@odata.bind": f"/systemusers({owner})"}


def _reason(policy: Policy, leaving: int, error: CrmMisconfigured) -> str:
    tables = ", ".join(table.table for table in policy.crm.in_use_tables)
    return (
        f"in_use: whether others use {leaving} contacts that are to go cannot be read (status {error.status}). Give the"
        f" application user read on {tables} (crm.in_use_tables)."
    )
