"""Batches in the store: landed once per content, found again by state, counted per run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from connectors.store import outcomes_sql
from connectors.store.keys import KeyRing
from connectors.store.landing import LANDING_KEY, put_batch
from connectors.store.tables import BATCH, RUN, STAGED_GROUP
from schemas.intents import Phase
from schemas.records import BatchState, ReceivedBatch, Window


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One landed batch, without its payload. One that `comes_anew` is read again when its content comes again."""

    batch_id: UUID
    source: str
    feed: str
    received_on: date
    received_at: datetime
    media_type: str
    content_hash: str
    mapping_hash: str | None
    state: BatchState
    stop_code: str | None
    stop_reason: str | None
    stop_remedy: str | None
    comes_anew: bool


@dataclass(frozen=True, slots=True)
class Stay:
    """From when a payload is in the landing, and when it is to go."""

    landed_at: datetime
    expires_at: datetime


_FIELDS = [BATCH.c[name] for name in BatchRow.__slots__]


def land_batch(conn: Connection, received: ReceivedBatch, batch_id: UUID, *, keys: KeyRing, stay: Stay) -> BatchRow:
    """Land what was received; the same content of a feed is one batch, however often it comes."""
    known = find_by_content(conn, received)
    if known is not None:
        return known
    # Another run may land the same content at the same time: this waits for its commit, and then finds its batch.
    if not add_batch(conn, received, batch_id, stay=stay):
        return land_batch(conn, received, batch_id, keys=keys, stay=stay)
    put_batch(conn, received, batch_id, keys=keys)
    return get_batch(conn, batch_id)


def add_batch(conn: Connection, received: ReceivedBatch, batch_id: UUID, *, stay: Stay) -> bool:
    """Record what was received as a landed batch, its payload still to be put; False where the feed has one of that content."""
    values = {
        "batch_id": batch_id,
        "source": received.source,
        "feed": received.feed,
        "received_on": received.received_on,
        "received_at": received.received_at,
        "media_type": received.media_type,
        "origin": received.origin,
        "content_hash": received.content_hash,
        "state": str(BatchState.LANDED),
        "landed_at": stay.landed_at,
        "expires_at": stay.expires_at,
    }
    # No index is named: to name one is to read its columns, and the public service's role reads no batches.
    landing = upsert(BATCH).values(values).on_conflict_do_nothing()
    return conn.execute(landing).rowcount > 0


def record_batch(
    conn: Connection, batch_id: UUID, *, source: str, feed: str, received_at: datetime, content_hash: str
) -> None:
    """Record a batch that has no payload to land: what was read from it is all there was."""
    conn.execute(
        insert(BATCH).values(
            batch_id=batch_id,
            source=source,
            feed=feed,
            received_on=received_at.date(),
            received_at=received_at,
            media_type="none",
            origin=feed,
            content_hash=content_hash,
            state=str(BatchState.LANDED),
            expires_at=received_at,
        )
    )


def find_by_content(conn: Connection, received: ReceivedBatch) -> BatchRow | None:
    """The batch of this feed that had exactly this content, if it came before."""
    row = conn.execute(
        select(*_FIELDS).where(
            BATCH.c.source == received.source,
            BATCH.c.feed == received.feed,
            BATCH.c.content_hash == received.content_hash,
        )
    ).one_or_none()
    return None if row is None else _batch(row)


def get_batch(conn: Connection, batch_id: UUID) -> BatchRow:
    """One batch by its id."""
    return _batch(conn.execute(select(*_FIELDS).where(BATCH.c.batch_id == batch_id)).one())


def batches_in_state(conn: Connection, source: str, state: BatchState) -> list[BatchRow]:
    """The batches of a source in a state, in the order received."""
    query = select(*_FIELDS).where(BATCH.c.source == source, BATCH.c.state == str(state))
    return [
        _batch(row) for row in conn.execute(query.order_by(BATCH.c.received_at, BATCH.c.feed, BATCH.c.content_hash))
    ]


def landed_of_feed(conn: Connection, feed: str) -> list[BatchRow]:
    """The batches of a feed whose payload is still in the landing, whatever became of them, in the order received."""
    query = select(*_FIELDS).join(LANDING_KEY, LANDING_KEY.c.batch_id == BATCH.c.batch_id).where(BATCH.c.feed == feed)
    return [_batch(row) for row in conn.execute(query.order_by(BATCH.c.received_at, BATCH.c.content_hash))]


def stopped_batches(conn: Connection) -> list[BatchRow]:
    """Every stopped batch, in the order received."""
    query = select(*_FIELDS).where(BATCH.c.state == str(BatchState.STOPPED)).order_by(BATCH.c.received_at)
    return [_batch(row) for row in conn.execute(query)]


def undone_batches(conn: Connection, source: str | None = None) -> list[BatchRow]:
    """Every undone batch (of one source), in the order received."""
    query = select(*_FIELDS).where(BATCH.c.state == str(BatchState.UNDONE)).order_by(BATCH.c.received_at)
    return [_batch(row) for row in conn.execute(query if source is None else query.where(BATCH.c.source == source))]


def replayable(conn: Connection, batch_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the batches whose payload is still in the landing, in the order received."""
    query = (
        select(BATCH.c.batch_id)
        .join(LANDING_KEY, LANDING_KEY.c.batch_id == BATCH.c.batch_id)
        .where(BATCH.c.batch_id.in_(batch_ids))
    )
    return list(conn.execute(query.order_by(BATCH.c.received_at, BATCH.c.feed)).scalars())


def _batch(row: Any) -> BatchRow:
    return BatchRow(**{**row._mapping, "state": BatchState(row.state)})


def is_overwritten(conn: Connection, batch: BatchRow, received: ReceivedBatch) -> bool:
    """Whether an applied batch came anew after something else was read of one of its rows: then its content is news again."""
    if batch.state is not BatchState.APPLIED or received.received_at <= batch.received_at:
        return False
    statement = (
        "select exists (select from intake.row_outcome o join intake.submission u"
        " on u.source = :source and u.submission_id = o.submission_id"
        " join intake.batch b on b.batch_id = u.batch_id"
        " where o.batch_id = :batch_id and u.batch_id <> o.batch_id and b.received_at > :was and b.received_at < :comes)"
    )
    told = {"source": batch.source, "batch_id": batch.batch_id, "was": batch.received_at, "comes": received.received_at}
    return bool(conn.execute(text(statement), told).scalar())


def reopen(
    conn: Connection, batch_id: UUID, received: ReceivedBatch, *, keys: KeyRing, stay: Stay, as_news: bool = False
) -> None:
    """Let a batch that came again be judged again; where the landing has let go of its payload, it is put back.

    With `as_news` it was received and landed when it came now. A batch that is not judged again gets no payload: who was
    erased since is taken out of it by the merge alone.
    """
    batch = BATCH.c.batch_id == batch_id
    received_now = {"received_at": received.received_at, "received_on": received.received_on}
    when = {**received_now, "landed_at": stay.landed_at, "expires_at": stay.expires_at} if as_news else {}
    # Locks the batch: another run may put the same payload back at the same time.
    conn.execute(update(BATCH).where(batch).values({"state": str(BatchState.LANDED), **when}))
    if replayable(conn, [batch_id]):
        return
    put_batch(conn, received, batch_id, keys=keys)
    # Of a batch that was redacted the type is another than what came.
    again = {"media_type": received.media_type, "landed_at": stay.landed_at, "expires_at": stay.expires_at}
    conn.execute(update(BATCH).where(batch).values(again))


def stop_batch(conn: Connection, batch_id: UUID, stop: tuple[str, str, str], *, keep: timedelta) -> None:
    """Mark a batch as stopped: code, reason, remedy. Its payload is kept longer from when it landed, to be replayed."""
    code, reason, remedy = stop
    conn.execute(
        update(BATCH)
        .where(BATCH.c.batch_id == batch_id)
        .values(
            state=str(BatchState.STOPPED),
            stop_code=code,
            stop_reason=reason,
            stop_remedy=remedy,
            expires_at=BATCH.c.landed_at + keep,
        )
    )


def set_media_type(conn: Connection, batch_id: UUID, media_type: str) -> None:
    """Note that a batch is kept in another form than it came in."""
    conn.execute(update(BATCH).where(BATCH.c.batch_id == batch_id).values(media_type=media_type))


def erased_rows(conn: Connection, batch_ids: Sequence[UUID]) -> dict[UUID, list[int]]:
    """The rows of the given batches that were refused because they were erased, where the payload is in the landing."""
    statement = (
        "select o.batch_id, array_agg(o.row_no) as row_nos from intake.row_outcome o"
        " join intake.landing_key k using (batch_id)"
        " where o.batch_id = any(:ids) and o.reason = 'erased' group by o.batch_id"
    )
    return {row.batch_id: row.row_nos for row in conn.execute(text(statement), {"ids": list(batch_ids)})}


def forget_rows(conn: Connection, batch_id: UUID, row_nos: Sequence[int]) -> None:
    """Of rows that were erased in the landing nothing is left to mend, and whose they were is not told."""
    rows = {"batch_id": batch_id, "row_nos": list(row_nos)}
    conn.execute(text(outcomes_sql.FORGET_FAULTS), rows)
    conn.execute(text(outcomes_sql.FORGET_OUTCOMES), rows)


def landed_with_payload(conn: Connection) -> list[BatchRow]:
    """Every batch whose payload is in the landing, in the order received."""
    query = select(*_FIELDS).join(LANDING_KEY, LANDING_KEY.c.batch_id == BATCH.c.batch_id)
    return [_batch(row) for row in conn.execute(query.order_by(BATCH.c.received_at, BATCH.c.batch_id))]


def last_outcome(conn: Connection, batch_id: UUID) -> Row[Any] | None:
    """How the last row of a batch ended (state, reason, effects), and whether the batch has made an event (`has_event`)."""
    statement = (
        "select o.state, o.reason, o.effects, exists (select from intake.reading g"
        " join intake.consent_event e using (reading_id)"
        " where o.batch_id = any(g.batch_ids) and e.batch_id = o.batch_id) as has_event"
        " from intake.row_outcome o where o.batch_id = :batch_id order by o.row_no desc limit 1"
    )
    return conn.execute(text(statement), {"batch_id": batch_id}).one_or_none()


def run_that_read(conn: Connection, batch_id: UUID) -> UUID | None:
    """The run whose reading of a batch stands and made its events, else the first: by it `undo` takes back what it told."""
    statement = (
        "select run_id from intake.reading g where :batch_id = any(batch_ids)"
        " and not exists (select from intake.undone_reading u where u.reading_id = g.reading_id)"
        " order by not exists (select from intake.consent_event e where e.reading_id = g.reading_id), read_at limit 1"
    )
    return conn.execute(text(statement), {"batch_id": batch_id}).scalar()


def record_gate(conn: Connection, batch_ids: Sequence[UUID], gate: dict[str, Any]) -> None:
    """Keep how the gate's rules came out on the given batches: counts per rule, no row values."""
    conn.execute(update(BATCH).where(BATCH.c.batch_id.in_(batch_ids)).values(gate=gate))


def gated_batches(conn: Connection, run_id: UUID, source: str) -> list[dict[str, Any]]:
    """The batches of a source that a run gated, with the rules' outcome and where the batch stands now."""
    names = ("feed", "received_on", "state", "stop_code", "stop_reason", "stop_remedy", "gate")
    query = select(*(BATCH.c[name] for name in names)).where(
        BATCH.c.source == source, BATCH.c.gate["run_id"].astext == str(run_id)
    )
    return [dict(row) for row in conn.execute(query.order_by(BATCH.c.feed, BATCH.c.received_at)).mappings()]


def count_again(conn: Connection, batch: BatchRow, run_id: UUID) -> None:
    """Count a batch that came again with the same content: what was applied then is unchanged now."""
    conn.execute(
        text(outcomes_sql.COUNT_OUTCOMES),
        {
            "run_id": run_id,
            "batch_ids": [batch.batch_id],
            "source": batch.source,
            "feed": batch.feed,
            "seen_again": True,
        },
    )


def median_rows(conn: Connection, source: str, feed: str) -> float | None:
    """The median number of rows of the feed's batches applied so far; None where there were fewer than five."""
    row = conn.execute(
        text(
            "select count(*) as n, percentile_cont(0.5) within group (order by row_count) as median from intake.batch"
            " where source = :source and feed = :feed and state = 'applied' and row_count > 0"
        ),
        {"source": source, "feed": feed},
    ).one()
    return row.median if row.n >= 5 else None


def add_staged_group(conn: Connection, group_id: UUID, *, run_id: UUID, source: str, request: dict[str, Any]) -> None:
    """Keep what merging a staged group needs to know, between staging it and merging it."""
    conn.execute(insert(STAGED_GROUP).values(group_id=group_id, run_id=run_id, source=source, request=request))


def staged_groups(conn: Connection, run_id: UUID, source: str) -> list[tuple[UUID, dict[str, Any]]]:
    """The groups that a run has staged of a source and not yet merged, in the order staged."""
    query = select(STAGED_GROUP.c.group_id, STAGED_GROUP.c.request).where(
        STAGED_GROUP.c.run_id == run_id, STAGED_GROUP.c.source == source
    )
    return [(row.group_id, row.request) for row in conn.execute(query.order_by(STAGED_GROUP.c.group_no))]


def stopped_groups(conn: Connection, source: str) -> list[UUID]:
    """The groups of stopped batches that were staged of a source by whichever run, and not merged in order; oldest first."""
    query = select(STAGED_GROUP.c.group_id).where(
        STAGED_GROUP.c.source == source, STAGED_GROUP.c.request["stop"].astext.is_not(None)
    )
    return list(conn.execute(query.order_by(STAGED_GROUP.c.group_no)).scalars())


def put_last(conn: Connection, group_ids: Sequence[UUID], *, run_id: UUID) -> None:
    """Make given groups this run's, after all that it has staged; those that were merged meanwhile are gone."""
    taken = delete(STAGED_GROUP).where(STAGED_GROUP.c.group_id.in_(group_ids))
    rows = {row.group_id: row for row in conn.execute(taken.returning(STAGED_GROUP))}
    for row in (rows[group_id] for group_id in group_ids if group_id in rows):
        add_staged_group(conn, row.group_id, run_id=run_id, source=row.source, request=row.request)


def remove_staged_group(conn: Connection, group_id: UUID) -> None:
    """Forget a group that is merged."""
    conn.execute(delete(STAGED_GROUP).where(STAGED_GROUP.c.group_id == group_id))


def forget_abandoned_groups(conn: Connection, older_than: timedelta) -> None:
    """Forget groups of runs that died between staging and merging; their batches are still landed."""
    conn.execute(delete(STAGED_GROUP).where(STAGED_GROUP.c.made_at < func.clock_timestamp() - older_than))


def start_run(conn: Connection, run_id: UUID, kind: str, *, at: datetime) -> None:
    """Open the record of a run (or go on with it, where it was opened already)."""
    conn.execute(
        text(
            "insert into intake.run (run_id, kind, started_at, state) values (:run_id, :kind, :at, 'running')"
            " on conflict (run_id) do nothing"
        ),
        {"run_id": run_id, "kind": kind, "at": at},
    )


def finish_run(conn: Connection, run_id: UUID, state: str, counts: dict[str, Any], *, at: datetime) -> None:
    """Close the record of a run with its state and counts."""
    conn.execute(update(RUN).where(RUN.c.run_id == run_id).values(state=state, counts=counts, finished_at=at))


def finish_part(conn: Connection, run_id: UUID, part: str, *, of: Sequence[str], at: datetime) -> None:
    """Note that a part of a run is done; with its last part the run is, unless another part failed."""
    statement = (
        "update intake.run set counts = coalesce(counts, '{}') || jsonb_build_object(cast(:part as text), true),"
        " finished_at = :at, state = case when state = 'running'"
        " and coalesce(counts, '{}') || jsonb_build_object(cast(:part as text), true) ?& cast(:of as text[])"
        " then 'done' else state end where run_id = :run_id"
    )
    conn.execute(text(statement), {"run_id": run_id, "part": part, "of": list(of), "at": at})


def fail_run(conn: Connection, run_id: UUID, *, at: datetime, unread: str | None = None) -> None:
    """Note that a part of a run failed, and, with `unread`, of which source not all was read."""
    statement = (
        "update intake.run set state = 'failed', finished_at = :at, counts = coalesce(counts, '{}') || case"
        " when cast(:unread as text) is null then '{}' else jsonb_build_object('unread',"
        " coalesce(counts -> 'unread', '[]') || jsonb_build_array(cast(:unread as text))) end where run_id = :run_id"
    )
    conn.execute(text(statement), {"run_id": run_id, "at": at, "unread": unread})


def run_counts(conn: Connection, run_ids: Sequence[UUID]) -> list[Any]:
    """Rows read and their states per source and feed over the given runs, with the reasons."""
    return list(
        conn.execute(
            text(
                "select source, feed, sum(rows_read) as rows_read, sum(quarantined) as quarantined,"
                " sum(withheld) as withheld, sum(applied) as applied, sum(unchanged) as unchanged,"
                " jsonb_agg(reasons) as reasons from intake.run_count where run_id = any(:ids)"
                " group by source, feed order by source, feed"
            ),
            {"ids": list(run_ids)},
        ).mappings()
    )


def write_counts(conn: Connection, run_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Intents of the given runs by phase, table and state."""
    statement = (
        "select phase, table_name as table, state, count(*) as rows from intake.outbox_intent"
        " where run_id = any(:ids) group by phase, table_name, state order by phase, table_name, state"
    )
    rows = conn.execute(text(statement), {"ids": list(run_ids)}).mappings()
    return [{**row, "phase": Phase(row["phase"]).name.lower()} for row in rows]


def waiting_plan(conn: Connection) -> dict[str, Any] | None:
    """The newest plan, if it waits for approval."""
    row = (
        conn.execute(text("select plan_id, state, counts from intake.plan order by made_at desc limit 1"))
        .mappings()
        .first()
    )
    return dict(row) if row is not None and row["state"] == "waiting" else None


def note_read_days(conn: Connection, run_id: UUID, source: str, days: Window, timezone: str) -> None:
    """Note that a run has read a source on the given days, if all of it was; in whatever order days are read.

    A day that was not over when the run began is not wholly read.
    """
    statement = (
        "insert into intake.read_days as known (source, days)"
        " select :source, datemultirange(daterange(:first_on, last_on, '[]')) from ("
        "  select least(:last_on, cast(started_at at time zone :timezone as date) - 1) as last_on from intake.run"
        "  where run_id = :run_id and not coalesce(counts -> 'unread' ? :source, false)) r where last_on >= :first_on"
        " on conflict (source) do update set days = known.days + excluded.days"
    )
    known = {"run_id": run_id, "source": source, "timezone": timezone}
    conn.execute(text(statement), {**known, "first_on": days.first_on, "last_on": days.last_on})


def first_unread_on(conn: Connection, sources: Sequence[str], timezone: str, *, since: date) -> date | None:
    """The first day from `since` on, and from the day before the first intake of all, of which some source is not wholly read.

    None where there was no intake yet.
    """
    statement = (
        "select min(coalesce((select upper(r) from unnest(days) r where r @> from_on), from_on))"
        " from unnest(cast(:sources as text[])) as asked (source) left join intake.read_days using (source)"
        " cross join (select greatest(cast(min(started_at) at time zone :timezone as date) - 1, cast(:since as date)) as from_on"
        " from intake.run where kind = 'intake' having count(*) > 0) as begun"
    )
    values = {"sources": list(sources), "timezone": timezone, "since": since}
    return conn.execute(text(statement), values).scalar()
