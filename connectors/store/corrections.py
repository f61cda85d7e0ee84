"""What people set right of themselves: a name, as a submission of their own; another address, which moves the person.

A correction is the newest thing that the person said, so that it survives what sources say again; a source that says
something newer is believed. https://gdpr-info.eu/art-16-gdpr/
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from connectors.store.children_sql import IS_KNOWN
from connectors.store.naming import name_contact_points
from schemas.consent import Actor

SOURCE = "preference_page"

# The subject of the person that has ground; where several have, the one with the newest submission.
_SUBJECT = """
select s.subject_id from intake.subject s left join intake.submission u using (subject_id)
where s.person_id = :person_id and s.contact_point_id = :contact_point_id
group by s.subject_id, s.has_ground
order by s.has_ground desc, max(u.received_at) desc nulls last, s.subject_id limit 1
"""

_CORRECT = """
insert into intake.submission (source, submission_id, feed, kind, content_hash, version_at, submitted_from, submitted_to,
    received_at, batch_id, row_no, contact_point_id, subject_id, given_name, family_name, is_enquiry)
values (:source, :submission_id, :source, 'correction', :submission_id, :at, :at, :at, :at, :batch_id, 1,
        :contact_point_id, :subject_id, :given_name, :family_name, false)
"""

_PERSONS = """
select p.person_id from intake.person p where p.contact_point_id = :id
  and exists (select from intake.subject s where s.person_id = p.person_id) order by p.person_id
"""

_ADD_ADDRESS = """
insert into intake.contact_point (contact_point_id, address, address_key, is_role_address)
values (:id, :address, :key, :is_role_address) on conflict (address_key) do nothing
"""

_ADD_SUBJECT = """
insert into intake.subject as old (contact_point_id, given_key, has_ground, person_id)
select :to, coalesce(max(given_key), ''), true, :person_id
from intake.subject where person_id = :person_id and contact_point_id = :from
on conflict (contact_point_id, given_key) do update set has_ground = true,
    person_id = coalesce(old.person_id, excluded.person_id)
returning subject_id, person_id
"""

# A restriction (GDPR Art. 18) goes along; it holds for whom they are at the other address as well.
_RESTRICT_THERE = """
insert into intake.restriction (person_id, contact_point_id, reason, restricted_by, restricted_at)
select :known_id, :to, reason, restricted_by, restricted_at from intake.restriction where person_id = :person_id
on conflict (person_id) do update set contact_point_id = excluded.contact_point_id
"""

# What is owed an answer still (GDPR Art. 12(3)): whoever gives it looks where the person is. An address that they alone read
# was theirs to ask for, also where a request names nobody.
_REQUESTS_GO_ALONG = (
    """update intake.data_request set contact_point_id = :to, person_id = :known_id
       where state = 'open' and contact_point_id = :from and (person_id is null or person_id = :person_id)""",
    """update intake.person_request set contact_point_id = :to
       where state = 'open' and contact_point_id = :from and kind <> 'move'""",
)

_CARRY_AGE = f"""
update intake.subject n set is_child = a.is_child, age_told_at = a.age_told_at, age_reading_id = a.age_reading_id
from (select s.* from intake.subject s
      where s.person_id = :person_id and s.contact_point_id = :from and s.is_child is not null
      order by {IS_KNOWN.format("s")} desc, s.age_told_at desc limit 1) a
where n.subject_id = :subject_id and (n.age_told_at is null or a.age_told_at > n.age_told_at
    or (a.age_told_at = n.age_told_at and a.is_child))
"""

_THEIRS = """(select subject_id from intake.subject
    where person_id = :person_id and contact_point_id = :from)"""
_TOLD_THERE = """(source, submission_id) in (
    select source, submission_id from intake.moved_submission where from_id = :from and to_id = :to)"""

# What told of them at the address before: sources go on to say it (connectors.store.intake_sql).
_REMEMBER = (
    "update intake.moved_submission set to_id = :to where to_id = :from",
    "delete from intake.moved_submission where from_id = to_id",
    f"""insert into intake.moved_submission (source, submission_id, from_id, to_id, moved_at)
        select source, submission_id, :from, :to, :at from intake.submission
        where contact_point_id = :from and subject_id in {_THEIRS}
        union
        select source, submission_id, :from, :to, :at from intake.registration
        where contact_point_id = :from and subject_id in {_THEIRS}
        union
        select e.source, v.submission_id, :from, :to, :at
        from intake.consent_event e join intake.consent_evidence v using (event_key)
        join intake.subject s using (subject_id)
        where e.contact_point_id = :from and v.submission_id is not null
          and (s.person_id = :person_id or s.given_key = '')
        on conflict (source, submission_id, from_id) do update set to_id = excluded.to_id, moved_at = excluded.moved_at""",
)

_MOVES = (
    *_REMEMBER,
    f"""update intake.submission set contact_point_id = :to, subject_id = :subject_id
        where contact_point_id = :from and subject_id in {_THEIRS}""",
    f"""update intake.registration set contact_point_id = :to, subject_id = :subject_id
        where contact_point_id = :from and subject_id in {_THEIRS}""",
    f"update intake.stated_value set contact_point_id = :to where contact_point_id = :from and {_TOLD_THERE}",
    """update intake.subject set person_id = null, has_ground = false, is_child = null, age_told_at = null,
           age_reading_id = null
       where person_id = :person_id and contact_point_id = :from""",
    """update intake.crm_row r set contact_point_id = :to
       where r.contact_point_id = :from and r.table_name = 'msevtmgt_eventregistration' and exists (
           select from intake.registration g where g.registration_id = r.row_id and g.contact_point_id = :to)""",
)

_MOVE_PERSON = (
    "update intake.person set contact_point_id = :to where person_id = :person_id",
    """update intake.crm_row r set contact_point_id = :to
       where r.contact_point_id = :from and r.table_name = 'contact' and r.row_id in (:person_id, (
           select l.row_id from intake.crm_link l where l.person_id = :person_id))""",
)

# Who is known there already keeps what was held of them here.
_JOIN_PERSON = ("update intake.legal_hold set person_id = :known_id where person_id = :person_id",)

# A withdrawal stands where no yes is later than all that withdraw the same, by the order of the fold
# (connectors.store.folding_sql): what is off for other reasons, as it was never granted, nobody withdrew.
_WITHDRAWN = """
with told as (
    select e.purpose, e.topic, e.value, e.actor, e.clock, e.effective_at from intake.consent_event e
    where e.contact_point_id = :id and not exists (select from intake.consent_void v where v.event_key = e.event_key)
)
select distinct on (w.purpose, w.topic) w.purpose, w.topic, w.actor
from told w
where w.value = 'withdraw' and not exists (
    select from told g
    where (g.purpose, g.topic, g.value) = (w.purpose, w.topic, 'grant') and not exists (
        select from told o
        where (o.purpose, o.topic, o.value) = (w.purpose, w.topic, 'withdraw') and g.effective_at
              <= o.effective_at + make_interval(secs => case when o.clock = g.clock then 0 else :window_s end)))
order by w.purpose, w.topic, w.effective_at desc, w.actor
"""


@dataclass(frozen=True, slots=True)
class Names:
    """A name as its person wants it; None: no such name."""

    given_name: str | None
    family_name: str | None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A purpose, or a topic of it ('' = the whole), that was withdrawn, and who did so last."""

    purpose: str
    topic: str
    actor: Actor


def correct_name(conn: Connection, contact_point_id: UUID, person_id: UUID, names: Names, *, at: datetime) -> bool:
    """Add the correction, in the caller's transaction; False where no such person is known at the address.

    The address is to be folded anew afterwards, which names the person.
    """
    name_contact_points(conn, [contact_point_id])
    known = {"contact_point_id": contact_point_id, "person_id": person_id}
    subject_id = conn.execute(text(_SUBJECT), known).scalar()
    if subject_id is None:
        return False
    values = {
        **known,
        "source": SOURCE,
        "submission_id": uuid4().hex,
        "batch_id": uuid4(),
        "at": at,
        "subject_id": subject_id,
        "given_name": names.given_name,
        "family_name": names.family_name,
    }
    conn.execute(text(_CORRECT), values)
    return True


def persons_at(conn: Connection, contact_point_id: UUID) -> list[UUID]:
    """The persons who are known at an address."""
    return list(conn.execute(text(_PERSONS), {"id": contact_point_id}).scalars())


def add_address(conn: Connection, contact_point_id: UUID, *, address: str, key: str, is_role_address: bool) -> None:
    """Make an address known under that id, where it is not known yet."""
    values = {"id": contact_point_id, "address": address, "key": key, "is_role_address": is_role_address}
    conn.execute(text(_ADD_ADDRESS), values)


def move_person(conn: Connection, person_id: UUID, *, from_id: UUID, to_id: UUID, at: datetime) -> None:
    """Move a person with registrations and rows in the CRM to another address; consents stay where they were given.

    That they are known as a child, or as none, goes along, and so do a restriction and open requests. Where somebody of the
    same name is known at the other address already, that is the person, and has from now on what they had here. What told of
    them here is remembered, for sources go on to say it.
    """
    values = {"person_id": person_id, "from": from_id, "to": to_id, "at": at}
    subject = conn.execute(text(_ADD_SUBJECT), values).one()
    values |= {"subject_id": subject.subject_id, "known_id": subject.person_id}
    for statement in (_RESTRICT_THERE, *_REQUESTS_GO_ALONG, _CARRY_AGE, *_MOVES):
        conn.execute(text(statement), values)
    for statement in _MOVE_PERSON if subject.person_id == person_id else _JOIN_PERSON:
        conn.execute(text(statement), values)


def withdrawn_at(conn: Connection, contact_point_id: UUID, *, window_s: int) -> list[Withdrawn]:
    """What somebody withdrew at an address and nobody agreed to since, by purpose and topic."""
    rows = conn.execute(text(_WITHDRAWN), {"id": contact_point_id, "window_s": window_s})
    return [Withdrawn(row.purpose, row.topic, Actor(row.actor)) for row in rows]
