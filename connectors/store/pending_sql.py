"""SQL of double opt-in: a batch's sign-ups that wait, and what staff cannot do for the person meanwhile."""

# Whether a row lowers a purpose and topic ('' = the whole): by a no to it or to the whole, or by an empty box of its own. The
# plain no of a flag may be a default.
_LOWERS = """exists (
    select from {{decisions}} n
    where n.row_no = r.row_no and n.purpose = {purpose} and (
        n.value = 'unticked' and coalesce(n.topic, '') = {topic}
        or n.value = 'withdraw' and coalesce(n.topic, '') in ('', {topic})
           and not (n.states_current_value and n.reason is not distinct from 'refused')))"""

# A sign-up whose submission says no by now, or is deleted or set aside, does not wait any more, and its link is good for
# nothing. Before anything looks for what was granted: whoever follows the link at this moment is waited for, or finds it gone.
TAKE_BACK = f"""
create temporary table t_taken_back as
with gone as (
    delete from intake.pending_grant p using t_row r
    where p.confirmation_id = r.maker_id and p.confirmed_at is null and r.is_winner
      and (r.is_deleted or r.is_set_aside or {_LOWERS.format(purpose="p.purpose", topic="p.topic")})
    returning p.confirmation_id, p.purpose, p.topic, p.occurred_at, p.precision_s
)
select * from gone
"""

# What versions of the submissions that withdraw had asked for, followed by a link or not, in the store or in the batch, and
# when these versions were made.
FIND_ASKED = """
create temporary table t_asked as
select r.row_no, g.purpose, g.topic, g.occurred_at, g.precision_s, (
           select u.version_at from intake.submission u
           where u.source = r.source and u.submission_id = r.submission_id) as version_at
from t_row r join (
    select * from t_taken_back
    union all select confirmation_id, purpose, topic, occurred_at, precision_s from intake.pending_grant
) g on g.confirmation_id = r.maker_id
where r.is_winner and r.withdraws
union all
select r.row_no, d.purpose, coalesce(d.topic, ''), d.occurred_at, d.precision_s, y.version_at
from {decisions} d
join t_row y on y.row_no = d.row_no
join t_row r on r.submission_id = y.submission_id and r.row_no <> y.row_no
where d.value = 'pending' and r.is_winner and r.withdraws and not exists (
    select from {decisions} n where n.row_no = r.row_no and n.value = 'pending' and n.purpose = d.purpose
       and n.topic is not distinct from d.topic)
"""

# One that was read before is not asked again: the same content makes no second link, nor does it under another mapping once
# the first may have been forgotten. Nor is one so old that the store may have forgotten it: where nobody followed the link
# its row goes as the quarantine does (connectors.store.retention_sql), and a full export would bring it back for ever. Every
# sign-up that is read within that time is asked once. Nor is one asked that its own row forbids.
ADD_PENDING = f"""
insert into intake.pending_grant (
    confirmation_id, purpose, topic, source, submission_id, address, address_key, given_name, family_name, given_key,
    wording_hash, notice_version, channel, occurred_at, precision_s, asked_at, expires_at, reading_id)
select distinct on (r.maker_id, d.purpose, coalesce(d.topic, ''))
       r.maker_id, d.purpose, coalesce(d.topic, ''), r.source, r.submission_id, r.address, r.address_key, r.given_name,
       r.family_name, r.given_key, d.wording_hash, d.notice_version, d.channel, d.occurred_at, d.precision_s, :now,
       :now + make_interval(days => :confirmation_days), :reading_id
from {{decisions}} d join t_row r on r.row_no = d.row_no
where d.value = 'pending' and r.is_usable and r.is_winner and r.class <> 'unchanged' and r.address_key is not null
  and not (r.is_same_content and d.occurred_at + make_interval(days => :confirmation_days) <= :now)
  and d.occurred_at + make_interval(days => greatest(:remembered_days, :confirmation_days)) > :now
  and not {_LOWERS.format(purpose="d.purpose", topic="coalesce(d.topic, '')")}
order by r.maker_id, d.purpose, coalesce(d.topic, ''), r.row_no
on conflict (confirmation_id, purpose, topic) do nothing
"""

# The same mapping does not ask again for what it asked for in a row whose reading was undone, from whatever batch.
HOLD_UNDONE = """
delete from {decisions} d using t_row r
where r.row_no = d.row_no and d.value = 'pending' and exists (
    select from intake.undone_reading u join intake.reading g using (reading_id)
    join intake.row_outcome o on o.batch_id = any(g.batch_ids) and coalesce(o.row_no = any(g.row_nos), true)
    where g.mapping_hash = :mapping_hash and o.submission_id = r.submission_id
      and 'pending:' || d.purpose || coalesce('/' || d.topic, '') = any(o.effects))
"""

_IS_OPEN = "p.confirmed_at is null and p.expires_at > :now"

# A yes that staff or a guardian gave while the person has not followed the link is let go by rule (I19).
HOLD_STAFF = f"""
with held as (
    delete from {{decisions}} d using {{submissions}} s, intake.pending_grant p
    where s.row_no = d.row_no and d.value = 'grant' and d.actor <> 'subject'
      and p.address_key = s.address_key and p.purpose = d.purpose
      and (p.topic = '' or coalesce(d.topic, '') in ('', p.topic)) and {_IS_OPEN}
    returning d.row_no, d.purpose
)
insert into {{faults}} (row_no, field, "column", fault, value_class, blocks)
select distinct row_no, 'consents.' || purpose, null, 'awaiting_confirmation', 'blank', 'rule' from held
"""

WAITS = f"""
select exists (
    select from intake.pending_grant p
    where p.address_key = :address_key and p.purpose = :purpose and {_IS_OPEN}
      and (p.topic = '' or coalesce(cast(:topic as text), '') in ('', p.topic)))
"""

TO_MAIL = f"""
select p.confirmation_id, p.address, min(p.expires_at) as expires_at, min(w.language) as language,
       array_agg(distinct p.purpose) as purposes, array_agg(distinct p.topic) filter (where p.topic <> '') as topics
from intake.pending_grant p left join intake.consent_wording w using (wording_hash)
where p.mailed_at is null and {_IS_OPEN}
group by p.confirmation_id, p.address order by min(p.asked_at), p.confirmation_id limit :limit
"""

# Whether it waits still is asked once it is nobody else's to mail.
CLAIM = "select pg_try_advisory_xact_lock(:key)"
IS_UNMAILED = f"""
select exists (select from intake.pending_grant p where p.confirmation_id = :id and p.mailed_at is null and {_IS_OPEN})
"""
UNMAILED_SINCE = f"""
select count(distinct p.confirmation_id) as rows, min(p.asked_at) as oldest_at from intake.pending_grant p
where p.mailed_at is null and {_IS_OPEN} and p.asked_at < :due
"""

MAILED = "update intake.pending_grant set mailed_at = :now where confirmation_id = :id and mailed_at is null"

FIND = "select * from intake.pending_grant where confirmation_id = :id order by purpose, topic for update"

CONFIRMED = """
update intake.pending_grant set confirmed_at = :now, address = null, address_key = null, given_name = null,
    family_name = null, given_key = null
where confirmation_id = :id
"""

# The sign-up's own row tells who the person is, now that it gives ground.
NAME_SUBMISSION = """
update intake.submission u set
    contact_point_id = c.contact_point_id, subject_id = s.subject_id, given_name = :given_name, family_name = :family_name
from intake.contact_point c join intake.subject s using (contact_point_id)
where u.source = :source and u.submission_id = :submission_id and u.subject_id is null
  and c.address_key = :address_key and s.given_key = :given_key
returning c.contact_point_id
"""

FORGET_EXPIRED = "delete from intake.pending_grant where expires_at <= :now"
