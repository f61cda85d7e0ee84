"""How much goes at once, by how many senders, and in which order."""

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import replace
from uuid import uuid4

import pytest

from connectors.dataverse import RowResult, TableName
from connectors.store import outbox
from connectors.store.address import ServerAddress
from pipelines.operations.delivery import deliver_phases, recover
from pipelines.operations.dispatching import Dispatch, Group
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace
from schemas.errors import CrmError, CrmMisconfigured, CrmUnavailable, StoreUnavailable
from schemas.intents import Intent, Method, Phase
from schemas.tables import CONSENT, CONTACT
from tests.delivery.memory_crm import MemoryCrm, Rows, chunked, deliver_all, held
from tests.outboxing import (
    add,
    make_address,
    query,
    states_of,
)


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


def until(is_so: Callable[[], bool], *, within_s: float = 30) -> bool:
    """However busy the machine is."""
    ends = time.monotonic() + within_s
    while not is_so() and time.monotonic() < ends:
        time.sleep(0.01)
    return is_so()


def is_waited_for() -> bool:
    """Whether the main thread waits for the senders, in the course of its work."""
    frame, codes = sys._current_frames()[threading.main_thread().ident or 0], set()
    while frame is not None:
        codes.add(frame.f_code)
        frame = frame.f_back
    return {futures.wait.__code__, Dispatch._turn.__code__} <= codes


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Whatever a command of an earlier test made of Ctrl-C: it raises KeyboardInterrupt here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_delivery_settles_what_was_under_way_and_begins_nothing_more(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    is_first = threading.Lock()

    class Interrupted(MemoryCrm):
        def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            # One sender alone, and while the work goes on: a second interruption would hit the settling. A signal proper,
            # for it reaches a thread that waits; but not one that is just about to, so it is sent again.
            if is_first.acquire(blocking=False):
                for _ in range(5):
                    if until(lambda: self.is_stopped or is_waited_for()) and not self.is_stopped:
                        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                    if until(lambda: self.is_stopped, within_s=5):
                        break
            assert until(lambda: self.is_stopped)
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
    crm = Failing(rows_at_once=1)
    with pytest.raises(CrmUnavailable, match="down"):
        deliver_all(chunked(workspace, 1, writers=2), crm, run_id)
    assert not crm.is_stopped, "what the others have on its way goes on"
    assert states_of(store, run_id) == ["claimed", "acknowledged", "pending", "pending"]


class RefusingContacts(MemoryCrm):
    """It takes no contact."""

    error: Exception = CrmMisconfigured("refused")

    def update_existing(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        if table.logical_name == CONTACT.logical_name:
            raise self.error
        return super().update_existing(table, rows)


@pytest.mark.parametrize(
    ("error", "phase", "goes"),
    [
        (CrmMisconfigured("refused"), Phase.LOWERING, True),
        (CrmMisconfigured("refused"), Phase.CONTACTS, False),
        (CrmUnavailable("down"), Phase.LOWERING, False),
    ],
)
def test_lowerings_of_one_table_do_not_wait_for_those_that_another_refuses(
    store: ServerAddress, workspace: Workspace, intent: Intent, error: CrmError, phase: Phase, goes: bool
) -> None:
    lowering = replace(intent, phase=phase, method=Method.LOWER)
    contacts = [replace(lowering, row_id=uuid4(), contact_point_id=make_address(store)) for _ in range(2)]
    consent = replace(contacts[0], table_name=CONSENT.logical_name, contact_point_id=make_address(store))
    run_id = add(store, *contacts, consent)
    crm = RefusingContacts(rows_at_once=1)
    crm.error = error
    with pytest.raises(type(error)):
        deliver_all(workspace, crm, run_id, phase)
    assert states_of(store, run_id) == ["claimed", "pending", "acknowledged" if goes else "pending"]


def test_of_several_errors_the_first_is_raised(store: ServerAddress, workspace: Workspace, intent: Intent) -> None:
    class Failing(MemoryCrm):
        def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            is_first = str(rows[0][table.primary_key]) == str(intents[0].row_id)
            time.sleep(0 if is_first else 0.3)
            raise CrmUnavailable("first" if is_first else "second")

    intents = [replace(intent, row_id=uuid4()) for _ in range(2)]
    with pytest.raises(CrmUnavailable, match="first"):
        deliver_all(chunked(workspace, 1, writers=2), Failing(rows_at_once=1), add(store, *intents))


def test_a_chunk_of_which_all_is_set_aside_does_not_end_the_phase(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    stale = [replace(intent, row_id=uuid4(), planned_version=0) for _ in range(2)]
    run_id = add(store, *stale, intent)
    crm.rows_at_once = 2
    report = deliver_all(chunked(workspace, 2), crm, run_id)
    assert report.counts == Counter(superseded=2, acknowledged=1)
    assert [ids for _, _, ids in crm.written()] == [[str(intent.row_id)]]


def test_what_was_passed_over_goes_once_what_held_it_back_is_done(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    """The first chunk is the first and the third: the second is of the row of the first."""
    again = replace(intent, columns={"lastname": "Kolmas"})
    run_id = add(store, intent, again, replace(intent, row_id=uuid4()))
    crm.rows_at_once = 2
    assert deliver_all(workspace, crm, run_id).counts["acknowledged"] == 3
    assert held(crm, intent) == again.columns


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


def test_no_stage_begins_before_the_one_before_has_all_its_answers_however_many_could_send(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    """Each phase has an address of its own, so that it is the stage alone that keeps them apart."""

    class Slow(MemoryCrm):
        def update_existing(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            time.sleep(takes_s[ids[str(rows[0][table.primary_key])]])
            return super().update_existing(table, rows)

    takes_s = {Phase.LOWERING: 0.4, Phase.CONTACTS: 0.2, Phase.FLAGS: 0.0}
    intents = [
        replace(intent, phase=phase, method=Method.LOWER, row_id=uuid4(), contact_point_id=make_address(store))
        for phase in takes_s
    ]
    ids = {str(one.row_id): one.phase for one in intents}
    crm = Slow()
    deliver_phases(Session(chunked(workspace, 9, writers=4), run_id=add(store, *intents)), crm, [*Phase])
    assert [ids[row_id] for _, _, (row_id,) in crm.written()] == [*takes_s]


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
            claimed = query(store, "select row_id::text from intake.outbox_intent where state = 'claimed'")
            answered = {row_id for _, _, ids in self.written() for row_id in ids}
            under_way.append(len({row_id for (row_id,) in claimed} - answered))
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


def test_a_slow_answer_keeps_no_other_sender_waiting(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    class Slow(MemoryCrm):
        def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            row_id = str(rows[0][table.primary_key])
            if row_id == str(intents[0].row_id):
                waited.append(last_sent.wait(5))
            elif row_id == str(intents[-1].row_id):
                last_sent.set()
            return super().upsert_many(table, rows)

    waited: list[bool] = []
    last_sent = threading.Event()
    intents = [replace(intent, row_id=uuid4()) for _ in range(4)]
    deliver_all(chunked(workspace, 1, writers=2), Slow(rows_at_once=1), add(store, *intents))
    assert waited == [True]


def test_where_the_store_takes_no_answers_the_dispatch_ends_with_that_and_they_are_read_back(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*given: object, **options: object) -> None:
        raise StoreUnavailable("The store is away.")

    run_id = add(store, *(replace(intent, row_id=uuid4()) for _ in range(3)))
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "settle", away)
        with pytest.raises(StoreUnavailable):
            deliver_all(chunked(workspace, 1, writers=2), crm, run_id)
    assert "claimed" in states_of(store, run_id)
    assert recover(Session(workspace), crm) > 0
    assert "claimed" not in states_of(store, run_id)


def test_while_all_is_on_its_way_nothing_more_is_looked_for(
    store: ServerAddress, workspace: Workspace, intent: Intent
) -> None:
    """A sender is free, but the store is asked again only once there is an answer."""

    class Slow(MemoryCrm):
        def chunk_rows(self, table: TableName, *, in_bulk: bool = True) -> int:
            looks.append(table)
            return super().chunk_rows(table, in_bulk=in_bulk)

        def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
            time.sleep(0.3)
            return super().upsert_many(table, rows)

    looks: list[TableName] = []
    deliver_all(chunked(workspace, 9, writers=2), Slow(), add(store, intent))
    assert len(looks) == 2


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
