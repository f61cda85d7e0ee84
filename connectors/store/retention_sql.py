"""SQL of retention: what each rule finds overdue, and deletes. Each statement can be run again at any time.

t_held_point     the addresses of which all is kept (connectors.store.holding)
t_held_occasion  the occasions that a legal hold keeps
t_touched        the addresses of which something went, to be folded and planned anew
"""

from connectors.store.children_sql import IS_CHILDS
from connectors.store.erasure_sql import KEEP_PAGE_REQUESTS
from connectors.store.holding import HELD_OCCASIONS, HELD_POINTS

TEMPORARY = ("t_held_point", "t_held_occasion", "t_touched")

HELD = (
    f"create temporary table t_held_occasion as {HELD_OCCASIONS}",
    f"create temporary table t_held_point as {HELD_POINTS}",
    "create temporary table t_touched (contact_point_id uuid)",
)

_ENDED = "coalesce(o.ends_at, o.starts_at, g.registered_at)"
_HAS_ANSWERS = "s.table_name = 'submission' and jsonb_array_length(s.rows -> 0 -> 'answers') > 0"
_NOT_HELD = "{0}.contact_point_id not in (select contact_point_id from t_held_point)"

_ANSWERS = f"""
delete from intake.answer a using intake.registration g join intake.occasion o using (occasion_pk)
where a.source = g.source and a.submission_id = g.submission_id and o.kind = :kind
  and {_ENDED} + make_interval(days => :days) <= :now and {_NOT_HELD.format("g")}
"""

# Copies of answers that a reading overwrote (connectors.store.reading_sql), which an undo would put back: of the registration
# that they were given for, as it was overwritten by the same reading.
_IMAGED_ANSWERS = f"""
update intake.row_image i set rows = jsonb_set(i.rows, '{{0,answers}}', '[]')
from intake.row_image s
left join intake.row_image b on b.table_name = 'registration' and b.source = s.source
  and b.submission_id = s.submission_id and b.reading_id = s.reading_id
left join intake.registration n on n.source = s.source and n.submission_id = s.submission_id
cross join lateral (
    select coalesce((b.rows -> 0 ->> 'occasion_pk')::uuid, n.occasion_pk) as occasion_pk,
           coalesce((b.rows -> 0 ->> 'registered_at')::timestamptz, n.registered_at) as registered_at) g
join intake.occasion o on o.occasion_pk = g.occasion_pk
where i.image_id = s.image_id and {_HAS_ANSWERS} and o.kind = :kind
  and {_ENDED} + make_interval(days => :days) <= :now and {_NOT_HELD.format("s")}
"""

# A registration that news of similar events stand on stays as long as they may be sent to that person, by what the
# purpose is made from (connectors.store.people_sql). Of an occasion of which one goes, participants are never counted
# anew (connectors.store.statistics).
_RELATED = f"""
g.notice_shown and g.status in ('active', 'waitlisted') and exists (
    select from unnest(cast(:related as text[]), cast(:related_days as int[]), cast(:without_sale as boolean[]))
        as y (purpose, days, without_sale)
    join intake.subject s on s.subject_id = g.subject_id
    where (g.is_sale or y.without_sale) and s.person_id is not null and not {IS_CHILDS.format("s")}
      and (y.days is null or g.registered_at + make_interval(days => y.days) > :now)
      and not exists (select from intake.consent_state a where a.contact_point_id = g.contact_point_id
                        and a.purpose = y.purpose and a.topic = '' and a.state = 'withdrawn'))
"""
_REGISTRATIONS = f"""
with gone as (
    delete from intake.registration g using intake.occasion o
    where o.occasion_pk = g.occasion_pk and o.kind = :kind and {_ENDED} + make_interval(days => :days) <= :now
      and not ({_RELATED})
      and {_NOT_HELD.format("g")}
    returning g.contact_point_id, o.source, o.occasion_id
), final as (
    update intake.participation c set is_final = true from gone
    where c.source = gone.source and c.occasion_id = gone.occasion_id
)
insert into t_touched select contact_point_id from gone
"""

_ENQUIRIES = f"""
delete from intake.answer a using intake.submission u
where u.source = a.source and u.submission_id = a.submission_id and u.is_enquiry
  and coalesce(u.submitted_from, u.received_at) + make_interval(days => :days) <= :now and {_NOT_HELD.format("u")}
  and not exists (select from intake.registration g where g.source = a.source and g.submission_id = a.submission_id)
"""

_IMAGED_MESSAGES = f"""
update intake.row_image s set rows = jsonb_set(s.rows, '{{0,answers}}', '[]')
where {_HAS_ANSWERS} and (s.rows -> 0 ->> 'is_enquiry')::boolean
  and coalesce((s.rows -> 0 ->> 'submitted_from')::timestamptz, (s.rows -> 0 ->> 'received_at')::timestamptz)
      + make_interval(days => :days) <= :now and {_NOT_HELD.format("s")}
  and not exists (select from intake.registration g where g.source = s.source and g.submission_id = s.submission_id)
"""

# Neither of a registration nor of an enquiry (any more).
_GROUNDLESS_ANSWERS = """
delete from intake.answer a
where not exists (select from intake.registration g where g.source = a.source and g.submission_id = a.submission_id)
  and not exists (
    select from intake.submission u where u.source = a.source and u.submission_id = a.submission_id
      and (u.is_enquiry or u.contact_point_id in (select contact_point_id from t_held_point)))
"""

# Of a submission stays what some living purpose of the person uses. Of an occasion of which a participant's place goes,
# participants are never counted anew, as with a registration: who cancelled, or waits, is not counted in any case.
_DETAILS = f"""
with living as (
    select p.person_id,
           coalesce(bool_or(u.purpose = any(cast(:with_phone as text[]))), false) as phone,
           coalesce(bool_or(u.purpose = any(cast(:with_organisation as text[]))), false) as organisation,
           coalesce(bool_or(u.purpose = any(cast(:with_place as text[]))), false) as place
    from intake.person p
    left join intake.person_purpose u on u.person_id = p.person_id and (u.ends_at is null or u.ends_at > :now)
    where {_NOT_HELD.format("p")}
    group by p.person_id
), cleared as (
    update intake.submission u set
        phone = case when l.phone then u.phone end,
        organisation = case when l.organisation then u.organisation end,
        country = case when l.place then u.country end,
        postal_code = case when l.place then u.postal_code end,
        city = case when l.place then u.city end
    from living l join intake.subject s on s.person_id = l.person_id
    where u.subject_id = s.subject_id
      and ((u.phone is not null and not l.phone) or (u.organisation is not null and not l.organisation)
           or (coalesce(u.country, u.postal_code, u.city) is not null and not l.place))
    returning u.source, u.submission_id, u.contact_point_id
), final as (
    update intake.participation c set is_final = true
    from cleared d
    join intake.registration g on g.source = d.source and g.submission_id = d.submission_id and g.status = 'active'
    join intake.occasion o using (occasion_pk)
    where c.source = o.source and c.occasion_id = o.occasion_id
)
insert into t_touched select contact_point_id from cleared
"""

# A consent lives as long as its own person's fold is granted, though somebody else at the address holds it down: when they
# are erased it counts again, and must be shown then; unless nothing else keeps the person, who goes meanwhile. By the groups
# of the fold (connectors.store.folding_sql).
_EVIDENCE = f"""
delete from intake.consent_evidence v
using intake.consent_event e left join intake.subject s on s.subject_id = e.subject_id
where e.event_key = v.event_key and {_NOT_HELD.format("e")}
  and not exists (select from intake.person_consent c join intake.person_purpose u using (person_id)
                  where c.contact_point_id = e.contact_point_id and c.person_id = s.person_id
                    and c.purpose = e.purpose and c.state = 'granted' and (u.ends_at is null or u.ends_at > :now))
  and (select max(l.effective_at)
       from intake.consent_event l left join intake.subject t on t.subject_id = l.subject_id
       where l.contact_point_id = e.contact_point_id and l.purpose = e.purpose
         and (t.given_key = '' or coalesce(t.person_id, l.subject_id) = coalesce(s.person_id, e.subject_id)))
      + make_interval(days => :days) <= :now
"""

# Whom a disclosure told of: until the recipient has been told of the erasure, or as long as a claim may be made of it.
_DISCLOSED = f"""
delete from intake.disclosure_subject t using intake.disclosure d
where d.disclosure_id = t.disclosure_id and {_NOT_HELD.format("t")}
  and (t.told_of like 'erased%' or d.disclosed_at + make_interval(days => :days) <= :now)
"""

# What gave no ground for anything was kept by its source's id and its hash alone, to be known when it comes again.
_GROUNDLESS = """
delete from intake.submission u
where u.subject_id is null and u.contact_point_id is null and u.received_at + make_interval(days => :days) <= :now
  and not exists (select from intake.registration g where g.source = u.source and g.submission_id = u.submission_id)
  and not exists (select from intake.answer a where a.source = u.source and a.submission_id = u.submission_id)
  and not exists (select from intake.stated_value v where v.source = u.source and v.submission_id = u.submission_id)
  and not exists (select from intake.pending_grant p where p.source = u.source and p.submission_id = u.submission_id)
"""

# By which address a submission of somebody who moved is told, as long as anything of it is kept.
_MOVED_ON = """
delete from intake.moved_submission m
where m.moved_at + make_interval(days => :days) <= :now
  and not exists (select from intake.submission u where u.source = m.source and u.submission_id = m.submission_id)
  and not exists (select from intake.registration g where g.source = m.source and g.submission_id = m.submission_id)
  and not exists (select from intake.consent_evidence v where v.submission_id = m.submission_id)
"""

_ANSWERED = (
    "delete from intake.data_request where state <> 'open' and closed_at + make_interval(days => :days) <= :now",
    "delete from intake.person_request where state <> 'open' and closed_at + make_interval(days => :days) <= :now",
)

# Of a hold its reason, of an access its names: evidence, once it has ended, by what was said of it or by its last day.
_ENDED_HOLDS = """
delete from intake.legal_hold where least(released_at, until_on + 1) + make_interval(days => :days) <= :now
"""
_ENDED_ACCESSES = """
delete from intake.access_grant where least(revoked_at, ends_on + 1) + make_interval(days => :days) <= :now
"""

RULES = {
    "event_answers": (_ANSWERS, _IMAGED_ANSWERS),
    "event_registrations": (_REGISTRATIONS,),
    "course_answers": (_ANSWERS, _IMAGED_ANSWERS),
    "course_registrations": (_REGISTRATIONS,),
    "enquiry_messages": (_ENQUIRIES, _IMAGED_MESSAGES),
    "groundless_answers": (_GROUNDLESS_ANSWERS,),
    "contact_details": (_DETAILS,),
    "groundless_submissions": (_GROUNDLESS, _MOVED_ON),
    "disclosed_references": (_DISCLOSED,),
    "answered_requests": _ANSWERED,
    "ended_holds": (_ENDED_HOLDS,),
    "ended_accesses": (_ENDED_ACCESSES,),
    "log_of_readings": ("delete from intake.access_log where read_at + make_interval(days => :days) <= :now",),
    "evidence": (_EVIDENCE,),
    "quarantine": ("delete from intake.quarantine where first_seen_at + make_interval(days => :days) <= :now",),
    "landing": (
        """
        with overdue as (
            select k.batch_id from intake.landing_key k join intake.batch b using (batch_id) where b.expires_at <= :now
        ), cells as (
            delete from intake.mended_cell where batch_id in (select batch_id from overdue)
        ), payloads as (
            delete from intake.landing_payload where batch_id in (select batch_id from overdue)
        )
        delete from intake.landing_key where batch_id in (select batch_id from overdue)
        """,
    ),
}

# A contact that the CRM had by itself and that holds what we wrote still: it is to be cleared first.
_WRITTEN_ON = """
select from intake.crm_row r cross join jsonb_each(r.written) w
where r.table_name = 'contact' and r.contact_point_id = {0}.contact_point_id and not r.is_ours and not r.edits ? 'gone'
  and w.key in ('firstname', 'lastname', 'mobilephone', 'emailaddress1', 'crmi_preferencelink')
  and r.columns -> w.key = w.value
"""

# Whose last purpose has ended, and of whom the CRM holds nothing any more: a contact under another address is somebody
# else's by now (connectors.store.bearers).
FIND_PEOPLE = f"""
create temporary table t_gone_person as
select p.person_id, p.contact_point_id from intake.person p
where not exists (select from intake.person_purpose u where u.person_id = p.person_id
                    and (u.ends_at is null or u.ends_at > :now))
  and not exists (select from intake.crm_row r left join intake.crm_link l on l.person_id = p.person_id
                  where r.table_name = 'contact' and r.row_id in (p.person_id, l.row_id) and r.is_ours
                    and r.contact_point_id = p.contact_point_id)
  and not exists (select from intake.crm_row r where r.table_name = 'contact' and r.row_id = p.person_id
                    and r.edits ? 'merged')
  and not exists ({_WRITTEN_ON.format("p")})
  and not exists (select from intake.registration g join intake.subject s using (subject_id)
                  where s.person_id = p.person_id)
  and {_NOT_HELD.format("p")}
"""

_OF_GONE = "(select s.subject_id from intake.subject s join t_gone_person using (person_id))"
_SUBMITTED = f"""
(select source, submission_id from intake.submission where subject_id in {_OF_GONE})
"""

# What was written of them to the CRM, and what was found there, is of no use any more: nothing of it can be undone.
# What somebody else wrote over their contact, which was handed on, has theirs in its image.
_PURGE_WRITES = """
update intake.outbox_intent i set
    columns = (select coalesce(jsonb_object_agg(k.name, null), '{}') from jsonb_object_keys(i.columns) as k (name)),
    before = null, purged_at = :now
where i.purged_at is null and i.state in ('acknowledged', 'superseded', 'refused', 'conflict')
  and (i.row_id in (select person_id from t_gone_person)
       or i.contact_point_id in (select contact_point_id from t_gone_person)
          and (i.row_id in (select l.row_id from intake.crm_link l join t_gone_person using (person_id))
               or not exists (select from intake.person p where p.contact_point_id = i.contact_point_id
                                and p.person_id not in (select person_id from t_gone_person))))
"""

DELETE_PEOPLE = (
    _PURGE_WRITES,
    f"delete from intake.answer where (source, submission_id) in {_SUBMITTED}",
    f"delete from intake.stated_value where (source, submission_id) in {_SUBMITTED}",
    f"delete from intake.row_image where (source, submission_id) in {_SUBMITTED}",
    f"delete from intake.submission where subject_id in {_OF_GONE}",
    "delete from intake.person_purpose where person_id in (select person_id from t_gone_person)",
    "delete from intake.person_consent where person_id in (select person_id from t_gone_person)",
    "update intake.subject set person_id = null, has_ground = false, is_child = null, age_told_at = null,"
    " age_reading_id = null where person_id in (select person_id from t_gone_person)",
    "insert into t_touched select contact_point_id from t_gone_person",
    "delete from intake.person where person_id in (select person_id from t_gone_person)",
)

# An address that nothing is known of but that it was known: no person, no decision that still counts, no row of the CRM,
# and nothing asked for on its page that would go with it unanswered.
FIND_POINTS = f"""
create temporary table t_gone_point as
select c.contact_point_id from intake.contact_point c
where {_NOT_HELD.format("c")}
  and not exists (select from intake.person p where p.contact_point_id = c.contact_point_id)
  and not exists (select from intake.consent_state s where s.contact_point_id = c.contact_point_id and s.state = 'withdrawn')
  and not exists (select from intake.submission u where u.contact_point_id = c.contact_point_id)
  and not exists (select from intake.registration g where g.contact_point_id = c.contact_point_id)
  and not exists (select from intake.moved_submission m where m.from_id = c.contact_point_id)
  and not exists (select from intake.person_request q where q.contact_point_id = c.contact_point_id and q.state = 'open')
  and not exists (select from intake.crm_row r where r.contact_point_id = c.contact_point_id and r.is_ours)
  and not exists ({_WRITTEN_ON.format("c")})
"""

DELETE_POINTS = (
    KEEP_PAGE_REQUESTS.format(gone="contact_point_id in (select contact_point_id from t_gone_point)"),
    "delete from intake.consent_evidence v using intake.consent_event e where e.event_key = v.event_key"
    " and e.contact_point_id in (select contact_point_id from t_gone_point)",
    "delete from intake.consent_state where contact_point_id in (select contact_point_id from t_gone_point)",
    "delete from intake.person_consent where contact_point_id in (select contact_point_id from t_gone_point)",
    "delete from intake.stated_value where contact_point_id in (select contact_point_id from t_gone_point)",
    "delete from intake.row_image where contact_point_id in (select contact_point_id from t_gone_point)",
    "delete from intake.crm_row where contact_point_id in (select contact_point_id from t_gone_point)",
    # What was found about a row that is not known any more is nobody's to look into. A list is nobody's row.
    "delete from intake.crm_finding f where f.table_name <> 'list' and not exists (select from intake.crm_row r"
    " where r.table_name = f.table_name and r.row_id = f.row_id)",
    "delete from intake.subject where contact_point_id in (select contact_point_id from t_gone_point)",
    "delete from t_touched where contact_point_id in (select contact_point_id from t_gone_point)",
    "delete from intake.contact_point where contact_point_id in (select contact_point_id from t_gone_point)",
)

# Courses and events that nobody is registered for any more, and of which the CRM holds no row. What tells no date goes
# with its last registration.
DELETE_OCCASIONS = """
delete from intake.occasion o
where coalesce(o.ends_at, o.starts_at, '-infinity') + make_interval(days => :days) <= :now and o.kind = :kind
  and not exists (select from intake.registration g where g.occasion_pk = o.occasion_pk)
  and not exists (select from intake.crm_row r where r.table_name = :events and r.row_id = o.occasion_pk)
  and o.occasion_pk not in (select occasion_pk from t_held_occasion)
"""

# The ids of submissions that are gone, and whose batch is, in the outcomes that still count them.
FORGET_SUBMISSION_IDS = """
update intake.row_outcome o set submission_id = null from intake.batch b
where o.submission_id is not null and b.batch_id = o.batch_id
  and not exists (select from intake.landing_key k where k.batch_id = b.batch_id)
  and not exists (select from intake.submission u where u.source = b.source and u.submission_id = o.submission_id)
"""

# Courses and events of ours in the CRM that are over and that nobody is registered for.
EVENTS_OF_NO_USE = f"""
select r.row_id, o.version from intake.crm_row r join intake.occasion o on o.occasion_pk = r.row_id
where r.table_name = :events and r.is_ours
  and not exists (select from intake.registration g where g.occasion_pk = r.row_id)
  and coalesce(o.ends_at, o.starts_at, '-infinity') <= :now
  and o.occasion_pk not in ({HELD_OCCASIONS})
order by r.row_id
"""
