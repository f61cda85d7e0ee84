"""SQL of what a moderator takes back: a submission that was taken in as good, and is spam or trash by its newest row.

What it agreed to counts for nothing from then on (`consent_void`), and is no withdrawal: what whoever reads the address has
said by themselves stands. So does what its link was followed for, which is a mailbox's own act, and each withdrawal. If the
mark is taken off, its row is read as any other. That it is set aside is told by the content hash that the store keeps of it.
"""

from connectors.store.ledger_sql import add_voids, dirty_by, supersede_raising

# The rules that withhold what nobody meant.
UNMEANT = "('spam', 'trash')"


def is_unmeant(content_hash: str) -> str:
    """Whether the content of a submission, as it is kept, is that of spam or trash."""
    return f"split_part({content_hash}, ':', 1) in {UNMEANT}"


ARE_THERE = "select exists (select from t_row where is_set_aside or (was_set_aside and not is_newer))"
ARE_NEW = "select exists (select from t_row where is_set_aside and class <> 'unchanged')"

# An older version of it, in the same batch or one that comes late, gives ground for nothing.
FORGET_OLDER = """
with older as (
    update t_row r set has_ground = false
    where (r.was_set_aside and not r.is_newer) or (not r.is_set_aside and r.submission_id in (
        select submission_id from t_row where is_set_aside))
    returning r.row_no
)
delete from {decisions} d using older where d.row_no = older.row_no and d.value in ('grant', 'pending')
"""

_FIND_SAID = """
create temporary table t_unsaid as
select e.event_key, coalesce(e.base_key, e.event_key) as base_key,
       coalesce(e.reading_id, cast(:reading_id as uuid)) as reading_id, e.batch_id, cast(:run_id as uuid) as undo_run_id,
       cast(:now as timestamptz) as voided_at, cast(:void_group_id as uuid) as group_id,
       cast(row_number() over (order by e.event_key) as integer) as nth, e.contact_point_id
from t_row r join intake.consent_evidence v on v.submission_id = r.submission_id
join intake.consent_event e on e.event_key = v.event_key and e.source = r.source
where r.is_set_aside and r.class <> 'unchanged' and e.value = 'grant'
  and not exists (select from intake.consent_void w where w.event_key = e.event_key)
"""

# A flag that was on is told anew once the mark is taken off.
_KEEP_STATED_VALUES = """
insert into intake.row_image (reading_id, table_name, source, submission_id, contact_point_id, rows, kept_at)
select :reading_id, 'stated_value', v.source, v.submission_id, min(v.contact_point_id::text)::uuid,
       jsonb_agg(to_jsonb(v)), :now
from intake.stated_value v join t_row r on r.source = v.source and r.submission_id = v.submission_id
where r.is_set_aside and r.class <> 'unchanged' and v.value = 'grant'
group by v.source, v.submission_id
"""

_LIFT_STATED_VALUES = """
update intake.stated_value v set value = 'lifted', reading_id = :reading_id
from t_row r
where r.source = v.source and r.submission_id = v.submission_id and r.is_set_aside and r.class <> 'unchanged'
  and v.value = 'grant'
"""

VOID_GRANTS = (
    _FIND_SAID,
    add_voids("t_unsaid"),
    dirty_by("t_unsaid"),
    supersede_raising("select contact_point_id from t_unsaid"),
    _KEEP_STATED_VALUES,
    _LIFT_STATED_VALUES,
)

# Its copies are kept before (reading_sql), as an undo puts them back. A registration is lowered as a deleted one is.
_MARK_SUBMISSIONS = """
update intake.submission u set
    content_hash = r.content_hash, version_at = coalesce(r.version_at, u.version_at), batch_id = r.batch_id,
    row_no = r.batch_row_no, is_enquiry = false, reading_id = :reading_id
from t_row r
where r.is_set_aside and r.class <> 'unchanged' and u.source = r.source and u.submission_id = r.submission_id
"""

_DELETE_ANSWERS = """
delete from intake.answer a using t_row r
where r.is_set_aside and r.class <> 'unchanged' and a.source = r.source and a.submission_id = r.submission_id
"""

TAKE_DOWN = (_MARK_SUBMISSIONS, _DELETE_ANSWERS)
