"""What had to wait is sent only as far as the ledger still justifies it."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from connectors.store.address import ServerAddress
from pipelines.operations.delivery import deliver_phase
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace
from schemas.intents import Intent, Method, Phase
from tests.delivery.memory_crm import Waiting, deliver_all
from tests.outboxing import NOW, add, execute, make_address


@pytest.mark.parametrize("what", ["an act", "an end", "nothing"])
def test_a_claim_that_waited_is_sent_only_as_far_as_the_ledger_still_justifies_it(
    store: ServerAddress, workspace: Workspace, intent: Intent, what: str
) -> None:
    """Of a chunk of two, one address moves on, or its purpose ends, while the CRM's limits make the chunk wait."""
    ends = NOW + timedelta(seconds=30)
    one = replace(intent, valid_until=ends if what == "an end" else None)
    other = replace(one, row_id=uuid4(), contact_point_id=make_address(store), valid_until=None)
    run_id = add(store, one, other)
    crm = Waiting()

    def moves() -> None:
        execute(
            store, "update intake.contact_point set version = 2 where contact_point_id = :a", a=one.contact_point_id
        )

    def passes() -> None:
        settings = workspace.settings.model_copy(update={"fixed_now": ends})
        session.workspace = replace(workspace, settings=settings)

    session = Session(workspace, run_id=run_id)
    crm.meanwhile = {"an act": moves, "an end": passes, "nothing": lambda: None}[what]
    report = deliver_phase(session, crm, Phase.CONTACTS)
    gone = what != "nothing"
    assert report.counts == (Counter(superseded=1, acknowledged=1) if gone else Counter(acknowledged=2))
    assert [sorted(ids) for _, _, ids in crm.written()] == [
        sorted(str(i.row_id) for i in (other, *([] if gone else [one])))
    ]


def test_a_lowering_that_waited_goes_whatever_has_changed(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    run_id = add(store, replace(intent, phase=Phase.LOWERING, method=Method.LOWER, is_raising=False))
    crm = Waiting()
    crm.meanwhile = lambda: execute(
        store, "update intake.contact_point set version = 2 where contact_point_id = :a", a=intent.contact_point_id
    )
    assert deliver_all(workspace, crm, run_id, Phase.LOWERING).counts == Counter(acknowledged=1)
