"""SQL of what is known of children: who was told to be too young for marketing, what that holds back and what it ends.

Of a subject is kept whether the last that told an age made a child of them, and as of when; neither age nor date of
birth. Whoever is of unknown age is no child here: a form for children says so of them (pipelines.transforms.children).
"""

_MARKETS = """
select t.purpose from unnest(cast(:names as text[]), cast(:begins as text[])) as t (purpose, begins)
where t.begins in ('grant', 'sale_with_notice', 'registration_with_notice')
"""

# A name that was not given speaks of the child where nobody else is known at the address.
_ALONE = """
not exists (select from intake.subject o where o.contact_point_id = {child}.contact_point_id and o.given_key <> ''
            and o.person_id is not null and o.is_child is distinct from true)
"""

# A yes by whoever is known as a child is let go by rule, whatever door it came through and whatever its form asked.
HOLD_KNOWN = f"""
with child as (
    select s.row_no from intake.subject j
    join intake.contact_point c using (contact_point_id)
    join {{submissions}} s on s.address_key = c.address_key
    where j.is_child and s.is_child is distinct from true and s.is_child is distinct from false
      and (coalesce(s.given_key, '') = j.given_key or (coalesce(s.given_key, '') = '' and {_ALONE.format(child="j")}))
), held as (
    delete from {{decisions}} d using child
    where child.row_no = d.row_no and d.value in ('grant', 'pending') and d.purpose in ({_MARKETS})
    returning d.row_no, d.purpose
)
insert into {{faults}} (row_no, field, "column", fault, value_class, blocks)
select distinct row_no, 'consents.' || purpose, null, 'child', 'blank', 'rule' from held
"""

# What was told last counts, in whatever order it arrives; of two that were told at once the child.
_TOLD = """
(select distinct on (subject_id) subject_id, is_child, least(coalesce(version_at, received_at), received_at) as told_at
 from t_row where subject_id is not null and is_child is not null
 order by subject_id, least(coalesce(version_at, received_at), received_at) desc, is_child desc) r
"""
_COUNTS = """
r.subject_id = s.subject_id and (s.age_told_at is null or r.told_at > s.age_told_at
                                 or (r.told_at = s.age_told_at and r.is_child and not s.is_child))
"""

# What is about to be overwritten; the subject's id stands in the place of a submission's.
KEEP_AGES = f"""
insert into intake.row_image (reading_id, table_name, source, submission_id, contact_point_id, rows, kept_at)
select :reading_id, 'subject', :source, s.subject_id::text, s.contact_point_id, jsonb_build_array(jsonb_build_object(
       'is_child', s.is_child, 'age_told_at', s.age_told_at, 'age_reading_id', s.age_reading_id)), :now
from {_TOLD} join intake.subject s on {_COUNTS}
"""

MARK_CHILDREN = f"""
update intake.subject s set is_child = r.is_child, age_told_at = r.told_at, age_reading_id = :reading_id
from {_TOLD} where {_COUNTS}
"""

# What a child had said yes to before it was told that they are one. The same telling makes the same event.
END_MARKETING = f"""
insert into t_event (
    row_no, purpose, value, actor, clock, precision_s, effective_at, reason, states_current_value, source, batch_id,
    submission_id, contact_point_id, subject_id, address, given_name, family_name, address_key, given_key, received_at,
    event_key, salt)
select distinct on (event_key) * from (
    select r.row_no, y.purpose, 'withdraw', 'import', r.source, 0, r.received_at, 'child', false, r.source, r.batch_id,
           r.submission_id, r.contact_point_id, r.subject_id, r.address, r.given_name, r.family_name, r.address_key,
           r.given_key, r.received_at,
           sha256(:ledger_key || convert_to(concat_ws('|', 'child', r.address_key, r.given_key, y.purpose, r.source,
                  r.submission_id, extract(epoch from r.version_at)), 'UTF8')) as event_key,
           decode(replace(gen_random_uuid()::text, '-', ''), 'hex')
    from t_row r
    join intake.subject j on j.subject_id = r.subject_id and j.is_child
    cross join ({_MARKETS}) y
    where r.is_child and r.class <> 'unchanged' and (
        exists (select from t_event t where t.subject_id = r.subject_id and t.purpose = y.purpose and t.value = 'grant')
        or exists (
            select from intake.consent_event e join intake.subject g on g.subject_id = e.subject_id
            where e.contact_point_id = r.contact_point_id and e.purpose = y.purpose and e.value = 'grant'
              and (e.subject_id = r.subject_id or (g.given_key = '' and {_ALONE.format(child="j")}))
              and not exists (select from intake.consent_void v where v.event_key = e.event_key)))
) ended
order by event_key, row_no
"""

# A sign-up that waits for its link is forgotten with the age that it turns out to have.
FORGET_PENDING = """
delete from intake.pending_grant p using t_row r
where r.is_child and p.confirmed_at is null
  and ((p.source = r.source and p.submission_id = r.submission_id)
       or (p.address_key = r.address_key and coalesce(p.given_key, '') = r.given_key))
"""

# Of a person by any name they bear at the address; where no name is given, whether nobody but children is known there.
IS_CHILD = """
select case when :given_key = '' then coalesce(bool_and(coalesce(j.is_child, false)), false)
            else coalesce(bool_or(j.is_child), false) end
from intake.subject j
where j.contact_point_id = :contact_point_id and case
    when :given_key = '' then j.given_key <> '' and j.person_id is not null
    else j.given_key = :given_key or j.person_id = (select k.person_id from intake.subject k
         where k.contact_point_id = j.contact_point_id and k.given_key = :given_key) end
"""

# Said to be old enough: by any name the person bears at the address, unless a child was told of since.
NOTE_OF_AGE = """
update intake.subject s set is_child = false, age_told_at = :said_at, age_reading_id = null
from intake.contact_point c, intake.subject k
where c.address_key = :address_key and k.contact_point_id = c.contact_point_id and k.given_key = :given_key
  and s.contact_point_id = c.contact_point_id and (s.subject_id = k.subject_id or s.person_id = k.person_id)
  and (s.age_told_at is null or s.age_told_at <= :said_at)
"""
