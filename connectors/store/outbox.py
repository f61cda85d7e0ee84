"""The outbox: nothing is sent that was not first written down here, nothing is marked sent that was not acknowledged.

An intent is claimed in a transaction that looks at the ledger once more: the address must still be at the version the
plan was made from, and no purpose that justifies it may have ended; otherwise it is superseded and planned anew.
While a row has a claimed intent, no other goes for that row. What failed in a run holds back, in that run, the raises
that stand on it and nothing else; no row is given up for good, since the next plan supersedes this one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from connectors.store import outbox_sql
from connectors.store.refusals import store_errors
from schemas.intents import Intent, IntentState, Method, Phase

_ROWS_AT_A_TIME = 1000
_READ_AT_A_TIME = 5000
_KEPT_UNCHANGED = 5000


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claimed intent, ready to be sent; of a correction with the columns that the CRM is `known` to hold of its row, and
    with the version that its row had just before it was sent (None: it was not).
    """

    intent_id: int
    phase: Phase
    method: Method
    table_name: str
    row_id: UUID
    columns: dict[str, Any]
    known: dict[str, Any] | None = field(default=None, compare=False)
    sent_etag: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a claimed intent: its new state and the server's words. `pending` puts it back."""

    intent_id: int
    state: IntentState
    status: int | None = None
    code: str | None = None
    request_id: str | None = None


def add_intents(conn: Connection, intents: Iterable[Intent], *, writing: str, run_id: UUID, guarded_wait: bool) -> int:
    """As `copy_intents` for all that there are, with statistics of what has grown by them."""
    count = copy_intents(conn, intents, writing=writing, run_id=run_id, guarded_wait=guarded_wait)
    analyse(conn)
    return count


def copy_intents(conn: Connection, intents: Iterable[Intent], *, writing: str, run_id: UUID, guarded_wait: bool) -> int:
    """Write intents down by COPY, in the caller's transaction; with `guarded_wait` all but lowering waits for approval.

    `writing` is one writing down of a plan, by whose name its intents are told from those of others. `intents` may be
    made meanwhile (the server writes those before), so long as the connection is not asked for anything.
    """
    count = 0
    held = IntentState.WAITING if guarded_wait else IntentState.PENDING
    origin = f"{writing}\t{run_id}"
    lines = (
        _line(intent, origin, IntentState.PENDING if intent.phase is Phase.LOWERING else held) for intent in intents
    )
    statement = f"copy intake.outbox_intent ({outbox_sql.COLUMNS}) from stdin"
    with store_errors(), conn.connection.cursor().copy(statement) as copy:
        while block := "".join(islice(lines, _ROWS_AT_A_TIME)):
            copy.write(block)
            count += block.count("\n")
    return count


def analyse(conn: Connection) -> None:
    """Renew the statistics of tables that have outgrown theirs."""
    conn.execute(text("select intake.analyse_grown()"))


def settle_waiting(conn: Connection, writing: str, *, run_id: UUID, guarded_wait: bool) -> None:
    """Let all but lowering of a writing wait, or none of it, where it was written down otherwise."""
    held, other = IntentState.WAITING, IntentState.PENDING
    state, before = (held, other) if guarded_wait else (other, held)
    values = {"writing": writing, "run_id": run_id, "state": state, "before": before}
    conn.execute(text(outbox_sql.SETTLE_WAITING), values)


def _line(intent: Intent, origin: str, state: IntentState) -> str:
    """A row in COPY's text format: four times as fast as the driver's rows, which look each value's type up again."""
    # JSON has escaped every tab and line end, by a backslash, which COPY wants escaped in turn.
    columns = orjson.dumps(intent.columns).decode().replace("\\", "\\\\")
    planned_from = "\t".join(
        "\\N" if value is None else str(value)
        for value in (intent.contact_point_id, intent.occasion_pk, intent.planned_version, intent.valid_until)
    )
    return (
        f"{origin}\t{intent.phase:d}\t{intent.method}\t{intent.table_name}\t{intent.row_id}\t{planned_from}"
        f"\t{intent.is_raising}\t{columns}\t{state}\n"
    )


def supersede_open(conn: Connection) -> int:
    """Set aside every intent not yet claimed, before planning anew."""
    return conn.execute(text(outbox_sql.SUPERSEDE_OPEN)).rowcount


def iter_unsent(
    conn: Connection, run_id: UUID, phase: Phase, table: str, *, at_a_time: int = _READ_AT_A_TIME
) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Id and columns of a run's intents of one phase and table that nobody has claimed, some at a time."""
    values: dict[str, Any] = {"run_id": run_id, "phase": int(phase), "table": table, "limit": at_a_time}
    method, after, found = "", 0, at_a_time
    while found == at_a_time:
        rows = conn.execute(text(outbox_sql.UNSENT), {**values, "method": method, "after": after}).all()
        found = len(rows)
        if rows:
            method, after = rows[-1].method, rows[-1].intent_id
            yield [(row.intent_id, row.columns) for row in rows]


def refuse_unsent(conn: Connection, refused: Iterable[tuple[int, str]]) -> None:
    """Mark intents that cannot be sent as they are as refused, each with a code that says which column and why."""
    rows = [{"intent_id": intent_id, "code": code} for intent_id, code in refused]
    conn.execute(text(outbox_sql.REFUSE_UNSENT), {"refused": orjson.dumps(rows).decode()})


def open_groups(conn: Connection, run_id: UUID, phases: Sequence[Phase]) -> list[tuple[Phase, Method, str]]:
    """The (phase, method, table) triples that still have intents to send in some phases of a run."""
    rows = conn.execute(
        text(
            "select distinct phase, method, table_name from intake.outbox_intent where run_id = :run_id"
            " and phase = any(:phases) and state = 'pending' and finished_at is null order by 1, 2, 3"
        ),
        {"run_id": run_id, "phases": [int(phase) for phase in phases]},
    )
    return [(Phase(row.phase), Method(row.method), row.table_name) for row in rows]


def claim(
    conn: Connection,
    run_id: UUID,
    phase: Phase,
    group: tuple[Method, str],
    *,
    limit: int,
    now: datetime,
    after: int = 0,
) -> tuple[list[Claimed], int]:
    """Claim up to `limit` intents of a group beyond the id `after`; those to send, and how many were superseded instead.

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
        "after": after,
    }
    conn.execute(text(outbox_sql.BY_KEY))
    rows = conn.execute(text(outbox_sql.CLAIM), parameters).all()
    claimed = [
        Claimed(intent_id, phase, method, table, row_id, columns, known)
        for intent_id, row_id, columns, known, fault in rows
        if fault is None
    ]
    claimed.sort(key=attrgetter("intent_id"))
    return claimed, len(rows) - len(claimed)


def has_conflicts(conn: Connection, run_id: UUID) -> bool:
    """Whether a row that a run meant to change was not as it thought, and none of the run's plan waits for approval."""
    return bool(conn.execute(text(outbox_sql.HAS_CONFLICTS), {"run_id": run_id}).scalar_one())


def still_stand(conn: Connection, intent_ids: Sequence[int], *, now: datetime) -> bool:
    """Whether no claimed intent of these would be superseded if it were claimed now."""
    return bool(conn.execute(text(outbox_sql.STILL_STAND), {"ids": list(intent_ids), "now": now}).scalar_one())


def claimed_intents(
    conn: Connection,
    *,
    run_id: UUID | None = None,
    is_narrow: bool | None = None,
    among: Sequence[UUID] | None = None,
) -> list[Claimed]:
    """Every intent whose answer is not known: of any run or of one, of runs or of narrow synchronisations, of addresses."""
    values = {"run_id": run_id, "is_narrow": is_narrow, "among": among if among is None else list(among)}
    return [_claimed(row) for row in conn.execute(text(outbox_sql.CLAIMED), values)]


def _claimed(row: Any) -> Claimed:
    return Claimed(
        row.intent_id,
        Phase(row.phase),
        Method(row.method),
        row.table_name,
        row.row_id,
        row.columns,
        row.known,
        row.sent_etag,
    )


def note_sent(conn: Connection, etags: Mapping[int, str]) -> None:
    """Remember which version the rows of claimed corrections had, by intent, just before these are sent."""
    conn.execute(text(outbox_sql.NOTE_SENT), {"ids": list(etags), "etags": list(etags.values())})


def settle(conn: Connection, settled: Sequence[Settled], *, at_leisure: bool = False) -> None:
    """Record what became of claimed intents, what the CRM was known to hold before, and what it holds now.

    `before` holds the columns written, null where the row was known without a value for one; of a deleted row all that
    was known; nothing at all where no row was known. An intent that is not claimed any more is left as it is.

    `at_leisure` does not wait for the disk at the commit of the transaction: after a crash of the server what was settled
    last may be claimed still, and is read back like any other (https://www.postgresql.org/docs/current/wal-async-commit.html).
    """
    if not settled:
        return
    answers = [
        {"id": s.intent_id, "state": s.state, "status": s.status, "code": s.code, "request": s.request_id}
        for s in settled
    ]
    conn.execute(text(outbox_sql.BY_KEY))
    if at_leisure:
        conn.execute(text("set local synchronous_commit = off"))
    # One document: the driver's arrays of text cost ten times as much of our processor.
    conn.execute(text(outbox_sql.SETTLE), {"answers": orjson.dumps(answers).decode()})


def at_fault(conn: Connection, intent_ids: Sequence[int]) -> set[int]:
    """Those claimed intents, of what the CRM failed at itself, of which the row is to blame and not the CRM.

    Something of another phase of their run landed in the last five minutes, so the CRM is well; or it failed at the row for
    another run too, an hour before or longer, and has not taken it since.
    """
    return set(conn.execute(text(outbox_sql.AT_FAULT), {"ids": list(intent_ids)}).scalars())


def acknowledged_columns(conn: Connection, table: str, row_ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """What the CRM last acknowledged from us of the given rows."""
    statement = "select row_id, columns from intake.crm_row where table_name = :table and row_id = any(:ids)"
    return {row.row_id: row.columns for row in conn.execute(text(statement), {"table": table, "ids": list(row_ids)})}


def may_be_raised_late(conn: Connection, table: str, *, within: timedelta) -> list[UUID]:
    """The addresses with a row of a table that was lowered after a request to make it was given up for lost, a while ago at
    most: it may be carried out still.
    """
    return list(conn.execute(text(outbox_sql.MAY_BE_RAISED_LATE), {"table": table, "within": within}).scalars())


def close_addresses(conn: Connection, run_id: UUID, *, now: datetime) -> None:
    """Mark the addresses and occasions whose every intent of the run was acknowledged as up to date."""
    conn.execute(text(outbox_sql.CLOSE_ADDRESSES), {"run_id": run_id, "now": now})
    conn.execute(text(outbox_sql.CLOSE_OCCASIONS), {"run_id": run_id})


def close_unchanged(conn: Connection, versions: Sequence[tuple[UUID, int]], *, now: datetime) -> None:
    """Mark addresses as up to date for which the plan had nothing to write, those set aside with them."""
    if versions:
        conn.execute(text(outbox_sql.CLOSE_UNCHANGED), {**_columns(versions), "now": now})
    if conn.execute(text(outbox_sql.ANY_ASIDE)).scalar_one():
        conn.execute(text(outbox_sql.CLOSE_ASIDE), {"now": now})


def set_unchanged_aside(conn: Connection, versions: list[tuple[UUID, int]]) -> None:
    """Keep many addresses without anything to write in the store until `close_unchanged`, and empty the list.

    Closing an address locks it: one that is closed long before the end of a large plan would keep its person waiting.
    """
    if len(versions) >= _KEPT_UNCHANGED:
        conn.execute(text(outbox_sql.MAKE_ASIDE))
        conn.execute(text(outbox_sql.PUT_ASIDE), _columns(versions))
        versions.clear()


def _columns(versions: Sequence[tuple[UUID, int]]) -> dict[str, list[Any]]:
    ids, numbers = zip(*versions, strict=True)
    return {"ids": list(ids), "versions": list(numbers)}


def purge_images(
    conn: Connection, *, before: datetime, now: datetime, contact_point_ids: Sequence[UUID] | None = None
) -> int:
    """Forget the values that intents finished before an instant wrote, and those they found there; returns how many.

    The names of the columns stay, with nulls, beside state, code and times. Of given addresses only, where
    `contact_point_ids` is given. An intent that is still open keeps what it is to write.
    """
    ids = None if contact_point_ids is None else list(contact_point_ids)
    return conn.execute(text(outbox_sql.PURGE_IMAGES), {"before": before, "now": now, "ids": ids}).rowcount
