"""Erasing people from the store, in the caller's transaction: what is of them, what stands in its place, what goes.

What stays is the ledger's bare events (random ids, codes, times, salted commitments, whose salts go), counts, and
tombstones. The CRM's rows are written down by id, to be let go there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Connection, RowMapping, text

from connectors.store import erasure_sql
from connectors.store.bearers import forget_contact
from connectors.store.keys import Key
from connectors.store.tombstones import Kind, Tombstone, keyed_hash
from schemas.tables import CONTACT, REGISTRATION

_TEMPORARY = ("t_gone_subject", "t_gone_submission")


@dataclass(frozen=True, slots=True)
class Scope:
    """Who goes: persons at an address; with `is_whole` nobody else is there, and the address goes with them, and so do
    `leftovers`: persons whose names all stand with these by now.

    Without `is_known` the store has no such address, whose id is then a new one: it may be in a sign-up that waits for its
    link, in what was received and never understood, or in the CRM.
    """

    contact_point_id: UUID
    address_key: str
    person_ids: tuple[UUID, ...]
    is_whole: bool
    is_known: bool = True
    leftovers: tuple[UUID, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """As the SQL takes it."""
        persons = [*self.person_ids, *self.leftovers]
        known = {"contact_point_id": self.contact_point_id, "address_key": self.address_key}
        return {**known, "persons": persons, "is_whole": self.is_whole}


@dataclass(frozen=True, slots=True)
class CrmTarget:
    """A row of the CRM that is the person's: ours or not, and what we wrote there (column to value)."""

    table_name: str
    row_id: UUID
    is_ours: bool
    written: dict[str, Any]


@dataclass
class Found:
    """Everything by which the person is known here."""

    scope: Scope
    given_keys: list[str]
    others_keys: list[str]
    submissions: list[tuple[str, str]]
    crm_rows: list[CrmTarget]
    counts: dict[str, int] = field(default_factory=dict)


def persons_at(conn: Connection, address_key: str) -> Scope:
    """Everybody at an address, whether or not it has persons, or is known at all."""
    row = conn.execute(text(erasure_sql.FIND_BY_ADDRESS), {"address_key": address_key}).one_or_none()
    if row is None:
        return Scope(uuid4(), address_key, (), is_whole=True, is_known=False)
    return Scope(row.contact_point_id, row.address_key, tuple(row.persons or ()), True)


def person_of(conn: Connection, row_id: UUID) -> Scope | None:
    """The person with an id of ours, or of their contact in the CRM; None where there is none."""
    row = conn.execute(text(erasure_sql.FIND_BY_ID), {"id": row_id}).first()
    if row is None:
        return None
    is_whole = set(row.persons or ()) <= set(row.named)
    leftovers = tuple(set(row.everybody) - set(row.named)) if is_whole else ()
    return Scope(row.contact_point_id, row.address_key, tuple(row.named), is_whole, leftovers=leftovers)


def find(conn: Connection, scope: Scope) -> Found:
    """What there is of these persons; the temporary tables that `erase` works by are made."""
    for name in _TEMPORARY:
        conn.execute(text(f"drop table if exists pg_temp.{name}"))
    parameters = scope.parameters()
    conn.execute(text(erasure_sql.FIND_SUBJECTS), _only(parameters, "contact_point_id", "is_whole", "persons"))
    conn.execute(text(erasure_sql.FIND_SUBMISSIONS), _only(parameters, "contact_point_id", "is_whole", "address_key"))
    gone = list(conn.execute(text("select given_key from t_gone_subject order by 1")).scalars())
    others = conn.execute(
        text(
            "select given_key from intake.subject where contact_point_id = :id"
            " and subject_id not in (select subject_id from t_gone_subject)"
        ),
        {"id": scope.contact_point_id},
    )
    submissions = conn.execute(text("select source, submission_id from t_gone_submission order by 1, 2"))
    known = {**_only(parameters, "contact_point_id", "is_whole", "persons"), "registrations": REGISTRATION.logical_name}
    rows = conn.execute(text(erasure_sql.CRM_ROWS), known).mappings()
    return Found(
        scope,
        gone,
        list(others.scalars()),
        [(row.source, row.submission_id) for row in submissions],
        [CrmTarget(row["table_name"], row["row_id"], row["is_ours"], row["written"]) for row in rows],
    )


def addresses_before(conn: Connection, scope: Scope) -> tuple[list[Scope], int]:
    """The addresses that these persons, whom `find` was last asked for, moved from: those that go with them, and how many
    there are that stay, for somebody else is known there.
    """
    rows = conn.execute(text(erasure_sql.ADDRESSES_BEFORE), {"contact_point_id": scope.contact_point_id}).all()
    alone = [Scope(row.contact_point_id, row.address_key, (), is_whole=True) for row in rows if row.is_alone]
    return alone, len(rows) - len(alone)


def tombstones_of(found: Found, key: Key, *, erased_at: datetime) -> list[Tombstone]:
    """What is to refuse the person from now on: the address, or their names at it; submissions; rows of the CRM.

    Of a name at a shared address its initial is refused too, where nobody who stays could be meant by it.
    """
    key_of = found.scope.address_key
    named: list[tuple[Kind, str]] = [(Kind.ADDRESS, key_of)]
    if not found.scope.is_whole:
        initials = {name[0] for name in found.given_keys if name} - {name[0] for name in found.others_keys if name}
        named = [(Kind.SUBJECT, f"{key_of}|{name}") for name in sorted(initials | set(found.given_keys))]
    named += [(Kind.SUBMISSION, f"{source}|{submission_id}") for source, submission_id in found.submissions]
    named += [(Kind.CRM_ROW, f"{row.table_name}|{row.row_id}") for row in found.crm_rows]
    return [Tombstone(kind, keyed_hash(key, kind, value), key.key_id, erased_at) for kind, value in named]


def record_erasure(conn: Connection, erasure_id: UUID, *, by: str, at: datetime, entry_hash: str) -> None:
    """Write an erasure down, under the hash of its entry in the journal."""
    statement = (
        "insert into intake.erasure (erasure_id, erased_at, erased_by, entry_hash)"
        " values (:id, :at, :by, :hash) on conflict (erasure_id) do nothing"
    )
    conn.execute(text(statement), {"id": erasure_id, "at": at, "by": by, "hash": entry_hash})


def erase(conn: Connection, found: Found, *, now: datetime) -> None:
    """Delete all of it; `found.counts` tells how many rows of which table. What others at the address have stays."""
    known = {
        **found.scope.parameters(),
        "row_ids": [row.row_id for row in found.crm_rows],
        "now": now,
    }
    for statement in (erasure_sql.SUPERSEDE_INTENTS, erasure_sql.PURGE_INTENTS):
        _run(conn, statement, known)
    for table, statement in erasure_sql.DELETE_ROWS.items():
        found.counts[table] = found.counts.get(table, 0) + _run(conn, statement, known)


def keep_crm_rows(conn: Connection, erasure_id: UUID, rows: Iterable[CrmTarget], *, key: Key) -> None:
    """Write down which rows of the CRM are to go, with keyed hashes of what we wrote there."""
    values = [
        {
            "erasure_id": erasure_id,
            "table_name": row.table_name,
            "row_id": row.row_id,
            "is_ours": row.is_ours,
            "written": orjson.dumps(hashes_of(row.written, key)).decode(),
        }
        for row in rows
    ]
    statement = (
        "insert into intake.erasure_row (erasure_id, table_name, row_id, is_ours, written)"
        " values (:erasure_id, :table_name, :row_id, :is_ours, cast(:written as jsonb)) on conflict do nothing"
    )
    if values:
        conn.execute(text(statement), values)


def hashes_of(columns: dict[str, Any], key: Key) -> dict[str, str]:
    """The keyed hash of each value, by column; a value that is there again is told by it."""
    return {
        name: f"{key.key_id}:{keyed_hash(key, Kind.CRM_ROW, f'{name}|{orjson.dumps(value).decode()}').hex()}"
        for name, value in sorted(columns.items())
        if value is not None
    }


def open_rows(conn: Connection) -> Sequence[RowMapping]:
    """Every row that the CRM is still to let go: erasure_id, erased_at, table_name, row_id, is_ours, written."""
    statement = (
        "select r.*, e.erased_at from intake.erasure_row r join intake.erasure e using (erasure_id)"
        " where r.state = 'open' order by e.erased_at, r.erasure_id, r.table_name, r.row_id"
    )
    return conn.execute(text(statement)).mappings().all()


def close_rows(conn: Connection, erasure_id: UUID, states: dict[tuple[str, UUID], str], *, at: datetime) -> None:
    """Note what became of rows in the CRM: `gone` (read back as absent) or `cleared`; with the last the erasure is done.

    Who had the same contact, as staff had merged theirs into it, is to have it anew.
    """
    statement = (
        "update intake.erasure_row set state = :state, finished_at = :at, written = '{}'"
        " where erasure_id = :erasure_id and table_name = :table and row_id = :row_id"
    )
    for (table, row_id), state in states.items():
        values = {"erasure_id": erasure_id, "table": table, "row_id": row_id, "state": state, "at": at}
        conn.execute(text(statement), values)
        if table == CONTACT.logical_name:
            forget_contact(conn, row_id)


def finish_erasures(conn: Connection, *, at: datetime) -> None:
    """Date the erasures of which nothing is left to do."""
    statement = (
        "update intake.erasure e set finished_at = :at where finished_at is null and not exists ("
        " select from intake.erasure_row r where r.erasure_id = e.erasure_id and r.state = 'open')"
    )
    conn.execute(text(statement), {"at": at})


def _run(conn: Connection, statement: str, known: dict[str, Any]) -> int:
    clause = text(statement)
    return conn.execute(clause, {name: known[name] for name in clause._bindparams}).rowcount


def _only(parameters: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: parameters[name] for name in names}
