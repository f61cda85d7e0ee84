"""SQL of the outbox: claiming, settling, closing, and forgetting the values that were written."""

COLUMNS = (
    "plan_id, run_id, phase, method, table_name, row_id, contact_point_id, occasion_pk, planned_version, valid_until, "
    "is_raising, columns, state"
)

# An intent waits while an earlier phase of its address is under way in the run, or an earlier intent for its row.
# A lowering is obsolete only where a later plan of its address was acknowledged whole. What is under a lease waits for
# the narrow synchronisation that has it.
# What has failed holds back no clearing and no removal; it sets a raise aside (`held`) where it is what the raise stands
# on: the address's lowering, contact or consent rows, or the very row. The next plan then begins anew.
CLAIM = """
with picked as (
    select i.intent_id from intake.outbox_intent i
    where i.state = 'pending' and i.run_id = :run_id and i.phase = :phase and i.method = :method
      and i.table_name = :table
      and not exists (select from intake.outbox_intent e
                      where e.contact_point_id = i.contact_point_id and e.run_id = i.run_id and e.phase < i.phase
                        and e.state in ('waiting', 'pending', 'claimed'))
      and not exists (select from intake.outbox_intent e
                      where e.table_name = i.table_name and e.row_id = i.row_id and e.state = 'claimed')
      and (i.plan_id like 'narrow:%' or not exists (
               select from intake.narrow_call n
               where n.contact_point_id = i.contact_point_id and n.leased_until > clock_timestamp()))
      and not exists (select from intake.outbox_intent e
                      where e.table_name = i.table_name and e.row_id = i.row_id and e.state = 'pending'
                        and e.run_id = i.run_id and e.phase = i.phase and e.intent_id < i.intent_id)
    order by i.intent_id limit :limit for update of i skip locked
), standing as (
    select i.intent_id, case
        when i.phase = 0 then case when c.acked_version > i.planned_version then 'address_changed' end
        when i.is_raising and exists (
            select from intake.outbox_intent e
            where e.contact_point_id = i.contact_point_id and e.run_id = i.run_id and e.phase < i.phase
              and e.state in ('refused', 'conflict')
              and (e.phase <= 2 or (e.table_name = i.table_name and e.row_id = i.row_id))) then 'held'
        when i.contact_point_id is null then null
        when c.version is distinct from i.planned_version then 'address_changed'
        when i.valid_until <= :now then 'purpose_ended' end as fault
    from intake.outbox_intent i join picked using (intent_id)
    left join lateral (
        select version, acked_version from intake.contact_point c
        where c.contact_point_id = i.contact_point_id for share) c on true
)
update intake.outbox_intent i
set state = case when s.fault is null then 'claimed' else 'superseded' end, code = s.fault,
    claimed_at = :now, finished_at = case when s.fault is null then null else now() end
from standing s where s.intent_id = i.intent_id
returning i.intent_id, i.method, i.table_name, i.row_id, i.contact_point_id, i.occasion_pk, i.columns, i.state
"""

# Returns the acknowledged ones. Their image is taken before REMEMBER and FORGET change what the CRM is known to hold.
SETTLE = """
with settled as (
update intake.outbox_intent i set state = r.state, status = r.status, code = r.code, request_id = r.request_id,
    finished_at = case when r.state = 'pending' then null else now() end,
    before = case when r.state = 'acknowledged' then (
        select case when i.method = 'delete' then c.columns else (
            select coalesce(jsonb_object_agg(k.name, c.columns -> k.name), '{}')
            from jsonb_object_keys(i.columns) as k (name)) end
        from intake.crm_row c where c.table_name = i.table_name and c.row_id = i.row_id) end
from unnest(cast(:ids as bigint[]), cast(:states as text[]), cast(:statuses as int[]), cast(:codes as text[]),
            cast(:requests as text[])) as r (intent_id, state, status, code, request_id)
where i.intent_id = r.intent_id and i.state = 'claimed'
returning i.intent_id, i.state
)
select intent_id from settled where state = 'acknowledged'
"""

REMEMBER = """
insert into intake.crm_row as old (table_name, row_id, contact_point_id, is_ours, columns, written)
select i.table_name, i.row_id, i.contact_point_id, true, jsonb_strip_nulls(i.columns), jsonb_strip_nulls(i.columns)
from intake.outbox_intent i where i.intent_id = any(:ids) and i.method <> 'delete'
on conflict (table_name, row_id) do update set
    (columns, written) = (
        select jsonb_strip_nulls(old.columns || i.columns), jsonb_strip_nulls(old.written || i.columns)
        from intake.outbox_intent i
        where i.table_name = old.table_name and i.row_id = old.row_id and i.intent_id = any(:ids)),
    edits = old.edits - array(
        select 'gone' union all select jsonb_object_keys(i.columns) from intake.outbox_intent i
        where i.table_name = old.table_name and i.row_id = old.row_id and i.intent_id = any(:ids)),
    acked_at = now()
"""

FORGET = """
delete from intake.crm_row r using intake.outbox_intent i
where i.intent_id = any(:ids) and i.method = 'delete'
  and r.table_name = i.table_name and r.row_id = i.row_id
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

CLOSE_UNCHANGED = """
update intake.contact_point c set
    acked_version = greatest(c.acked_version, r.version),
    next_end_at = (select min(u.ends_at) from intake.person_purpose u
                   where u.contact_point_id = c.contact_point_id and u.ends_at > :now)
from unnest(cast(:ids as uuid[]), cast(:versions as bigint[])) as r (contact_point_id, version)
where c.contact_point_id = r.contact_point_id
"""

CLOSE_OCCASIONS = """
update intake.occasion o set acked_version = greatest(o.acked_version, i.planned_version)
from intake.outbox_intent i
where i.run_id = :run_id and i.occasion_pk = o.occasion_pk and i.contact_point_id is null and i.state = 'acknowledged'
"""

CLAIMED = """
select intent_id, method, table_name, row_id, columns from intake.outbox_intent
where state = 'claimed' and (cast(:run_id as uuid) is null or run_id = :run_id)
  and (cast(:is_narrow as boolean) is null or (plan_id like 'narrow:%') = :is_narrow)
  and (cast(:among as uuid[]) is null or contact_point_id = any(:among))
order by intent_id
"""

SUPERSEDE_OPEN = """
update intake.outbox_intent set state = 'superseded', finished_at = now() where state in ('pending', 'waiting')
"""

PURGE_IMAGES = """
update intake.outbox_intent i set
    columns = (select coalesce(jsonb_object_agg(k.name, null), '{}') from jsonb_object_keys(i.columns) as k (name)),
    before = null, purged_at = :now
where i.state in ('acknowledged', 'superseded', 'refused', 'conflict') and i.purged_at is null
  and coalesce(i.claimed_at, i.finished_at) < :before
  and (cast(:ids as uuid[]) is null or i.contact_point_id = any(:ids))
"""
