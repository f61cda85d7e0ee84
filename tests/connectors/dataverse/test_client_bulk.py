"""Finding bad rows in bulk calls that are all or nothing, against a model of such a server."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.dataverse.bulk import SINGLY_ROWS, BulkLanding, BulkPort
from connectors.dataverse.chunks import ChunkSize
from connectors.dataverse.classify import outcome_of
from connectors.dataverse.contract import NOT_EXECUTED, RowResult
from connectors.dataverse.odata import Answer
from connectors.dataverse.pacing import Pacing
from connectors.dataverse.sender import misconfigured
from connectors.dataverse.wire import Lost
from schemas.errors import CrmMisconfigured, CrmUnavailable

TOO_LONG = b'{"error":{"code":"0x80044331","message":"m"}}'
ROWS_FAULT = Answer(400, {"REQ_ID": "q"}, TOO_LONG)
DEADLOCK = Answer(500, {}, b'{"error":{"code":"0x80044150","message":"m"}}')
TIMEOUT = Answer(500, {}, b'{"error":{"code":"0x80044151","message":"m"}}')
RACED = Answer(412, {}, b'{"error":{"code":"0x80040237","message":"m"}}')
UNKNOWN_COLUMN = Answer(400, {}, b'{"error":{"code":"0x0","message":"m"}}')
GENERIC = Answer(400, {}, b'{"error":{"code":"0x80040216","message":"m"}}')
FORBIDDEN = Answer(403, {}, b'{"error":{"code":"0x80040220","message":"m"}}')
FIREWALL = Answer(403, {}, b"<html>")
NO_BULK = Answer(400, {}, b'{"error":{"code":"0x80040800","message":"m"}}')
GONE = Answer(404, {}, b'{"error":{"code":"0x80040217","message":"m"}}')


class AllOrNothing:
    """A server that takes a call whole or refuses it whole; counts calls and keeps what landed."""

    def __init__(self, bad: dict[bytes, Answer], first: Sequence[Answer | Lost] = ()) -> None:
        self.bad = bad
        self.first = list(first)
        self.calls: list[int] = []
        self.batches: list[int] = []
        self.landed: list[bytes] = []

    def __call__(self, targets: Sequence[bytes]) -> Answer | Lost:
        self.calls.append(len(targets))
        if self.first:
            return self.first.pop(0)
        refusal = next((self.bad[target] for target in targets if target in self.bad), None)
        if refusal is None:
            self.landed += targets
        return refusal or Answer(204, {})

    def singly(self, row_ids: Sequence[str]) -> list[RowResult]:
        """One `$batch` of single upserts: each row has its own answer."""
        self.batches.append(len(row_ids))
        if all(self.bad.get(row_id.encode()) is GENERIC for row_id in row_ids):
            raise misconfigured("$batch", GENERIC)
        answers = {row_id: self.bad.get(row_id.encode(), Answer(204, {})) for row_id in row_ids}
        self.landed += [row_id.encode() for row_id, answer in answers.items() if answer.status == 204]
        return [RowResult(i, outcome_of(a), a.status, a.error_code, a.request_id) for i, a in answers.items()]


class GoesDown(AllOrNothing):
    """A server that takes one call and is then gone."""

    def __call__(self, targets: Sequence[bytes]) -> Answer | Lost:
        if self.calls:
            raise CrmUnavailable("down")
        return super().__call__(targets)


def land(server: AllOrNothing, count: int, chunk_rows: int = 1000) -> list[RowResult]:
    pacing = Pacing(lambda: 0.0, lambda seconds: None)
    port = BulkPort(server, server.singly, ChunkSize(chunk_rows, 1 << 20), pacing)
    return BulkLanding(port).land([(str(n), str(n).encode()) for n in range(count)])


def outcomes(results: list[RowResult]) -> list[str]:
    return [result.outcome for result in results]


def test_a_sound_chunk_is_one_call() -> None:
    server = AllOrNothing({})
    assert outcomes(land(server, 100)) == ["acknowledged"] * 100
    assert server.calls == [100]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_each_bad_row_is_found_within_two_k_log_n_calls_and_the_rest_lands_once(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 260))
    bad = data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=min(count, 12)))
    server = AllOrNothing({str(n).encode(): ROWS_FAULT for n in bad})
    results = land(server, count)
    assert {int(r.row_id) for r in results if r.outcome == "refused"} == bad
    assert sorted(server.landed) == sorted(str(n).encode() for n in range(count) if n not in bad)
    assert len(server.calls) + len(server.batches) - 1 <= 2 * len(bad) * math.log2(count)
    assert all(size < SINGLY_ROWS for size in server.batches)


def test_a_bad_row_in_a_grown_chunk_is_looked_for_in_bulk_and_found_in_a_batch_of_a_quarter() -> None:
    server = AllOrNothing({b"350": ROWS_FAULT})
    land(server, 400)
    assert (server.calls, server.batches) == ([400, 200, 100], [100])


@pytest.mark.parametrize("count", [10, 100])
def test_a_chunk_of_the_starting_size_with_a_bad_row_goes_singly_at_once(count: int) -> None:
    server = AllOrNothing({b"2": ROWS_FAULT})
    land(server, count)
    assert (server.calls, server.batches) == ([count], [count])


def test_a_table_without_bulk_messages_goes_singly() -> None:
    server = AllOrNothing({}, first=[NO_BULK])
    assert outcomes(land(server, 40)) == ["acknowledged"] * 40
    assert (server.calls, server.batches) == ([40], [40])


def test_a_refused_row_carries_the_code_that_it_got_alone() -> None:
    results = land(AllOrNothing({b"3": ROWS_FAULT, b"4": GONE}), 8)
    assert results[3] == RowResult("3", "refused", 400, "0x80044331", "q")
    assert (results[4].outcome, results[4].code) == ("conflict", "0x80040217")


def test_results_keep_the_order_of_the_rows() -> None:
    assert [r.row_id for r in land(AllOrNothing({b"1": ROWS_FAULT}), 30, 7)] == [str(n) for n in range(30)]


def test_more_rows_than_a_chunk_go_in_several_calls() -> None:
    server = AllOrNothing({})
    land(server, 60, 10)
    assert server.calls == [10, 15, 22, 13]


@pytest.mark.parametrize(("answer", "times"), [(DEADLOCK, 3), (RACED, 1)])
def test_a_rollback_that_is_no_rows_fault_is_sent_again_whole(answer: Answer, times: int) -> None:
    server = AllOrNothing({}, first=[answer] * times)
    assert outcomes(land(server, 10)) == ["acknowledged"] * 10
    assert server.calls == [10] * (times + 1)
    assert server.batches == []


def test_a_race_lost_twice_is_looked_at_row_by_row() -> None:
    server = AllOrNothing({b"3": RACED})
    results = land(server, 10)
    assert [r.row_id for r in results if r.outcome == "conflict"] == ["3"]
    assert (server.calls, server.batches) == ([10, 10], [10])


def test_a_row_that_always_deadlocks_is_unresolved_and_the_rest_lands() -> None:
    server = AllOrNothing({b"5": DEADLOCK})
    results = land(server, 16)
    assert [r.row_id for r in results if r.outcome != "acknowledged"] == ["5"]
    assert (results[5].outcome, results[5].code) == ("unresolved", "0x80044150")
    assert len(server.calls) <= 1 + 3 + 2 * 4


def test_a_sql_timeout_halves_the_chunk() -> None:
    server = AllOrNothing({}, first=[TIMEOUT])
    assert outcomes(land(server, 10)) == ["acknowledged"] * 10
    assert server.calls == [10, 5, 5]


def test_a_row_too_large_even_alone_is_refused() -> None:
    assert outcomes(land(AllOrNothing({b"0": Answer(413, {})}), 2)) == ["refused", "acknowledged"]


@pytest.mark.parametrize("reply", [Lost("ReadTimeout", "ours"), Answer(502, {}, b"<html>"), Answer(500, {})])
def test_a_write_whose_answer_is_lost_is_unresolved_and_not_sent_again(reply: Answer | Lost) -> None:
    server = AllOrNothing({}, first=[reply])
    assert outcomes(land(server, 10)) == ["unresolved"] * 10
    assert server.calls == [10]


@pytest.mark.parametrize(
    ("reply", "next_call"),
    [
        (Lost("ReadTimeout", "ours"), 50),
        (Lost("ReadTimeoutError", "ours"), 50),
        (Lost("ConnectionError", "ours"), 100),
        (Answer(502, {}, b"<html>"), 50),
        (Answer(504, {}), 50),
        (Answer(503, {}), 100),
        (Answer(500, {}, elapsed_s=60.0), 100),
        (Answer(500, {}, elapsed_s=61.0), 50),
    ],
)
def test_what_took_too_long_makes_the_next_calls_smaller(reply: Answer | Lost, next_call: int) -> None:
    server = AllOrNothing({}, first=[reply])
    land(server, 250, 100)
    assert server.calls[:2] == [100, next_call]


def test_a_loss_in_one_half_leaves_the_other_half_its_own_result() -> None:
    server = AllOrNothing({b"199": ROWS_FAULT}, first=[ROWS_FAULT, Lost("ReadTimeout", "ours")])
    assert outcomes(land(server, 200)) == ["unresolved"] * 100 + ["acknowledged"] * 99 + ["refused"]


@pytest.mark.parametrize("count", [1, 10, 400])
def test_what_is_refused_for_every_row_stops_the_call_before_anything_is_executed(count: int) -> None:
    server = AllOrNothing({str(n).encode(): GENERIC for n in range(count)})
    with pytest.raises(CrmMisconfigured) as caught:
        land(server, count)
    assert (caught.value.status, caught.value.code) == (400, "0x80040216")
    assert len(server.calls) + len(server.batches) <= 4


@pytest.mark.parametrize("refusal", [UNKNOWN_COLUMN, FORBIDDEN])
def test_an_unknown_column_or_a_missing_privilege_stops_the_call_at_once(refusal: Answer) -> None:
    server = AllOrNothing({}, first=[refusal])
    with pytest.raises(CrmMisconfigured) as caught:
        land(server, 10)
    assert (caught.value.status, caught.value.code) == (refusal.status, refusal.error_code)
    assert (server.calls, server.batches) == ([10], [])


@pytest.mark.parametrize("refusal", [GENERIC, FIREWALL, Answer(400, {}, b"<html>")])
@pytest.mark.parametrize("count", [3, 400])
def test_what_is_refused_as_if_nothing_could_go_and_is_for_one_row_holds_back_that_row_alone(
    refusal: Answer, count: int
) -> None:
    results = land(AllOrNothing({b"1": refusal}), count)
    assert outcomes(results) == ["acknowledged", "refused", *["acknowledged"] * (count - 2)]


def test_a_trouble_after_something_was_executed_leaves_the_unsent_rows_unresolved() -> None:
    results = land(GoesDown({}), 20, 10)
    assert outcomes(results) == ["acknowledged"] * 10 + ["unresolved"] * 10
    assert {r.code for r in results[10:]} == {NOT_EXECUTED}
