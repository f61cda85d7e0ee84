"""SQL of undoing readings: void their events, put back what they overwrote, let their batches be read again.

t_reading  the readings to undo
t_gone     rows of one table that they brought; t_back the newest version before each that is not undone itself
t_subject, t_touched  the subjects and addresses concerned; t_before the consent states before
t_shared   later batches that told some of it as well; t_part the rows that were read by themselves
"""

from connectors.store.ledger_sql import add_voids
from connectors.store.set_aside_sql import is_unmeant

# What has no payload (a read-back of the CRM, a page, a one-click) is not the reading of one: it is the act itself. Where an
# undo of something else had a batch of the run read again by the same mapping (FIND_SHARED), that goes with it.
PICK_READINGS = """
create temporary table t_reading as
select g.* from intake.reading g
where (g.run_id = :run_id or exists (
    select from intake.reading r join intake.run n on n.run_id = g.run_id and n.kind = 'undo'
    where r.run_id = :run_id and r.source = g.source and r.feed = g.feed and r.mapping_hash = g.mapping_hash
      and r.read_at <= g.read_at and r.batch_ids && g.batch_ids))
  and (cast(:feeds as text[]) is null or g.feed = any(:feeds))
  and not exists (select from intake.undone_reading u where u.reading_id = g.reading_id)
  and exists (select from intake.batch b where b.batch_id = any(g.batch_ids) and b.media_type <> 'none')
"""

MARK_UNDONE = """
insert into intake.undone_reading (reading_id, undo_run_id, undone_by, undone_at)
select reading_id, :undo_run_id, :by, :now from t_reading
"""

# What staff took down of a person's own words stands, like all that the person did.
VOID_EVENTS = """
create temporary table t_voided as
select e.event_key, coalesce(e.base_key, e.event_key) as base_key, e.reading_id, e.batch_id,
       cast(:undo_run_id as uuid) as undo_run_id, cast(:now as timestamptz) as voided_at,
       cast(:group_id as uuid) as group_id, cast(row_number() over (order by e.event_key) as integer) as nth,
       g.feed, e.value, e.subject_id, e.contact_point_id
from intake.consent_event e join t_reading g on g.reading_id = e.reading_id
where e.actor <> 'staff_on_behalf'
  and not exists (select from intake.consent_void v where v.event_key = e.event_key)
"""

ADD_VOIDS = add_voids("t_voided")

# Once it is not spam any more, what a submission agreed to counts again (connectors.store.set_aside_sql), by an event that is
# of the same reading as the one that was voided.
FIND_MEANT = f"""
create temporary table t_event as
select distinct on (d.base_key) d.base_key as event_key, e.subject_id, e.contact_point_id, e.purpose, e.topic, e.value, e.actor,
       e.clock, e.occurred_at, e.precision_s, e.effective_at, e.received_at, e.reason, e.source, e.batch_id, e.reading_id,
       null::bytea as base_key, decode(replace(gen_random_uuid()::text, '-', ''), 'hex') as salt, v.submission_id, v.address,
       v.given_name, v.family_name, v.wording_hash, v.notice_version, v.channel, v.collected_by, v.method
from t_gone_submission g join t_back_submission b using (source, submission_id)
join intake.consent_evidence v on v.submission_id = b.submission_id
join intake.consent_event e on e.event_key = v.event_key and e.source = b.source
join intake.consent_void d on d.event_key = e.event_key
where {is_unmeant("g.content_hash")} and not {is_unmeant("b.content_hash")} and e.value = 'grant'
  and not exists (select from intake.undone_reading u where u.reading_id = d.reading_id)
order by d.base_key, e.recorded_at
"""

# A sign-up that nobody has confirmed is not asked any more; what somebody confirmed is their own act.
FORGET_PENDING = """
delete from intake.pending_grant p using t_reading g
where p.reading_id = g.reading_id and p.confirmed_at is null
returning g.feed
"""

# What an event that stands came with stands, too.
FIND_GONE = """
create temporary table t_gone_{table} as
select t.* from intake.{table} t where t.reading_id in (select reading_id from t_reading)
  and not exists (
    select from intake.consent_event e join intake.consent_evidence v using (event_key)
    where e.reading_id = t.reading_id and e.source = t.source and v.submission_id = t.submission_id
      and e.actor = 'staff_on_behalf')
"""

FIND_BACK = """
create temporary table t_back_{table} as
select distinct on ({before_keys}) b.*
from t_gone_{table} g
join intake.row_image i
  on i.table_name = '{table}' and i.source = g.source and i.submission_id = g.submission_id
cross join lateral jsonb_populate_recordset(null::intake.{table}, i.rows) b
where {same_key} and not exists (select from intake.undone_reading u where u.reading_id = b.reading_id)
order by {before_keys}, i.image_id desc
"""

# What they had before they moved on their page is put back where they moved to, under the name that it bears.
NAME_MOVED = """
insert into intake.subject as s (contact_point_id, given_key, has_ground)
select distinct m.to_id, o.given_key, true
from t_back_{table} b join intake.moved_submission m using (source, submission_id)
join intake.subject o on o.subject_id = b.subject_id
where b.contact_point_id = m.from_id
on conflict (contact_point_id, given_key) do update set has_ground = true where not s.has_ground
"""

PUT_BACK_MOVED = """
update t_back_{table} b set contact_point_id = m.to_id, subject_id = s.subject_id
from intake.moved_submission m, intake.subject o, intake.subject s
where (m.source, m.submission_id, m.from_id) = (b.source, b.submission_id, b.contact_point_id)
  and o.subject_id = b.subject_id and (s.contact_point_id, s.given_key) = (m.to_id, o.given_key)
"""

STATE_MOVED = """
update t_back_stated_value b set contact_point_id = m.to_id
from intake.moved_submission m
where (m.source, m.submission_id, m.from_id) = (b.source, b.submission_id, b.contact_point_id)
"""

KEEP_GONE = """
insert into intake.row_image (reading_id, table_name, source, submission_id, contact_point_id, rows, kept_at)
select :undo_run_id, '{table}', g.source, g.submission_id, min(g.contact_point_id::text)::uuid,
       jsonb_agg(to_jsonb(g)), :now
from t_gone_{table} g group by g.source, g.submission_id
"""

REMOVE_GONE = "delete from intake.{table} t using t_gone_{table} g where {same_key}"

PUT_BACK = "insert into intake.{table} select * from t_back_{table}"

REMOVE_ANSWERS = """
delete from intake.answer a using t_gone_submission g where a.source = g.source and a.submission_id = g.submission_id
"""

PUT_BACK_ANSWERS = """
insert into intake.answer
select a.* from t_back_submission b
join intake.row_image i on i.table_name = 'submission' and i.source = b.source and i.submission_id = b.submission_id
cross join lateral jsonb_array_elements(i.rows) r
cross join lateral jsonb_populate_recordset(null::intake.answer, r -> 'answers') a
where (r ->> 'reading_id')::uuid is not distinct from b.reading_id
on conflict (source, submission_id, question) do nothing
"""

# A course or event that the reading made stays, without the registrations that it brought; others are as they were.
FIND_OCCASIONS = """
create temporary table t_back_occasion as
select distinct on (o.occasion_pk) o.occasion_pk as gone_pk, g.feed as gone_feed, b.*,
       (o.kind, o.name, o.starts_at, o.ends_at, o.field, o.organiser_unit, o.organiser_contact)
           is distinct from (b.kind, b.name, b.starts_at, b.ends_at, b.field, b.organiser_unit, b.organiser_contact)
           as is_changed
from intake.occasion o join t_reading g using (reading_id)
join intake.row_image i on i.table_name = 'occasion' and i.source = o.source and i.submission_id = o.occasion_id
cross join lateral jsonb_populate_recordset(null::intake.occasion, i.rows) b
where not exists (select from intake.undone_reading u where u.reading_id = b.reading_id)
order by o.occasion_pk, i.image_id desc
"""

# Images that were kept before the parts had versions have neither those nor what they are of.
PUT_BACK_OCCASIONS = """
update intake.occasion o set
    kind = b.kind, name = b.name, starts_at = b.starts_at, ends_at = b.ends_at, field = b.field,
    organiser_unit = b.organiser_unit, organiser_contact = b.organiser_contact, version_at = b.version_at,
    starts_to = coalesce(b.starts_to, b.starts_at), told_ends_at = coalesce(b.told_ends_at, b.ends_at),
    name_version_at = b.name_version_at, starts_version_at = b.starts_version_at,
    ends_version_at = b.ends_version_at, field_version_at = b.field_version_at,
    earlier_ended_at = b.earlier_ended_at, reading_id = b.reading_id, version = o.version + 1
from t_back_occasion b where b.gone_pk = o.occasion_pk
"""

# Whether somebody was told to be a child: by the last telling that is not undone, the child of two. Where what was told
# before is not kept any more, a child stays one, and who was told to be old enough is of unknown age.
FIND_AGES = """
create temporary table t_back_age as
select s.subject_id, s.contact_point_id, b.is_child, b.age_told_at, b.age_reading_id
from intake.subject s join t_reading g on g.reading_id = s.age_reading_id
left join lateral (
    select b.*, true as is_kept from intake.row_image i
    cross join lateral jsonb_to_recordset(i.rows) b (is_child boolean, age_told_at timestamptz, age_reading_id uuid)
    where i.contact_point_id = s.contact_point_id and i.table_name = 'subject' and i.submission_id = s.subject_id::text
      and not exists (select from intake.undone_reading u where u.reading_id = b.age_reading_id)
    order by b.age_told_at desc nulls last, b.is_child desc nulls last limit 1) b on true
where b.is_kept or not s.is_child
"""

PUT_BACK_AGES = """
update intake.subject s set is_child = b.is_child, age_told_at = b.age_told_at, age_reading_id = b.age_reading_id
from t_back_age b where b.subject_id = s.subject_id
"""

COUNT_OCCASIONS = "select gone_feed as feed, count(*) as n from t_back_occasion where is_changed group by gone_feed"

FIND_SUBJECTS = """
create temporary table t_subject as
select subject_id from t_voided
union select subject_id from t_gone_submission
union select subject_id from t_gone_registration
"""

FIND_TOUCHED = """
create temporary table t_touched as
select contact_point_id from (
    select contact_point_id from t_voided
    union select contact_point_id from t_gone_submission
    union select contact_point_id from t_back_submission
    union select contact_point_id from t_gone_registration
    union select contact_point_id from t_back_registration
    union select contact_point_id from t_back_age
    union select contact_point_id from t_event
    union select g.contact_point_id from intake.registration g join t_back_occasion b on b.gone_pk = g.occasion_pk) t
where contact_point_id is not null
"""

REMEMBER_STATES = """
create temporary table t_before as
select contact_point_id, purpose, topic from intake.consent_state
where state = 'granted' and contact_point_id in (select contact_point_id from t_touched)
"""

# A name that only the undone readings brought is nobody's ground any more.
TAKE_GROUND = """
update intake.subject s set has_ground = false
where s.subject_id in (select subject_id from t_subject) and s.has_ground
  and not exists (
    select from intake.consent_event e where e.subject_id = s.subject_id and e.value = 'grant'
       and not exists (select from intake.consent_void v where v.event_key = e.event_key))
  and not exists (select from intake.submission u where u.subject_id = s.subject_id)
  and not exists (select from intake.registration g where g.subject_id = s.subject_id)
"""

COUNT_CHANGED = """
select (select count(distinct s.contact_point_id) from intake.consent_state s
        where s.state = 'granted' and s.contact_point_id in (select contact_point_id from t_touched)
          and not exists (select from t_before b
                          where (b.contact_point_id, b.purpose, b.topic) = (s.contact_point_id, s.purpose, s.topic))
       ) as raised,
       (select count(distinct b.contact_point_id) from t_before b
        where not exists (select from intake.consent_state s where s.state = 'granted'
                          and (s.contact_point_id, s.purpose, s.topic) = (b.contact_point_id, b.purpose, b.topic))
       ) as lowered
"""

# A batch that another mapping has read since is read again by it; the same mapping does not read it a second time. Of some
# rows of a batch that were read by themselves the others stand.
REOPEN_BATCHES = """
update intake.batch b set state = case when b.mapping_hash = g.mapping_hash then 'undone' else 'landed' end
from t_reading g
where b.batch_id = any(g.batch_ids) and b.media_type <> 'none' and b.state in ('applied', 'stopped')
  and case when b.mapping_hash = g.mapping_hash then g.row_nos is null
           else exists (select from intake.landing_key k where k.batch_id = b.batch_id) end
returning b.batch_id, b.state
"""

# What a later delivery of the feed told as well was known by then, so nothing says that it was told there: such batches are
# read again, from the landing or else when they come again.
FIND_SHARED = """
create temporary table t_shared as
with later as (
    select distinct b.batch_id, g.reading_id
    from t_reading g
    join intake.reading l on l.source = g.source and l.feed = g.feed and l.read_at >= g.read_at
    cross join unnest(l.batch_ids) t (batch_id)
    join intake.batch b on b.batch_id = t.batch_id and b.media_type <> 'none' and b.state in ('applied', 'stopped')
    where not exists (select from intake.undone_reading u where u.reading_id = l.reading_id)
      and not exists (select from t_reading r where b.batch_id = any(r.batch_ids))
)
select distinct k.batch_id
from later k join t_reading g using (reading_id)
cross join lateral (
    select from intake.row_outcome s join intake.row_outcome o on o.submission_id = s.submission_id
    where s.batch_id = k.batch_id and o.batch_id = any(g.batch_ids) and coalesce(o.row_no = any(g.row_nos), true)
    limit 1) told
"""

REOPEN_SHARED = """
update intake.batch b set state = 'landed' from t_shared s
where b.batch_id = s.batch_id and exists (select from intake.landing_key k where k.batch_id = b.batch_id)
returning b.batch_id
"""

AWAIT_SHARED = """
update intake.batch b set comes_anew = true from t_shared s
where b.batch_id = s.batch_id and b.state = 'applied'
"""

WITHHOLD_ROWS = """
update intake.row_outcome set state = 'withheld', reason = 'undone'
where batch_id = any(:batch_ids) and (state in ('applied', 'unchanged') or reason = 'awaiting_confirmation')
"""

# The rows of a batch that were read by themselves and not once more since: what the batch told before stands.
FIND_PARTS = """
create temporary table t_part as
select b.batch_id, n.row_no, min(g.read_at) as read_at
from t_reading g join intake.batch b on b.batch_id = any(g.batch_ids) and b.state = 'applied'
cross join unnest(g.row_nos) n (row_no)
where not exists (
    select from intake.reading l
    where b.batch_id = any(l.batch_ids) and coalesce(n.row_no = any(l.row_nos), true) and l.read_at > g.read_at
      and not exists (select from intake.undone_reading u where u.reading_id = l.reading_id))
group by b.batch_id, n.row_no
"""

OPEN_ENTRIES = """
with opened as (
    update intake.quarantine q set state = 'open', closed_at = null from t_part p
    where q.batch_id = p.batch_id and q.row_no = p.row_no and q.state = 'mended' and q.closed_at >= p.read_at
    returning q.batch_id, q.row_no, q.field, q.fault
)
update intake.row_outcome o set state = 'quarantined', reason = w.reason
from (select batch_id, row_no, min(field || ': ' || fault) as reason from opened group by batch_id, row_no) w
where o.batch_id = w.batch_id and o.row_no = w.row_no
"""

COUNT_ROWS = """
select g.feed, '{table}' as rows_of, count(*) as gone from t_gone_{table} g0
join t_reading g on g.reading_id = g0.reading_id group by g.feed
"""

RUN_FEEDS = """
select distinct g.feed from intake.reading g where g.run_id = :run_id order by g.feed
"""

# What is read outside a run, pushed forms and rows that are read again, has no record but what it read.
IS_RUN = """
select exists (select from intake.run where run_id = :run_id)
    or exists (select from intake.reading where run_id = :run_id)
"""
