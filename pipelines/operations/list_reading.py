"""Who is on the marketing lists that mirror topics: a contact of ours that staff took off one wants that topic no more.

A list is read whole, for the CRM tells of a member that went no more than its key, which is the CRM's own. Who is on a
list without us is nobody's consent, and is left.
"""

from collections.abc import Iterator
from typing import Any, Protocol
from uuid import UUID

from connectors.dataverse import TableName
from connectors.store import crm_rows
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.transforms.crm_changes import CrmDecision, Told
from pipelines.transforms.minimise import membership_id
from schemas.consent import Actor, Value
from schemas.tables import LIST_MEMBER


class ListedCrm(Protocol):
    """What reading lists needs of the CRM's client."""

    def iter_rows(
        self, table: TableName, select: list[str], *, filter: str | None = None
    ) -> Iterator[dict[str, Any]]: ...


def iter_members(crm: ListedCrm, list_id: UUID) -> Iterator[tuple[UUID, dict[str, Any]]]:
    """Every member of a list: how we call the membership, and its row."""
    select = ["_listid_value", "_entityid_value"]
    rows = crm.iter_rows(table_name(LIST_MEMBER.logical_name), select, filter=f"_listid_value eq {list_id}")
    for row in rows:
        yield membership_id(list_id, UUID(str(row["_entityid_value"]))), row


def read_left_lists(session: Session, crm: ListedCrm, told: Told) -> None:
    """Add to `told` a withdrawal, by staff, for each of our members that is on its list no more.

    A contact that went, or was merged away, was not taken off a list.
    """
    lists = session.workspace.policy.lists()
    there = {row_id for list_id in lists for row_id, _ in iter_members(crm, list_id)}
    moved = {row_id for _, row_id in told.gone} | {merged.loser_id for merged in told.merges}
    with session.transaction() as conn:
        known = crm_rows.members_of_ours(conn) if lists else []
    for row in known:
        named = lists.get(row["list_id"])
        if named is not None and row["row_id"] not in there and row["contact_id"] not in moved:
            told.decisions.append(
                CrmDecision(
                    LIST_MEMBER.logical_name,
                    row["row_id"],
                    row["address"],
                    *named,
                    Value.WITHDRAW,
                    Actor.STAFF,
                    session.now,
                )
            )
            told.forgotten.append((LIST_MEMBER.logical_name, row["row_id"]))
