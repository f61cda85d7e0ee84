"""SQL of the outbox: claiming, settling, closing, and forgetting the values that were written."""

COLUMNS = (
    "writing, run_id, phase, method, table_name, row_id, contact_point_id, occasion_pk, planned_version, valid_until, "
    "is_raising, columns, state"
)

# An intent waits while an earlier phase of its address is under way in the run, or an earlier intent for its row.
# A lowering is obsolete only where a later plan of its address was acknowledged whole. What is under a lease waits for
# the narrow synchronisation that has it.
# What has failed holds back no clearing and no removal; it sets a raise aside (`held`) where it is what the raise stands
# on: the address's lowering, contact or consent rows, or the very row. The next plan then begins anew.
#
# Written so that no estimate can spoil it, for the planner knows of no claimed rows: candidates come in their order from
# `ix_outbox_next` until the limit is reached (`offset 0` keeps them apart), and all else is looked up for each of them.
# As `not exists` the conditions became hash joins over the whole outbox for every chunk. What is looked up by a key is
# asked for by that key alone (`offset 0` again): where the outbox was last counted with nothing open in it, the planner
# takes an index of what is open for empty, and goes through all of it for each row.
BY_KEY = """
select set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true),
       set_config('enable_bitmapscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_memoize', 'off', true)
"""

CLAIM = """
with picked as materialized (
    select i.intent_id, i.phase, i.contact_point_id, i.planned_version, i.valid_until, i.is_raising and e.failed as held
    from (
        select intent_id, phase, table_name, row_id, run_id, contact_point_id, planned_version, valid_until, is_raising
        from intake.outbox_intent
        where state = 'pending' and finished_at is null and run_id = :run_id and phase = :phase
          and method = :method and table_name = :table and intent_id > :after
          and (writing like 'narrow:%' or contact_point_id is null or contact_point_id not in (
              select contact_point_id from intake.narrow_call where leased_until > clock_timestamp()))
        order by intent_id for update skip locked offset 0) i
    cross join lateral (
        select bool_or(state in ('waiting', 'pending', 'claimed')) as is_under_way,
               bool_or(state in ('refused', 'conflict') and (
                   phase <= 2 or (table_name = i.table_name and row_id = i.row_id))) as failed
        from (select * from intake.outbox_intent where contact_point_id = i.contact_point_id offset 0) a
        where run_id = i.run_id and phase < i.phase) e
    where e.is_under_way is not true and not exists (
        select from (select * from intake.outbox_intent where row_id = i.row_id offset 0) o
        where o.table_name = i.table_name and o.finished_at is null
          and (o.state = 'claimed'
               or (o.state = 'pending' and o.run_id = i.run_id and o.phase = i.phase and o.intent_id < i.intent_id)))
    limit :limit
), standing as (
    select p.intent_id, case
        when p.phase = 0 then case when c.acked_version > p.planned_version then 'address_changed' end
        when p.held then 'held'
        when p.contact_point_id is null then null
        when c.version is distinct from p.planned_version then 'address_changed'
        when p.valid_until <= :now then 'purpose_ended' end as fault
    from picked p left join lateral (
        select version, acked_version from intake.contact_point c
        where c.contact_point_id = p.contact_point_id for share) c on true
)
update intake.outbox_intent i
set state = case when s.fault is null then 'claimed' else 'superseded' end, code = s.fault,
    claimed_at = :now, finished_at = case when s.fault is null then null else now() end, sent_etag = null
from standing s where s.intent_id = i.intent_id
returning i.intent_id, i.row_id, i.columns, case when i.method = 'patch' then (
    select c.columns from intake.crm_row c where c.table_name = i.table_name and c.row_id = i.row_id) end, s.fault
"""

HAS_CONFLICTS = """
select coalesce(bool_or(state = 'conflict' and method in ('patch', 'lower')) and not bool_or(state = 'waiting'), false)
from intake.outbox_intent where run_id = :run_id and state in ('conflict', 'waiting')
"""

STILL_STAND = """
select not exists (
    select from intake.outbox_intent i left join intake.contact_point c using (contact_point_id)
    where i.intent_id = any(:ids) and i.contact_point_id is not null
      and (c.version is distinct from i.planned_version or i.valid_until <= :now))
"""

# One statement for many answers: what the CRM was known to hold is read once, locked, for the image and for what it is
# known to hold now (`on conflict` alone cannot tell a null that clears from a column that is not written). Each row is
# looked up by its key and none of the parts is joined to another, which the planner, who expects one row, would do by
# going through all for each.
SETTLE = """
with answered as materialized (
    select r.intent_id, r.state, r.status, r.code, r.request_id, i.method, i.table_name, i.row_id, i.contact_point_id,
           i.columns, c.columns as held, c.written, c.edits
    from (select id as intent_id, state, status, code, request as request_id
          from json_to_recordset(cast(:answers as json)) as a (
              id bigint, state text, status int, code text, request text)) r
    cross join lateral (
        select * from intake.outbox_intent where intent_id = r.intent_id for update offset 0) i
    left join lateral (
        select * from intake.crm_row
        where table_name = i.table_name and row_id = i.row_id and r.state = 'acknowledged' for update) c on true
    where i.state = 'claimed' and i.finished_at is null
), settled as (
    update intake.outbox_intent i set state = a.state, status = a.status, code = a.code, request_id = a.request_id,
        finished_at = case when a.state = 'pending' then null else now() end,
        lost_at = case when a.state in ('pending', 'superseded') and a.status is null and a.code is null then now()
                       else i.lost_at end,
        before = case when a.held is null then null when a.method = 'delete' then a.held else (
            select coalesce(jsonb_object_agg(n.name, a.held -> n.name), '{}')
            from jsonb_object_keys(a.columns) as n (name)) end
    from answered a where i.intent_id = a.intent_id
), forgotten as (
    delete from intake.crm_row r using answered a
    where a.state = 'acknowledged' and a.method = 'delete' and r.table_name = a.table_name and r.row_id = a.row_id
)
insert into intake.crm_row (table_name, row_id, contact_point_id, is_ours, columns, written, edits)
select table_name, row_id, contact_point_id, true, jsonb_strip_nulls(coalesce(held, '{}') || columns),
       jsonb_strip_nulls(coalesce(written, '{}') || columns),
       case when edits <> '{}' then edits - array(select 'gone' union all select jsonb_object_keys(columns)) else '{}' end
from answered where state = 'acknowledged' and method <> 'delete'
on conflict (table_name, row_id) do update set
    columns = excluded.columns, written = excluded.written, edits = excluded.edits, acked_at = now()
"""

# An answer of 400 is a failure of the CRM itself only where it did not refuse the row.
AT_FAULT = """
select i.intent_id from intake.outbox_intent i
where i.intent_id = any(:ids) and (exists (
    select from intake.outbox_intent l where l.run_id = i.run_id and l.phase <> i.phase
      and l.state = 'acknowledged' and l.finished_at > clock_timestamp() - interval '5 minutes')
  or exists (
    select from intake.outbox_intent f where f.row_id = i.row_id and f.table_name = i.table_name
      and f.run_id <> i.run_id and f.claimed_at <= i.claimed_at - interval '1 hour'
      and (f.status = 500 and f.state in ('refused', 'superseded') or f.status = 400 and f.state = 'superseded')
      and not exists (
        select from intake.outbox_intent t where t.row_id = f.row_id and t.table_name = f.table_name
          and t.state = 'acknowledged' and t.claimed_at > f.claimed_at)))
"""

# Rows that were lowered after a request to make them had been given up for lost: the server may carry it out even now. A
# correction it cannot, for the row has another version by then.
MAY_BE_RAISED_LATE = """
select distinct r.contact_point_id from intake.outbox_intent r join intake.contact_point using (contact_point_id)
where r.lost_at > clock_timestamp() - :within and r.is_raising and r.method = 'upsert' and r.table_name = :table and exists (
    select from (select * from intake.outbox_intent where row_id = r.row_id offset 0) l
    where l.table_name = r.table_name and l.phase = 0 and l.state = 'acknowledged' and l.intent_id > r.intent_id)
"""

CLOSE_ADDRESSES = """
with planned as (
    select contact_point_id, max(planned_version) as version, bool_and(state = 'acknowledged') as done
    from intake.outbox_intent where run_id = :run_id and contact_point_id is not null group by contact_point_id
)
update intake.contact_point c set
    acked_version = greatest(c.acked_version, p.version),
    next_end_at = (select min(u.ends_at) from intake.person_purpose u
                   where u.contact_point_id = c.contact_point_id and u.ends_at > :now)
from planned p where p.contact_point_id = c.contact_point_id and p.done
"""

_CLOSE = """
update intake.contact_point c set
    acked_version = greatest(c.acked_version, r.version),
    next_end_at = (select min(u.ends_at) from intake.person_purpose u
                   where u.contact_point_id = c.contact_point_id and u.ends_at > :now)
from {versions} as r (contact_point_id, version)
where c.contact_point_id = r.contact_point_id
"""
_VERSIONS = "unnest(cast(:ids as uuid[]), cast(:versions as bigint[]))"

CLOSE_UNCHANGED = _CLOSE.format(versions=_VERSIONS)

ANY_ASIDE = "select to_regclass('pg_temp.t_unchanged') is not null"

MAKE_ASIDE = """
create temporary table if not exists t_unchanged (contact_point_id uuid, version bigint) on commit drop
"""

PUT_ASIDE = f"insert into t_unchanged select * from {_VERSIONS} as r (contact_point_id, version)"

CLOSE_ASIDE = _CLOSE.format(versions="t_unchanged")

CLOSE_OCCASIONS = """
update intake.occasion o set acked_version = greatest(o.acked_version, i.planned_version)
from intake.outbox_intent i
where i.run_id = :run_id and i.occasion_pk = o.occasion_pk and i.contact_point_id is null and i.state = 'acknowledged'
"""

# Noted before the request: what the row's version was says afterwards whether anything became of it.
NOTE_SENT = """
update intake.outbox_intent i set sent_etag = s.etag
from unnest(cast(:ids as bigint[]), cast(:etags as text[])) as s (id, etag) where i.intent_id = s.id
"""

CLAIMED = """
select intent_id, phase, method, table_name, row_id, columns, null as known, sent_etag from intake.outbox_intent
where state = 'claimed' and finished_at is null and (cast(:run_id as uuid) is null or run_id = :run_id)
  and (cast(:is_narrow as boolean) is null or (writing like 'narrow:%') = :is_narrow)
  and (cast(:among as uuid[]) is null or contact_point_id = any(:among))
order by intent_id
"""

# What a narrow synchronisation is about to send stays its own: it would wait for whoever set it aside until that ends.
SUPERSEDE_OPEN = """
update intake.outbox_intent set state = 'superseded', finished_at = now()
where state in ('pending', 'waiting') and finished_at is null
  and (writing not like 'narrow:%' or contact_point_id not in (
      select contact_point_id from intake.narrow_call where leased_until > clock_timestamp()))
"""

SETTLE_WAITING = """
update intake.outbox_intent set state = :state
where run_id = :run_id and writing = :writing and state = :before and phase > 0 and finished_at is null
"""

UNSENT = """
select method, intent_id, columns from intake.outbox_intent
where finished_at is null and run_id = :run_id and phase = :phase and table_name = :table
  and (method, intent_id) > (:method, :after) and state in ('pending', 'waiting')
order by method, intent_id limit :limit
"""

REFUSE_UNSENT = """
update intake.outbox_intent i set state = 'refused', code = r.code, finished_at = now()
from (select a.intent_id, a.code
      from json_to_recordset(cast(:refused as json)) as a (intent_id bigint, code text)
      cross join lateral (
          select state, finished_at from intake.outbox_intent where intent_id = a.intent_id for update offset 0) o
      where o.finished_at is null and o.state in ('pending', 'waiting')) r
where i.intent_id = r.intent_id
"""

PURGE_IMAGES = """
update intake.outbox_intent i set
    columns = (select coalesce(jsonb_object_agg(k.name, null), '{}') from jsonb_object_keys(i.columns) as k (name)),
    before = null, purged_at = :now
where i.state in ('acknowledged', 'superseded', 'refused', 'conflict') and i.purged_at is null
  and coalesce(i.claimed_at, i.finished_at) < :before
  and (cast(:ids as uuid[]) is null or i.contact_point_id = any(:ids))
"""
