"""Deadlines and cancellation: no request is begun any more, and what was not sent is known not to have been executed."""

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from connectors.dataverse import NOT_EXECUTED, DataverseClient, Membership
from schemas.errors import CrmCancelled, CrmUnavailable

OK: tuple[int, dict[str, str], bytes] = (204, {}, b"")


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def client(script: Any, kit: Any, tokens: Any, stop: threading.Event) -> DataverseClient:
    return DataverseClient(kit.settings(script.base_url, chunk_rows=2), tokens=tokens, cancelled=stop)


def test_nothing_is_sent_once_we_are_told_to_stop(
    client: DataverseClient, script: Any, kit: Any, stop: threading.Event
) -> None:
    stop.set()
    calls: list[Callable[[], object]] = [
        lambda: client.upsert_many(kit.contacts, [kit.row(1)]),
        lambda: client.update_existing(kit.contacts, [kit.row(1)]),
        lambda: client.delete_many(kit.contacts, [kit.row(1)["contactid"]]),
        lambda: client.fetch_rows(kit.contacts, [kit.row(1)["contactid"]], []),
        lambda: list(client.iter_changes(kit.contacts, [])),
    ]
    for call in calls:
        with pytest.raises(CrmCancelled) as caught:
            call()
        assert caught.value.transient
    assert script.seen == []


def test_the_request_under_way_is_the_last_and_the_rest_is_known_not_to_be_executed(
    client: DataverseClient, script: Any, kit: Any, stop: threading.Event
) -> None:
    _stop_with_the_first_answer(script, stop)
    results = client.upsert_many(kit.contacts, [kit.row(n) for n in range(7)])
    assert [r.outcome for r in results] == ["acknowledged"] * 2 + ["unresolved"] * 5
    assert {r.code for r in results[2:]} == {NOT_EXECUTED}
    assert len(script.seen) == 1


def test_members_of_the_list_before_keep_their_result_and_those_of_the_next_are_known_not_to_be_executed(
    client: DataverseClient, script: Any, kit: Any, stop: threading.Event
) -> None:
    _stop_with_the_first_answer(script, stop)
    lists, contact = [str(UUID(int=n)) for n in (1, 2)], kit.row(1)["contactid"]
    results = client.add_list_members([Membership(list_id, list_id, contact) for list_id in lists])
    told = {one.row_id: (one.outcome, one.code) for one in results}
    assert told == {lists[0]: ("acknowledged", None), lists[1]: ("unresolved", NOT_EXECUTED)}
    assert len(script.seen) == 1


def test_a_long_retry_after_ends_at_once_when_we_are_told_to_stop(
    client: DataverseClient, script: Any, kit: Any, stop: threading.Event
) -> None:
    def reply(seen: Any) -> Any:
        threading.Timer(0.05, stop.set).start()
        return kit.error(429, "0x80072322", **{"Retry-After": "300"})

    script.reply = reply
    begun_s = time.monotonic()
    with pytest.raises(CrmCancelled):
        client.upsert_many(kit.contacts, [kit.row(1)])
    assert time.monotonic() - begun_s < 60
    assert len(script.seen) == 1


def test_a_deadlocked_row_is_not_sent_again_once_we_are_told_to_stop(
    client: DataverseClient, script: Any, kit: Any, stop: threading.Event
) -> None:
    def reply(seen: Any) -> Any:
        stop.set()
        return kit.error(500, "0x80044150")

    script.reply = reply
    with pytest.raises(CrmCancelled):
        client.upsert_many(kit.contacts, [kit.row(1)])
    assert len(script.seen) == 1


def test_no_request_is_begun_after_the_deadline(script: Any, kit: Any, tokens: Any, manual_clock: Any) -> None:
    settings = kit.settings(script.base_url, chunk_rows=1, deadline_s=100.0)
    client = DataverseClient(settings, tokens=tokens, clock=manual_clock, sleep=manual_clock.sleep)

    def reply(seen: Any) -> Any:
        manual_clock.now += 60
        return kit.answer_parts(*[OK] * len(kit.operations_in(seen)))

    script.reply = reply
    results = client.update_existing(kit.contacts, [kit.row(n) for n in range(9)])
    assert [r.outcome for r in results] == ["acknowledged"] * 3 + ["unresolved"] * 6
    assert {r.code for r in results[3:]} == {NOT_EXECUTED}
    assert len(script.seen) == 2


def test_a_call_whose_deadline_has_passed_already_is_unavailable(
    script: Any, kit: Any, tokens: Any, manual_clock: Any
) -> None:
    settings = kit.settings(script.base_url, deadline_s=0.0)
    client = DataverseClient(settings, tokens=tokens, clock=manual_clock, sleep=manual_clock.sleep)
    with pytest.raises(CrmUnavailable) as caught:
        client.upsert_many(kit.contacts, [kit.row(1)])
    assert caught.value.status is None
    assert script.seen == []


def test_within_stopped_no_request_is_begun_and_afterwards_again(
    client: DataverseClient, script: Any, kit: Any
) -> None:
    with client.stopped(), pytest.raises(CrmCancelled):
        client.upsert_many(kit.contacts, [kit.row(1)])
    assert script.seen == []
    (result,) = client.upsert_many(kit.contacts, [kit.row(1)])
    assert result.outcome == "acknowledged"


def _stop_with_the_first_answer(script: Any, stop: threading.Event) -> None:
    def reply(seen: Any) -> Any:
        stop.set()
        return OK

    script.reply = reply
