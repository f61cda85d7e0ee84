"""Undo in the store: the readings of a run are voided, and what they overwrote is put back, in the caller's transaction.

The ledger stays as it is; what counts no more is listed beside it. Nothing is sent from here: the addresses concerned
are folded again and dirty, so that the next plan repairs the CRM by the same rules as always.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from connectors.store import ledger_sql, reading_sql, undo_sql
from connectors.store.batches import replayable
from connectors.store.merge import MergeRequest, ResolveSubjects, refresh_addresses

_KEYS = {
    "submission": ("source", "submission_id"),
    "registration": ("source", "submission_id"),
    "stated_value": ("source", "submission_id", "purpose", "topic"),
}
_MOVED = {
    "submission": (undo_sql.NAME_MOVED, undo_sql.PUT_BACK_MOVED),
    "registration": (undo_sql.NAME_MOVED, undo_sql.PUT_BACK_MOVED),
    "stated_value": (undo_sql.STATE_MOVED,),
}
_STAND_MEANT = (
    undo_sql.FIND_MEANT,
    ledger_sql.STAND_AGAIN,
    ledger_sql.DROP_KNOWN_EVENTS,
    ledger_sql.ADD_EVENTS_OF_READINGS,
    ledger_sql.ADD_EVIDENCE,
)
_TEMPORARY = (
    *("t_reading", "t_voided", "t_subject", "t_touched", "t_before", "t_back_occasion", "t_back_age"),
    *("t_shared", "t_part", "t_event"),
    *(f"{name}_{table}" for table in _KEYS for name in ("t_gone", "t_back")),
)


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """What to undo (a run; of given feeds only, where given), and by whom, in which run, when."""

    run_id: UUID
    undo_run_id: UUID
    by: str
    now: datetime
    feeds: tuple[str, ...] | None = None


@dataclass
class Undone:
    """What was undone: events voided and rows taken back, by feed and kind; addresses whose consent rose or fell;
    the batches that the same mapping may not read again (`undone`), and those to be read again now (`reopened`).

    `shared`: later batches that told some of it as well, in the order received, to be read again each by itself; as many as
    `awaited` are not in the landing and are read when they come again. `parts`: rows that had been read by themselves, by batch.
    """

    readings: int = 0
    voided: Counter[tuple[str, str]] = field(default_factory=Counter)
    addresses: int = 0
    raised: int = 0
    lowered: int = 0
    undone: list[UUID] = field(default_factory=list)
    reopened: list[UUID] = field(default_factory=list)
    shared: list[UUID] = field(default_factory=list)
    awaited: int = 0
    parts: dict[UUID, list[int]] = field(default_factory=dict)


def has_run(conn: Connection, run_id: UUID) -> bool:
    """Whether there is a record of a run, or of something that it read."""
    return bool(conn.execute(text(undo_sql.IS_RUN), {"run_id": run_id}).scalar())


def feeds_of_run(conn: Connection, run_id: UUID) -> list[str]:
    """The feeds of which a run read something."""
    return list(conn.execute(text(undo_sql.RUN_FEEDS), {"run_id": run_id}).scalars())


def undo_readings(conn: Connection, request: UndoRequest, *, refresh: MergeRequest, resolve: ResolveSubjects) -> Undone:
    """Undo what a run read; nothing where all of that is undone already. `refresh` tells how to fold again."""
    _drop_temporary(conn)
    parameters = {"run_id": request.run_id, "feeds": None if request.feeds is None else list(request.feeds)}
    readings = conn.execute(text(undo_sql.PICK_READINGS), parameters).rowcount
    if not readings:
        return Undone()
    stamp = {"undo_run_id": request.undo_run_id, "now": request.now}
    conn.execute(text(undo_sql.MARK_UNDONE), {**stamp, "by": request.by})
    conn.execute(text(undo_sql.VOID_EVENTS), {**stamp, "group_id": uuid4()})
    conn.execute(text(undo_sql.ADD_VOIDS))
    unasked = Counter(conn.execute(text(undo_sql.FORGET_PENDING)).scalars())
    for table, keys in _KEYS.items():
        _put_back(conn, table, keys, stamp)
    for statement in _STAND_MEANT:
        clause = text(statement)
        conn.execute(clause, {"group_id": uuid4()} if "group_id" in clause._bindparams else {})
    for statement in (undo_sql.REMOVE_ANSWERS, undo_sql.PUT_BACK_ANSWERS, undo_sql.FIND_SUBJECTS):
        conn.execute(text(statement))
    for statement in (
        undo_sql.FIND_OCCASIONS,
        undo_sql.PUT_BACK_OCCASIONS,
        undo_sql.FIND_AGES,
        undo_sql.PUT_BACK_AGES,
    ):
        conn.execute(text(statement))
    for statement in (undo_sql.FIND_TOUCHED, undo_sql.REMEMBER_STATES, undo_sql.TAKE_GROUND):
        conn.execute(text(statement))
    touched = list(conn.execute(text("select contact_point_id from t_touched order by 1")).scalars())
    refresh_addresses(conn, refresh, touched, resolve=resolve)
    undone = _counted(conn, Undone(readings=readings, addresses=len(touched)))
    undone.voided.update({(feed, "sign_up"): number for feed, number in unasked.items()})
    _reopen(conn, undone)
    return undone


def purge_images(conn: Connection, *, before: datetime) -> int:
    """Forget what readings overwrote before an instant; returns how many rows."""
    return conn.execute(text(reading_sql.PURGE_IMAGES), {"before": before}).rowcount


def _put_back(conn: Connection, table: str, keys: Sequence[str], stamp: dict[str, object]) -> None:
    names = {
        "table": table,
        "before_keys": ", ".join(f"b.{key}" for key in keys),
        "same_key": " and ".join(f"{{}}.{key} = g.{key}" for key in keys),
    }
    for statement, of in (
        (undo_sql.FIND_GONE, "t"),
        (undo_sql.FIND_BACK, "b"),
        *((statement, "b") for statement in _MOVED[table]),
        (undo_sql.KEEP_GONE, "t"),
        (undo_sql.REMOVE_GONE, "t"),
        (undo_sql.PUT_BACK, "t"),
    ):
        filled = statement.format(**{**names, "same_key": names["same_key"].replace("{}", of)})
        conn.execute(text(filled), stamp if statement is undo_sql.KEEP_GONE else {})


def _counted(conn: Connection, undone: Undone) -> Undone:
    events = conn.execute(text("select feed, value, count(*) as n from t_voided group by feed, value"))
    undone.voided.update({(row.feed, row.value): row.n for row in events})
    for table in _KEYS:
        rows = conn.execute(text(undo_sql.COUNT_ROWS.format(table=table)))
        undone.voided.update({(row.feed, row.rows_of): row.gone for row in rows})
    occasions = conn.execute(text(undo_sql.COUNT_OCCASIONS))
    undone.voided.update({(row.feed, "occasion"): row.n for row in occasions})
    changed = conn.execute(text(undo_sql.COUNT_CHANGED)).one()
    undone.raised, undone.lowered = changed.raised, changed.lowered
    return undone


def _reopen(conn: Connection, undone: Undone) -> None:
    conn.execute(text(undo_sql.FIND_SHARED))
    for row in conn.execute(text(undo_sql.REOPEN_BATCHES)).all():
        (undone.undone if row.state == "undone" else undone.reopened).append(row.batch_id)
    conn.execute(text(undo_sql.WITHHOLD_ROWS), {"batch_ids": undone.undone})
    undone.shared = replayable(conn, list(conn.execute(text(undo_sql.REOPEN_SHARED)).scalars()))
    undone.awaited = conn.execute(text(undo_sql.AWAIT_SHARED)).rowcount
    conn.execute(text(undo_sql.FIND_PARTS))
    conn.execute(text(undo_sql.OPEN_ENTRIES))
    for part in conn.execute(text("select batch_id, row_no from t_part order by batch_id, row_no")):
        undone.parts.setdefault(part.batch_id, []).append(part.row_no)


def _drop_temporary(conn: Connection) -> None:
    for name in _TEMPORARY:
        conn.execute(text(f"drop table if exists pg_temp.{name}"))
