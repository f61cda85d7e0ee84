"""Merging one staged batch into the store, in one transaction of the caller's.

Afterwards submissions, people, registrations, the ledger with its folded states, living purposes, outcomes and counts
agree with each other; raising intents not yet sent to an address that a withdrawal lowered are superseded.
What a stopped batch may do is only to lower (`raises=False`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import pandas as pd
from sqlalchemy import Connection, TextClause, text

from connectors.store import (
    children_sql,
    folding_sql,
    intake_sql,
    ledger_sql,
    occasions_sql,
    outcomes_sql,
    pending_sql,
    people_sql,
    reading_sql,
    set_aside_sql,
    tombstone_sql,
)
from connectors.store.keys import Key
from connectors.store.tombstones import hold_off_erasures, key_arrays, usable_keys

TEMPORARY = (
    *("t_row", "t_decision", "t_dirty", "t_event", "t_moved", "t_match", "t_refused", "t_occasion"),
    *("t_taken_back", "t_asked", "t_latest", "t_fold", "t_person_state", "t_address_state", "t_purpose"),
    "t_unsaid",
)

# Where the planner misjudges a table that has no statistics yet, as in a first load, a look-up stays a look-up.
INDEX_ROWS = "create index on t_row (submission_id)"
INDEX_LATEST = "create index on t_latest (contact_point_id, grp, purpose, topic)"
INDEX_FOLD = "create index on t_fold (contact_point_id, grp, purpose, topic, kind)"
INDEX_DIRTY = "create unique index on t_dirty (contact_point_id)"
# A temporary table has no statistics until it is told to: without them the planner takes a batch for a handful of rows.
ANALYSED = ("t_row", "t_dirty", "t_event", "t_latest", "t_fold")
ANALYSE_ROWS, ANALYSE_DIRTY, ANALYSE_EVENTS, ANALYSE_LATEST, ANALYSE_FOLD = (f"analyze {name}" for name in ANALYSED)
# The kind of what is no reading of anything, but an act itself: no undo takes it back.
ACT = "act"
# The store's own tables, where they have outgrown theirs.
ANALYSE_GROWN = "select intake.analyse_grown()"

# Takes the subjects of addresses with more than one (contact_point_id, subject_id, given_key, has_ground, person_id,
# maker_id) and returns them with `person_id` decided; pure, in pipelines.transforms.identity.
ResolveSubjects = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class StagedTables:
    """Qualified names of the staging tables of one batch."""

    submissions: str
    decisions: str
    faults: str
    occasions: str
    answers: str


@dataclass(frozen=True, slots=True)
class PurposeRules:
    """The policy's purposes as parallel arrays, as the SQL takes them.

    `remembered_days`: how long a row that gave ground for nothing is known.
    """

    names: list[str]
    begins: list[str]
    days: list[int]
    topic_purposes: list[str]
    topics: list[str]
    window_s: int
    confirmation_days: int = 7
    remembered_days: int = 90


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """Batches of one feed to be merged together: what they are, where they are staged, whether they may raise.

    `tombstone_keys` are the ring's, oldest first: what was erased is known by them.
    `erases`: what the source has erased is a person's wish there, and not the end of the source's own keeping.
    `keep`: how long the landing keeps their payloads, from when they landed.
    `is_part`: only some rows of them are staged, which were read before by the same mapping.
    `is_pulled`: the source is asked, and tells what it has by then; of two versions without a time that of the batch landed later
    is the newer, and not that of the one received later. `remembers`: false where the same will be merged once more.
    """

    batch_ids: list[UUID]
    run_id: UUID
    source: str
    feed: str
    kind: str
    mapping_hash: str
    now: datetime
    raises: bool
    ledger_key: bytes
    staged: StagedTables
    rules: PurposeRules
    wordings: Sequence[Mapping[str, str]] = ()
    watermark: str | None = None
    stop: tuple[str, str, str] | None = None
    erases: bool = False
    is_part: bool = False
    is_pulled: bool = False
    remembers: bool = True
    keep: timedelta = timedelta()
    reading_id: UUID = field(default_factory=uuid4)
    tombstone_keys: Sequence[Key] = ()


def merge_batch(conn: Connection, request: MergeRequest, *, resolve: ResolveSubjects) -> None:
    """Merge the staged batch; nothing is committed here.

    What was erased does not come back: the staged rows are changed accordingly first. ConfigurationError where a key
    that tombstones were made by is missing.
    """
    drop_temporary(conn)
    hold_off_erasures(conn)
    keys = usable_keys(conn, request.tombstone_keys)
    run = statement_runner(conn, request, key_arrays(keys) if keys else {})
    for statement in tombstone_sql.REFUSE if keys else ():
        run(statement)
    for wording in request.wordings:
        conn.execute(text(ledger_sql.ADD_WORDINGS), dict(wording))
    run(ANALYSE_GROWN)
    run(reading_sql.ADD_READING)
    run(pending_sql.HOLD_STAFF)
    run(children_sql.HOLD_KNOWN)
    run(children_sql.HOLD_AGAIN)
    run(intake_sql.CLASSIFY_ROWS)
    if run(set_aside_sql.ARE_THERE).scalar():
        run(set_aside_sql.FORGET_OLDER)
    run(intake_sql.READ_AS_MOVED)
    run(pending_sql.TAKE_BACK)
    run(ledger_sql.COUNT_UNTICKED)
    run(ledger_sql.FORGET_UNTICKED)
    _merge_people(conn, request, run, resolve)
    refold(run)
    _record_outcomes(run, request)


def refresh_addresses(
    conn: Connection,
    request: MergeRequest,
    contact_point_ids: Sequence[UUID],
    *,
    resolve: ResolveSubjects | None = None,
) -> None:
    """Fold and derive purposes again for the given addresses (after a read-back or a repair).

    With `resolve` who is who at them is decided anew as well (after an undo).
    """
    drop_temporary(conn)
    conn.execute(
        text("create temporary table t_dirty as select distinct unnest(cast(:ids as uuid[])) as contact_point_id"),
        {"ids": [str(i) for i in contact_point_ids]},
    )
    conn.execute(text(INDEX_DIRTY))
    if resolve is not None:
        conn.execute(text(people_sql.NO_ROWS))
        assign_shared(conn, resolve)
    refold(statement_runner(conn, replace(request, kind=ACT)))


def _merge_people(conn: Connection, request: MergeRequest, run: Callable[[str], Any], resolve: ResolveSubjects) -> None:
    setting_aside = bool(run(set_aside_sql.ARE_NEW).scalar())
    remembering = (reading_sql.KEEP_STATED_VALUES, ledger_sql.REMEMBER_STATED_VALUES) if request.remembers else ()
    for statement in (
        intake_sql.ADD_CONTACT_POINTS,
        intake_sql.SPELL_ADDRESSES,
        intake_sql.FIND_CONTACT_POINTS,
        intake_sql.ADD_SUBJECTS,
        intake_sql.FIND_SUBJECTS,
        intake_sql.FIND_ERASED,
        children_sql.KEEP_AGES,
        children_sql.MARK_CHILDREN,
        children_sql.FORGET_PENDING,
        INDEX_ROWS,
        ANALYSE_ROWS,
        intake_sql.MARK_DIRTY,
        INDEX_DIRTY,
        children_sql.DIRTY_BY_AGE,
        ANALYSE_DIRTY,
        ledger_sql.NEW_EVENTS,
        ledger_sql.KEEP_BARE_KEYS,
        ledger_sql.WITHDRAWN_AND_MOVED,
        ledger_sql.TURN_TO_OLD_ADDRESS,
        ledger_sql.TURN_LATE,
        ledger_sql.FORGET_WHERE_FROM,
        ledger_sql.ADD_MOVED,
        ledger_sql.DROP_STILL_VOID,
        ledger_sql.STAND_AGAIN,
        ledger_sql.DROP_KNOWN_EVENTS,
        ledger_sql.DATE_TURNED_ANSWERS,
        ledger_sql.DATE_TURNED_TOGETHER,
        pending_sql.FIND_ASKED,
        ledger_sql.DATE_TURNED_ASKED,
        ledger_sql.LEAVE_GRANTS,
        ANALYSE_EVENTS,
        ledger_sql.ADD_EVENTS,
        ledger_sql.ADD_EVIDENCE,
        *remembering,
        pending_sql.HOLD_UNDONE,
        pending_sql.ADD_PENDING,
        ledger_sql.DIRTY_BY_EVENT,
        ledger_sql.SUPERSEDE_RAISING,
        *(set_aside_sql.VOID_GRANTS if setting_aside else ()),
        occasions_sql.FOLD_OCCASIONS,
        occasions_sql.KEEP_OCCASIONS,
        occasions_sql.SAVE_OCCASIONS,
        occasions_sql.DIRTY_BY_OCCASION,
        occasions_sql.DIRTY_BY_UNFOLDED,
        reading_sql.KEEP_SUBMISSIONS,
        reading_sql.KEEP_REGISTRATIONS,
        intake_sql.SAVE_SUBMISSIONS,
        intake_sql.COME_AGAIN,
        intake_sql.NAME_SUBMISSIONS,
        intake_sql.FORGET_MOVES,
        intake_sql.MARK_ERASED,
        intake_sql.ASK_ERASURE,
        intake_sql.SAVE_REGISTRATIONS,
        intake_sql.LOWER_REGISTRATIONS,
        intake_sql.SAVE_ANSWERS,
        *(set_aside_sql.TAKE_DOWN if setting_aside else ()),
        people_sql.SOLE_SUBJECTS,
    ):
        run(statement)
    assign_shared(conn, resolve)


def assign_shared(conn: Connection, resolve: ResolveSubjects) -> None:
    """Decide anew who is who at the dirty addresses that have more than one subject."""
    shared = pd.DataFrame(conn.execute(text(people_sql.SHARED_SUBJECTS)).mappings().all())
    if shared.empty:
        return
    answer = resolve(shared)
    decided: list[dict[str, Any]] = [
        dict(zip(answer.columns, row, strict=True)) for row in answer.itertuples(index=False)
    ]
    persons = [row for row in decided if row["person_id"] is not None]
    if persons:
        conn.execute(text(people_sql.ADD_PERSON), persons)
    conn.execute(text(people_sql.ASSIGN_SUBJECT), decided)


def refold(run: Callable[[str], Any], *, is_bulk: bool = True) -> None:
    """Fold the addresses of `t_dirty` and derive what lives there; other transactions' folds of them wait for this one.

    Who is who there is decided before, and so what children among them had said yes to is ended here first.
    Not `is_bulk`: a handful of addresses, for which the planner's own guesses do.
    """
    bulk = (ANALYSE_GROWN,), (INDEX_LATEST, ANALYSE_LATEST), (INDEX_FOLD, ANALYSE_FOLD)
    before, latest, fold = bulk if is_bulk else ((), (), ())
    for statement in (*before, ANALYSE_DIRTY, children_sql.SUPERSEDE_OF_CHILDREN, folding_sql.TAKE_TURNS):
        run(statement)
    if run(children_sql.ARE_THERE).scalar():
        for statement in children_sql.END_MARKETING:
            run(statement)
    for statement in (folding_sql.LATEST, *latest, folding_sql.FOLD, *fold):
        run(statement)
    for statement in (
        folding_sql.PERSON_STATES,
        *folding_sql.KEEP_PERSON_STATES,
        folding_sql.ADDRESS_STATES,
        *folding_sql.KEEP_ADDRESS_STATES,
        people_sql.SURVIVORSHIP,
        people_sql.PURPOSES,
        *people_sql.KEEP_PURPOSES,
        people_sql.BUMP_VERSIONS,
    ):
        run(statement)


def _record_outcomes(run: Callable[[str], Any], request: MergeRequest) -> None:
    run(outcomes_sql.SAVE_QUARANTINE)
    run(outcomes_sql.CLOSE_MENDED)
    run(outcomes_sql.SAVE_OUTCOMES)
    run(outcomes_sql.COUNT_PART if request.is_part else outcomes_sql.COUNT_OUTCOMES)
    run(outcomes_sql.CLOSE_BATCH)
    if request.watermark is not None:
        run(outcomes_sql.MOVE_WATERMARK)


def statement_runner(
    conn: Connection, request: MergeRequest, keys: Mapping[str, Any] | None = None
) -> Callable[[str], Any]:
    """A function that runs one statement with the request's tables and parameters filled in."""
    tables = {name: getattr(request.staged, name) for name in StagedTables.__slots__}
    stop = request.stop or (None, None, None)
    known: dict[str, Any] = {
        "batch_ids": request.batch_ids,
        "run_id": request.run_id,
        "reading_id": None if request.kind == ACT else request.reading_id,
        "group_id": uuid4(),
        "children_group_id": uuid4(),
        "void_group_id": uuid4(),
        "source": request.source,
        "feed": request.feed,
        "kind": request.kind,
        "mapping_hash": request.mapping_hash,
        "now": request.now,
        "keep": request.keep,
        "raises": request.raises,
        "erases": request.erases,
        "is_pulled": request.is_pulled,
        "ledger_key": request.ledger_key,
        "names": request.rules.names,
        "begins": request.rules.begins,
        "days": request.rules.days,
        "purposes": request.rules.topic_purposes,
        "topics": request.rules.topics,
        "window_s": request.rules.window_s,
        "confirmation_days": request.rules.confirmation_days,
        "remembered_days": request.rules.remembered_days,
        "state": "applied" if request.stop is None else "stopped",
        "stop_code": stop[0],
        "stop_reason": stop[1],
        "stop_remedy": stop[2],
        "position": request.watermark,
        "is_part": request.is_part,
        "seen_again": False,
        **(keys or {}),
    }

    def run(statement: str) -> Any:
        clause = _clause(statement, tuple(tables.items()))
        return conn.execute(clause, {name: known[name] for name in clause._bindparams})

    return run


# Reading a long statement for its parameters costs more than a single act's running of it.
@lru_cache(maxsize=256)
def _clause(statement: str, tables: tuple[tuple[str, str], ...]) -> TextClause:
    for name, table in tables:
        statement = statement.replace("{" + name + "}", table)
    return text(statement.replace("{{}}", "{}"))


def drop_temporary(conn: Connection) -> None:
    """Take away the temporary tables of an earlier merge in this session."""
    conn.execute(text("drop table if exists " + ", ".join(f"pg_temp.{name}" for name in TEMPORARY)))
