"""Delivery over the real outbox: each intent is sent by its method, once, and what the CRM says decides what it becomes.

The CRM is one in memory that does what it is told to do with a row: take it, refuse it, or lose its answer.
"""

import threading
import time
from _thread import interrupt_main
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from connectors.dataverse import NOT_EXECUTED, RowResult, TableName
from connectors.store.address import ServerAddress
from connectors.store.outbox import Settled
from pipelines.operations.delivery import DeliveryReport, deliver_phase, deliver_phases, recover, table_name
from pipelines.operations.dispatching import Dispatch, Group
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace, open_workspace, with_policy
from pipelines.settings import load_settings
from schemas.errors import ClaimStale, CrmUnavailable
from schemas.intents import Intent, IntentState, Method, Phase
from schemas.tables import CONSENT, CONTACT, REGISTRATION
from tests.feeds import CONFIG
from tests.merging import close_engines
from tests.outboxing import (
    NOW,
    add,
    claim,
    deliver,
    execute,
    held_of,
    intents_of,
    make_address,
    make_intent,
    query,
    states_of,
)

Rows = Mapping[str, object]


@dataclass
class MemoryCrm:
    """Rows by table and id. `fates` says by row id what becomes of each write in turn; otherwise it is acknowledged."""

    rows: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    fates: dict[str, list[str]] = field(default_factory=dict)
    calls: list[tuple[str, str, list[str]]] = field(default_factory=list)
    etags: list[str] = field(default_factory=list)
    rows_at_once: int = 100
    asked_in_bulk: set[bool] = field(default_factory=set)
    is_stopped: bool = False
    still_stands: Callable[[], bool] = lambda: True

    def chunk_rows(self, table: TableName, *, in_bulk: bool = True) -> int:
        self.asked_in_bulk.add(in_bulk)
        return self.rows_at_once

    def stopped(self) -> AbstractContextManager[None]:
        self.is_stopped = True
        return nullcontext()

    @contextmanager
    def vouched(self, still_stands: Callable[[], bool]) -> Iterator[None]:
        self.still_stands = still_stands
        yield

    def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        return self._write("upsert", table, rows)

    def update_existing(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        return self._write("lower", table, rows)

    def update_if_match(self, table: TableName, rows: Sequence[tuple[Rows, str]]) -> list[RowResult]:
        self.etags += [etag for _, etag in rows]
        return self._write("patch", table, [row for row, _ in rows])

    def delete_many(self, table: TableName, ids: Sequence[str]) -> list[RowResult]:
        return self._write("delete", table, [{table.primary_key: row_id} for row_id in ids])

    def fetch_rows(self, table: TableName, ids: Sequence[str], select: Sequence[str]) -> dict[str, dict[str, object]]:
        self.calls.append(("fetch", table.logical_name, list(ids)))
        held = {row_id: self.rows.get((table.logical_name, row_id)) for row_id in ids}
        return {
            row_id: {**{name: row[name] for name in select if name in row}, "@odata.etag": f"etag of {row_id}"}
            for row_id, row in held.items()
            if row is not None
        }

    def _write(self, method: str, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        self.calls.append((method, table.logical_name, [str(row[table.primary_key]) for row in rows]))
        # In another order than sent: an answer belongs to its row, not to its place.
        return [self._one(method, table, row) for row in reversed(rows)]

    def _one(self, method: str, table: TableName, row: Rows) -> RowResult:
        row_id = str(row[table.primary_key])
        fate = self.fates[row_id].pop(0) if self.fates.get(row_id) else "acknowledged"
        if fate in ("acknowledged", "lost after"):
            self._take(method, table, row_id, {k: v for k, v in row.items() if k != table.primary_key})
        if fate == "acknowledged":
            return RowResult(row_id, "acknowledged", 204, None, f"request {row_id}")
        if fate == "not executed":
            # Strings of their own: it is what they say that counts.
            return RowResult(row_id, "".join("unresolved"), 503, "".join(NOT_EXECUTED), None)  # type: ignore[arg-type]
        if fate.startswith("lost"):
            return RowResult(row_id, "unresolved", None, None, None)
        return RowResult(row_id, "conflict" if fate == "conflict" else "refused", 400, f"code of {fate}", "r")

    def _take(self, method: str, table: TableName, row_id: str, columns: Rows) -> None:
        key = (table.logical_name, row_id)
        if method == "delete":
            self.rows.pop(key, None)
        else:
            self.rows[key] = {**self.rows.get(key, {}), **columns}

    def written(self) -> list[tuple[str, str, list[str]]]:
        return [call for call in self.calls if call[0] != "fetch"]


@pytest.fixture(scope="module")
def workspace(store: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("delivery"), config_dir=CONFIG, fixed_now=NOW)
    opened = open_workspace(settings, address=store)
    # One writer, so that what goes together is told beforehand.
    yield chunked(opened, 100)
    opened.engine.dispose()
    close_engines()


@pytest.fixture
def crm() -> MemoryCrm:
    return MemoryCrm()


@pytest.fixture
def intent(store: ServerAddress) -> Intent:
    """A new contact."""
    execute(store, "update intake.outbox_intent set state = 'superseded' where state in ('pending', 'claimed')")
    return make_intent(make_address(store), phase=Phase.CONTACTS, method=Method.UPSERT)


def deliver_all(workspace: Workspace, crm: MemoryCrm, run_id: UUID, phase: Phase = Phase.CONTACTS) -> DeliveryReport:
    return deliver_phase(Session(workspace, run_id=run_id), crm, phase)


def held(crm: MemoryCrm, intent: Intent) -> dict[str, object] | None:
    return crm.rows.get((intent.table_name, str(intent.row_id)))


# By method.


@pytest.mark.parametrize("method", [Method.UPSERT, Method.LOWER, Method.DELETE])
def test_each_method_goes_its_own_way_with_key_and_columns(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, method: Method
) -> None:
    columns = {} if method is Method.DELETE else intent.columns
    run_id = add(store, replace(intent, method=method, columns=columns))
    report = deliver_all(workspace, crm, run_id)
    assert crm.written() == [(str(method), CONTACT.logical_name, [str(intent.row_id)])]
    assert crm.asked_in_bulk == {method is Method.UPSERT}
    assert held(crm, intent) == (None if method is Method.DELETE else intent.columns)
    assert report.counts == Counter(acknowledged=1, superseded=0)
    (row,) = intents_of(store, run_id)
    assert (row["state"], row["status"], row["request_id"]) == ("acknowledged", 204, f"request {intent.row_id}")


def known_row(store: ServerAddress, crm: MemoryCrm, intent: Intent, **columns: Any) -> Intent:
    """A correction of a row that the CRM acknowledged with these columns, and holds so."""
    deliver(store, replace(intent, columns=columns))
    crm.rows[intent.table_name, str(intent.row_id)] = dict(columns)
    return replace(intent, phase=Phase.CORRECTIONS, method=Method.PATCH)


def test_a_correction_goes_with_the_etag_of_a_row_that_is_as_acknowledged(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    correction = known_row(store, crm, intent, lastname="Old", firstname="Aino")
    report = deliver_all(workspace, crm, add(store, correction), Phase.CORRECTIONS)
    assert crm.etags == [f"etag of {intent.row_id}"]
    assert held(crm, intent) == {"lastname": "Toinen", "firstname": "Aino"}
    assert report.counts["acknowledged"] == 1


@pytest.mark.parametrize("change", ["Edited", "Zero", None])
def test_a_correction_of_a_row_that_is_not_as_acknowledged_is_a_conflict_and_not_sent(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, change: str | None
) -> None:
    """Edited to what comes before or after the known value, or gone."""
    correction = known_row(store, crm, intent, lastname="Old")
    other = known_row(store, crm, replace(intent, row_id=uuid4()), lastname="Old")
    if change is None:
        del crm.rows[intent.table_name, str(intent.row_id)]
    else:
        crm.rows[intent.table_name, str(intent.row_id)]["lastname"] = change
    run_id = add(store, correction, other)
    report = deliver_all(workspace, crm, run_id, Phase.CORRECTIONS)
    assert crm.written() == [("patch", CONTACT.logical_name, [str(other.row_id)])]
    told = [(row["state"], row["code"]) for row in intents_of(store, run_id)]
    assert told == [("conflict", "edited_or_gone"), ("acknowledged", None)]
    assert report.counts == Counter(conflict=1, acknowledged=1, superseded=0)


def test_an_edit_of_another_column_is_no_conflict(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    correction = known_row(store, crm, intent, lastname="Old", firstname="Aino")
    crm.rows[intent.table_name, str(intent.row_id)]["firstname"] = "Edited"
    deliver_all(workspace, crm, add(store, correction), Phase.CORRECTIONS)
    assert held(crm, intent) == {"lastname": "Toinen", "firstname": "Edited"}


def test_what_somebody_set_where_nothing_was_known_is_a_conflict(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    correction = known_row(store, crm, intent, firstname="Aino")
    crm.rows[intent.table_name, str(intent.row_id)]["lastname"] = "Edited"
    run_id = add(store, correction)
    deliver_all(workspace, crm, run_id, Phase.CORRECTIONS)
    assert states_of(store, run_id) == ["conflict"]


def test_a_bound_row_is_compared_as_it_reads(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    bind = "msevtmgt_ContactId@odata.bind"
    old, new = ({bind: f"/contacts({UUID(int=n)})"} for n in (1, 2))
    registration = replace(intent, table_name=REGISTRATION.logical_name, columns=old)
    deliver(store, registration)
    key = (REGISTRATION.logical_name, str(intent.row_id))
    crm.rows[key] = {"_msevtmgt_contactid_value": str(UUID(int=1))}
    moved = replace(registration, phase=Phase.REGISTRATIONS, method=Method.PATCH, columns=new)
    run_id = add(store, moved)
    deliver_all(workspace, crm, run_id, Phase.REGISTRATIONS)
    assert states_of(store, run_id) == ["acknowledged"]


# By answer.


@pytest.mark.parametrize("fate", ["refused", "conflict"])
def test_what_the_crm_will_not_take_is_kept_with_its_code_and_the_rest_goes(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, fate: str
) -> None:
    other = replace(intent, row_id=uuid4())
    crm.fates[str(intent.row_id)] = [fate]
    run_id = add(store, intent, other)
    report = deliver_all(workspace, crm, run_id)
    told = [(row["state"], row["status"], row["code"], row["request_id"]) for row in intents_of(store, run_id)]
    assert told == [(fate, 400, f"code of {fate}", "r"), ("acknowledged", 204, None, f"request {other.row_id}")]
    assert report.counts == Counter({fate: 1, "acknowledged": 1, "superseded": 0})
    assert held_of(store, intent) is None


@pytest.mark.parametrize(("fate", "times"), [("lost after", 1), ("lost before", 2), ("not executed", 2)])
def test_a_lost_answer_is_looked_up_and_only_what_did_not_happen_is_sent_again(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, fate: str, times: int
) -> None:
    crm.fates[str(intent.row_id)] = [fate]
    run_id = add(store, intent)
    report = deliver_all(workspace, crm, run_id)
    assert len(crm.written()) == times
    assert (held(crm, intent), held_of(store, intent)) == (intent.columns, intent.columns)
    assert states_of(store, run_id) == ["acknowledged"]
    assert report.counts == Counter(acknowledged=1, superseded=0)
    reads = [call for call in crm.calls if call[0] == "fetch"]
    assert reads == ([] if fate == "not executed" else [("fetch", CONTACT.logical_name, [str(intent.row_id)])])


@pytest.mark.parametrize(("fate", "times"), [("lost after", 1), ("lost before", 2)])
def test_a_lost_deletion_is_looked_up_too(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, fate: str, times: int
) -> None:
    known_row(store, crm, intent, lastname="Old")
    crm.fates[str(intent.row_id)] = [fate]
    run_id = add(store, replace(intent, method=Method.DELETE, columns={}))
    deliver_all(workspace, crm, run_id)
    assert len(crm.written()) == times
    assert (held(crm, intent), held_of(store, intent)) == (None, None)


@pytest.mark.parametrize("firstname", ["Aamu", "Other"])
def test_a_row_that_is_there_otherwise_has_not_been_written(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, firstname: str
) -> None:
    both = replace(intent, columns={"lastname": "Toinen", "firstname": "Aino"})
    crm.rows[intent.table_name, str(intent.row_id)] = {"lastname": "Toinen", "firstname": firstname}
    crm.fates[str(intent.row_id)] = ["lost before"]
    deliver_all(workspace, crm, add(store, both))
    assert len(crm.written()) == 2


def test_what_is_put_back_is_looked_up_in_the_ledger_once_more(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    """Between the lost answer and the second try the address moves on."""

    class Moving(MemoryCrm):
        def fetch_rows(
            self, table: TableName, ids: Sequence[str], select: Sequence[str]
        ) -> dict[str, dict[str, object]]:
            execute(store, "update intake.contact_point set version = 2 where contact_point_id = :a", a=address)
            return super().fetch_rows(table, ids, select)

    address = intent.contact_point_id
    moving = Moving(fates={str(intent.row_id): ["lost before"]})
    run_id = add(store, intent)
    report = deliver_all(workspace, moving, run_id)
    assert len(moving.written()) == 1
    assert [(row["state"], row["code"]) for row in intents_of(store, run_id)] == [("superseded", "address_changed")]
    assert report.counts == Counter(superseded=1)


class Waiting(MemoryCrm):
    """Its first write waits, and `meanwhile` something happens; then what is to be sent is looked up again."""

    meanwhile: Callable[[], object] | None = None

    def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        self._wait()
        return super().upsert_many(table, rows)

    def update_existing(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        self._wait()
        return super().update_existing(table, rows)

    def _wait(self) -> None:
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
            if not self.still_stands():
                raise ClaimStale("waited")


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


def test_answers_that_keep_being_lost_end_the_run_with_nothing_sent_beyond_measure(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    crm.fates[str(intent.row_id)] = ["lost before"] * 99
    run_id = add(store, intent)
    with pytest.raises(CrmUnavailable, match="run again"):
        deliver_all(workspace, crm, run_id)
    assert len(crm.written()) == 20
    assert states_of(store, run_id) == ["pending"]


def test_an_answer_that_comes_at_the_last_try_is_in_time(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    crm.fates[str(intent.row_id)] = ["lost before"] * 18
    run_id = add(store, intent)
    assert deliver_all(workspace, crm, run_id).counts["acknowledged"] == 1
    assert len(crm.written()) == 19


# How much at once, and in which order.


def chunked(workspace: Workspace, rows: int, writers: int = 1) -> Workspace:
    crm = workspace.policy.crm.model_copy(update={"chunk_rows": rows, "writers": writers})
    return with_policy(workspace, workspace.policy.model_copy(update={"crm": crm}))


def test_a_phase_goes_in_chunks_until_nothing_of_it_is_left(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    intents = [replace(intent, row_id=uuid4()) for _ in range(5)]
    run_id = add(store, *intents, replace(intent, phase=Phase.CLEARS))
    crm.rows_at_once = 2
    report = deliver_all(chunked(workspace, 3), crm, run_id)
    assert [len(ids) for _, _, ids in crm.written()] == [2, 2, 1]
    assert report.counts["acknowledged"] == 5
    assert states_of(store, run_id) == ["acknowledged"] * 5 + ["pending"]


def test_several_writers_send_every_row_once(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    intents = [replace(intent, row_id=uuid4()) for _ in range(30)]
    run_id = add(store, *intents)
    crm.rows_at_once = 2
    report = deliver_all(chunked(workspace, 2, writers=4), crm, run_id)
    sent = Counter(row_id for _, _, ids in crm.written() for row_id in ids)
    assert sent == Counter(str(one.row_id) for one in intents)
    assert report.counts["acknowledged"] == 30


def test_an_interrupted_delivery_settles_what_was_under_way_and_begins_nothing_more(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    class Interrupted(MemoryCrm):
        def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            time.sleep(0.2)  # So that it is waited for.
            interrupt_main()
            time.sleep(0.2)
            return super().upsert_many(table, rows)

    crm = Interrupted(rows_at_once=2)
    run_id = add(store, *(replace(intent, row_id=uuid4()) for _ in range(6)))
    with pytest.raises(KeyboardInterrupt):
        deliver_all(chunked(workspace, 2), crm, run_id)
    assert crm.is_stopped
    assert len(crm.written()) == 1
    assert states_of(store, run_id) == ["acknowledged"] * 2 + ["pending"] * 4


def test_what_one_sender_raises_leaves_the_others_their_answers(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    class Failing(MemoryCrm):
        def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            if str(intents[0].row_id) in {str(row[table.primary_key]) for row in rows}:
                raise CrmUnavailable("down")
            time.sleep(0.2)
            return super().upsert_many(table, rows)

    intents = [replace(intent, row_id=uuid4()) for _ in range(4)]
    run_id = add(store, *intents)
    with pytest.raises(CrmUnavailable, match="down"):
        deliver_all(chunked(workspace, 1, writers=2), Failing(rows_at_once=1), run_id)
    assert states_of(store, run_id) == ["claimed", "acknowledged", "pending", "pending"]


def test_a_chunk_of_which_all_is_set_aside_does_not_end_the_phase(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    stale = [replace(intent, row_id=uuid4(), planned_version=0) for _ in range(2)]
    run_id = add(store, *stale, intent)
    crm.rows_at_once = 2
    report = deliver_all(chunked(workspace, 2), crm, run_id)
    assert report.counts == Counter(superseded=2, acknowledged=1)
    assert [ids for _, _, ids in crm.written()] == [[str(intent.row_id)]]


def test_all_groups_of_a_phase_go(store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent) -> None:
    others = [replace(intent, row_id=uuid4(), table_name=CONSENT.logical_name, columns={"msdynmkt_reason": "r"})]
    others.append(replace(intent, row_id=uuid4(), method=Method.LOWER))
    run_id = add(store, intent, *others)
    assert deliver_all(workspace, crm, run_id).counts["acknowledged"] == 3
    assert len(crm.written()) == 3


def test_stages_follow_each_other_and_the_phases_of_one_go_together_however_they_are_asked_for(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    intents = {
        phase: replace(intent, phase=phase, method=Method.LOWER, row_id=uuid4(), contact_point_id=make_address(store))
        for phase in (Phase.FLAGS, Phase.CLEARS, Phase.CONSENTS, Phase.LOWERING, Phase.CONTACTS)
    }
    run_id = add(store, *intents.values())
    asked = [*reversed(Phase)][4:]
    reports = deliver_phases(Session(chunked(workspace, 9), run_id=run_id), crm, asked)
    ids = {str(one.row_id): phase for phase, one in intents.items()}
    sent = [ids[row_id] for _, _, rows in crm.written() for row_id in rows]
    assert (sent[0], {*sent[1:3]}, sent[3:]) == (Phase.LOWERING, {Phase.CONTACTS, Phase.CONSENTS}, [Phase.FLAGS])
    assert {phase: report.counts["acknowledged"] for phase, report in reports.items()} == {
        phase: int(phase in intents) for phase in asked
    }
    assert states_of(store, run_id) == ["acknowledged", "pending", *["acknowledged"] * 3]


def test_an_answer_lost_in_one_phase_of_a_stage_is_counted_in_it(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    consent = replace(
        intent, phase=Phase.CONSENTS, row_id=uuid4(), contact_point_id=make_address(store), method=Method.LOWER
    )
    crm.fates[str(consent.row_id)] = ["lost after"]
    run_id = add(store, intent, consent)
    reports = deliver_phases(Session(workspace, run_id=run_id), crm, [Phase.CONTACTS, Phase.CONSENTS])
    assert {phase: report.counts for phase, report in reports.items()} == {
        phase: Counter(acknowledged=1) for phase in (Phase.CONTACTS, Phase.CONSENTS)
    }
    assert len(crm.written()) == 2


def test_no_more_is_claimed_than_there_are_senders_to_send_it_at_once(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    class Watched(MemoryCrm):
        def update_existing(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            found = query(store, "select count(*) from intake.outbox_intent where state = 'claimed'")
            under_way.append(found[0][0])
            senders.add(threading.current_thread().name.rpartition("_")[0])
            time.sleep(0.05)
            return super().update_existing(table, rows)

    under_way: list[int] = []
    senders: set[str] = set()
    contact = replace(intent, method=Method.LOWER)
    consent = replace(contact, table_name=CONSENT.logical_name, columns={"msdynmkt_reason": "r"})
    run_id = add(store, *(replace(one, row_id=uuid4()) for one in (contact, consent) for _ in range(9)))
    crm = Watched(rows_at_once=2)
    deliver_all(chunked(workspace, 2, writers=3), crm, run_id)
    assert max(under_way) == 6
    assert senders == {"crm-sender"}
    assert states_of(store, run_id) == ["acknowledged"] * 18


def test_a_dispatch_tells_what_it_claimed_what_was_answered_and_what_fell(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    stale = [replace(intent, row_id=uuid4(), planned_version=0) for _ in range(3)]
    lost, refused = replace(intent, row_id=uuid4()), replace(intent, row_id=uuid4())
    clear = replace(intent, phase=Phase.CLEARS, row_id=uuid4(), contact_point_id=make_address(store))
    run_id = add(store, *stale, intent, lost, refused, clear)
    crm.fates |= {str(lost.row_id): ["lost before"], str(refused.row_id): ["refused"]}
    crm.rows_at_once = 2
    groups = [Group(phase, Method.UPSERT, CONTACT.logical_name) for phase in (Phase.CONTACTS, Phase.CLEARS)]
    assert [group.after for group in groups] == [0, 0]
    progress = Dispatch(Session(workspace, run_id=run_id), crm, groups).drain()
    settled = {phase: [str(one.state) for one in answers] for phase, answers in progress.settled.items()}
    assert (progress.claimed, progress.superseded) == (4, {Phase.CONTACTS: 3, Phase.CLEARS: 0})
    assert {phase: sorted(states) for phase, states in settled.items()} == {
        Phase.CONTACTS: ["acknowledged", "refused"], Phase.CLEARS: ["acknowledged"],
    }  # fmt: skip
    assert [group.after for group in groups] == [0, 0]


def test_a_phase_with_nothing_to_send_asks_the_crm_nothing(workspace: Workspace, crm: MemoryCrm) -> None:
    assert deliver_all(workspace, crm, uuid4()).counts == Counter()
    assert crm.calls == []


def test_what_another_run_left_without_an_answer_is_looked_up_in_chunks_by_table(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    done = [replace(intent, row_id=uuid4()) for _ in range(3)]
    consent = replace(intent, row_id=uuid4(), table_name=CONSENT.logical_name, columns={"msdynmkt_reason": "r"})
    run_id = add(store, *done, consent)
    claim(store, run_id, intent)
    claim(store, run_id, consent)
    for one in done[:2]:
        crm.rows[one.table_name, str(one.row_id)] = dict(one.columns)
    found = recover(Session(chunked(workspace, 2)), crm)
    assert found == 4
    assert states_of(store, run_id) == ["acknowledged", "acknowledged", "superseded", "superseded"]
    ids = [str(one.row_id) for one in done]
    assert crm.calls == [
        ("fetch", CONTACT.logical_name, ids[:2]),
        ("fetch", CONTACT.logical_name, ids[2:]),
        ("fetch", CONSENT.logical_name, [str(consent.row_id)]),
    ]


@pytest.mark.parametrize(("method", "is_known"), [(Method.UPSERT, False), (Method.UPSERT, True), (Method.LOWER, False)])
def test_of_what_was_left_behind_only_a_row_that_it_alone_can_have_made_may_hold_anything_by_now(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, method: Method, is_known: bool
) -> None:
    if is_known:
        deliver(store, replace(intent, columns={"lastname": "Old"}))
    crm.rows[intent.table_name, str(intent.row_id)] = {"lastname": "Edited"}
    left = replace(intent, method=method)
    run_id = add(store, left)
    claim(store, run_id, left)
    recover(Session(workspace), crm)
    is_made = method is Method.UPSERT and not is_known
    assert states_of(store, run_id) == ["acknowledged" if is_made else "superseded"]


def test_with_nothing_left_behind_there_is_nothing_to_recover(
    workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    assert recover(Session(workspace), crm) == 0
    assert crm.calls == []


def test_a_report_counts_what_is_settled_and_what_is_set_aside() -> None:
    report = DeliveryReport()
    report.add([Settled(1, IntentState.REFUSED), Settled(2, IntentState.PENDING)], 3)
    report.add([Settled(3, IntentState.REFUSED)], 1)
    assert report.counts == Counter(refused=2, superseded=4)


def test_a_table_is_named_as_the_crm_names_it() -> None:
    assert table_name("contact") == TableName("contacts", "contact", "contactid")
