"""Who else uses a contact of the CRM, and the dated task by which they decide about it.

Others use a contact that a user not ours made, or to which a row of `crm.in_use_tables` leads that such a user made: the
CRM would delete their cases with it. Who decides is the contact's owner, or where that is us the owner of what leads there.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from connectors.dataverse import TableName, WhoAmI
from schemas.errors import CrmMisconfigured
from schemas.policy import InUseTable, Policy

TASKS = TableName("tasks", "task", "activityid")
MADE_BY, OWNER = "_createdby_value", "_ownerid_value"
_ABSENT = 404
_CONTACTS_AT_A_TIME = 50


class UsedCrm(Protocol):
    """What is asked of the CRM's client."""

    def who_are_we(self) -> list[WhoAmI]: ...

    def iter_rows(
        self, table: TableName, select: Sequence[str], *, filter: str | None = None
    ) -> Iterator[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody is asked about a contact: why now (a word before the subject, a sentence), and until when."""

    why: str
    due_at: datetime
    occasion: str = ""


def our_users(crm: UsedCrm) -> frozenset[str]:
    """The ids of our application users."""
    return frozenset(one.user_id.lower() for one in crm.who_are_we())


def is_made_by(row: Mapping[str, Any], ours: Collection[str]) -> bool:
    """Whether a row was made by one of our users."""
    return str(row.get(MADE_BY) or "").lower() in ours


def users_of(crm: UsedCrm, policy: Policy, row_ids: Sequence[UUID], ours: Collection[str]) -> dict[UUID, str]:
    """Of these contacts those to which a row of somebody else leads, with the owner of such a row."""
    used: dict[UUID, str] = {}
    for table in policy.crm.in_use_tables:
        for lookup in table.lookups:
            for start in range(0, len(row_ids), _CONTACTS_AT_A_TIME):
                for row in _leading(crm, table, lookup, row_ids[start : start + _CONTACTS_AT_A_TIME]):
                    if not is_made_by(row, ours):
                        used.setdefault(UUID(str(row[lookup])), str(row.get(OWNER) or row.get(MADE_BY)).lower())
    return used


def _leading(crm: UsedCrm, table: InUseTable, lookup: str, row_ids: Sequence[UUID]) -> Iterator[dict[str, Any]]:
    """The rows of a table that lead to one of some contacts; none where the CRM has no such table."""
    name = TableName(table.entity_set, table.table, table.primary_key)
    named = " or ".join(f"{lookup} eq {row_id}" for row_id in row_ids)
    try:
        yield from crm.iter_rows(name, [MADE_BY, OWNER, lookup], filter=named)
    except CrmMisconfigured as error:
        if error.status != _ABSENT:
            raise


def decider(contact: Mapping[str, Any], using: str, ours: Collection[str]) -> str:
    """Who is to decide about a contact, where `using` owns what leads there."""
    owner = str(contact.get(OWNER) or "").lower()
    return using if not owner or owner in ours else owner


def due_at(policy: Policy, since: datetime) -> datetime:
    """Until when somebody has time to decide."""
    return since + timedelta(days=policy.crm.erasure_task_days)


def task_about(row_id: UUID, question: Question, *, task_id: UUID, owner: str | None) -> dict[str, object]:
    """A task that asks whoever uses a contact; with no owner it is our own user's. It names nobody."""
    subject = f"decide about this contact by {question.due_at:%Y-%m-%d}"
    task: dict[str, object] = {
        "activityid": str(task_id),
        "subject": f"{question.occasion}: {subject}" if question.occasion else subject.capitalize(),
        "description": f"{question.why} What crm-intake wrote here is cleared and mail is off. Others use this contact:"
        " delete it, or note the ground for keeping it.",
        "scheduledend": question.due_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "regardingobjectid_contact_task@odata.bind": f"/contacts({row_id})",
    }
    return task if owner is None else {**task, "ownerid@odata.bind": f"/systemusers({owner})"}
