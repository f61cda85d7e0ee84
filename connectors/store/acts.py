"""Single acts into the ledger: event, evidence, folded state, superseded raises and the address's version, in one go.

The same statements as a batch's merge, over rows that were never staged. Tables touched, for whoever grants rights:

insert          consent_event, consent_evidence, consent_wording, contact_point, subject, person
select          the above, consent_void, submission, registration, occasion
update          contact_point, subject, person, outbox_intent, and with insert and delete
                consent_state, person_consent, person_purpose
and temporary tables of its own
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from connectors.store import children_sql, intake_sql, ledger_sql, people_sql
from connectors.store.merge import (
    ANALYSE_DIRTY,
    MergeRequest,
    ResolveSubjects,
    assign_shared,
    drop_temporary,
    refold,
    statement_runner,
)
from connectors.store.naming import name_addresses, name_contact_points

_FIND_ADDRESSEE = """
select c.contact_point_id, c.address, c.address_key, c.is_role_address, (
    select s.given_key from intake.subject s
    where s.contact_point_id = c.contact_point_id and s.person_id = :person_id
    order by s.given_key desc limit 1) as given_key
from intake.contact_point c
where c.contact_point_id = coalesce(
        cast(:contact_point_id as uuid), (select contact_point_id from intake.person where person_id = :person_id))
   or c.address_key = :address_key
"""

_HAS_WORDING = "select exists (select from intake.consent_wording where wording_hash = :wording_hash)"

_ROWS = """
create temporary table t_row as
select a.*, a.address_key as said_key, null::uuid as batch_id, 'new' as class,
       true as is_usable, true as is_winner, cast(null as uuid) as contact_point_id, cast(null as uuid) as subject_id
from jsonb_to_recordset(cast(:rows as jsonb)) as a (
    row_no bigint, source text, submission_id text, address text, address_key text, is_role_address boolean,
    given_key text,
    given_name text, family_name text, phone text, organisation text, maker_id uuid, submitted_from timestamptz,
    received_at timestamptz, version_at timestamptz, has_ground boolean, withdraws boolean, of_age_at timestamptz)
"""

_DECISIONS = """
create temporary table t_decision as
select a.*, false as states_current_value
from jsonb_to_recordset(cast(:rows as jsonb)) as a (
    row_no bigint, purpose text, topic text, value text, actor text, clock text, occurred_at timestamptz,
    precision_s integer, effective_at timestamptz, reason text, channel text, wording_hash text, notice_version text,
    collected_by text, method text, imported_key text)
"""

# Events of a copy of this ledger keep their keys.
_COPIED_EVENTS = """
create temporary table t_event as
select distinct on (d.imported_key) d.*, r.source, r.batch_id, r.submission_id, r.contact_point_id, r.subject_id,
       r.address, r.given_name, r.family_name, r.received_at, decode(d.imported_key, 'hex') as event_key,
       decode(replace(gen_random_uuid()::text, '-', ''), 'hex') as salt, null::bytea as base_key
from t_decision d join t_row r on r.row_no = d.row_no order by d.imported_key
"""

_POINTS = "select distinct contact_point_id from t_row where contact_point_id is not null"

_DIRTY = f"create temporary table t_dirty as {_POINTS}"

_EVENTS = "select event_id from intake.consent_event where event_key = any(:keys) order by event_key"


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom an act is about, as the store knows them; `contact_point_id` None: an address never seen.

    `given_key` is a name that the person bears at the address; None where no such person is known at it.
    """

    contact_point_id: UUID | None
    address: str
    address_key: str
    is_role_address: bool
    given_key: str | None


def find_addressees(
    conn: Connection, *, person_id: UUID | None, contact_point_id: UUID | None, address_key: str | None
) -> list[Addressee]:
    """Every address that is meant; more than one where the person, the contact point and the address disagree."""
    name_contact_points(conn, [contact_point_id] if contact_point_id else [])
    name_addresses(conn, [address_key] if address_key else [])
    known = {"person_id": person_id, "contact_point_id": contact_point_id, "address_key": address_key}
    return [Addressee(**row) for row in conn.execute(text(_FIND_ADDRESSEE), known).mappings()]


def has_wording(conn: Connection, wording_hash: str) -> bool:
    """Whether a wording is kept."""
    return bool(conn.execute(text(_HAS_WORDING), {"wording_hash": wording_hash}).scalar())


def is_child(conn: Connection, contact_point_id: UUID, given_key: str) -> bool:
    """Whether whoever acts at an address is known as a child; without a name, whether nobody else is known there."""
    known = {"contact_point_id": contact_point_id, "given_key": given_key}
    return bool(conn.execute(text(children_sql.IS_CHILD), known).scalar())


def append_acts(
    conn: Connection,
    request: MergeRequest,
    *,
    rows: Sequence[Mapping[str, Any]],
    decisions: Sequence[Mapping[str, Any]],
    resolve: ResolveSubjects,
    is_copy: bool = False,
) -> list[UUID]:
    """Append the decisions that are not known yet; returns the events' ids, of known and new alike, by key.

    Those of a copy (`is_copy`) bring their keys with them, as `imported_key`. The columns
    of rows and decisions are those of t_row and t_decision above; times are ISO. `of_age_at`: when whoever acts was said
    to be old enough for marketing, if it was said.
    """
    drop_temporary(conn)
    run = statement_runner(conn, request)
    for wording in request.wordings:
        conn.execute(text(ledger_sql.ADD_WORDINGS), dict(wording))
    conn.execute(text(_ROWS), {"rows": _as_json(rows)})
    conn.execute(text(_DECISIONS), {"rows": _as_json(decisions)})
    if not is_copy:
        name_addresses(conn, {row["address_key"] for row in rows})
    run(intake_sql.ADD_CONTACT_POINTS)
    run(intake_sql.FIND_CONTACT_POINTS)
    if not is_copy:
        name_contact_points(conn, conn.execute(text(_POINTS)).scalars())
    for statement in (
        intake_sql.ADD_SUBJECTS,
        intake_sql.FIND_SUBJECTS,
        _DIRTY,
        ANALYSE_DIRTY,
        *((_COPIED_EVENTS,) if is_copy else (ledger_sql.NEW_EVENTS, ledger_sql.KEEP_BARE_KEYS)),
    ):
        run(statement)
    keys = [bytes(row.event_key) for row in conn.execute(text("select event_key from t_event"))]
    run(ledger_sql.DROP_KNOWN_EVENTS)
    is_new = conn.execute(text("select exists (select from t_event)")).scalar()
    if is_new:
        for statement in (ledger_sql.ADD_EVENTS, ledger_sql.ADD_EVIDENCE, ledger_sql.SUPERSEDE_RAISING):
            run(statement)
        if any(row["has_ground"] for row in rows):
            run(people_sql.SOLE_SUBJECTS)
        assign_shared(conn, resolve)
    if any(row.get("of_age_at") for row in rows):
        run(children_sql.NOTE_OF_AGE)
    if is_new:
        refold(run, is_bulk=False)
    return list(conn.execute(text(_EVENTS), {"keys": keys}).scalars())


def _as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps([dict(row) for row in rows]).decode()
