"""SQL of the ledger's hash chain: a link of each row, a digest of each group of rows added together, a head over groups.

Linked are random ids, codes, times and salted commitments, never personal values: those lie, with their salt, in
`consent_evidence`, and can be erased without breaking anything. A group takes its place in the chain when its
transaction commits (migration 0012), so that appending side by side waits for nobody before that.
"""

_SEPARATOR = "chr(31)"


def _digest(*fields: str) -> str:
    """SHA-256 of fields in a fixed written form; null is written as nothing."""
    written = ", ".join(f"coalesce(({field})::text, '')" for field in fields)
    return f"sha256(convert_to(concat_ws({_SEPARATOR}, {written}), 'UTF8'))"


def _epoch(column: str) -> str:
    return f"extract(epoch from {column})"


def _hex(column: str) -> str:
    return f"encode({column}, 'hex')"


EVENT_LINK = _digest(
    *("event_id", _hex("event_key"), "subject_id", "contact_point_id", "purpose", "topic", "value", "actor", "clock"),
    *(_epoch("occurred_at"), "precision_s", _epoch("effective_at"), _epoch("received_at"), "reason", "source"),
    *("batch_id", _hex("commitment"), _epoch("recorded_at"), "reading_id", _hex("base_key"), "group_id", "nth"),
)
VOID_LINK = _digest(
    *(_hex("event_key"), _hex("base_key"), "reading_id", "batch_id", "undo_run_id", _epoch("voided_at")),
    *("group_id", "nth"),
)
# What an event commits to: everything in its evidence. Without the salt nothing can be guessed from it.
COMMITMENT = _digest(
    *(_hex("salt"), "submission_id", "address", "given_name", "family_name", "wording_hash", "notice_version"),
    *("channel", "collected_by", "method"),
)
HEAD = "sha256(previous || {})".format(
    _digest("group_no", "group_id", "kind", "row_count", "last_nth", _hex("digest"), _epoch("chained_at"))
)

# The group of the rows that a statement returns as `added` (group_id, nth, link).
ADD_GROUP = """
insert into intake.ledger_group (group_id, kind, row_count, last_nth, digest)
select group_id, '{kind}', count(*), max(nth), sha256(string_agg(link, ''::bytea order by nth)) from added
group by group_id
"""

# Where a row's own link does not fit it: it was changed after it was written.
CHANGED_ROWS = """
select g.group_no, t.nth, {id} as id from intake.{table} t left join intake.ledger_group g using (group_id)
where t.link <> {link} order by g.group_no nulls first, t.nth limit :limit
"""

# Groups whose rows are not those that were written: fewer, more, others. `missing` are the numbers that are not there,
# where each row of the group had one.
CHANGED_GROUPS = """
with found as (
    select group_id, count(*) as row_count, sha256(string_agg(link, ''::bytea order by nth)) as digest,
           array_agg(nth order by nth) as nths
    from intake.{table} group by group_id
)
select g.group_no, g.row_count, coalesce(f.row_count, 0) as found,
       case when g.row_count = g.last_nth then array(
           select n from generate_series(1, g.last_nth) n where n <> all(coalesce(f.nths, '{{}}')) limit 10) end as missing
from intake.ledger_group g left join found f using (group_id)
where g.kind = '{kind}' and (f.digest is distinct from g.digest or f.row_count is distinct from g.row_count)
order by g.group_no limit :limit
"""

# Rows of no group at all, and groups that never took their place.
STRAY_ROWS = """
select t.nth, {id} as id from intake.{table} t
where not exists (select from intake.ledger_group g where g.group_id = t.group_id) order by 2 limit :limit
"""

BROKEN_HEADS = f"""
with chained as (
    select *, lag(head, 1, ''::bytea) over w as head_before, lag(group_no, 1, 0::bigint) over w as no_before
    from intake.ledger_group window w as (order by group_no nulls last)
)
select group_no, group_no is distinct from no_before + 1 as is_gap,
       previous is distinct from head_before as is_unlinked, head is distinct from {HEAD} as is_changed
from chained
where group_no is distinct from no_before + 1 or previous is distinct from head_before or head is distinct from {HEAD}
order by group_no nulls last limit :limit
"""

# Evidence that is not what the event committed to when it was written.
CHANGED_EVIDENCE = f"""
select g.group_no, e.nth, e.event_id as id
from intake.consent_evidence v join intake.consent_event e using (event_key)
left join intake.ledger_group g using (group_id)
where e.commitment <> {COMMITMENT} order by g.group_no, e.nth limit :limit
"""

WORDINGS = "select wording_hash, text, language, version from intake.consent_wording order by wording_hash"

LAST_GROUP = "select group_no, head from intake.ledger_group where group_no is not null order by group_no desc limit 1"
LAST_HEAD = "select group_no, head, signed_at from intake.ledger_head order by group_no desc limit 1"
HEADS = """
select h.group_no, h.head, h.signed_at, h.key_id, h.signature, g.head as head_now
from intake.ledger_head h left join intake.ledger_group g using (group_no) order by h.group_no
"""
COUNTS = """
select (select count(*) from intake.consent_event) as events, (select count(*) from intake.consent_void) as voids,
       (select count(*) from intake.ledger_group) as groups, (select count(*) from intake.consent_evidence) as evidence
"""
