"""SQL of people: which subject is which person, what the person is called, and which purposes live for the person.

Works on the contact points of `t_dirty`, after submissions, registrations and consent states are merged.
"""

from connectors.store.children_sql import CHILDREN
from connectors.store.difference_sql import keep_equal
from connectors.store.made_ids_sql import MADE_ID

_MADE_ID = MADE_ID.replace("{elsewhere}", "{{elsewhere}}").format(
    table="intake.person", key="person_id", maker="n.maker_id", nth="n.nth"
)

# A person is made with what the first row says, which for nearly all is what `SURVIVORSHIP` decides: so they are written
# once; it decides anew for all.
SOLE_SUBJECTS = f"""
with first as (
    select distinct on (subject_id) subject_id, maker_id, row_no, given_name, family_name, phone, organisation
    from t_row where has_ground order by subject_id, row_no
), made as (
    insert into intake.person (person_id, contact_point_id, given_name, family_name, phone, organisation)
    select {_MADE_ID.format(elsewhere="")}, n.contact_point_id, n.given_name, n.family_name, n.phone, n.organisation
    from (
        select s.contact_point_id, f.maker_id, f.given_name, f.family_name, f.phone, f.organisation,
               row_number() over (partition by f.maker_id order by f.row_no) as nth
        from t_dirty join intake.subject s using (contact_point_id) join first f using (subject_id)
        where s.person_id is null and s.has_ground and not exists (
            select from intake.subject o where o.contact_point_id = s.contact_point_id and o.subject_id <> s.subject_id)
    ) n
    returning person_id, contact_point_id
)
update intake.subject s set person_id = made.person_id from made where made.contact_point_id = s.contact_point_id
"""

NO_ROWS = """
create temporary table t_row (row_no bigint, subject_id uuid, maker_id uuid, has_ground boolean)
"""

# A maker's id that is a person's at another address makes nobody here.
SHARED_SUBJECTS = f"""
with first as (
    select distinct on (subject_id) subject_id, maker_id from t_row where has_ground order by subject_id, row_no
)
select n.contact_point_id, n.subject_id, n.given_key, n.has_ground, n.person_id,
       case when n.maker_id is not null then
           {_MADE_ID.format(elsewhere=" and m.contact_point_id <> n.contact_point_id")} end as maker_id
from (
    select s.*, f.maker_id, dense_rank() over (partition by f.maker_id order by s.contact_point_id) as nth
    from t_dirty join intake.subject s using (contact_point_id) left join first f using (subject_id)
    where exists (
        select from intake.subject o where o.contact_point_id = s.contact_point_id and o.subject_id <> s.subject_id)
) n
order by n.contact_point_id, n.given_key
"""

ADD_PERSON = """
insert into intake.person (person_id, contact_point_id) values (:person_id, :contact_point_id)
on conflict (person_id) do nothing
"""

ASSIGN_SUBJECT = "update intake.subject set person_id = :person_id where subject_id = :subject_id"

# The newest submission that says anything decides; null never erases. One pass over the people's submissions: a look-up
# per person and column was quadratic wherever the planner had no statistics yet, as in every first load.
SURVIVORSHIP = """
update intake.person p set
    given_name = n.given_name, family_name = n.family_name, phone = n.phone, organisation = n.organisation
from (
    select s.person_id,
           (array_agg(u.given_name order by u.newness desc, u.source, u.submission_id) filter (where u.has_name))[1]
               as given_name,
           (array_agg(u.family_name order by u.newness desc, u.source, u.submission_id) filter (where u.has_name))[1]
               as family_name,
           (array_agg(u.phone order by u.newness desc, u.source, u.submission_id)
               filter (where u.phone is not null))[1] as phone,
           (array_agg(u.organisation order by u.newness desc, u.source, u.submission_id)
               filter (where u.organisation is not null))[1] as organisation
    from t_dirty join intake.subject s using (contact_point_id)
    left join (
        select subject_id, source, submission_id, given_name, family_name, phone, organisation,
               coalesce(submitted_from, received_at) as newness,
               coalesce(given_name, family_name) is not null as has_name
        from intake.submission) u using (subject_id)
    where s.person_id is not null
    group by s.person_id) n
where p.person_id = n.person_id
  and (p.given_name, p.family_name, p.phone, p.organisation)
      is distinct from (n.given_name, n.family_name, n.phone, n.organisation)
"""

# :names, :begins, :days are the policy's purposes as parallel arrays; days -1 = lives until lowered.
PURPOSES = f"""
create temporary table t_purpose as
with policy as (
    select * from unnest(cast(:names as text[]), cast(:begins as text[]), cast(:days as int[]))
        as t (purpose, begins, days)
), child as ({CHILDREN}
), registered as (
    select s.person_id, g.contact_point_id, o.kind, g.registered_at, g.is_sale,
           g.notice_shown and s.subject_id not in (select subject_id from child) as notice_shown,
           coalesce(o.ends_at, o.starts_at, g.registered_at) as ended_at
    from intake.registration g
    join intake.subject s using (subject_id)
    join intake.occasion o using (occasion_pk)
    join t_dirty d on d.contact_point_id = g.contact_point_id
    where g.status in ('active', 'waitlisted') and s.person_id is not null
), ground as (
    select c.person_id, c.contact_point_id, y.purpose, c.granted_at as begins_at, c.granted_at as counted_at, y.days
    from t_dirty d
    join intake.person_consent c on c.contact_point_id = d.contact_point_id and c.topic = '' and c.state = 'granted'
    join policy y on y.purpose = c.purpose
    join intake.consent_state a on a.contact_point_id = c.contact_point_id and a.purpose = c.purpose
     and a.topic = '' and a.state = 'granted'
    where y.begins = 'grant' and exists (select from intake.subject s where s.person_id = c.person_id)
    union all
    select r.person_id, r.contact_point_id, y.purpose, r.registered_at, r.ended_at, y.days
    from policy y join registered r on y.begins = r.kind
    union all
    select r.person_id, r.contact_point_id, y.purpose, r.registered_at,
           case when y.begins = 'participation' then r.ended_at else r.registered_at end, y.days
    from policy y join registered r
      on (y.begins = 'participation' and r.kind = 'event_registration')
      or (y.begins = 'sale_with_notice' and r.is_sale and r.notice_shown)
      or (y.begins = 'registration_with_notice' and r.notice_shown)
    where not exists (
        select from intake.consent_state a where a.contact_point_id = r.contact_point_id
           and a.purpose = y.purpose and a.topic = '' and a.state = 'withdrawn')
    union all
    select s.person_id, u.contact_point_id, y.purpose, coalesce(u.submitted_from, u.received_at),
           coalesce(u.submitted_from, u.received_at), y.days
    from policy y
    join intake.submission u on u.is_enquiry
    join intake.subject s using (subject_id)
    join t_dirty d on d.contact_point_id = u.contact_point_id
    where y.begins = 'enquiry' and s.person_id is not null and not exists (
        select from intake.consent_event e where e.contact_point_id = u.contact_point_id and e.purpose = y.purpose
           and e.value = 'withdraw' and e.effective_at >= coalesce(u.submitted_from, u.received_at)
           and not exists (select from intake.consent_void v where v.event_key = e.event_key))
)
select person_id, purpose, max(contact_point_id::text)::uuid as contact_point_id, min(begins_at) as begins_at,
       case when min(days) >= 0 then max(counted_at + make_interval(days => days)) end as ends_at
from ground group by person_id, purpose
"""

KEEP_PURPOSES = keep_equal(
    "intake.person_purpose", "t_purpose", key="person_id, purpose, contact_point_id", values="begins_at, ends_at"
)

BUMP_VERSIONS = """
update intake.contact_point c set version = version + 1, next_end_at = e.next_end_at
from t_dirty d left join lateral (
    select min(ends_at) as next_end_at from intake.person_purpose p
    where p.contact_point_id = d.contact_point_id) e on true
where c.contact_point_id = d.contact_point_id
"""
