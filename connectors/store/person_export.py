"""Everything that the store holds of one person, for the person: by kind, oldest first. Every read is by an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store.erasure import Scope
from connectors.store.migrate import OFFICER_ROLE

_SUBJECTS = """
select subject_id from intake.subject
where contact_point_id = :point and (:is_whole or person_id = any(cast(:persons as uuid[])))
"""

# What told of them at the address that they moved from.
_MOVED = """m.to_id = :point and (:is_whole or exists (
    select from intake.submission u where (u.source, u.submission_id) = (m.source, m.submission_id)
      and u.subject_id = any(cast(:subjects as uuid[]))))"""

_KINDS = {
    "contact_points": "select address, created_at from intake.contact_point where contact_point_id = :point",
    "persons": (
        "select person_id, given_name, family_name, phone, organisation, created_at, (select bool_or(s.is_child)"
        " from intake.subject s where s.person_id = p.person_id) as is_child from intake.person p"
        " where person_id = any(cast(:persons as uuid[])) order by person_id"
    ),
    "purposes": (
        "select person_id, purpose, begins_at, ends_at from intake.person_purpose"
        " where person_id = any(cast(:persons as uuid[])) order by begins_at, purpose"
    ),
    "consents": (
        "select purpose, topic, state, granted_at from intake.person_consent where contact_point_id = :point"
        " and (:is_whole or person_id = any(cast(:persons as uuid[]))) order by purpose, topic"
    ),
    "addresses_before": (
        "select c.address, max(m.moved_at) as moved_at from intake.moved_submission m"
        f" join intake.contact_point c on c.contact_point_id = m.from_id where {_MOVED} group by c.address order by 2, 1"
    ),
    "consent_history": (
        "with theirs as ("
        " select event_key from intake.consent_event"
        " where contact_point_id = :point and subject_id = any(cast(:subjects as uuid[]))"
        " union select e.event_key from intake.moved_submission m join intake.consent_evidence v using (submission_id)"
        " join intake.consent_event e on (e.event_key, e.source, e.contact_point_id) = (v.event_key, m.source, m.from_id)"
        f" where {_MOVED})"
        " select e.purpose, e.topic, e.value, e.actor, e.reason, e.occurred_at, e.precision_s, e.received_at, e.source,"
        " v.submission_id, v.channel, v.notice_version, v.collected_by, v.method, v.address, v.given_name, v.family_name,"
        " w.text as wording, w.language, w.version as wording_version, n.voided_at"
        " from theirs join intake.consent_event e using (event_key) left join intake.consent_evidence v using (event_key)"
        " left join intake.consent_void n using (event_key) left join intake.consent_wording w using (wording_hash)"
        " order by e.effective_at, e.purpose, e.topic"
    ),
    "submissions": (
        "select source, submission_id, feed, kind, submitted_from, received_at, given_name, family_name, phone,"
        " organisation, country, postal_code, city, is_enquiry, batch_id, row_no from intake.submission"
        " where subject_id = any(cast(:subjects as uuid[])) order by received_at, source, submission_id"
    ),
    "answers": (
        "select a.source, a.submission_id, a.question, a.answer from intake.submission s"
        " join intake.answer a on a.source = s.source and a.submission_id = s.submission_id"
        " where s.subject_id = any(cast(:subjects as uuid[])) order by a.source, a.submission_id, a.question"
    ),
    "registrations": (
        "select g.source, g.submission_id, g.status, g.registered_at, g.is_sale, g.is_payer, o.kind, o.name, o.starts_at,"
        " o.ends_at, o.field, o.organiser_unit, o.organiser_contact from intake.registration g"
        " join intake.occasion o using (occasion_pk) where g.contact_point_id = :point"
        " and g.subject_id = any(cast(:subjects as uuid[])) order by g.registered_at"
    ),
    # Also of rows that make nobody known, under the address that they name.
    "stated_values": (
        "select v.source, v.submission_id, v.purpose, v.topic, v.value, v.stated_at from intake.submission s"
        " join intake.stated_value v on v.source = s.source and v.submission_id = s.submission_id"
        " where s.subject_id = any(cast(:subjects as uuid[]))"
        " union all select v.source, v.submission_id, v.purpose, v.topic, v.value, v.stated_at from intake.stated_value v"
        " where v.contact_point_id = :point and :is_whole and not exists (select from intake.submission s"
        " where s.source = v.source and s.submission_id = v.submission_id and s.subject_id is not null)"
        " order by stated_at, source, submission_id"
    ),
    "sign_ups_that_wait": (
        "select source, submission_id, purpose, topic, address, given_name, family_name, occurred_at, asked_at, expires_at"
        " from intake.pending_grant where address_key = :address_key and (:is_whole or coalesce(given_key, '') in ("
        " select given_key from intake.subject where subject_id = any(cast(:subjects as uuid[]))))"
        " order by asked_at, purpose, topic"
    ),
    "overwritten": (
        "select source, submission_id, table_name, rows, kept_at from intake.row_image where contact_point_id = :point"
        " and (:is_whole or (source, submission_id) in (select source, submission_id from intake.submission"
        " where subject_id = any(cast(:subjects as uuid[])))"
        " or (table_name = 'subject' and submission_id = any(cast(cast(:subjects as uuid[]) as text[]))))"
        " order by kept_at"
    ),
    "known_of_crm": (
        "select table_name, row_id, columns, edits, acked_at from intake.crm_row where contact_point_id = :point"
        " and (:is_whole or row_id = any(cast(:crm_rows as uuid[]))) order by table_name, row_id"
    ),
    "writes_to_crm": (
        "select table_name, row_id, method, columns, before, state, claimed_at, finished_at from intake.outbox_intent"
        " where contact_point_id = :point and (:is_whole or row_id = any(cast(:crm_rows as uuid[]))) order by intent_id"
    ),
    "requests": (
        "select kind, asked_at, due_at, state, closed_at, outcome, organiser_unit, organiser_contact"
        " from intake.data_request where contact_point_id = :point"
        " and (person_id is null or person_id = any(cast(:persons as uuid[]))) order by asked_at"
    ),
    "requests_on_your_page": (
        "select kind, new_address, state, asked_at, closed_at from intake.person_request"
        " where contact_point_id = :point and :is_whole order by asked_at"
    ),
    "links_mailed_to_you": (
        "select scope, new_address, made_at, expires_at, used_at from intake.mailbox_proof"
        " where contact_point_id = :point and :is_whole order by made_at"
    ),
    "restrictions": (
        "select reason, restricted_at from intake.restriction where person_id = any(cast(:persons as uuid[]))"
    ),
    # Why a course or event is held can tell of others.
    "legal_holds": (
        "select 'you' as of, reason, until_on, made_at, released_at from intake.legal_hold"
        " where person_id = any(cast(:persons as uuid[]))"
        " union all select distinct coalesce(o.name, o.occasion_id), null, h.until_on, h.made_at, h.released_at"
        " from intake.registration g join intake.occasion o using (occasion_pk)"
        " join intake.legal_hold h using (occasion_pk)"
        " where g.contact_point_id = :point and g.subject_id = any(cast(:subjects as uuid[])) order by made_at"
    ),
}

# Who looked is not told (CJEU C-579/21): by which command, when, and what for, which at an address of several can be about
# another of them.
_READINGS = """
select read_at, command, purpose from intake.access_log
where contact_point_ids @> array[cast(:point as uuid)] order by read_at
"""
_MAY_SEE_ALL = "select pg_has_role(session_user, :role, 'member')"

# Where each submission lies in the landing; the batches that were never merged, which have to be searched; and of the
# others the rows that the store knows nobody by: refused, quarantined, waiting for a link, or without any ground.
_PLACES = f"""
select distinct o.batch_id, o.row_no from intake.row_outcome o join intake.landing_key k using (batch_id)
join intake.batch b using (batch_id)
where (b.source, o.submission_id) in (
    select s.source, s.submission_id from intake.submission s where s.subject_id = any(cast(:subjects as uuid[]))
    union select e.source, v.submission_id from intake.consent_event e join intake.consent_evidence v using (event_key)
    where e.contact_point_id = :point and e.subject_id = any(cast(:subjects as uuid[]))
    union select m.source, m.submission_id from intake.moved_submission m where {_MOVED})
order by o.batch_id, o.row_no
"""
_UNREAD = """
select b.batch_id from intake.batch b join intake.landing_key k using (batch_id)
where b.state in ('landed', 'stopped') order by b.received_at, b.batch_id
"""
_MERGED = """
select b.batch_id from intake.batch b join intake.landing_key k using (batch_id)
where b.state not in ('landed', 'stopped') order by b.received_at, b.batch_id
"""
_NOBODYS = """
select o.row_no from intake.row_outcome o join intake.batch b using (batch_id)
left join intake.submission s on s.source = b.source and s.submission_id = o.submission_id
where o.batch_id = :batch and s.subject_id is null order by o.row_no
"""
_QUARANTINE = """
select q.source, q.feed, q.field, q.column_title, q.fault, q.state, q.first_seen_at
from unnest(cast(:batches as uuid[]), cast(:rows as int[])) as p (batch_id, row_no)
join intake.quarantine q using (batch_id, row_no) order by q.quarantine_id
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Rows of the person in the landing, by batch; the batches that were not read into the store; those that were."""

    rows: dict[UUID, list[int]]
    unread: list[UUID]
    merged: list[UUID]


def read_person(conn: Connection, scope: Scope, crm_rows: Sequence[UUID] = ()) -> dict[str, list[dict[str, Any]]]:
    """Everything of these persons, by kind; `crm_rows`: which rows of the CRM are theirs."""
    known = {**_known(conn, scope), "crm_rows": list(crm_rows)}
    return {kind: _all(conn, statement, known) for kind, statement in _KINDS.items()}


def subjects_of(conn: Connection, scope: Scope) -> list[UUID]:
    """The subjects that these persons are."""
    subjects: list[UUID] = _known(conn, scope)["subjects"]
    return subjects


def readings_of(conn: Connection, scope: Scope) -> tuple[list[dict[str, Any]], bool]:
    """When and for what somebody looked at the address, in a transaction of its own, which goes on as the privacy officer
    where the login may; else those of the login itself alone. And whether it is all of them."""
    is_all = bool(conn.execute(text(_MAY_SEE_ALL), {"role": OFFICER_ROLE}).scalar_one())
    if is_all:
        conn.execute(text(f"set local role {OFFICER_ROLE}"))
    rows = _all(conn, _READINGS, {"point": scope.contact_point_id})
    shown = ("read_at", "command", "purpose") if scope.is_whole else ("read_at", "command")
    return [{name: row[name] for name in shown} for row in rows], is_all


def places_of(conn: Connection, scope: Scope) -> Places:
    """Where the person's rows are in the landing."""
    rows: dict[UUID, list[int]] = {}
    for row in _all(conn, _PLACES, _known(conn, scope)):
        rows.setdefault(row["batch_id"], []).append(row["row_no"])
    return Places(rows, *(list(conn.execute(text(batches)).scalars()) for batches in (_UNREAD, _MERGED)))


def nobodys_rows(conn: Connection, batch_id: UUID) -> list[int]:
    """The rows of a batch in the landing that nobody in the store is known by."""
    return list(conn.execute(text(_NOBODYS), {"batch": batch_id}).scalars())


def quarantine_at(conn: Connection, places: Sequence[tuple[UUID, int]]) -> list[dict[str, Any]]:
    """What is wrong with the given rows; no value is in it."""
    values = {"batches": [batch_id for batch_id, _ in places], "rows": [row_no for _, row_no in places]}
    return _all(conn, _QUARANTINE, values)


def last_read_at(conn: Connection) -> datetime | None:
    """When the CRM was last read back."""
    found: datetime | None = conn.execute(text("select max(moved_at) from intake.crm_cursor")).scalar()
    return found


def _known(conn: Connection, scope: Scope) -> dict[str, Any]:
    known = {
        "point": scope.contact_point_id,
        "persons": list(scope.person_ids),
        "is_whole": scope.is_whole,
        "address_key": scope.address_key,
        "crm_rows": [],
    }
    return {**known, "subjects": list(conn.execute(text(_SUBJECTS), known).scalars())}


def _all(conn: Connection, statement: str, known: dict[str, Any]) -> list[dict[str, Any]]:
    clause = text(statement)
    return [dict(row) for row in conn.execute(clause, {n: known[n] for n in clause._bindparams}).mappings()]
