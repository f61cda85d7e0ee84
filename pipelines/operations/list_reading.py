"""Who is on the marketing lists that mirror topics: a contact of ours that staff took off one wants that topic no more.

A list is read whole, for the CRM tells of a member that went no more than its key, which is the CRM's own; a narrow
synchronisation asks for the members that it is about. Who is on a list without us is nobody's consent, and is left.
Who is missing from a list that went itself, was made anew or was emptied was not taken off it: people are told instead.
Where the list is there, who is missing is known as its member no more, so that nothing that happens to it later makes them
ones who left; the plan puts on it whoever wants its topic still.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import RowMapping

from connectors.dataverse import Membership, TableName
from connectors.store import crm_rows
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.transforms.crm_changes import CrmDecision, Finding, Told, instant
from pipelines.transforms.minimise import membership_id
from schemas.consent import Actor, Value
from schemas.tables import CONTACT, LIST_MEMBER

LISTS = TableName("lists", "list", "listid")
# Staff take people off one by one: where so many are gone between two readings, and all of them, the list was emptied.
MANY = 10


class ListsCrm(Protocol):
    """What reading a list needs of the CRM's client."""

    def iter_rows(
        self, table: TableName, select: list[str], *, filter: str | None = None
    ) -> Iterator[dict[str, Any]]: ...


class ListedCrm(ListsCrm, Protocol):
    """What telling who left a list needs of the CRM's client."""

    def find_list_members(self, members: Sequence[Membership]) -> list[dict[str, object]]: ...

    def fetch_rows(
        self, table: TableName, ids: Sequence[str], select: Sequence[str]
    ) -> dict[str, dict[str, object]]: ...


def iter_members(crm: ListsCrm, list_id: UUID) -> Iterator[tuple[UUID, dict[str, Any]]]:
    """Every member of a list: how we call the membership, and its row."""
    select = ["_listid_value", "_entityid_value"]
    rows = crm.iter_rows(table_name(LIST_MEMBER.logical_name), select, filter=f"_listid_value eq {list_id}")
    for row in rows:
        yield membership_id(list_id, UUID(str(row["_entityid_value"]))), row


def read_left_lists(session: Session, crm: ListedCrm, told: Told, *, among: Sequence[UUID] | None = None) -> None:
    """Add to `told` a withdrawal, by staff, for each of our members (at some addresses) that is on its list no more.

    A contact that went, or was merged away, was not taken off a list; a list that was lost is a finding, and whoever is
    missing from it is forgotten, at whatever address.
    """
    lists = session.workspace.policy.lists()
    known = {row["row_id"]: row for row in _members(session, among) if row["list_id"] in lists}
    if not known:
        return
    there = set(_there(crm, known, is_few=among is not None))
    # Another run may have put somebody on a list, or taken them off, while it was read.
    still = {row["row_id"] for row in _members(session, among)}
    left = [row for row_id, row in known.items() if row_id not in there and row_id in still]
    standing = _standing(crm, left) - {merged.loser_id for merged in told.merges}
    left = [row for row in left if row["contact_id"] in standing]
    lost = _lost(session, crm, left)
    for row in (one for one in left if one["list_id"] not in lost):
        told.decisions.append(_withdrawal(row, lists[row["list_id"]], session))
        told.forgotten.append((LIST_MEMBER.logical_name, row["row_id"]))
    told.forgotten += [(LIST_MEMBER.logical_name, row["row_id"]) for missing in lost.values() for row in missing]
    told.findings += [Finding("list_lost", LISTS.logical_name, one, lists[one][1]) for one in sorted(lost)]


def _members(session: Session, among: Sequence[UUID] | None) -> Sequence[RowMapping]:
    with session.transaction() as conn:
        return crm_rows.members_of_ours(conn, among=among)


def _there(crm: ListedCrm, known: Mapping[UUID, RowMapping], *, is_few: bool) -> Iterator[UUID]:
    """Of which of these memberships the CRM has a row, as we call them."""
    if is_few:
        asked = [Membership(str(one["row_id"]), str(one["list_id"]), str(one["contact_id"])) for one in known.values()]
        for row in crm.find_list_members(asked):
            yield membership_id(UUID(str(row["_listid_value"])), UUID(str(row["_entityid_value"])))
        return
    for list_id in sorted({row["list_id"] for row in known.values()}):
        for row_id, _ in iter_members(crm, list_id):
            yield row_id


def _standing(crm: ListedCrm, left: Sequence[RowMapping]) -> set[UUID]:
    """The contacts of these that the CRM has still and that nobody merged away: whoever went after contacts were read."""
    ids = sorted({str(row["contact_id"]) for row in left})
    rows = crm.fetch_rows(table_name(CONTACT.logical_name), ids, ["merged"]) if ids else {}
    return {UUID(row_id) for row_id, row in rows.items() if row.get("merged") is not True}


def _lost(session: Session, crm: ListedCrm, left: Sequence[RowMapping]) -> dict[UUID, Sequence[RowMapping]]:
    """Those lists of the members who left that are not there, are younger than a membership, or were emptied.

    With who is missing from each; nobody from one that is not there, for nobody can be put on it. They are looked at
    after their members, so that what happened to a list meanwhile is known.
    """
    if not left:
        return {}
    ids = sorted({row["list_id"] for row in left})
    rows = crm.fetch_rows(LISTS, [str(list_id) for list_id in ids], ["createdon"])
    made = {UUID(list_id): instant(str(row["createdon"])) for list_id, row in rows.items()}
    skew = timedelta(seconds=session.workspace.policy.clock_skew_s)
    younger = {r["list_id"] for r in left if r["list_id"] in made and made[r["list_id"]] > r["acked_at"] + skew}
    ours = {one: [row for row in _members(session, None) if row["list_id"] == one] for one in made}
    lost: dict[UUID, Sequence[RowMapping]] = {one: [] for one in ids if one not in made}
    lost |= {one: _missing(ours[one], _on(crm, one)) for one in younger}
    emptied = {one: _emptied(session, ours[one], _on(crm, one)) for one in made.keys() - younger}
    return lost | {one: missing for one, missing in emptied.items() if missing}


def _on(crm: ListedCrm, list_id: UUID) -> Iterator[UUID]:
    return (row_id for row_id, _ in iter_members(crm, list_id))


def _missing(ours: Sequence[RowMapping], on_it: Iterator[UUID]) -> Sequence[RowMapping]:
    there = set(on_it)
    return [row for row in ours if row["row_id"] not in there]


def _emptied(session: Session, ours: Sequence[RowMapping], on_it: Iterator[UUID]) -> Sequence[RowMapping]:
    """Who is missing from a list that was emptied: many, and nobody is there but who came after all of them.

    Nobody, where it was not. Who is there must have come since a run last read the CRM, too: a list is read no further
    than to the first who was there before, for a click waits for it.
    """
    if len(ours) < MANY:
        return []
    with session.transaction() as conn:
        cursor = crm_rows.cursor_of(conn, CONTACT.logical_name)
    missing, came = {row["row_id"]: row for row in ours}, list[datetime]()
    for row in (missing.pop(row_id) for row_id in on_it if row_id in missing):
        if cursor is not None and row["acked_at"] <= cursor[2]:
            return []
        came.append(row["acked_at"])
    is_many = len(missing) >= MANY
    is_emptied = is_many and (not came or min(came) > max(row["acked_at"] for row in missing.values()))
    return list(missing.values()) if is_emptied else []


def _withdrawal(row: RowMapping, named: tuple[str, str], session: Session) -> CrmDecision:
    return CrmDecision(
        LIST_MEMBER.logical_name, row["row_id"], row["address"], *named, Value.WITHDRAW, Actor.STAFF, session.now
    )
