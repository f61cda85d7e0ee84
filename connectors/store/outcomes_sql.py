"""SQL of outcomes: every row of a batch ends in exactly one state, with its reason and its effects.

The first that applies of quarantined, withheld, applied, unchanged.
"""

SAVE_QUARANTINE = """
insert into intake.quarantine (
    batch_id, row_no, source, feed, submission_id, field, column_title, fault, value_class, blocks, first_seen_at)
select distinct on (f.row_no, f.field, f.fault)
       r.batch_id, r.batch_row_no, :source, :feed, r.submission_id, f.field, f."column", f.fault, f.value_class, f.blocks, :now
from {faults} f join t_row r on r.row_no = f.row_no
where f.blocks <> 'rule'
order by f.row_no, f.field, f.fault
on conflict (batch_id, row_no, field, fault) do update set
    state = 'open', closed_at = null, closed_by = null, close_reason = null
where quarantine.state = 'mended'
"""

# `not in`, which is hashed whatever the planner expects: of a batch new to its statistics it expects one entry, and
# would go through all faults once for each (16 s for 1,528 of them).
CLOSE_MENDED = """
update intake.quarantine q set state = 'mended', closed_at = :now
where q.batch_id = any(:batch_ids) and q.state = 'open'
  and (not :is_part or (q.batch_id, q.row_no) in (select batch_id, batch_row_no from t_row))
  and (q.batch_id, q.row_no, q.field, q.fault) not in (
    select r.batch_id, r.batch_row_no, f.field, f.fault from {faults} f join t_row r on r.row_no = f.row_no)
"""

SAVE_OUTCOMES = """
insert into intake.row_outcome as old (batch_id, row_no, submission_id, state, reason, effects)
with told as (
    select row_no, array_agg(distinct value || ':' || purpose || coalesce('/' || topic, '')
                             order by value || ':' || purpose || coalesce('/' || topic, '')) as effects,
           bool_or(value = 'pending') as is_pending
    from {decisions} where value <> 'lifted' group by row_no
), faulty as (
    select row_no, min(field || ': ' || fault) as reason from {faults} where blocks <> 'rule' group by row_no
), ruled as (
    select row_no, array_agg(distinct 'withheld:' || fault order by 'withheld:' || fault) as effects
    from {faults} where blocks = 'rule' group by row_no
), alive as (
    select distinct s.subject_id from intake.subject s
    join intake.person_purpose p on p.person_id = s.person_id
    where (p.ends_at is null or p.ends_at > :now) and s.subject_id in (select subject_id from t_row)
)
select r.batch_id, r.batch_row_no, case when r.withheld is distinct from 'erased' then r.submission_id end,
       case when f.row_no is not null then 'quarantined'
            when r.withheld is not null then 'withheld'
            when r.is_deleted and r.contact_point_id is not null
                 then case when r.class = 'unchanged' or not r.is_winner then 'unchanged' else 'applied' end
            when not :raises then 'withheld'
            when a.subject_id is null and not r.withdraws and r.registration_status is distinct from 'cancelled'
                 then 'withheld'
            when r.class = 'unchanged' or not r.is_winner then 'unchanged'
            else 'applied' end,
       case when f.row_no is not null then f.reason
            when r.withheld is not null then r.withheld
            when r.is_deleted and r.contact_point_id is not null then 'erased_at_source'
            when not :raises then 'batch_stopped'
            when a.subject_id is null and not r.withdraws and r.registration_status is distinct from 'cancelled'
                 then case when t.is_pending then 'awaiting_confirmation' else 'no_living_purpose' end
            when r.class = 'unchanged' or not r.is_winner then 'same_content'
            else r.class end,
       coalesce(t.effects, '{{}}') || coalesce(u.effects, '{{}}') || case
           when r.registration_status is not null then array['registration:' || r.registration_status]
           else '{{}}' end || case when r.is_enquiry then array['enquiry'] else '{{}}' end
from t_row r
left join told t on t.row_no = r.row_no
left join faulty f on f.row_no = r.row_no
left join ruled u on u.row_no = r.row_no
left join alive a on a.subject_id = r.subject_id
on conflict (batch_id, row_no) do update set
    submission_id = excluded.submission_id, state = excluded.state, reason = excluded.reason, effects = excluded.effects
"""

COUNT_OUTCOMES = """
insert into intake.run_count (
    run_id, batch_id, source, feed, rows_read, quarantined, withheld, applied, unchanged, reasons)
with outcome as (
    select batch_id, case when :seen_again and state = 'applied' then 'unchanged' else state end as state,
           case when :seen_again and state = 'applied' then 'same_content' else coalesce(reason, '') end as reason
    from intake.row_outcome where batch_id = any(:batch_ids)
), reasons as (
    select batch_id, jsonb_object_agg(state || '/' || reason, n) as reasons
    from (select batch_id, state, reason, count(*) as n from outcome group by batch_id, state, reason) x
    group by batch_id
)
select :run_id, o.batch_id, :source, :feed, count(*),
       count(*) filter (where state = 'quarantined'), count(*) filter (where state = 'withheld'),
       count(*) filter (where state = 'applied'), count(*) filter (where state = 'unchanged'),
       r.reasons
from outcome o join reasons r on r.batch_id = o.batch_id
group by o.batch_id, r.reasons
on conflict (run_id, batch_id) do update set
    rows_read = excluded.rows_read, quarantined = excluded.quarantined, withheld = excluded.withheld,
    applied = excluded.applied, unchanged = excluded.unchanged, reasons = excluded.reasons
"""

# Of some rows of a batch only those are counted.
COUNT_PART = COUNT_OUTCOMES.replace(
    "where batch_id = any(:batch_ids)", "where (batch_id, row_no) in (select batch_id, batch_row_no from t_row)"
)

FORGET_FAULTS = "delete from intake.quarantine where batch_id = :batch_id and row_no = any(:row_nos)"

FORGET_OUTCOMES = """
update intake.row_outcome set submission_id = null, state = 'withheld', reason = 'erased', effects = '{}'
where batch_id = :batch_id and row_no = any(:row_nos)
"""

CLOSE_BATCH = """
update intake.batch b set state = :state, applied_at = :now, row_count = (
        select count(*) from intake.row_outcome r where r.batch_id = b.batch_id), mapping_hash = :mapping_hash,
    stop_code = :stop_code, stop_reason = :stop_reason, stop_remedy = :stop_remedy, comes_anew = b.comes_anew and :is_part,
    expires_at = case when :is_part then b.expires_at else b.landed_at + cast(:keep as interval) end
where b.batch_id = any(:batch_ids)
"""

MOVE_WATERMARK = """
insert into intake.watermark as old (source, feed, position) values (:source, :feed, :position)
on conflict (source, feed) do update set position = excluded.position, moved_at = now()
where excluded.position > old.position
"""
