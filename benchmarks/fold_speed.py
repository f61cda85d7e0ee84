"""B7: the fold of consent over many events at once, in the store; and of one person, by the store and by the pure rule.

The fold ends with the states of each person and address; comparing them with those kept, and keeping what is new, is told
apart. Of one person the store's refresh counts, with all that follows from it: so a click is folded. The limit is a plain
aggregate over the same events on the same server: every event read once, and grouped by address.
"""

from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa

from benchmarks.asking import Ask, own_server, p95, spread
from benchmarks.inputs import fresh_database
from benchmarks.known_day import opened
from benchmarks.limits import Limit
from benchmarks.report import Report, Summary
from benchmarks.seeding import GRANTED_AT, POINT, seed_known
from connectors.store import folding_sql, merge
from connectors.store.merge import refresh_addresses, statement_runner
from pipelines.operations.acts import fold_request
from pipelines.operations.sessions import Session
from schemas.consent import Decision, Value, fold_address

EVENTS_A_PERSON = 5
ONE_PERSON_TRIES = 200
GOAL_EVENTS_S, GOAL_PERSON_MS = 1_000_000, 1.0
_MORE = """
insert into intake.consent_event (event_key, subject_id, contact_point_id, purpose, topic, value, actor, clock, occurred_at,
    precision_s, effective_at, received_at, source, batch_id, commitment)
select sha256(e.event_key || int4send(k)), e.subject_id, e.contact_point_id, 'marketing',
    (array['', 'training', 'rdi', ''])[1 + k %% 4], (array['grant', 'withdraw'])[1 + k %% 2], 'subject',
    (array['web_forms', 'webropol', 'short_courses'])[1 + k %% 3], e.occurred_at + k * interval '1 day', 1,
    e.effective_at + k * interval '1 day', e.received_at + k * interval '1 day', e.source, e.batch_id, e.commitment
from intake.consent_event e, generate_series(1, %s) k
"""
_LIMIT = """
select count(*) from (select contact_point_id, purpose, topic, clock, value, max(effective_at)
                      from intake.consent_event group by 1, 2, 3, 4, 5) grouped
"""
_ALL_DIRTY = "create temporary table t_dirty as select contact_point_id from intake.contact_point"
_FOLD = (
    folding_sql.LATEST,
    merge.INDEX_LATEST,
    merge.ANALYSE_LATEST,
    folding_sql.FOLD,
    merge.INDEX_FOLD,
    merge.ANALYSE_FOLD,
    folding_sql.PERSON_STATES,
    folding_sql.ADDRESS_STATES,
)
_KEEP = (*folding_sql.KEEP_PERSON_STATES, *folding_sql.KEEP_ADDRESS_STATES)


def run_fold_speed(directory: Path, ask: Ask) -> Report:
    """The fold over `rows` events of a fifth as many people, `repeat` times."""
    people = max(20, ask.rows // EVENTS_A_PERSON)
    with own_server(directory) as server:
        store = fresh_database(server.address, "folds")
        seed_known(store, people)
        with psycopg.connect(store.uri_adbc, autocommit=True) as conn:
            conn.execute(_MORE, (EVENTS_A_PERSON - 1,))
            conn.execute("vacuum analyze intake.consent_event")
        with opened(store, directory) as workspace:
            session = Session(workspace)
            bulk = [_bulk(session) for _ in range(ask.repeat)]
            limit = [_seconds(session, _LIMIT) for _ in range(ask.repeat)]
            one = _one_person(session, people)
    return _report(people * EVENTS_A_PERSON, bulk, limit, one)


@dataclass(frozen=True, slots=True)
class Bulk:
    """Seconds of folding everybody to their states, and of keeping these."""

    fold: float
    keep: float


def _bulk(session: Session) -> Bulk:
    """The fold of everybody; what it made is rolled back."""
    with session.workspace.engine.connect() as conn:
        run = statement_runner(conn, fold_request(session))
        conn.execute(sa.text(_ALL_DIRTY))
        conn.execute(sa.text("analyze t_dirty"))
        begun = perf_counter()
        for statement in _FOLD:
            run(statement)
        folded = perf_counter()
        for statement in _KEEP:
            run(statement)
        kept = perf_counter()
        conn.rollback()
    return Bulk(folded - begun, kept - folded)


def _seconds(session: Session, statement: str) -> float:
    with session.transaction() as conn:
        begun = perf_counter()
        conn.execute(sa.text(statement)).scalar_one()
        return perf_counter() - begun


def _one_person(session: Session, people: int) -> dict[str, list[float]]:
    """Milliseconds for one address: folded anew in the store with all that follows from it, and by the pure rule."""
    numbers = [1 + nth * max(1, people // ONE_PERSON_TRIES) for nth in range(ONE_PERSON_TRIES)]
    with session.transaction() as conn:
        found = conn.execute(sa.text(f"select {POINT} from unnest(cast(:numbers as int[])) n"), {"numbers": numbers})
        ids: list[UUID] = list(found.scalars())
    stored = []
    for one in ids:
        with session.transaction() as conn:
            begun = perf_counter()
            refresh_addresses(conn, fold_request(session), [one])
            stored.append(1000 * (perf_counter() - begun))
    return {"store": stored, "rule": [_by_rule() for _ in range(ONE_PERSON_TRIES)]}


def _by_rule() -> float:
    decisions = [
        Decision("aino", "marketing", topic, value, clock, GRANTED_AT + timedelta(days=n))
        for n, (topic, value, clock) in enumerate(
            [
                (None, Value.GRANT, "web_forms"),
                ("rdi", Value.WITHDRAW, "webropol"),
                ("training", Value.GRANT, "short_courses"),
                (None, Value.WITHDRAW, "web_forms"),
                (None, Value.GRANT, "webropol"),
            ]
        )
    ]
    begun = perf_counter()
    fold_address(decisions, persons=["aino"], topics=["training", "rdi"], window=timedelta(minutes=5))
    return 1000 * (perf_counter() - begun)


def _report(events: int, bulk: list[Bulk], limit: list[float], one: dict[str, list[float]]) -> Report:
    rates, limits = [events / run.fold for run in bulk], [events / s for s in limit]
    kept = [events / (run.fold + run.keep) for run in bulk]
    rate, stored_ms, rule_ms = median(rates), p95(one["store"]), p95(one["rule"])
    most = Limit("one aggregate over the same events", median(limits), "events/s")
    data: dict[str, Any] = {
        "events": events,
        "bulk_s": [run.fold for run in bulk],
        "keep_s": [run.keep for run in bulk],
        "limit": asdict(most),
        "one_person_ms": one,
    }
    return Report(
        name="b7",
        title=f"B7 the fold of {events:,} events, {len(bulk)} runs",
        goal=f"at least {GOAL_EVENTS_S:,} events/s a core in bulk; one person in at most {GOAL_PERSON_MS:g} ms",
        headings=["", "events/s (min to max)", "ms (min to max)", "p95 ms"],
        cells=[
            ["everybody, in the store, to their states", spread(rates, 0), "-", "-"],
            ["the same, states compared and kept", spread(kept, 0), "-", "-"],
            ["one aggregate over the events", spread(limits, 0), "-", "-"],
            ["one person, in the store with purposes", "-", spread(one["store"], 1), f"{stored_ms:.1f}"],
            ["one person, the pure rule", "-", spread(one["rule"], 3), f"{rule_ms:.3f}"],
        ],
        facts=[
            "In bulk the server uses what cores its planner chooses; the store's one person is some twenty statements."
        ],
        data=data,
        summary=Summary(
            f"{rate:,.0f} events/s; one person {stored_ms:.1f} ms, by the rule alone {rule_ms:.3f} ms",
            "-",
            most.beside(rate),
            f"{rate / GOAL_EVENTS_S:.2f} of the goal; one person {stored_ms / GOAL_PERSON_MS:.0f} times it",
            rate >= GOAL_EVENTS_S and stored_ms <= GOAL_PERSON_MS,
        ),
    )
