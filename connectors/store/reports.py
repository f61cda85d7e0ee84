"""Reading the store for the pictures and tables beside a run: counts only, never a row of a person."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

_OUTCOMES = """
with told as (
    select feed, sum(rows_read) as rows_read, sum(quarantined) as quarantined, sum(withheld) as withheld,
           sum(applied) as applied, sum(unchanged) as unchanged
    from intake.run_count where run_id = :run_id and source = :source group by feed
), reasoned as (
    select c.feed, r.key, sum(r.value::bigint) as rows
    from intake.run_count c, jsonb_each_text(c.reasons) as r where c.run_id = :run_id and c.source = :source
    group by c.feed, r.key
)
select t.*, coalesce((select string_agg(r.key || ' ' || r.rows, ', ' order by r.rows desc, r.key)
                      from reasoned r where r.feed = t.feed), '') as reasons
from told t order by t.feed
"""
_WRITES = """
select table_name as table, method, state, coalesce(code, '') as code, count(*) as rows from intake.outbox_intent
where run_id = :run_id and phase = any(:phases) group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""
# Each stage counts contact points, so that no bar can be longer than the one above it for another reason than loss.
_FUNNEL = """
select 'addresses known' as stage, count(*) as rows from intake.contact_point
union all
select 'with a living purpose', count(distinct contact_point_id) from intake.person_purpose
where ends_at is null or ends_at > :now
union all
select 'marketing granted', count(distinct contact_point_id) from intake.consent_state
where purpose = 'marketing' and state = 'granted'
union all
select 'granted and in the CRM', count(distinct s.contact_point_id)
from intake.consent_state s join intake.crm_row r using (contact_point_id)
where s.purpose = 'marketing' and s.state = 'granted' and r.table_name = 'contact'
"""
_RECEIVED = """
select source, received_on, coalesce(sum(row_count), 0) as rows from intake.batch
where received_on > :after and state = 'applied' group by 1, 2 order by 1, 2
"""


def outcomes_of_run(conn: Connection, run_id: UUID, source: str) -> list[dict[str, Any]]:
    """Rows read of each feed of a source in a run, by the state they ended in, with the reasons as text."""
    return _all(conn, _OUTCOMES, run_id=run_id, source=source)


def writes_of_run(conn: Connection, run_id: UUID, phases: list[int]) -> list[dict[str, Any]]:
    """Intents of a run in the given phases by table, method, state and the server's code."""
    return _all(conn, _WRITES, run_id=run_id, phases=phases)


def consent_funnel(conn: Connection, *, now: Any) -> list[dict[str, Any]]:
    """How many addresses there are from being known to being visible for marketing, largest first."""
    return _all(conn, _FUNNEL, now=now)


def rows_received(conn: Connection, *, after: date) -> list[dict[str, Any]]:
    """Rows applied per source and day received, after a day."""
    return _all(conn, _RECEIVED, after=after)


def is_anything_left(conn: Connection) -> bool:
    """Whether the CRM is yet to be told of anything: an address that changed since, or a write without its end."""
    statement = (
        "select exists (select from intake.dirty_address)"
        " or exists (select from intake.outbox_intent where finished_at is null)"
    )
    return bool(conn.execute(text(statement)).scalar())


def is_run_superseded(conn: Connection, run_id: UUID, *, again: Sequence[UUID] = ()) -> bool:
    """Whether another run has planned after this one, and so answers for what this one meant to send.

    `again` are the ids under which this run plans anew itself.
    """
    statement = (
        "select exists (select from intake.outbox_intent where run_id <> all(:own) and intent_id >"
        " (select max(intent_id) from intake.outbox_intent where run_id = :run_id) and writing not like 'narrow:%')"
    )
    return bool(conn.execute(text(statement), {"run_id": run_id, "own": [run_id, *again]}).scalar())


def _all(conn: Connection, statement: str, **parameters: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in conn.execute(text(statement), parameters).mappings()]
