"""Intents go into the outbox by COPY as they were planned, whatever text their columns hold."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from connectors.store import outbox
from connectors.store.address import ServerAddress
from schemas.intents import Intent, Method, Phase

AWKWARD = 'a\tb\nc\\d\\N"e\u2028ä\r\\.'
ENDS_AT = datetime(2026, 11, 21, 1, 2, 3, 456789, tzinfo=UTC)


def add(store: ServerAddress, *intents: Intent, guarded_wait: bool = False) -> list[sa.RowMapping]:
    """The rows that the outbox holds of these intents, in the order given; nothing is kept."""
    engine = sa.create_engine(store.url_psycopg)
    with engine.connect() as conn:
        count = outbox.add_intents(conn, intents, writing="p", run_id=uuid4(), guarded_wait=guarded_wait)
        rows = conn.execute(sa.text("select * from intake.outbox_intent order by intent_id")).mappings().all()
        conn.rollback()
    engine.dispose()
    assert count == len(rows)
    return list(rows)


def make_intent(**changes: object) -> Intent:
    plain = {"phase": Phase.CONTACTS, "method": Method.UPSERT, "table_name": "contact", "row_id": UUID(int=1)}
    return Intent(**{**plain, **changes})  # type: ignore[arg-type]


def test_any_text_of_a_column_arrives_unchanged(store: ServerAddress) -> None:
    (row,) = add(store, make_intent(columns={AWKWARD: AWKWARD, "none": None, "number": 1, "flag": True}))
    assert row["columns"] == {AWKWARD: AWKWARD, "none": None, "number": 1, "flag": True}


def test_every_field_arrives_unchanged(store: ServerAddress) -> None:
    contact_point, occasion = UUID(int=2), UUID(int=3)
    full = make_intent(
        is_raising=True, contact_point_id=contact_point, occasion_pk=occasion, planned_version=7, valid_until=ENDS_AT
    )
    row, bare = add(store, full, make_intent(row_id=UUID(int=9)))
    assert (row["row_id"], row["contact_point_id"], row["occasion_pk"]) == (UUID(int=1), contact_point, occasion)
    assert (row["phase"], row["method"], row["table_name"]) == (Phase.CONTACTS, "upsert", "contact")
    assert (row["is_raising"], row["planned_version"], row["valid_until"]) == (True, 7, ENDS_AT)
    assert [bare[name] for name in ("contact_point_id", "occasion_pk", "planned_version", "valid_until")] == [None] * 4


def test_all_but_lowerings_wait_for_approval(store: ServerAddress) -> None:
    lowering = make_intent(phase=Phase.LOWERING, method=Method.LOWER)
    assert [row["state"] for row in add(store, lowering, make_intent(), guarded_wait=True)] == ["pending", "waiting"]
    assert [row["state"] for row in add(store, lowering, make_intent())] == ["pending", "pending"]


def test_no_intents_add_no_rows(store: ServerAddress) -> None:
    assert add(store) == []


def test_more_intents_than_go_at_a_time_all_arrive(store: ServerAddress) -> None:
    assert len(add(store, *(make_intent(row_id=UUID(int=number)) for number in range(2500)))) == 2500


def test_the_planner_knows_of_an_outbox_that_has_just_grown(store: ServerAddress) -> None:
    engine = sa.create_engine(store.url_psycopg)
    with engine.connect() as conn:
        # Whoever tidies up a table holds it for itself meanwhile, and it would be passed over.
        conn.execute(sa.text("lock table intake.outbox_intent in share update exclusive mode"))
        intents = (make_intent(row_id=UUID(int=number)) for number in range(2500))
        outbox.add_intents(conn, intents, writing="p", run_id=uuid4(), guarded_wait=False)
        known, pages = conn.execute(
            sa.text(
                "select relpages, pg_relation_size(oid) / current_setting('block_size')::integer"
                " from pg_class where oid = 'intake.outbox_intent'::regclass"
            )
        ).one()
        conn.rollback()
    engine.dispose()
    assert 21 < pages <= 1.3 * known
