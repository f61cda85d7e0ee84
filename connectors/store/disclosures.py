"""Reading who takes part in an event, writing down to whom that was disclosed, and who has changed since."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, text

from connectors.store.disclosure_tables import DISCLOSURE, DISCLOSURE_SUBJECT

_EVENT = """
select o.occasion_pk, o.source, o.occasion_id, o.kind, o.name, o.starts_at, o.ends_at, o.earlier_ended_at,
    array(select distinct s.feed from intake.registration g join intake.submission s using (source, submission_id)
          where g.occasion_pk = o.occasion_pk order by 1) as feeds
from intake.occasion o where o.occasion_id = :event and (cast(:source as text) is null or o.source = :source)
"""
# Of whom objected to this purpose, and of whom nobody may use the data now (GDPR Art. 18 and 21), nothing is told. What is
# told is as the person is known now, with what they had put right (Art. 16), and of what they gave when they registered.
_PARTICIPANTS = """
select g.source, g.submission_id, g.subject_id, g.contact_point_id, c.address as email,
    case when coalesce(p.given_name, p.family_name) is null then s.given_name else p.given_name end as given_name,
    case when coalesce(p.given_name, p.family_name) is null then s.family_name else p.family_name end as family_name,
    case when s.phone is not null then coalesce(p.phone, s.phone) end as phone,
    case when s.organisation is not null then coalesce(p.organisation, s.organisation) end as organisation,
    s.country, s.postal_code, s.city, s.content_hash,
    (select coalesce(jsonb_object_agg(a.question, a.answer), '{}') from intake.answer a
     where a.source = g.source and a.submission_id = g.submission_id) as answers
from intake.registration g
join intake.submission s using (source, submission_id)
join intake.contact_point c on c.contact_point_id = g.contact_point_id
left join intake.subject j on j.subject_id = g.subject_id
left join intake.person p on p.person_id = j.person_id
where g.occasion_pk = :occasion_pk and g.status = 'active'
  and (cast(:after as timestamptz) is null or g.registered_at > :after)
  and not exists (select from intake.consent_state n where n.contact_point_id = g.contact_point_id
                  and n.purpose = :purpose and n.state = 'withdrawn')
  and not exists (select from intake.restriction r where r.contact_point_id = g.contact_point_id)
order by 7 nulls last, 6 nulls last, g.submission_id
"""
# A recipient is told of what concerns the purpose that they were given it for; what else somebody withdrew, above all
# from marketing, is none of their business. Who reads the address without a name speaks for everybody at it. Whoever has
# moved to another address since is looked for where the registration went. A subject is of one address, by which events are
# found.
_CHANGED = """
select d.disclosure_id, d.recipient, d.source, d.occasion_id, d.purpose, d.disclosed_at, t.reference, t.source
    as submission_source, t.submission_id, nullif(s.content_hash, t.content_hash) as changed_hash, g.status,
    case when 'email' = any(d.columns) and s.contact_point_id <> t.contact_point_id then s.contact_point_id end as moved_to,
    (select max(n.received_at) from intake.submission n join intake.subject o on o.subject_id = n.subject_id
     where o.person_id = j.person_id and n.kind in ('correction', 'rectification')
       and n.received_at > d.disclosed_at) as corrected_at,
    (select max(r.restricted_at) from intake.restriction r
     where r.contact_point_id = coalesce(s.contact_point_id, t.contact_point_id)) as restricted_at,
    (select max(e.recorded_at) from intake.consent_event e left join intake.subject o on o.subject_id = e.subject_id
     where e.contact_point_id in (t.contact_point_id, s.contact_point_id)
       and (e.subject_id in (t.subject_id, s.subject_id)
            or (e.contact_point_id = coalesce(s.contact_point_id, t.contact_point_id) and o.given_key = ''))
       and e.purpose = d.purpose and e.value = 'withdraw' and e.recorded_at > d.disclosed_at
       and not exists (select from intake.consent_void v where v.event_key = e.event_key)) as lowered_at, t.told_of
from intake.disclosure d join intake.disclosure_subject t using (disclosure_id)
left join intake.submission s on s.source = t.source and s.submission_id = t.submission_id
left join intake.registration g on g.source = t.source and g.submission_id = t.submission_id
left join intake.subject j on j.subject_id = s.subject_id
order by d.disclosed_at, d.disclosure_id, t.reference
"""
# Of the given subjects; a registration that has gone to another address with its person is theirs there.
_OF_SUBJECTS = """
select t.disclosure_id from intake.disclosure_subject t
where t.subject_id = any(cast(:subjects as uuid[])) and not exists (
    select from intake.submission s where s.source = t.source and s.submission_id = t.submission_id
    and s.subject_id <> t.subject_id)
union
select t.disclosure_id from intake.submission s join intake.disclosure_subject t using (source, submission_id)
where s.subject_id = any(cast(:subjects as uuid[]))
"""
_TOLD = """
update intake.disclosure_subject set told_by = :by, told_of = :of, told_at = :at
where disclosure_id = :disclosure_id and reference = :reference
"""


@dataclass(frozen=True, slots=True)
class DisclosureRecord:
    """One file that was made for somebody."""

    disclosure_id: UUID
    source: str
    occasion_id: str
    recipient: str
    purpose: str
    columns: list[str]
    people: int
    reason: str
    disclosed_by: str
    disclosed_at: datetime
    file_hash: str


def find_events(conn: Connection, event: str, source: str | None = None) -> list[dict[str, Any]]:
    """The courses and events with an id, and the feeds by which people registered."""
    return [dict(row) for row in conn.execute(text(_EVENT), {"event": event, "source": source}).mappings()]


def read_participants(
    conn: Connection, occasion_pk: UUID, purpose: str, *, after: datetime | None = None
) -> list[dict[str, Any]]:
    """Who is registered (`after` an instant) and not cancelled, by name, as they registered; without those who objected to
    the purpose."""
    told = {"occasion_pk": occasion_pk, "purpose": purpose, "after": after}
    return [dict(row) for row in conn.execute(text(_PARTICIPANTS), told).mappings()]


def record_disclosure(conn: Connection, record: DisclosureRecord, subjects: Sequence[dict[str, Any]]) -> None:
    """Write a disclosure down with whom it told of (`reference` and ids), in the caller's transaction."""
    conn.execute(insert(DISCLOSURE).values(asdict(record)))
    if subjects:
        rows = [{**subject, "disclosure_id": record.disclosure_id} for subject in subjects]
        conn.execute(insert(DISCLOSURE_SUBJECT), rows)


def list_disclosures(conn: Connection, subject_ids: Sequence[UUID] | None = None) -> list[dict[str, Any]]:
    """Every disclosure, newest first; or those that told of the given subjects."""
    query = select(DISCLOSURE).order_by(DISCLOSURE.c.disclosed_at.desc())
    if subject_ids is not None:
        told = conn.execute(text(_OF_SUBJECTS), {"subjects": list(subject_ids)}).scalars()
        query = query.where(DISCLOSURE.c.disclosure_id.in_(list(told)))
    return [dict(row) for row in conn.execute(query).mappings()]


def changed_since(conn: Connection) -> list[dict[str, Any]]:
    """Everybody that was disclosed, with what became of them since: `status` of the registration (None: it is gone), what
    it was changed to (`changed_hash`), when the person was last corrected, restricted, and when they `lowered` the purpose
    of the disclosure, the address that they `moved_to` where the recipient has the old one; and what the recipient was
    `told_of` already.
    """
    return [dict(row) for row in conn.execute(text(_CHANGED)).mappings()]


def mark_told(conn: Connection, disclosure_id: UUID, told: Sequence[tuple[str, str]], *, by: str, at: datetime) -> None:
    """Note by reference what the recipient was told of, in the caller's transaction."""
    for reference, of in told:
        values = {"by": by, "of": of, "at": at, "disclosure_id": disclosure_id, "reference": reference}
        conn.execute(text(_TOLD), values)
