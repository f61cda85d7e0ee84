"""Undo in the store: what is void is what a mapping read, as schemas.consent says, and the list of it only grows."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from connectors.store.address import ServerAddress
from connectors.store.migrate import PIPELINE_ROLE
from connectors.store.undo import UndoRequest, undo_readings
from pipelines.transforms.identity import resolve_subjects
from schemas.consent import Actor, is_voidable
from schemas.errors import StoreError
from tests.merging import LATER, acting, make_decision, make_policy, make_request, make_row, merge_rows
from tests.outboxing import execute, query

pytestmark = pytest.mark.usefixtures("engines")


def undo(store: ServerAddress, run_id: UUID) -> int:
    request = UndoRequest(run_id, uuid4(), "Maija", LATER)
    with acting(store) as conn:
        undone = undo_readings(conn, request, refresh=make_request(make_policy()), resolve=resolve_subjects)
    return undone.readings


def has_void(store: ServerAddress, email: str) -> bool:
    found = query(
        store,
        "select 1 from intake.consent_void v join intake.consent_event e using (event_key)"
        " join intake.contact_point c using (contact_point_id) where c.address_key = :email",
        email=email,
    )
    return bool(found)


@pytest.mark.parametrize("actor", list(Actor))
@pytest.mark.parametrize("is_read", [True, False])
def test_what_is_voided_is_what_the_rule_says(store: ServerAddress, actor: Actor, is_read: bool) -> None:
    email = f"{actor}.{is_read}@example.org"
    batch = merge_rows(store, [make_row(email, make_decision("withdraw", actor=str(actor)), address=email)])
    if not is_read:
        execute(store, "update intake.batch set media_type = 'none' where batch_id = :id", id=batch.batch_id)
    undo(store, batch.run_id)
    assert has_void(store, email) is is_voidable(actor, is_read=is_read)


@pytest.mark.parametrize(
    "statement",
    [
        "update intake.consent_void set voided_at = now() where false",
        "delete from intake.consent_void",
        "truncate intake.consent_void",
    ],
)
def test_the_pipeline_may_not_take_a_void_back(store: ServerAddress, statement: str) -> None:
    with pytest.raises(StoreError) as refused, acting(store, PIPELINE_ROLE) as conn:
        conn.execute(text(statement))
    assert refused.value.sqlstate == "42501"
