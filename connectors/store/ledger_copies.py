"""Reading the ledger as lines that can be brought in again: every event whose evidence is there, and that is not void."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, text

from connectors.store.made_ids_sql import day_of

_LINES = """
select encode(e.event_key, 'hex') as event_key, e.source, v.submission_id, c.address, c.address_key,
       c.is_role_address, s.given_key, v.given_name, v.family_name, e.purpose, e.topic, e.value, e.actor, e.clock,
       e.occurred_at, e.precision_s, e.effective_at, e.received_at, e.reason, v.wording_hash, v.notice_version, v.channel,
       v.collected_by, v.method, w.text as wording, w.language, w.version as wording_version, c.contact_point_id
from intake.consent_event e
join intake.consent_evidence v using (event_key)
join intake.contact_point c on c.contact_point_id = e.contact_point_id
join intake.subject s on s.subject_id = e.subject_id
left join intake.consent_wording w on w.wording_hash = v.wording_hash
where not exists (select from intake.consent_void n where n.event_key = e.event_key)
order by e.recorded_at, e.event_key
"""
# A copy of before has keys without a day in front, under which the ledger may know the same event since.
_KNOWN = f"""
select encode(k.event_key, 'hex')
from unnest(cast(:keys as bytea[]), cast(:occurred_at as timestamptz[])) as k (event_key, occurred_at)
cross join lateral (select array[k.event_key, {day_of("k.occurred_at")} || k.event_key] as either) b
where exists (select from intake.consent_event e where e.event_key = any(b.either))
   or exists (select from intake.consent_void v where v.base_key = any(b.either) or v.event_key = any(b.either))
"""


def iter_lines(conn: Connection, *, rows: int) -> Iterator[list[dict[str, Any]]]:
    """The events in the order in which they were recorded, `rows` at a time."""
    # Of this statement alone: set on the connection, what is written beside it would be asked for as a cursor, too.
    pages = {"stream_results": True, "yield_per": rows}
    result = conn.execute(text(_LINES), execution_options=pages).mappings()
    for part in result.partitions(rows):
        yield [dict(row) for row in part]


def known_keys(conn: Connection, keys: Sequence[str], occurred_at: Sequence[str | None]) -> set[str]:
    """Which of these events, of each its key and when it happened, the ledger has, or had and voided."""
    raw = {"keys": [bytes.fromhex(key) for key in keys], "occurred_at": list(occurred_at)}
    return set(conn.execute(text(_KNOWN), raw).scalars())
