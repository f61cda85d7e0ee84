"""SQL of tombstones: which staged rows speak of somebody who was erased, and what of them may count all the same.

t_refused  the staged rows that a tombstone matches, with its date; and whether somebody is known at the address again

What occurred at or before the erasure counts for nothing, nor does what has no time. A later act of the person does. A
withdrawal without a time still lowers whoever came back to the address: lowering never waits.
"""

KEY_IDS = "select distinct key_id from intake.tombstone"


def hash_of(kind: str, value: str, *, inner: str = ":inner", outer: str = ":outer") -> str:
    """An SQL expression: HMAC-SHA-256 of a kind (a literal or an expression in quotes of its own) and a value."""
    return f"sha256({outer} || sha256({inner} || convert_to({kind} || '|' || {value}, 'UTF8')))"


_HASH = hash_of("v.kind", "v.value", inner="k.inner_block", outer="k.outer_block")
_NEWEST = hash_of("v.kind", "v.value")

FIND_MATCHES = f"""
create temporary table t_match as
select s.row_no, s.submitted_from, s.address_key, v.kind, t.tombstone_id, t.erased_at, t.key_id <> :key_id as is_stale,
       {_NEWEST} as newest_hash
from {{submissions}} s
cross join lateral (values
    ('address', s.address_key), ('subject', s.address_key || '|' || coalesce(s.given_key, '')),
    ('submission', cast(:source as text) || '|' || s.submission_id)) as v (kind, value)
cross join unnest(cast(:key_ids as text[]), cast(:inners as bytea[]), cast(:outers as bytea[]))
    as k (key_id, inner_block, outer_block)
join intake.tombstone t on t.key_hash = {_HASH} and t.kind = v.kind
where v.value is not null
"""

REHASH = """
update intake.tombstone t set key_hash = m.newest_hash, key_id = :key_id
from (select distinct on (tombstone_id) tombstone_id, newest_hash from t_match where is_stale) m
where t.tombstone_id = m.tombstone_id
"""

FIND_REFUSED = """
create temporary table t_refused as
select m.row_no, max(m.erased_at) as erased_at,
       max(m.erased_at) filter (where m.kind = 'submission') as submission_erased_at,
       bool_or(exists (select from intake.contact_point c where c.address_key = m.address_key)
            or exists (select from {submissions} o where o.address_key = m.address_key
                         and o.submitted_from > m.erased_at)) as is_known
from t_match m group by m.row_no
"""

DROP_DECISIONS = """
delete from {decisions} d using t_refused r
where d.row_no = r.row_no and coalesce(
    case when d.value = 'withdraw' and r.is_known then d.effective_at else d.occurred_at end, '-infinity') <= r.erased_at
"""

DROP_FAULTS = """
delete from {faults} f using t_refused r, {submissions} s
where f.row_no = r.row_no and s.row_no = r.row_no and coalesce(s.submitted_from, '-infinity') <= r.erased_at
"""

DROP_ANSWERS = """
delete from {answers} a using t_refused r, {submissions} s
where a.row_no = r.row_no and s.row_no = r.row_no and coalesce(s.submitted_from, '-infinity') <= r.erased_at
"""

# Cancelling what is there still lowers; registering and asking are acts of the time they were done at.
DROP_ACTS = """
update {submissions} s set
    is_enquiry = false, notice_shown = false, is_sale = false,
    registration_status = case when s.registration_status in ('active', 'waitlisted') then null
                               else s.registration_status end
from t_refused r where s.row_no = r.row_no and coalesce(s.submitted_from, '-infinity') <= r.erased_at
"""

WITHHOLD = """
update {submissions} s set
    withheld = 'erased', is_usable = false, given_name = null, family_name = null, phone = null, organisation = null,
    country = null, postal_code = null, city = null
from t_refused r
where s.row_no = r.row_no and coalesce(s.submitted_from, '-infinity') <= r.erased_at
  and not exists (select from {decisions} d where d.row_no = s.row_no and d.value not in ('lifted', 'unticked'))
"""

# Who comes back is a new person: the ids that a submission once made are the erased one's.
MAKE_ANEW = """
update {submissions} s set
    maker_id = md5(s.maker_id::text || ' after ' || extract(epoch from r.submission_erased_at))::uuid,
    registration_id = md5(s.registration_id::text || ' after ' || extract(epoch from r.submission_erased_at))::uuid
from t_refused r where s.row_no = r.row_no and r.submission_erased_at is not null
"""

REFUSE = (
    FIND_MATCHES,
    "analyze t_match",
    REHASH,
    FIND_REFUSED,
    DROP_DECISIONS,
    DROP_FAULTS,
    DROP_ANSWERS,
    DROP_ACTS,
    WITHHOLD,
    MAKE_ANEW,
)
