"""SQL of erasing one person at an address, or everybody at it.

t_gone_subject     the names that go; a nameless withdrawal at an address that others share stays, and speaks for nobody
t_gone_submission  the submissions that made them, by source and id; one that has come to name somebody else since (a booker
                   gave the place to another) is that person's, and only what it once told of those who go goes
"""

from connectors.store.routing_sql import organiser_of

FIND_BY_ADDRESS = """
select c.contact_point_id, c.address_key, array_agg(p.person_id order by p.person_id)
           filter (where p.person_id is not null) as persons
from intake.contact_point c left join intake.person p using (contact_point_id)
where c.address_key = :address_key group by c.contact_point_id
"""

# An id of ours or of the contact in the CRM, each by its own index. A person whose names all stand with somebody else by now
# is nobody apart from them; where a name stands with nobody (its reading was undone, and may be done again) they may be.
FIND_BY_ID = """
with meant as (
    select person_id from intake.person where person_id = :id
    union select person_id from intake.crm_link where row_id = :id and state <> 'gone'
)
select c.contact_point_id, c.address_key, array_agg(distinct o.person_id) as everybody,
       array_agg(distinct o.person_id) filter (where exists (
           select from intake.subject s where s.contact_point_id = c.contact_point_id
              and (s.person_id = o.person_id or s.person_id is null))) as persons,
       array_agg(distinct p.person_id) as named
from meant join intake.person p using (person_id)
join intake.contact_point c on c.contact_point_id = p.contact_point_id
join intake.person o on o.contact_point_id = c.contact_point_id
group by c.contact_point_id
"""

FIND_SUBJECTS = """
create temporary table t_gone_subject as
select s.subject_id, s.given_key from intake.subject s
where s.contact_point_id = :contact_point_id and (:is_whole or s.person_id = any(cast(:persons as uuid[])))
  and (:is_whole or s.given_key <> '' or not exists (
      select from intake.consent_event e where e.subject_id = s.subject_id and e.value = 'withdraw'))
"""

_NOBODY_ELSES = """not exists (
    select from intake.submission u where u.source = {0}.source and u.submission_id = {0}.submission_id
      and u.subject_id is not null and u.subject_id not in (select subject_id from t_gone_subject))"""

FIND_SUBMISSIONS = f"""
create temporary table t_gone_submission as
select source, submission_id from intake.submission where subject_id in (select subject_id from t_gone_subject)
union
select source, submission_id from intake.submission where :is_whole and contact_point_id = :contact_point_id
union
select source, submission_id from intake.registration
where contact_point_id = :contact_point_id and subject_id in (select subject_id from t_gone_subject)
union
select e.source, v.submission_id from intake.consent_event e join intake.consent_evidence v using (event_key)
where e.contact_point_id = :contact_point_id and e.subject_id in (select subject_id from t_gone_subject)
  and v.submission_id is not null and {_NOBODY_ELSES.replace("{0}.source", "e.source").format("v")}
union
select w.source, w.submission_id from intake.stated_value w
where :is_whole and w.contact_point_id = :contact_point_id and {_NOBODY_ELSES.format("w")}
union
select i.source, i.submission_id from intake.row_image i
where :is_whole and i.contact_point_id = :contact_point_id and {_NOBODY_ELSES.format("i")}
union
select source, submission_id from intake.moved_submission where :is_whole and to_id = :contact_point_id
union
select source, submission_id from intake.pending_grant
where address_key = :address_key and (:is_whole or coalesce(given_key, '') in (select given_key from t_gone_subject))
"""

# The addresses that they moved from, and whether those go with them: not where anybody else is known there, has moved away
# from there as well, or has a contact of the CRM with it. To be asked for before anything is erased.
ADDRESSES_BEFORE = """
select c.contact_point_id, c.address_key, not exists (
           select from intake.subject s where s.contact_point_id = c.contact_point_id
             and (s.has_ground or s.person_id is not null))
       and not exists (
           select from intake.moved_submission o where o.from_id = c.contact_point_id
             and (o.source, o.submission_id) not in (select source, submission_id from t_gone_submission))
       and not exists (
           select from intake.crm_row r where r.contact_point_id = c.contact_point_id and r.table_name = 'contact'
             and not r.is_ours) as is_alone
from intake.contact_point c
where c.contact_point_id <> :contact_point_id and c.contact_point_id in (
    select m.from_id from intake.moved_submission m join t_gone_submission g using (source, submission_id))
order by c.contact_point_id
"""

# The contact of the person wherever it is, the one it was merged from, and every row that bears the address alone.
CRM_ROWS = """
with known as (
    select p.person_id as row_id from intake.person p where p.person_id = any(cast(:persons as uuid[]))
    union select l.row_id from intake.crm_link l where l.person_id = any(cast(:persons as uuid[])) and l.state <> 'gone'
), wanted as (
    select 'contact' as table_name, k.row_id from known k
    union select :registrations, g.registration_id from intake.registration g
          where g.contact_point_id = :contact_point_id and g.subject_id in (select subject_id from t_gone_subject)
    union select r.table_name, r.row_id from intake.crm_row r
          where :is_whole and r.contact_point_id = :contact_point_id and not exists (
              select from intake.registration g
              where g.registration_id = r.row_id and g.contact_point_id <> :contact_point_id)
)
select w.table_name, w.row_id, coalesce(r.is_ours, w.row_id = any(cast(:persons as uuid[]))) as is_ours,
       coalesce(r.written, '{}') as written
from wanted w left join intake.crm_row r using (table_name, row_id) order by w.table_name, w.row_id
"""

# What lowers an address that others share goes on: it is theirs too, and a withdrawal waits for nobody's erasure.
SUPERSEDE_INTENTS = """
update intake.outbox_intent set state = 'superseded', code = 'erased', finished_at = :now
where state in ('pending', 'waiting') and contact_point_id = :contact_point_id
  and (:is_whole or is_raising or row_id = any(cast(:row_ids as uuid[])))
"""

# Of a row of the person, at the address that they had before as well, and of every row of an address that goes as a whole: the
# names of the columns stay.
PURGE_INTENTS = """
update intake.outbox_intent i set
    columns = (select coalesce(jsonb_object_agg(k.name, null), '{}') from jsonb_object_keys(i.columns) as k (name)),
    before = null, purged_at = :now
where i.purged_at is null and i.state <> 'claimed' and i.contact_point_id in (
    select cast(:contact_point_id as uuid)
    union select m.from_id from intake.moved_submission m join t_gone_submission g using (source, submission_id))
  and ((:is_whole and i.contact_point_id = :contact_point_id) or i.row_id = any(cast(:row_ids as uuid[])))
"""

# What was asked for on the page is kept where other requests are, without whose it was: the page's own row goes with the
# address, and what is open is owed an answer all the same.
KEEP_PAGE_REQUESTS = f"""
insert into intake.data_request (
    request_id, kind, organiser_unit, organiser_contact, asked_at, due_at, taken_by, state, closed_at)
select p.request_id, case p.kind when 'export' then 'access' when 'move' then 'rectification' else p.kind end,
       r.organiser_unit, r.organiser_contact, p.asked_at, p.asked_at + interval '1 month', 'the person, on their page',
       p.state, p.closed_at
from intake.person_request p {organiser_of("p.contact_point_id")} where p.{{gone}}
on conflict (request_id) do nothing
"""

_BY_SUBMISSION = "(source, submission_id) in (select source, submission_id from t_gone_submission)"

# Requests of the page first: whom they are routed to is known by the registrations.
DELETE_ROWS = {
    "person_request_kept": KEEP_PAGE_REQUESTS.format(gone="contact_point_id = :contact_point_id and :is_whole"),
    "pending_grant": f"""
        delete from intake.pending_grant where {_BY_SUBMISSION} or (address_key = :address_key and (
            :is_whole or coalesce(given_key, '') in (select given_key from t_gone_subject)))""",
    "answer": f"delete from intake.answer where {_BY_SUBMISSION}",
    "registration": f"delete from intake.registration where {_BY_SUBMISSION}",
    "submission": f"delete from intake.submission where {_BY_SUBMISSION}",
    "stated_value": f"delete from intake.stated_value where {_BY_SUBMISSION}",
    "stated_value_of_address": "delete from intake.stated_value where :is_whole and contact_point_id = :contact_point_id",
    "row_image": f"delete from intake.row_image where {_BY_SUBMISSION}",
    "row_image_of_subject": """
        delete from intake.row_image where contact_point_id = :contact_point_id and table_name = 'subject'
          and submission_id in (select subject_id::text from t_gone_subject)""",
    "row_image_of_address": "delete from intake.row_image where :is_whole and contact_point_id = :contact_point_id",
    "quarantine": f"""
        delete from intake.quarantine q where {_BY_SUBMISSION} or exists (
            select from intake.row_outcome o join t_gone_submission g on g.submission_id = o.submission_id
            where o.batch_id = q.batch_id and o.row_no = q.row_no and g.source = q.source)""",
    "row_outcome": """
        update intake.row_outcome o set submission_id = null, state = 'withheld', reason = 'erased', effects = '{}'
        from t_gone_submission g, intake.batch b
        where o.submission_id = g.submission_id and b.batch_id = o.batch_id and b.source = g.source""",
    "consent_evidence": """
        delete from intake.consent_evidence v using intake.consent_event e
        where e.event_key = v.event_key and e.contact_point_id = :contact_point_id
          and e.subject_id in (select subject_id from t_gone_subject)""",
    # What they said at another address, of which nobody is known as theirs any more.
    "consent_evidence_elsewhere": """
        delete from intake.consent_evidence v using intake.consent_event e, t_gone_submission g
        where e.event_key = v.event_key and v.submission_id = g.submission_id and e.source = g.source
          and (exists (select from intake.moved_submission m where m.from_id = e.contact_point_id
                         and m.source = g.source and m.submission_id = g.submission_id)
               or exists (select from intake.subject s where s.subject_id = e.subject_id and s.person_id is null
                            and s.given_key in (select given_key from t_gone_subject)))""",
    "moved_submission": f"delete from intake.moved_submission where {_BY_SUBMISSION}",
    "person_consent": """
        delete from intake.person_consent where contact_point_id = :contact_point_id
          and (:is_whole or person_id = any(cast(:persons as uuid[])))""",
    "person_purpose": "delete from intake.person_purpose where person_id = any(cast(:persons as uuid[]))",
    "crm_review": """
        delete from intake.crm_review where contact_point_id = :contact_point_id
          and (:is_whole or persons && cast(:persons as uuid[]))""",
    "restriction": "delete from intake.restriction where person_id = any(cast(:persons as uuid[]))",
    "legal_hold": "delete from intake.legal_hold where person_id = any(cast(:persons as uuid[]))",
    "data_request": """
        update intake.data_request set contact_point_id = null, person_id = null
        where (:is_whole and contact_point_id = :contact_point_id) or person_id = any(cast(:persons as uuid[]))""",
    "crm_finding": "delete from intake.crm_finding where row_id = any(cast(:row_ids as uuid[]))",
    "crm_row": """
        delete from intake.crm_row where row_id = any(cast(:row_ids as uuid[]))""",
    "crm_row_kept": """
        update intake.crm_row r set contact_point_id = g.contact_point_id from intake.registration g
        where :is_whole and r.contact_point_id = :contact_point_id and g.registration_id = r.row_id""",
    "subject_kept": """
        update intake.subject set person_id = null, has_ground = false, is_child = null, age_told_at = null,
            age_reading_id = null
        where person_id = any(cast(:persons as uuid[])) and subject_id not in (select subject_id from t_gone_subject)""",
    "subject": "delete from intake.subject where subject_id in (select subject_id from t_gone_subject)",
    "person": "delete from intake.person where person_id = any(cast(:persons as uuid[]))",
    "consent_state": "delete from intake.consent_state where :is_whole and contact_point_id = :contact_point_id",
    "contact_point": "delete from intake.contact_point where :is_whole and contact_point_id = :contact_point_id",
}
