"""Reading the store for people who ask: status, and why somebody is where they are."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from connectors.store.planning import MAY_BE_WRITTEN

_LAST_RUN = "select run_id, kind, state, started_at, finished_at from intake.run order by started_at desc limit 1"
_LAST_GOOD = "select max(finished_at) from intake.run where state = 'done'"
_LAST_INTAKE = f"{_LAST_GOOD} and kind = 'intake'"
_OPEN_LOWERINGS = """
select count(*) as open, min(e.recorded_at) as oldest_at
from intake.outbox_intent i join intake.consent_event e using (contact_point_id)
where i.phase = 0 and i.state in ('pending', 'claimed') and e.value = 'withdraw'
  and not exists (select from intake.consent_void v where v.event_key = e.event_key)
"""
_UNPLANNED_LOWERINGS = f"""
select count(distinct contact_point.contact_point_id) as open, min(e.recorded_at) as oldest_at
from intake.contact_point join intake.dirty_address using (contact_point_id)
join intake.consent_event e using (contact_point_id)
where e.value = 'withdraw' and e.recorded_at > coalesce((
    select max(r.acked_at) from intake.crm_row r where r.contact_point_id = contact_point.contact_point_id), '-infinity')
  and {MAY_BE_WRITTEN}
  and not exists (select from intake.consent_void v where v.event_key = e.event_key)
"""
# What the CRM did not take, though it took other rows of the address since. It waits since the newest withdrawal at least.
_REFUSED_LOWERINGS = """
select count(*) as open, min(w.newest_at) as oldest_at
from intake.contact_point c join intake.dirty_address using (contact_point_id) cross join lateral (
    select max(e.recorded_at) as newest_at from intake.consent_event e
    where e.contact_point_id = c.contact_point_id and e.value = 'withdraw'
      and not exists (select from intake.consent_void v where v.event_key = e.event_key)) w
where w.newest_at is not null and exists (
    select from intake.outbox_intent i
    where i.contact_point_id = c.contact_point_id and i.phase = 0 and i.state in ('refused', 'conflict')
      and i.planned_version > c.acked_version
      and not exists (select from intake.outbox_intent j
                      where j.row_id = i.row_id and j.table_name = i.table_name and j.intent_id > i.intent_id))
"""
_QUARANTINE = """
select q.source, q.feed, count(*) as open, min(q.first_seen_at) as oldest_at, min(b.expires_at) as first_expires_at
from intake.quarantine q join intake.batch b using (batch_id) where q.state = 'open'
group by q.source, q.feed order by q.source, q.feed
"""
_SILENCE = """
select source, feed, max(landed_at) as last_at, max(w.position) as read_to
from intake.batch left join intake.watermark w using (source, feed) group by source, feed order by source, feed
"""
# From when it was read at all, or from the day before the first intake.
_BEHIND = """
select source, unread_on from (
    select k.source, coalesce((select upper(r) from unnest(k.days) r where r @> f.from_on), f.from_on) as unread_on
    from intake.read_days k cross join lateral (
        select greatest(lower(k.days), cast(min(started_at) at time zone :timezone as date) - 1) as from_on
        from intake.run where kind = 'intake') f) s
where unread_on < :since order by source
"""
_STOPPED = """
select source, feed, count(*) as batches, min(landed_at) as oldest_at from intake.batch where state = 'stopped'
group by source, feed order by source, feed
"""
_WAITING = "select plan_id, counts, made_at from intake.plan where state = 'waiting' order by made_at desc limit 1"
_REFUSED = """
select table_name, code, status, count(*) as rows from intake.outbox_intent where state in ('refused', 'conflict')
  and finished_at > :since group by table_name, code, status order by table_name, code
"""
_FINDINGS = """
select kind, detail, count(*) as rows from intake.crm_finding where found_at > :since
group by kind, detail order by kind, detail
"""


def read_status(
    conn: Connection, *, since: datetime, read_since: date, timezone: str, allowed: Sequence[str] | None
) -> dict[str, Any]:
    """What an operator looks at first; instants are UTC, None where there is nothing.

    `behind` are the sources of which a day before `read_since` is not wholly read, with the first such day. Of addresses that
    are not among those `allowed` (None: all are) nothing waits but what would be lowered.
    """
    return {
        "last_run": _one(conn, _LAST_RUN),
        "last_good_at": conn.execute(text(_LAST_GOOD)).scalar(),
        "last_intake_at": conn.execute(text(_LAST_INTAKE)).scalar(),
        "withdrawals_planned": _one(conn, _OPEN_LOWERINGS),
        "withdrawals_unplanned": _one(conn, _UNPLANNED_LOWERINGS, allowed=None if allowed is None else list(allowed)),
        "withdrawals_refused": _one(conn, _REFUSED_LOWERINGS),
        "quarantine": _all(conn, _QUARANTINE),
        "feeds": _all(conn, _SILENCE),
        "behind": _all(conn, _BEHIND, since=read_since, timezone=timezone),
        "stopped": _all(conn, _STOPPED),
        "waiting_plan": _one(conn, _WAITING),
        "refused": _all(conn, _REFUSED, since=since),
        "crm_findings": _all(conn, _FINDINGS, since=since),
    }


_EXPLAIN = {
    "persons": "select * from intake.person where contact_point_id = any(:ids) order by person_id",
    "purposes": "select * from intake.person_purpose where contact_point_id = any(:ids) order by person_id, purpose",
    "consent_states": (
        "select purpose, topic, state from intake.consent_state where contact_point_id = any(:ids) order by 1, 2"
    ),
    "consent_events": (
        "select e.event_id, e.purpose, e.topic, e.value, e.actor, e.reason, e.clock, e.occurred_at, e.precision_s,"
        " e.effective_at, e.received_at, e.recorded_at, e.source, e.batch_id, v.submission_id, v.channel,"
        " v.notice_version, v.collected_by, v.method, w.text as wording, w.language, w.version as wording_version,"
        " g.run_id, n.voided_at, n.undo_run_id, j.person_id, coalesce(j.given_key = '', true) as is_nameless"
        " from intake.consent_event e left join intake.consent_evidence v using (event_key)"
        " left join intake.subject j using (subject_id)"
        " left join intake.reading g using (reading_id) left join intake.consent_void n using (event_key)"
        " left join intake.consent_wording w using (wording_hash)"
        " where e.contact_point_id = any(:ids) order by e.effective_at, e.purpose, e.topic"
    ),
    "submissions": (
        "select s.source, s.submission_id, s.feed, s.kind, s.submitted_from, s.received_at, s.is_enquiry,"
        " o.state, o.reason, o.effects from intake.submission s"
        " left join intake.row_outcome o on o.batch_id = s.batch_id and o.row_no = s.row_no"
        " where s.contact_point_id = any(:ids) order by s.received_at, s.source, s.submission_id"
    ),
    "registrations": (
        "select g.registration_id, g.source, g.submission_id, g.status, g.registered_at, g.is_sale, g.is_payer,"
        " g.notice_shown, o.kind, o.name, o.starts_at, o.ends_at, o.organiser_unit, o.organiser_contact"
        " from intake.registration g join intake.occasion o using (occasion_pk)"
        " where g.contact_point_id = any(:ids) order by g.registered_at"
    ),
    "undone": (
        "select u.undone_at, u.undone_by, u.undo_run_id, g.run_id as undone_run_id, g.feed, i.table_name,"
        " i.submission_id, jsonb_array_length(i.rows) as rows from intake.row_image i"
        " join intake.undone_reading u on u.undo_run_id = i.reading_id"
        " join intake.reading g on g.reading_id = u.reading_id and g.reading_id::text = i.rows -> 0 ->> 'reading_id'"
        " where i.contact_point_id = any(:ids) order by u.undone_at, i.table_name, i.submission_id"
    ),
    "crm_rows": (
        "select table_name, row_id, columns, acked_at from intake.crm_row where contact_point_id = any(:ids)"
        " order by table_name, row_id"
    ),
    "writes": (
        "select intent_id, run_id, phase, method, table_name, row_id, columns, before, state, status, code, request_id,"
        " claimed_at, finished_at, purged_at from intake.outbox_intent where contact_point_id = any(:ids) order by intent_id"
    ),
}


def find_addresses(conn: Connection, *, address_key: str | None, person_id: UUID | None) -> Sequence[RowMapping]:
    """The contact points of an address, or of a person (also one whose id is the contact's in the CRM)."""
    statement = (
        "select distinct c.contact_point_id, c.address, c.version, c.acked_version, c.next_end_at"
        " from intake.contact_point c left join intake.person p using (contact_point_id)"
        " where c.address_key = :address_key or p.person_id = :person_id or c.contact_point_id = :person_id"
    )
    return conn.execute(text(statement), {"address_key": address_key, "person_id": person_id}).mappings().all()


def read_history(conn: Connection, contact_point_ids: Sequence[UUID]) -> dict[str, list[dict[str, Any]]]:
    """Everything known of the given addresses, by kind, oldest first."""
    return {name: _all(conn, statement, ids=list(contact_point_ids)) for name, statement in _EXPLAIN.items()}


def _one(conn: Connection, statement: str, **parameters: Any) -> dict[str, Any] | None:
    row = conn.execute(text(statement), parameters).mappings().first()
    return None if row is None else dict(row)


def _all(conn: Connection, statement: str, **parameters: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in conn.execute(text(statement), parameters).mappings()]
