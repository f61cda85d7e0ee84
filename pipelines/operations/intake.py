"""Intake: from what landed to what the store knows, one batch at a time: stage, gate, apply.

Each step can be run again. How a batch lands is told in `landing`, how it is read in `reading_ahead`.
Nothing holds back a lowering: a batch that the gate stops still gives its readable withdrawals and cancellations.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pandas as pd
import pyarrow as pa

from connectors.decoders import decode
from connectors.store import batches
from connectors.store.arrow_columns import table_from_frame
from connectors.store.batches import BatchRow, add_staged_group, remove_staged_group, staged_groups
from connectors.store.bulk import drop_staged, stage_tables
from connectors.store.merge import MergeRequest, StagedTables, merge_batch
from connectors.store.migrate import PIPELINE_ROLE
from pipelines.operations.collecting import collected_seldom
from pipelines.operations.gate import Verdict, gate_batch, missing_shares
from pipelines.operations.gate_rules import RuleResult
from pipelines.operations.merging import BATCHES_AT_A_TIME, as_merger, staging
from pipelines.operations.questions import feed_drifts, keep_shown, with_drift
from pipelines.operations.reading_ahead import AHEAD_BYTES, Decoded, as_read, iter_decoded, landed_payload
from pipelines.operations.redaction import redact_refused
from pipelines.operations.restored import require_replayed
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace, purpose_rules
from pipelines.transforms.amending import only_rows
from pipelines.transforms.identity import resolve_subjects
from pipelines.transforms.row_ids import row_ids
from pipelines.transforms.shape import StagedBatch, shape_batch, shape_lowering
from schemas.errors import BatchRefused
from schemas.mappings import BATCH_ID, ROW_NO, Mapping
from schemas.records import BatchState

# Rows shaped and merged at once: bounds memory, whatever the size of a backfill.
GROUP_ROWS = 50_000
# Groups staged and not yet merged, where one is merged beside the staging of the next.
STAGED_AHEAD = 1


@dataclass(frozen=True)
class Gated:
    """The gate's word on one batch; `stop` is (code, reason, remedy) where it could only lower."""

    batch: BatchRow
    results: tuple[RuleResult, ...]
    stop: tuple[str, str, str] | None


def stage_source(
    session: Session, source: str, *, judged: Callable[[Sequence[Gated]], None] | None = None
) -> list[Gated]:
    """Shape and gate every landed batch of a source that no other run is staging, and stage them for `merge_staged`.

    A batch that cannot be understood or fails the gate is stopped by itself, is kept, and has lowered what it can; it is
    staged all the same, to lower after what came before it as well. `judged` is told of each group as it is staged.
    What a try of this run before staged and did not merge is staged anew; the stopped batches of one that died lower once more.
    """
    with session.transaction() as conn:
        stopped = batches.stopped_groups(conn, source)
    _forget_staged(session, source)
    with session.transaction() as conn:
        landed = batches.batches_in_state(conn, source, BatchState.LANDED)
    known = [batch.batch_id for batch in landed if batch.feed in session.workspace.mappings]
    waiting = [*known, *mended_batches(session, source)]
    gated: list[Gated] = []
    for start in range(0, len(waiting), BATCHES_AT_A_TIME):
        with staging(session, waiting[start : start + BATCHES_AT_A_TIME]) as taken:
            gated += stage_batches(session, taken, judged=judged)
    with session.transaction() as conn:
        batches.put_last(conn, stopped, run_id=session.run_id)
    return gated


def _forget_staged(session: Session, source: str) -> None:
    """Take back what this run has staged of a source, but for stopped batches, which are not landed any more."""
    with session.transaction() as conn:
        for group_id, request in staged_groups(conn, session.run_id, source):
            if not request["stop"]:
                remove_staged_group(conn, group_id)
                drop_staged(conn, request["staged"].values())


def mended_batches(session: Session, source: str | None = None) -> list[UUID]:
    """The undone batches (of one source) that another mapping can read now, while their payload is kept."""
    with session.transaction() as conn:
        undone = batches.undone_batches(conn, source)
        return batches.replayable(conn, [one.batch_id for one in undone if not is_still_undone(session.workspace, one)])


def is_still_undone(workspace: Workspace, batch: BatchRow) -> bool:
    """Whether a batch was undone and there is no other mapping (yet) that can read it: the same one does not."""
    mapping = workspace.mappings.get(batch.feed)
    return batch.state is BatchState.UNDONE and (mapping is None or batch.mapping_hash == mapping_hash(mapping))


def stage_batches(
    session: Session,
    batch_ids: Sequence[UUID],
    *,
    then: Callable[[str], None] | None = None,
    judged: Callable[[Sequence[Gated]], None] | None = None,
) -> list[Gated]:
    """As `stage_source`, for given batches; those of one feed with the same columns go together, in the order given.

    `then` is told the source of each group that is staged, to merge it at once; without it a stopped one has lowered here.
    How large a feed's batches usually are is what it was before.
    """
    require_replayed(session)
    gated: list[Gated] = []
    usual: dict[str, float | None] = {}
    told = 0
    with collected_seldom():
        for group in _iter_groups(session, batch_ids, gated):
            gated += _stage_group(session, group, usual, lowers=then is None)
            if judged is not None:
                judged(gated[told:])
                told = len(gated)
            if then is not None:
                then(group[0].batch.source)
    if judged is not None and gated[told:]:
        judged(gated[told:])
    return gated


def _iter_groups(session: Session, batch_ids: Sequence[UUID], gated: list[Gated]) -> Iterator[list[Decoded]]:
    group: list[Decoded] = []

    def refuse(batch: BatchRow, refused: BatchRefused) -> None:
        gated.append(_stop(session, batch, refused))

    for decoded in iter_decoded(session, batch_ids, refuse=refuse):
        if group and not _go_together(group, decoded):
            yield group
            group = []
        group.append(decoded)
    if group:
        yield group


def merge_staged(session: Session, source: str) -> int:
    """Merge what this run staged of a source, group by group in the order staged, each in one transaction; returns the number
    of batches. A stopped batch lowers again: what it takes back may have come in a group before it.
    """
    with session.transaction() as conn:
        groups = staged_groups(conn, session.run_id, source)
    for group_id, request in groups:
        if request["stop"] and _is_read(session, request):
            _let_go(session, request, group_id)
        else:
            merge_group(session, request, group_id)
    return sum(len(request["batch_ids"]) for _, request in groups if not request["stop"])


def _is_read(session: Session, request: dict[str, Any]) -> bool:
    """Whether a stopped batch was taken in meanwhile, by whoever had it read again."""
    with session.transaction() as conn:
        states = [batches.get_batch(conn, UUID(batch_id)).state for batch_id in request["batch_ids"]]
    return any(state in (BatchState.APPLIED, BatchState.UNDONE) for state in states)


def _let_go(session: Session, request: dict[str, Any], group_id: UUID) -> None:
    with session.transaction() as conn:
        remove_staged_group(conn, group_id)
        drop_staged(conn, request["staged"].values())
    session.forget_staged(request["staged"].values())


def apply_batches(session: Session, batch_ids: Sequence[UUID]) -> list[Gated]:
    """Stage and merge given batches in one go: while one group is merged, the next is read and shaped.

    A merge is nearly all the database's work, and the rest this process's: so both cores of a small machine have some.
    """
    if session.is_rehearsal:
        gated = stage_batches(session, batch_ids)
        for source in sorted({one.batch.source for one in gated}):
            merge_staged(session, source)
        return gated
    with _merging_beside(session) as merge:
        return stage_batches(session, batch_ids, then=merge)


@contextmanager
def _merging_beside(session: Session) -> Iterator[Callable[[str], None]]:
    """A function that has what is staged of a source merged by another thread; all is merged when the block ends."""
    beside, merges = session.beside(), deque[Future[int]]()
    with ThreadPoolExecutor(1, thread_name_prefix="merger") as pool:

        def merge(source: str) -> None:
            merges.append(pool.submit(merge_staged, beside, source))
            while len(merges) > STAGED_AHEAD:
                merges.popleft().result()

        yield merge
        for one in merges:
            one.result()


def apply_rows(session: Session, batch_id: UUID, row_nos: Collection[int]) -> None:
    """Read some rows of a batch again, with their mended cells, by the mapping that it was read by before.

    The gate has let the batch pass; so few rows tell nothing of a batch as a whole. BatchRefused where the landing has
    no payload (any more).
    """
    workspace = session.workspace
    with session.transaction() as conn:
        batch = batches.get_batch(conn, batch_id)
    payload, cells = landed_payload(session, batch_id)
    mapping = workspace.mappings[batch.feed]
    raw = only_rows(as_read(batch, decode(batch.media_type, payload, mapping), cells, mapping), row_nos, mapping)
    shaped = shape_batch(raw, mapping, received_at=batch.received_at, policy=workspace.policy)
    passed = Verdict((), None)
    request = _describe(session, [Decoded(batch, raw, [])], raw, shaped=shaped, verdict=passed)
    merge_group(session, {**request, "is_part": True, "watermark": None})


def _go_together(group: Sequence[Decoded], decoded: Decoded) -> bool:
    first = group[0]
    rows = sum(len(member.raw) for member in group) + len(decoded.raw)
    size = sum(member.size for member in group) + decoded.size
    same_columns = first.raw.columns.equals(decoded.raw.columns)
    return first.batch.feed == decoded.batch.feed and same_columns and rows <= GROUP_ROWS and size <= AHEAD_BYTES


def _stop(session: Session, batch: BatchRow, refused: BatchRefused) -> Gated:
    stop = (refused.code, str(refused), refused.remedy)
    with session.transaction() as conn:
        batches.stop_batch(conn, batch.batch_id, stop, keep=session.workspace.landing_keeps(stopped=True))
    return Gated(batch, (), stop)


def _stage_group(
    session: Session, group: Sequence[Decoded], usual: dict[str, float | None], *, lowers: bool
) -> list[Gated]:
    """Judge a group and stage it; where the gate stops it as a whole, or would stop one of it, each batch is judged by itself.

    What is stopped lowers at once where it `lowers`.

    `usual` has how many rows the batches of a feed usually have, of feeds that were asked for.
    """
    workspace = session.workspace
    batch = group[0].batch
    mapping = workspace.mappings[batch.feed]
    raw = pd.concat([member.raw for member in group], ignore_index=True) if len(group) > 1 else group[0].raw
    if batch.feed not in usual:
        with session.transaction() as conn:
            usual[batch.feed] = batches.median_rows(conn, batch.source, batch.feed)
    median = usual[batch.feed]
    shaped, verdict = _judge(workspace, raw, mapping, received_at=batch.received_at, median_rows=median)
    verdict = _with_drift(session, group, verdict)
    if len(group) > 1:
        alone = set(raw[BATCH_ID]) if verdict.stop is not None else missing_shares(shaped, mapping, raw[BATCH_ID])
        if alone:
            parts = _parted(group, alone)
            return [gated for part in parts for gated in _stage_group(session, part, usual, lowers=lowers)]
    keep_shown(session, mapping, [member.questions for member in group], is_taken_in=verdict.stop is None)
    request = _describe(session, group, raw, shaped=shaped, verdict=verdict)
    with session.transaction() as conn:
        add_staged_group(conn, uuid4(), run_id=session.run_id, source=batch.source, request=request)
    if verdict.stop is not None and lowers:
        merge_group(session, {**request, "remembers": False}, is_kept=True)
    return [Gated(member.batch, verdict.results, verdict.stop) for member in group]


def _parted(group: Sequence[Decoded], alone: Collection[str]) -> list[list[Decoded]]:
    """A group in its order, in parts: each batch of `alone` by itself, the others together as far as they follow each other."""
    parts: list[list[Decoded]] = []
    was_alone = True
    for member in group:
        is_alone = str(member.batch.batch_id) in alone
        if is_alone or was_alone:
            parts.append([])
        parts[-1].append(member)
        was_alone = is_alone
    return parts


def _judge(
    workspace: Workspace, raw: pd.DataFrame, mapping: Mapping, *, received_at: datetime, median_rows: float | None
) -> tuple[StagedBatch, Verdict]:
    """A shaped group and the gate's verdict; of columns that do not fit the mapping only lowerings are read."""
    try:
        shaped = shape_batch(raw, mapping, received_at=received_at, policy=workspace.policy)
    except BatchRefused as refused:
        lowering = shape_lowering(raw, mapping, received_at=received_at, policy=workspace.policy)
        return lowering, Verdict.refused(refused)
    return shaped, gate_batch(shaped, mapping, median_rows=median_rows)


def _with_drift(session: Session, group: Sequence[Decoded], verdict: Verdict) -> Verdict:
    """The verdict with what changed in the form; where questions were swapped, it may lower only."""
    mapping = session.workspace.mappings[group[0].batch.feed]
    drifts = feed_drifts(session, mapping, [member.questions for member in group if member.questions])
    stops = [with_drift(verdict.stop, drift, mapping) for drift in drifts]
    return replace(verdict, stop=next((stop for stop in stops if stop != verdict.stop), verdict.stop))


def _describe(
    session: Session, group: Sequence[Decoded], raw: pd.DataFrame, *, shaped: StagedBatch, verdict: Verdict
) -> dict[str, Any]:
    """What merging a staged group needs to know, as it is kept between the two steps; no row values are in it."""
    batch = group[0].batch
    mapping = session.workspace.mappings[batch.feed]
    watermark = shaped.submissions["version_at"].max()
    return {
        "batch_ids": [str(member.batch.batch_id) for member in group],
        **shaped_by(mapping),
        "has_faults": not shaped.faults.empty,
        "staged": stage_frames(session, batch, raw, shaped),
        "wordings": shaped.wordings,
        "watermark": None if verdict.stop or pd.isna(watermark) else watermark.isoformat(),
        "stop": verdict.stop,
    }


def shaped_by(mapping: Mapping) -> dict[str, Any]:
    """What merging needs to know of the mapping that shaped a group, whichever the process has that merges it."""
    return {
        "source": str(mapping.source),
        "feed": mapping.feed,
        "kind": str(mapping.kind),
        "mapping_hash": mapping_hash(mapping),
        "erases": mapping.erasure_means == "erasure",
        "is_pulled": mapping.file is None,
    }


def merge_group(
    session: Session, request: dict[str, Any], group_id: UUID | None = None, *, is_kept: bool = False
) -> None:
    """Merge one staged group in one transaction, and drop its staging tables with it unless it `is_kept`."""
    with as_merger(session), session.transaction() as conn:
        merge_batch(conn, _merge_request(session, request), resolve=resolve_subjects)
        redact_refused(session, conn, [UUID(batch_id) for batch_id in request["batch_ids"]])
        if group_id is not None:
            remove_staged_group(conn, group_id)
        if not session.is_rehearsal and not is_kept:
            drop_staged(conn, request["staged"].values())
    if not session.is_rehearsal and not is_kept:
        session.forget_staged(request["staged"].values())


def _merge_request(session: Session, request: dict[str, Any]) -> MergeRequest:
    workspace = session.workspace
    stop = tuple(request["stop"]) if request["stop"] else None
    return MergeRequest(
        batch_ids=[UUID(batch_id) for batch_id in request["batch_ids"]],
        run_id=session.run_id,
        source=request["source"],
        feed=request["feed"],
        kind=request["kind"],
        mapping_hash=request["mapping_hash"],
        now=session.now,
        keep=workspace.landing_keeps(stopped=stop is not None or request["has_faults"]),
        raises=stop is None,
        ledger_key=workspace.keys.current("ledger").secret,
        tombstone_keys=workspace.keys.all_keys("tombstone"),
        staged=StagedTables(**request["staged"]),
        rules=purpose_rules(workspace.policy),
        wordings=request["wordings"],
        watermark=request["watermark"],
        stop=stop,
        erases=request["erases"],
        is_part=request.get("is_part", False),
        is_pulled=request["is_pulled"],
        remembers=request.get("remembers", True),
    )


def stage_frames(session: Session, batch: BatchRow, raw: pd.DataFrame, shaped: StagedBatch) -> dict[str, str]:
    """Put a shaped group into staging tables, with the row ids that the CRM would get; names by frame."""
    salt = UUID(bytes=session.workspace.keys.current("guid_salt").secret[:16])
    row_nos = raw[ROW_NO].astype("int64") if ROW_NO in raw.columns else raw.groupby(BATCH_ID, sort=False).cumcount() + 1
    submissions = shaped.submissions.assign(batch_id=raw[BATCH_ID].astype("str"), batch_row_no=row_nos)
    frames = {
        "submissions": _with_ids(submissions, batch.source, salt),
        "decisions": table_from_frame(shaped.decisions),
        "faults": table_from_frame(shaped.faults),
        "occasions": _with_occasion_ids(shaped.occasions, batch.source, salt),
        "answers": table_from_frame(shaped.answers),
    }
    tables = {f"b_{uuid4().hex}_{name}": frame for name, frame in frames.items()}
    staged = stage_tables(session.workspace.address, tables, role=PIPELINE_ROLE)
    session.staged += staged
    return dict(zip(frames, staged, strict=True))


def _with_ids(submissions: pd.DataFrame, source: str, salt: UUID) -> pa.Table:
    names = [f"{source}|{submission_id}" for submission_id in submissions["submission_id"]]
    table = table_from_frame(submissions, uuid_columns=["batch_id"])
    table = table.append_column("maker_id", row_ids(salt, names))
    return table.append_column("registration_id", row_ids(salt, (f"{name}|registration" for name in names)))


def _with_occasion_ids(occasions: pd.DataFrame, source: str, salt: UUID) -> pa.Table:
    names = (f"{source}|occasion|{occasion_id}" for occasion_id in occasions["occasion_id"])
    return table_from_frame(occasions).append_column("occasion_pk", row_ids(salt, names))


def mapping_hash(mapping: Mapping) -> str:
    """A name for exactly this mapping: a batch applied under another one is shaped again."""
    return hashlib.sha256(mapping.model_dump_json().encode()).hexdigest()[:16]
