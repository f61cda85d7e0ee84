"""The outbox: nothing is sent that was not first written down here, nothing is marked sent that was not acknowledged.

An intent is claimed in a transaction that looks at the ledger once more: the address must still be at the version the
plan was made from, and no purpose that justifies it may have ended; otherwise it is superseded and planned anew.
While a row has a claimed intent, no other goes for that row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from connectors.store.tables import UNFINISHED
from schemas.intents import Intent, IntentState, Method, Phase

_ROWS_AT_A_TIME = 1000
_COLUMNS = (
    "plan_id, run_id, phase, method, table_name, row_id, contact_point_id, occasion_pk, planned_version, valid_until, "
    "is_raising, columns, state"
)

_CLAIM = f"""
with picked as (
    select i.intent_id from intake.outbox_intent i
    where i.state = 'pending' and i.run_id = :run_id and i.phase = :phase and i.method = :method
      and i.table_name = :table
      and not exists (select from intake.outbox_intent e
                      where e.contact_point_id = i.contact_point_id and e.run_id = i.run_id and e.phase < i.phase
                        and e.{UNFINISHED})
      and not exists (select from intake.outbox_intent e
                      where e.table_name = i.table_name and e.row_id = i.row_id and e.state = 'claimed')
    order by i.intent_id limit :limit for update of i skip locked
), standing as (
    select i.intent_id, i.phase = 0 or i.contact_point_id is null
           or (c.version = i.planned_version and (i.valid_until is null or i.valid_until > :now)) as stands
    from intake.outbox_intent i join picked using (intent_id)
    left join lateral (
        select version from intake.contact_point c where c.contact_point_id = i.contact_point_id for share) c on true
)
update intake.outbox_intent i
set state = case when s.stands then 'claimed' else 'superseded' end,
    claimed_at = :now, finished_at = case when s.stands then null else now() end
from standing s where s.intent_id = i.intent_id
returning i.intent_id, i.method, i.table_name, i.row_id, i.contact_point_id, i.occasion_pk, i.columns, i.state
"""

_SETTLE = """
update intake.outbox_intent i set state = r.state, status = r.status, code = r.code, request_id = r.request_id,
    finished_at = case when r.state = 'pending' then null else now() end
from unnest(cast(:ids as bigint[]), cast(:states as text[]), cast(:statuses as int[]), cast(:codes as text[]),
            cast(:requests as text[])) as r (intent_id, state, status, code, request_id)
where i.intent_id = r.intent_id and i.state = 'claimed'
"""

_REMEMBER = """
insert into intake.crm_row as old (table_name, row_id, contact_point_id, is_ours, columns, written)
select i.table_name, i.row_id, i.contact_point_id, true, jsonb_strip_nulls(i.columns), jsonb_strip_nulls(i.columns)
from intake.outbox_intent i where i.intent_id = any(:ids) and i.state = 'acknowledged' and i.method <> 'delete'
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

_FORGET = """
delete from intake.crm_row r using intake.outbox_intent i
where i.intent_id = any(:ids) and i.state = 'acknowledged' and i.method = 'delete'
  and r.table_name = i.table_name and r.row_id = i.row_id
"""

_CLOSE_ADDRESSES = """
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

_CLOSE_UNCHANGED = """
update intake.contact_point c set
    acked_version = greatest(c.acked_version, r.version),
    next_end_at = (select min(u.ends_at) from intake.person_purpose u
                   where u.contact_point_id = c.contact_point_id and u.ends_at > :now)
from unnest(cast(:ids as uuid[]), cast(:versions as bigint[])) as r (contact_point_id, version)
where c.contact_point_id = r.contact_point_id
"""

_CLOSE_OCCASIONS = """
update intake.occasion o set acked_version = greatest(o.acked_version, i.planned_version)
from intake.outbox_intent i
where i.run_id = :run_id and i.occasion_pk = o.occasion_pk and i.contact_point_id is null and i.state = 'acknowledged'
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claimed intent, ready to be sent."""

    intent_id: int
    method: Method
    table_name: str
    row_id: UUID
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a claimed intent: its new state and the server's words. `pending` puts it back."""

    intent_id: int
    state: IntentState
    status: int | None = None
    code: str | None = None
    request_id: str | None = None


def add_intents(conn: Connection, intents: Iterable[Intent], *, plan_id: str, run_id: UUID, guarded_wait: bool) -> int:
    """Write intents down by COPY, in the caller's transaction; with `guarded_wait` all but lowering waits for approval."""
    count = 0
    held = IntentState.WAITING if guarded_wait else IntentState.PENDING
    lines = (
        _line(intent, plan_id, run_id, IntentState.PENDING if intent.phase is Phase.LOWERING else held)
        for intent in intents
    )
    with conn.connection.cursor().copy(f"copy intake.outbox_intent ({_COLUMNS}) from stdin") as copy:
        while block := "".join(islice(lines, _ROWS_AT_A_TIME)):
            copy.write(block)
            count += block.count("\n")
    conn.execute(text("select intake.analyse_grown()"))
    return count


def _line(intent: Intent, plan_id: str, run_id: UUID, state: IntentState) -> str:
    """A row in COPY's text format: four times as fast as the driver's rows, which look each value's type up again."""
    values = (
        plan_id,
        run_id,
        int(intent.phase),
        intent.method,
        intent.table_name,
        intent.row_id,
        intent.contact_point_id,
        intent.occasion_pk,
        intent.planned_version,
        intent.valid_until,
        intent.is_raising,
        # JSON has escaped every tab and line end, by a backslash, which COPY wants escaped in turn.
        orjson.dumps(intent.columns).decode().replace("\\", "\\\\"),
        state,
    )
    return "\t".join(["\\N" if value is None else str(value) for value in values]) + "\n"


def supersede_open(conn: Connection) -> int:
    """Set aside every intent not yet claimed, before planning anew."""
    statement = "update intake.outbox_intent set state = 'superseded', finished_at = now() where state in ('pending', 'waiting')"
    return conn.execute(text(statement)).rowcount


def open_groups(conn: Connection, run_id: UUID, phase: Phase) -> list[tuple[Method, str]]:
    """The (method, table) pairs that still have intents to send in a phase of a run."""
    rows = conn.execute(
        text(
            "select distinct method, table_name from intake.outbox_intent"
            " where run_id = :run_id and phase = :phase and state = 'pending' order by method, table_name"
        ),
        {"run_id": run_id, "phase": int(phase)},
    )
    return [(Method(row.method), row.table_name) for row in rows]


def claim(
    conn: Connection, run_id: UUID, phase: Phase, group: tuple[Method, str], *, limit: int, now: datetime
) -> tuple[list[Claimed], int]:
    """Claim up to `limit` intents of a group; returns those to send and how many were superseded instead.

    To be committed before anything is sent.
    """
    method, table = group
    parameters = {
        "run_id": run_id,
        "phase": int(phase),
        "method": str(method),
        "table": table,
        "limit": limit,
        "now": now,
    }
    rows = conn.execute(text(_CLAIM), parameters).all()
    claimed = [_claimed(row) for row in sorted(rows) if row.state == IntentState.CLAIMED]
    return claimed, len(rows) - len(claimed)


def claimed_intents(conn: Connection) -> list[Claimed]:
    """Every intent whose answer is not known, of any run."""
    statement = (
        "select intent_id, method, table_name, row_id, columns from intake.outbox_intent"
        " where state = 'claimed' order by intent_id"
    )
    return [_claimed(row) for row in conn.execute(text(statement))]


def _claimed(row: Any) -> Claimed:
    return Claimed(row.intent_id, Method(row.method), row.table_name, row.row_id, row.columns)


def settle(conn: Connection, settled: Sequence[Settled]) -> None:
    """Record what became of claimed intents, and with it what the CRM now holds."""
    if not settled:
        return
    ids = [s.intent_id for s in settled]
    conn.execute(
        text(_SETTLE),
        {
            "ids": ids,
            "states": [str(s.state) for s in settled],
            "statuses": [s.status for s in settled],
            "codes": [s.code for s in settled],
            "requests": [s.request_id for s in settled],
        },
    )
    conn.execute(text(_REMEMBER), {"ids": ids})
    conn.execute(text(_FORGET), {"ids": ids})


def acknowledged_columns(conn: Connection, table: str, row_ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """What the CRM last acknowledged from us of the given rows."""
    statement = "select row_id, columns from intake.crm_row where table_name = :table and row_id = any(:ids)"
    return {row.row_id: row.columns for row in conn.execute(text(statement), {"table": table, "ids": list(row_ids)})}


def close_addresses(conn: Connection, run_id: UUID, *, now: datetime) -> None:
    """Mark the addresses and occasions whose every intent of the run was acknowledged as up to date."""
    conn.execute(text(_CLOSE_ADDRESSES), {"run_id": run_id, "now": now})
    conn.execute(text(_CLOSE_OCCASIONS), {"run_id": run_id})


def close_unchanged(conn: Connection, versions: Sequence[tuple[UUID, int]], *, now: datetime) -> None:
    """Mark addresses as up to date for which the plan had nothing to write."""
    if versions:
        ids, numbers = zip(*versions, strict=True)
        conn.execute(text(_CLOSE_UNCHANGED), {"ids": list(ids), "versions": list(numbers), "now": now})
