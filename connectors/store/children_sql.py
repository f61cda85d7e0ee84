"""SQL of what is known of children: who was told to be too young for marketing, what that holds back and what it ends.

Of a subject is kept whether the last that told an age made a child of them, and as of when; neither age nor date of
birth. Whoever is of unknown age is no child here: a form for children says so of them (pipelines.transforms.children).
A yes is held back at the door where the names alone tell that it is a child's. Whatever came in all the same, or stood
before, is ended when the address is folded, once it is decided who is who there: by an event, as all that is lowered.
"""

from connectors.store.ledger_sql import ADD_EVENTS, ADD_EVIDENCE, DROP_KNOWN_EVENTS, STAND_AGAIN, supersede_raising

_MARKETS = """
select t.purpose from unnest(cast(:names as text[]), cast(:begins as text[])) as t (purpose, begins)
where t.begins in ('grant', 'sale_with_notice', 'registration_with_notice')
"""

# Told to be a child; said to be old enough by a fuller name of the same person since is said of an initial, or of no
# name, as well, and not the other way round.
IS_KNOWN = """
({0}.is_child and not exists (
    select from intake.subject f
    where f.contact_point_id = {0}.contact_point_id and f.person_id = {0}.person_id and not f.is_child
      and length(f.given_key) > length({0}.given_key) and f.age_told_at > {0}.age_told_at))
"""

# A subject whose person is known as a child, by whatever name.
IS_CHILDS = f"""
exists (select from intake.subject m
        where m.contact_point_id = {{0}}.contact_point_id and {IS_KNOWN.format("m")}
          and (m.subject_id = {{0}}.subject_id or m.person_id = {{0}}.person_id))
"""

_ALONE = f"""
not exists (select from intake.subject o
            where o.contact_point_id = {{0}}.contact_point_id and o.given_key <> '' and o.person_id is not null
              and not {IS_CHILDS.format("o")})
"""

# The subjects of the addresses at hand that a child is: by a name of the person; without one where nobody but children
# is known at the address, and nobody was said to be old enough there without a name.
CHILDREN = f"""
select distinct s.subject_id from t_dirty
join intake.subject j on j.contact_point_id = t_dirty.contact_point_id and j.is_child
join intake.subject s on s.contact_point_id = j.contact_point_id
where {IS_CHILDS.format("s")}
   or (s.given_key = '' and s.is_child is distinct from false and {IS_KNOWN.format("j")} and {_ALONE.format("s")})
"""

# Whether a name that somebody gives at the address (`name`; '': none) is the child j's, as far as names tell before it is
# decided who is who (pipelines.transforms.identity): one that the person bears, or the weaker or the fuller one, where
# it is nobody else's as well.
_NAMED = f"""
({{name}} = j.given_key
 or exists (select from intake.subject k where k.contact_point_id = j.contact_point_id and k.given_key = {{name}}
            and k.person_id = j.person_id)
 or (length({{name}}) <= 1 and starts_with(j.given_key, {{name}}) and not exists (
        select from intake.subject o
        where o.contact_point_id = j.contact_point_id and o.person_id is not null and starts_with(o.given_key, {{name}})
          and (o.given_key <> '' or not o.is_child) and not {IS_CHILDS.format("o")}))
 or (length(j.given_key) <= 1 and starts_with({{name}}, j.given_key) and not exists (
        select from intake.subject o
        where o.contact_point_id = j.contact_point_id and o.person_id is not null
          and starts_with(o.given_key, j.given_key) and length(o.given_key) > length(j.given_key)
          and (o.person_id = j.person_id or not {IS_CHILDS.format("o")}))))
"""

_NOTE_HELD = """
insert into {faults} (row_no, field, "column", fault, value_class, blocks)
select distinct row_no, 'consents.' || purpose, null, 'child', 'blank', 'rule' from held
"""

# A yes by whoever is known as a child is let go by rule, whatever door it came through and whatever its form asked. That
# a form makes somebody old enough by a weaker name does not do.
HOLD_KNOWN = f"""
with child as (
    select s.row_no from intake.subject j
    join intake.contact_point c using (contact_point_id)
    join {{submissions}} s on s.address_key = c.address_key
    where {IS_KNOWN.format("j")} and s.is_child is distinct from true
      and (s.is_child is null or length(coalesce(s.given_key, '')) < length(j.given_key))
      and {_NAMED.format(name="coalesce(s.given_key, '')")}
), held as (
    delete from {{decisions}} d using child
    where child.row_no = d.row_no and d.value in ('grant', 'pending') and d.purpose in ({_MARKETS})
    returning d.row_no, d.purpose
)
{_NOTE_HELD}
"""

# A yes that was let go as a child's is none when they are older: a row that is as it was, and read by the same mapping, is
# let go again. Looked for from the few rows that were let go, which have an index.
HOLD_AGAIN = f"""
with child as (
    select s.row_no from intake.row_outcome o
    join intake.batch b on b.batch_id = o.batch_id and b.mapping_hash = :mapping_hash
    join intake.submission u on u.source = :source and u.submission_id = o.submission_id
                            and u.batch_id = o.batch_id and u.row_no = o.row_no
    join {{submissions}} s on s.submission_id = u.submission_id and s.content_hash = u.content_hash
    where 'withheld:child' = any(o.effects)
), held as (
    delete from {{decisions}} d using child
    where child.row_no = d.row_no and d.value in ('grant', 'pending') and d.purpose in ({_MARKETS})
    returning d.row_no, d.purpose
)
{_NOTE_HELD}
"""

# What was told last counts, in whatever order it arrives; of two that were told at once the child. A row that comes again
# tells nothing new, unless it is read otherwise now. A row that may not be used, as of a stopped batch, makes nobody older.
_TOLD = """
(select distinct on (subject_id) subject_id, is_child, class, least(coalesce(version_at, received_at), received_at)
        as told_at
 from t_row where subject_id is not null and is_child is not null and (is_child or is_usable)
 order by subject_id, least(coalesce(version_at, received_at), received_at) desc, is_child desc) r
"""
_COUNTS = """
coalesce(s.age_told_at is null
         or (r.told_at > s.age_told_at and (r.class <> 'unchanged' or r.is_child is distinct from s.is_child))
         or (r.told_at = s.age_told_at and r.is_child and not s.is_child), false)
"""

# What is about to be overwritten, and what is told without counting yet: it does once what was told after it is undone.
# The subject's id stands in the place of a submission's.
KEEP_AGES = f"""
insert into intake.row_image (reading_id, table_name, source, submission_id, contact_point_id, rows, kept_at)
select :reading_id, 'subject', :source, s.subject_id::text, s.contact_point_id, jsonb_build_array(
       case when {_COUNTS} then jsonb_build_object(
                'is_child', s.is_child, 'age_told_at', s.age_told_at, 'age_reading_id', s.age_reading_id)
            else jsonb_build_object(
                'is_child', r.is_child, 'age_told_at', r.told_at, 'age_reading_id', cast(:reading_id as uuid)) end), :now
from {_TOLD} join intake.subject s using (subject_id) where {_COUNTS} or r.class <> 'unchanged'
"""

MARK_CHILDREN = f"""
update intake.subject s set is_child = r.is_child, age_told_at = r.told_at, age_reading_id = :reading_id
from {_TOLD} where r.subject_id = s.subject_id and {_COUNTS}
"""

# Told by a row that is as it was, and read otherwise now.
DIRTY_BY_AGE = """
insert into t_dirty
select distinct r.contact_point_id from t_row r join intake.subject s using (subject_id)
where r.class = 'unchanged' and r.is_child is not null and s.age_reading_id = :reading_id
  and not exists (select from t_dirty d where d.contact_point_id = r.contact_point_id)
"""

# Before the turns are taken, in the order in which claiming locks: what waits to be sent on a yes that may be a child's.
SUPERSEDE_OF_CHILDREN = supersede_raising(f"""
    select j.contact_point_id from t_dirty join intake.subject j using (contact_point_id)
    join intake.consent_state c using (contact_point_id)
    where j.is_child and c.state = 'granted' and c.purpose in ({_MARKETS})""")

# Nothing is found for who may only delete (retention): the ledger is not added to by that role.
ARE_THERE = """
select has_table_privilege('intake.consent_event', 'insert')
   and exists (select from t_dirty join intake.subject j using (contact_point_id) where j.is_child)
"""

# What a child's yes is answered with, on the very name that it was given by: one event for the newest that stands, once.
# As of now, or of the yes where that was given meanwhile.
_FIND_STANDING = f"""
create temporary table t_event as
with child as ({CHILDREN}), standing as (
    select distinct on (e.subject_id, e.purpose) e.*
    from child join intake.subject s using (subject_id)
    join intake.consent_event e on e.contact_point_id = s.contact_point_id and e.subject_id = s.subject_id
    where e.value = 'grant' and e.purpose in ({_MARKETS})
      and not exists (select from intake.consent_void v where v.event_key = e.event_key)
      and not exists (
        select from intake.consent_event w
        where w.contact_point_id = e.contact_point_id and w.subject_id = e.subject_id and w.purpose = e.purpose
          and w.topic in ('', e.topic) and w.value = 'withdraw' and w.effective_at >= e.effective_at
          and not exists (select from intake.consent_void v where v.event_key = w.event_key))
    order by e.subject_id, e.purpose, e.effective_at desc, e.event_key
)
select n.subject_id, n.contact_point_id, n.purpose, null::text as topic, 'withdraw' as value, 'import' as actor,
       'children' as clock, null::timestamptz as occurred_at, 0 as precision_s,
       greatest(n.effective_at, cast(:now as timestamptz)) as effective_at, cast(:now as timestamptz) as received_at,
       'child' as reason, 'children' as source, null::uuid as batch_id, null::bytea as base_key,
       sha256(:ledger_key || convert_to('child|', 'UTF8') || n.event_key) as event_key,
       decode(replace(gen_random_uuid()::text, '-', ''), 'hex') as salt,
       null::text as submission_id, c.address, null::text as given_name, null::text as family_name,
       null::text as wording_hash, null::text as notice_version, null::text as channel, null::text as collected_by,
       null::text as method
from standing n join intake.contact_point c using (contact_point_id)
"""

# Between the turns and the fold; a group of the ledger of its own.
END_MARKETING = (
    "drop table if exists pg_temp.t_event",
    _FIND_STANDING,
    STAND_AGAIN,
    DROP_KNOWN_EVENTS,
    ADD_EVENTS.replace(":group_id", ":children_group_id"),
    ADD_EVIDENCE,
)

# A sign-up that waits for its link is forgotten with the age that it turns out to have.
FORGET_PENDING = f"""
delete from intake.pending_grant p using t_row r left join intake.subject j using (subject_id)
where r.is_child and p.confirmed_at is null
  and ((p.source = r.source and p.submission_id = r.submission_id)
       or (p.address_key = r.address_key and (p.given_key = r.given_key or {_NAMED.format(name="coalesce(p.given_key, '')")})))
"""

IS_CHILD = f"""
select exists (select from intake.subject j
               where j.contact_point_id = :contact_point_id and {IS_KNOWN.format("j")}
                 and {_NAMED.format(name="cast(:given_key as text)")})
"""

# Said to be old enough: by any name the person bears at the address, unless a child was told of since.
NOTE_OF_AGE = """
update intake.subject s set is_child = false, age_told_at = r.of_age_at, age_reading_id = null
from t_row r join intake.subject k using (contact_point_id, given_key)
where r.of_age_at is not null and s.contact_point_id = k.contact_point_id
  and (s.subject_id = k.subject_id or s.person_id = k.person_id)
  and (s.age_told_at is null or s.age_told_at <= r.of_age_at)
"""
