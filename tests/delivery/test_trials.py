"""A row that the CRM fails at, and nobody says which it was, holds back no other; where the CRM fails at all, it is told."""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from connectors.dataverse import RowResult, TableName
from connectors.store.address import ServerAddress
from pipelines.operations.delivery import deliver_phases
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace
from schemas.errors import CrmUnavailable
from schemas.intents import Intent, Phase
from tests.delivery.memory_crm import MemoryCrm, Rows, deliver_all
from tests.outboxing import NOW, add, execute, intents_of, make_address, states_of


class FailingCrm(MemoryCrm):
    """A chunk with one of its `bad` rows fails whole, with `status`, and writes nothing."""

    status: int | None = 500
    bad: frozenset[str] = frozenset()

    def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        ids = [str(row[table.primary_key]) for row in rows]
        if not self.bad.intersection(ids):
            return super().upsert_many(table, rows)
        self.calls.append(("failed", table.logical_name, ids))
        return [RowResult(row_id, "unresolved", self.status, "0x80040224", "r") for row_id in ids]


def make_crm(intents: Sequence[Intent], bad: Sequence[int], **changes: Any) -> FailingCrm:
    crm = FailingCrm()
    crm.bad = frozenset(str(intents[number].row_id) for number in bad)
    for name, value in changes.items():
        setattr(crm, name, value)
    return crm


def at(workspace: Workspace, later: timedelta) -> Workspace:
    """The same, so much later."""
    return replace(workspace, settings=workspace.settings.model_copy(update={"fixed_now": NOW + later}))


def several(intent: Intent, count: int) -> list[Intent]:
    return [replace(intent, row_id=uuid4()) for _ in range(count)]


@pytest.mark.parametrize(("count", "bad"), [(100, [41]), (100, [0, 99]), (30, range(20))])
def test_a_row_that_always_fails_is_found_and_refused_with_the_servers_code_and_all_others_land(
    store: ServerAddress, workspace: Workspace, intent: Intent, count: int, bad: Sequence[int]
) -> None:
    intents = several(intent, count)
    crm = make_crm(intents, bad)
    run_id = add(store, *intents)
    report = deliver_all(workspace, crm, run_id)
    refused = [number for number, row in enumerate(intents_of(store, run_id)) if row["state"] == "refused"]
    assert refused == list(bad)
    told = {(row["status"], row["code"], row["request_id"]) for row in intents_of(store, run_id)}
    assert (500, "0x80040224", "r") in told
    assert report.counts == Counter(acknowledged=count - len(bad), refused=len(bad))
    alone = [call for call in crm.calls if call[0] == "failed" and len(call[2]) == 1]
    assert len(alone) == 3 * len(bad)
    assert crm.pauses == list(range(4))


def test_what_stands_behind_a_stage_with_a_failing_row_goes(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    intents = several(intent, 10)
    later = replace(intent, phase=Phase.REMOVE_CONTACTS, row_id=uuid4(), contact_point_id=make_address(store))
    run_id = add(store, *intents, later)
    deliver_phases(Session(workspace, run_id=run_id), make_crm(intents, [3]), [*Phase])
    assert states_of(store, run_id) == ["acknowledged"] * 3 + ["refused"] + ["acknowledged"] * 7


def test_a_row_that_is_alone_in_its_stage_is_refused_where_another_phase_landed_a_moment_ago(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    lowered = replace(intent, phase=Phase.LOWERING, row_id=uuid4(), contact_point_id=make_address(store))
    run_id = add(store, lowered, intent)
    crm = make_crm([intent], [0])
    deliver_phases(Session(workspace, run_id=run_id), crm, [*Phase])
    assert states_of(store, run_id) == ["acknowledged", "refused"]
    assert crm.pauses == [0, 1]


@pytest.mark.parametrize(
    ("later", "is_taken_between", "state"),
    [
        (timedelta(hours=1), False, "refused"),
        (timedelta(minutes=59), False, "pending"),
        (timedelta(hours=1), True, "pending"),
    ],
)
def test_a_row_that_is_alone_is_refused_where_the_crm_failed_at_it_long_before_and_holds_nothing_back_for_ever(
    store: ServerAddress, workspace: Workspace, intent: Intent, later: timedelta, is_taken_between: bool, state: str
) -> None:
    first = add(store, intent)
    with pytest.raises(CrmUnavailable):
        deliver_all(workspace, make_crm([intent], [0]), first)
    execute(
        store, "update intake.outbox_intent set state = 'superseded', finished_at = now() where run_id = :r", r=first
    )
    if is_taken_between:
        deliver_all(at(workspace, timedelta(minutes=30)), MemoryCrm(), add(store, intent))
        execute(store, "delete from intake.crm_row where row_id = :id", id=intent.row_id)
    second = add(store, intent)
    with nullcontext() if state == "refused" else pytest.raises(CrmUnavailable):
        deliver_all(at(workspace, later), make_crm([intent], [0]), second)
    assert states_of(store, second) == [state]


def test_what_landed_before_the_crm_fell_ill_blames_no_row(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    class FallingIll(FailingCrm):
        def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            results = super().upsert_many(table, rows)
            self.bad = frozenset(str(one.row_id) for one in intents)
            return results

    intents = several(intent, 150)
    run_id = add(store, *intents)
    with pytest.raises(CrmUnavailable):
        deliver_all(workspace, FallingIll(), run_id)
    assert Counter(states_of(store, run_id)) == Counter(acknowledged=100, pending=50)


def test_only_what_failed_goes_in_smaller_chunks(store: ServerAddress, workspace: Workspace, intent: Intent) -> None:
    """The other address's rows of a later phase of the stage are claimed once its contact has landed."""
    intents = [replace(intent, row_id=uuid4(), contact_point_id=make_address(store)) for _ in range(20)]
    consents = [
        replace(
            intents[0], phase=Phase.CONSENTS, table_name="msdynmkt_contactpointconsent4", row_id=uuid4(), columns={}
        )
        for _ in range(9)
    ]
    run_id = add(store, *intents, *consents)
    crm = make_crm(intents, [19])
    deliver_phases(Session(workspace, run_id=run_id), crm, [Phase.CONTACTS, Phase.CONSENTS])
    assert [len(ids) for _, table, ids in crm.written() if table == consents[0].table_name] == [9]


@pytest.mark.parametrize(("status", "count"), [(500, 21), (500, 7), (500, 1), (400, 1), (503, 1), (504, 1), (None, 1)])
def test_a_crm_that_fails_at_everything_or_an_answer_that_is_lost_is_no_rows_trouble(
    store: ServerAddress, workspace: Workspace, intent: Intent, status: int | None, count: int
) -> None:
    intents = several(intent, count)
    run_id = add(store, *intents)
    crm = make_crm(intents, range(count), status=status)
    with pytest.raises(CrmUnavailable):
        deliver_all(workspace, crm, run_id)
    assert states_of(store, run_id) == ["pending"] * count
    assert crm.pauses == list(range(20))


def test_a_row_that_fails_now_and_then_lands(store: ServerAddress, workspace: Workspace, intent: Intent) -> None:
    class Recovering(FailingCrm):
        def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            results = super().upsert_many(table, rows)
            if sum(call[0] == "failed" for call in self.calls) == 3:
                self.bad = frozenset()
            return results

    intents = several(intent, 10)
    crm = Recovering()
    crm.bad = frozenset({str(intents[0].row_id)})
    run_id = add(store, *intents)
    assert deliver_all(workspace, crm, run_id).counts["acknowledged"] == 10
