"""Merges in the CRM, followed: whose contact is which row from now on, and the withdrawals that go along.

What was withdrawn at one address of a merged contact holds at the other, whether it is read before the merge or after; a grant
does not. So no union of two records allows more than either did. What the person withdraws after the merge holds at both as
well; several people who only share the contact each speak for themselves. A merge that somebody takes back, by making the
contact active again, gives each their own; what was withdrawn meanwhile stays so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, RowMapping

from connectors.store import crm_links, crm_rows, narrow_calls
from pipelines.operations.crm_merging import record_decisions
from pipelines.operations.crm_reading import ReadableCrm
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.transforms.adoption import is_compatible
from pipelines.transforms.crm_changes import CrmDecision, Merged, Split, Told, as_tracked, selected_columns
from pipelines.transforms.crm_contacts import ADDRESS, FLAG, MARKETING, master_edits, merged_flag
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.names import name_key
from schemas.consent import Actor, Value
from schemas.tables import CONTACT

TABLE = CONTACT.logical_name


@dataclass(frozen=True, slots=True)
class Master:
    """A contact that was not ours and that one of ours was merged into, as it is known from now on."""

    contact_point_id: UUID
    columns: Mapping[str, Any]
    edits: Mapping[str, str]


@dataclass
class Merges:
    """Merges in the order in which they are to be followed, and those taken back; what is known of their masters, what
    they carry along."""

    merged: list[Merged] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    masters: dict[UUID, Master] = field(default_factory=dict)
    decisions: list[CrmDecision] = field(default_factory=list)


def resolve(session: Session, crm: ReadableCrm, told: Told) -> Merges:
    """Look at the contacts that survived; what else was read of the losers is dropped."""
    merges = Merges(sorted(told.merges, key=lambda merge: merge.at), told.splits)
    with session.transaction() as conn:
        merges.decisions += [shut for split in told.splits for shut in _shut_meanwhile(conn, split)]
    if not merges.merged:
        return merges
    ids = sorted({merge.master_id for merge in merges.merged}, key=str)
    rows = crm.fetch_rows(table_name(TABLE), [str(i) for i in ids], selected_columns(TABLE, session.workspace.policy))
    with session.transaction() as conn:
        managed = {row["row_id"] for row in crm_rows.known_rows(conn, TABLE, ids) if row["is_managed"]}
        for merge in merges.merged:
            _resolve_one(conn, merge, merges, rows.get(str(merge.master_id)), is_managed=merge.master_id in managed)
    return merges


def _resolve_one(
    conn: Connection, merge: Merged, merges: Merges, row: Mapping[str, Any] | None, *, is_managed: bool
) -> None:
    points = crm_links.contact_points_of(conn, merge.loser_id)
    if row is None or not points:
        return
    for point in points:
        merges.decisions += _carried_both_ways(conn, point, row, merge.master_id)
        flagged = None if is_managed else merged_flag(merge, row, crm_links.address_of(conn, point))
        merges.decisions += [flagged] if flagged else []
    if not is_managed:
        (loser,) = crm_rows.known_rows(conn, TABLE, [merge.loser_id])
        edits = master_edits(row, loser["columns"], merge.at.isoformat())
        merges.masters[merge.master_id] = Master(points[0], as_tracked(TABLE, row), edits)


def _shut_meanwhile(conn: Connection, split: Split) -> list[CrmDecision]:
    """A withdrawal where somebody shut a contact that we had opened, while it was merged away."""
    address = split.columns.get(ADDRESS)
    was_open = crm_links.has_written(conn, split.row_id, FLAG, "false")
    if not address or split.columns.get(FLAG) is not True or not was_open:
        return []
    return [CrmDecision(TABLE, split.row_id, address, MARKETING, None, Value.WITHDRAW, Actor.STAFF, split.at)]


def _carried_both_ways(
    conn: Connection, point: UUID, master: Mapping[str, Any], master_id: UUID
) -> Iterable[CrmDecision]:
    if master.get(ADDRESS):
        yield from carried(conn, point, str(master[ADDRESS]))
    for other in crm_links.contact_points_of(conn, master_id):
        if other != point:
            yield from carried(conn, other, crm_links.address_of(conn, point))
            yield from carried(conn, point, crm_links.address_of(conn, other))


def carried(conn: Connection, point: UUID, address: str) -> list[CrmDecision]:
    """The withdrawals at one address, as of when and by whose clock they were made, for another address that has them not."""
    key = canonical_address(address).key
    if key is None or canonical_address(crm_links.address_of(conn, point)).key == key:
        return []
    return [_along(point, address, row) for row in crm_links.missing_withdrawals(conn, point, key)]


def _along(point: UUID, address: str, row: RowMapping) -> CrmDecision:
    named = row["purpose"], row["topic"] or None
    return CrmDecision(
        TABLE, point, address, *named, Value.WITHDRAW, Actor.STAFF, row["effective_at"], clock=row["clock"]
    )


def carry_late(session: Session, *, among: Sequence[UUID] | None = None) -> int:
    """Carry along what was withdrawn before a merge and came after it, or was withdrawn since by a person of the same name.
    Returns how many decisions.

    Of addresses that share a contact with some, where `among` is given; of the others of these the CRM is to be told next.
    """
    with session.transaction() as conn:
        found = crm_links.uncarried(conn, among=among)
    decisions = [_along(row["contact_point_id"], row["address"], row) for row in found if _holds_for_both(row)]
    record_decisions(session, decisions)
    if decisions and among is not None:
        keys = {str(canonical_address(one.address).key) for one in decisions}
        with session.transaction() as conn:
            others = set(crm_links.points_of_keys(conn, sorted(keys))) - set(among)
            narrow_calls.call(conn, sorted(others))
    return len(decisions)


def _holds_for_both(row: RowMapping) -> bool:
    """Whether a withdrawal holds at the other address: whoever merged the two took them for one, but of several people by their
    names, who only share the contact, each speaks for themselves from then on.
    """
    if row["was_before"] or not row["is_persons"]:
        return True
    other = name_key(row["other_given_name"], row["other_family_name"])
    return is_compatible(name_key(row["given_name"], row["family_name"]), other)


def follow(conn: Connection, merges: Merges) -> None:
    """Bind people to the contacts that survived, or to their own again, in the caller's transaction."""
    for merge in merges.merged:
        if (master := merges.masters.get(merge.master_id)) is not None:
            crm_links.keep_master(
                conn,
                merge.master_id,
                contact_point_id=master.contact_point_id,
                columns=orjson.dumps(dict(master.columns)).decode(),
                edits=orjson.dumps(dict(master.edits)).decode(),
            )
        columns = orjson.dumps(dict(merge.columns)).decode()
        crm_links.follow_merge(conn, merge.loser_id, merge.master_id, at=merge.at, columns=columns)
    for split in merges.splits:
        crm_links.follow_split(conn, split.row_id, columns=orjson.dumps(dict(split.columns)).decode())
