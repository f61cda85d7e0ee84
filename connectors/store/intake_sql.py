"""SQL that turns one staged batch into submissions, contact points, subjects and registrations.

Each statement is set-based and runs in the caller's transaction; temporary tables carry the batch between them:

t_row    the staged rows with what the store already knew of each (`class`: new, changed, unchanged); `source` is one and
         the same, and a column all the same: of a constant the planner believes to know how rare it is, and is wrong.
         The same content is `unchanged`, but under another mapping where it gave ground for nothing: what it says may count.
         `is_set_aside`: the newest of its submission, and spam or trash there; `was_set_aside`: what is stored is
         (set_aside_sql). Its content hash says so, as the same row under another rule is another
t_dirty  the contact points that the batch touched

A row is stored with names and addresses only where it gives ground for a purpose: a grant, a registration, an enquiry.
A version that arrives after a newer one of its submission still makes events, but decides nothing else (`is_winner`); of
versions that tell no time, or the same, the newer is that of the batch received later; of what was pulled, landed later.
"""

from connectors.store.made_ids_sql import BESIDE_ITS_DAY, MADE_ID, in_group
from connectors.store.routing_sql import organiser_of
from connectors.store.set_aside_sql import UNMEANT, is_unmeant

_MADE_ID = MADE_ID.format(
    table="intake.contact_point", key="contact_point_id", maker="n.day_maker_id", nth="n.nth", elsewhere=""
)

CLASSIFY_ROWS = f"""
create temporary table t_row as
with decided as (
    select row_no, bool_or(value = 'grant') as grants, bool_or(value = 'withdraw') as withdraws
    from {{decisions}} group by row_no
), ranked as (
    select s.*, cast(:source as text) as source, row_number() over (
        partition by s.submission_id order by s.version_at desc nulls last, s.row_no desc) as newest_first
    from (
        select s.*, coalesce(s.withheld in {UNMEANT}, false) as is_unmeant from {{submissions}} s) s
)
select s.row_no, s.source, s.batch_id, s.batch_row_no, s.submission_id, n.content_hash, s.version_at, s.submitted_from,
       s.submitted_to, s.received_at, s.address, s.address_key, s.address_key as said_key, s.is_role_address,
       s.given_name, s.family_name,
       coalesce(s.given_key, '') as given_key, s.phone, s.organisation, s.country, s.postal_code, s.city,
       s.occasion_id, s.registration_status, s.is_sale, s.is_payer, s.notice_shown, s.is_enquiry, s.is_child,
       s.is_deleted,
       s.withheld, s.maker_id, s.registration_id,
       s.is_usable and :raises as is_usable,
       s.newest_first = 1 and n.is_newer as is_winner,
       n.is_newer,
       case when s.is_unmeant and s.newest_first = 1 and n.is_newer
            then not exists (select from {{faults}} f where f.row_no = s.row_no and f.blocks = 'row')
            else false end as is_set_aside,
       p.submission_id is not null and {is_unmeant("p.content_hash")} as was_set_aside,
       coalesce(d.withdraws, false) and s.address_key is not null as withdraws,
       s.is_usable and :raises and s.address_key is not null and (
           coalesce(d.grants, false) or s.is_enquiry
           or coalesce(s.registration_status in ('active', 'waitlisted'), false)) as has_ground,
       case when p.submission_id is null then 'new'
            when p.content_hash = n.content_hash and (p.subject_id is not null or not exists (
                select from intake.reading g where g.reading_id = p.reading_id and g.mapping_hash <> :mapping_hash))
                 then 'unchanged'
            else 'changed' end as class,
       p.content_hash is not distinct from n.content_hash as is_same_content,
       p.contact_point_id as old_contact_point_id,
       null::uuid as moved_from_id,
       null::uuid as contact_point_id,
       null::uuid as subject_id
from ranked s
left join decided d on d.row_no = s.row_no
left join intake.submission p on p.source = s.source and p.submission_id = s.submission_id
left join intake.batch pb on pb.batch_id = p.batch_id
left join intake.batch sb on sb.batch_id = s.batch_id
cross join lateral (
    select not coalesce(p.version_at > s.version_at, false)
       and not coalesce(p.version_at is not distinct from s.version_at and case when :is_pulled
               then pb.landed_at > sb.landed_at else pb.received_at > sb.received_at end, false) as is_newer,
       case when s.is_unmeant then s.withheld || ':' else '' end || s.content_hash as content_hash) n
"""

# Who moved on their page is read where they moved to, though the source still has the address before (`said_key`, by which
# what it said then is known again); where it names a third one, that is believed.
READ_AS_MOVED = """
update t_row r set address = c.address, address_key = c.address_key, is_role_address = c.is_role_address,
    moved_from_id = m.from_id
from intake.moved_submission m
join intake.contact_point f on f.contact_point_id = m.from_id
join intake.contact_point c on c.contact_point_id = m.to_id
where m.source = r.source and m.submission_id = r.submission_id and r.address_key in (f.address_key, c.address_key)
  and (r.old_contact_point_id is null or r.old_contact_point_id in (m.from_id, m.to_id))
"""

FORGET_MOVES = """
delete from intake.moved_submission m using t_row r
where m.source = r.source and m.submission_id = r.submission_id
  and r.is_winner and r.is_usable and r.has_ground and r.class <> 'unchanged'
  and r.contact_point_id not in (m.from_id, m.to_id)
"""

ADD_CONTACT_POINTS = f"""
insert into intake.contact_point (contact_point_id, address, address_key, is_role_address)
select {_MADE_ID}, n.address, n.address_key, n.is_role_address
from (
    select *, row_number() over (partition by maker_id order by row_no) as nth, {BESIDE_ITS_DAY} as day_maker_id
    from (
        select distinct on (r.address_key) r.address_key, r.address, r.is_role_address, r.maker_id, r.submitted_from, r.row_no
        from t_row r
        where (r.has_ground or r.withdraws) and r.class <> 'unchanged'
          and not exists (select from intake.contact_point c where c.address_key = r.address_key)
        order by r.address_key, r.row_no) unknown
) n
on conflict (address_key) do nothing
"""

# One spelling of an address, whichever came first: the last in the order of the bytes, so small letters before capitals.
SPELL_ADDRESSES = """
update intake.contact_point c set address = s.address
from (select address_key, max(address collate "C") as address from t_row
      where (has_ground or withdraws) and class <> 'unchanged' group by address_key) s
where s.address_key = c.address_key and s.address collate "C" > c.address collate "C"
"""

FIND_CONTACT_POINTS = """
update t_row r set contact_point_id = c.contact_point_id
from intake.contact_point c where c.address_key = r.address_key
"""

# Their ids lie beside each other, as those of a group's events do (ledger_sql.ADD_EVENTS).
ADD_SUBJECTS = f"""
insert into intake.subject (subject_id, contact_point_id, given_key, has_ground)
select {in_group("row_number() over (order by contact_point_id, given_key)")},
       contact_point_id, given_key, bool_or(has_ground)
from t_row where contact_point_id is not null and (has_ground or withdraws) and class <> 'unchanged'
group by contact_point_id, given_key
order by contact_point_id, given_key
on conflict (contact_point_id, given_key) do update set has_ground = true
where excluded.has_ground and not intake.subject.has_ground
"""

FIND_SUBJECTS = """
update t_row r set subject_id = s.subject_id
from intake.subject s where s.contact_point_id = r.contact_point_id and s.given_key = r.given_key
"""

# What the source erased bears no address any more: whose it was is known from the version before.
FIND_ERASED = """
update t_row r set
    contact_point_id = p.contact_point_id, subject_id = p.subject_id, address = c.address, address_key = c.address_key
from intake.submission p join intake.contact_point c on c.contact_point_id = p.contact_point_id
where r.is_deleted and r.contact_point_id is null and p.source = r.source and p.submission_id = r.submission_id
"""

# A request of erasure that the source passed on: first seen now, for whoever carries erasures out.
MARK_ERASED = """
update intake.submission u set erased_at_source = :now
from t_row r
where :erases and r.is_deleted and r.is_winner and u.source = r.source and u.submission_id = r.submission_id
  and u.erased_at_source is null
"""

# It is due as if the person had asked us (GDPR Art. 12(3)), once however many of their submissions went there.
ASK_ERASURE = f"""
insert into intake.data_request (
    request_id, kind, contact_point_id, person_id, organiser_unit, organiser_contact, asked_at, due_at, taken_by)
select gen_random_uuid(), 'erasure', e.contact_point_id, e.person_id, r.organiser_unit, r.organiser_contact, :now,
       :now + interval '1 month', 'the source'
from (select distinct u.contact_point_id, s.person_id
      from t_row r
      join intake.submission u on u.source = r.source and u.submission_id = r.submission_id
      left join intake.subject s on s.subject_id = u.subject_id
      where :erases and r.is_deleted and r.is_winner and u.erased_at_source = :now
        and u.contact_point_id is not null) e {organiser_of("e.contact_point_id")}
where not exists (select from intake.data_request d where d.contact_point_id = e.contact_point_id
                  and d.person_id is not distinct from e.person_id and d.kind = 'erasure' and d.state = 'open')
"""

MARK_DIRTY = """
create temporary table t_dirty as
select distinct contact_point_id from (
    select contact_point_id from t_row where class <> 'unchanged' and (has_ground or withdraws)
    union all
    select old_contact_point_id from t_row where class = 'changed'
    union all
    select contact_point_id from t_row where class <> 'unchanged' and is_child is not null
    union all
    select g.contact_point_id from t_row r
    join intake.registration g on g.source = r.source and g.submission_id = r.submission_id
    where r.class <> 'unchanged'
) touched where contact_point_id is not null
"""

SAVE_SUBMISSIONS = """
insert into intake.submission as old (
    source, submission_id, feed, kind, content_hash, version_at, submitted_from, submitted_to, received_at,
    batch_id, row_no, contact_point_id, subject_id, given_name, family_name, phone, organisation,
    country, postal_code, city, is_enquiry, reading_id)
select :source, submission_id, :feed, :kind, content_hash, version_at, submitted_from, submitted_to, received_at,
       batch_id, batch_row_no,
       case when has_ground then contact_point_id end, case when has_ground then subject_id end,
       case when has_ground then given_name end, case when has_ground then family_name end,
       case when has_ground then phone end, case when has_ground then organisation end,
       case when has_ground then country end, case when has_ground then postal_code end,
       case when has_ground then city end, is_enquiry and has_ground, :reading_id
from t_row where is_winner and is_usable and class <> 'unchanged'
order by submission_id
on conflict (source, submission_id) do update set
    content_hash = excluded.content_hash, version_at = excluded.version_at,
    submitted_from = excluded.submitted_from, submitted_to = excluded.submitted_to,
    batch_id = excluded.batch_id, row_no = excluded.row_no, reading_id = excluded.reading_id,
    subject_id = coalesce(excluded.subject_id, old.subject_id),
    contact_point_id = case when excluded.subject_id is null then old.contact_point_id
                            else excluded.contact_point_id end,
    given_name = case when excluded.subject_id is null then old.given_name else excluded.given_name end,
    family_name = case when excluded.subject_id is null then old.family_name else excluded.family_name end,
    phone = case when excluded.subject_id is null then old.phone else excluded.phone end,
    organisation = case when excluded.subject_id is null then old.organisation else excluded.organisation end,
    country = case when excluded.subject_id is null then old.country else excluded.country end,
    postal_code = case when excluded.subject_id is null then old.postal_code else excluded.postal_code end,
    city = case when excluded.subject_id is null then old.city else excluded.city end,
    is_enquiry = excluded.is_enquiry
"""

# What gave no ground is known by its id for some time after it came last (retention_sql): a row that keeps coming is not
# forgotten, and so never new. Moved by weeks, as most of a full export comes each day.
COME_AGAIN = """
update intake.submission u set received_at = r.received_at
from t_row r
where r.class = 'unchanged' and u.source = r.source and u.submission_id = r.submission_id
  and u.subject_id is null and u.contact_point_id is null and r.received_at >= u.received_at + interval '7 days'
"""

# A version that gives no ground any more (a cancellation beside an earlier grant) does not tell who the person was; an
# earlier one of the same submission does, whether it comes in the same batch or later.
NAME_SUBMISSIONS = """
update intake.submission u set
    contact_point_id = g.contact_point_id, subject_id = g.subject_id, given_name = g.given_name,
    family_name = g.family_name, phone = g.phone, organisation = g.organisation, country = g.country,
    postal_code = g.postal_code, city = g.city, reading_id = :reading_id
from (select distinct on (submission_id) * from t_row where has_ground
      order by submission_id, version_at desc nulls last, row_no desc) g
where u.source = g.source and u.submission_id = g.submission_id and u.subject_id is null
"""

# A time that could not be read at first counts as of when the row was received, which is later, until it can be.
SAVE_REGISTRATIONS = """
insert into intake.registration as old (
    registration_id, source, submission_id, occasion_pk, contact_point_id, subject_id, status, registered_at,
    is_sale, is_payer, notice_shown, version_at, reading_id)
select r.registration_id, :source, r.submission_id, o.occasion_pk, r.contact_point_id, r.subject_id,
       r.registration_status, coalesce(r.submitted_from, r.received_at), r.is_sale, r.is_payer, r.notice_shown,
       r.version_at, :reading_id
from t_row r join intake.occasion o on o.source = r.source and o.occasion_id = r.occasion_id
where r.is_winner and r.has_ground and r.class <> 'unchanged' and r.registration_status in ('active', 'waitlisted')
order by r.submission_id
on conflict (source, submission_id) do update set
    occasion_pk = excluded.occasion_pk, contact_point_id = excluded.contact_point_id,
    subject_id = excluded.subject_id, status = excluded.status, is_sale = excluded.is_sale,
    is_payer = excluded.is_payer, notice_shown = excluded.notice_shown, version_at = excluded.version_at,
    registered_at = least(old.registered_at, excluded.registered_at), reading_id = excluded.reading_id
"""

LOWER_REGISTRATIONS = """
update intake.registration g set
    status = case when r.is_deleted or r.is_set_aside then 'deleted' else r.registration_status end, version_at = r.version_at,
    reading_id = :reading_id
from t_row r
where g.source = r.source and g.submission_id = r.submission_id and r.is_winner
  and (r.is_deleted or r.is_set_aside or r.registration_status in ('cancelled', 'deleted'))
  and coalesce(r.version_at, 'infinity') >= coalesce(g.version_at, '-infinity')
  and g.status <> case when r.is_deleted or r.is_set_aside then 'deleted' else r.registration_status end
returning g.contact_point_id
"""

# Answers are of a registration that stands or of an enquiry, and live as long as the policy says of it: those of whatever
# else a row tells (a tick for the newsletter) have no purpose. A late delivery of an event that is long over, or of an old
# enquiry, does not bring its answers back.
SAVE_ANSWERS = """
insert into intake.answer (source, submission_id, question, answer)
with lives as (
    select begins, case when min(days) >= 0 then make_interval(days => max(days)) end as days
    from unnest(cast(:begins as text[]), cast(:days as int[])) as t (begins, days) group by begins
), ended as (
    select r.row_no, coalesce(coalesce(o.ends_at, o.starts_at, g.registered_at, r.submitted_from, r.received_at) + l.days,
                              'infinity') as ends_at
    from t_row r
    left join intake.registration g on g.source = r.source and g.submission_id = r.submission_id
     and g.status in ('active', 'waitlisted')
    left join intake.occasion o using (occasion_pk)
    join lives l on l.begins = coalesce(o.kind, case when r.is_enquiry then 'enquiry' end)
)
select :source, r.submission_id, a.question, max(a.answer)
from {answers} a join t_row r on r.row_no = a.row_no join ended e on e.row_no = r.row_no
where r.is_winner and r.has_ground and r.class <> 'unchanged' and e.ends_at > :now
group by r.submission_id, a.question
on conflict (source, submission_id, question) do update set answer = excluded.answer
where intake.answer.answer <> excluded.answer
"""
