"""Writes over a real socket, against a server whose answers are scripted."""

import hashlib
import logging
import threading
import time
from typing import Any

import pytest

from connectors.dataverse import NOT_EXECUTED, DataverseClient, Membership
from schemas.errors import CrmMisconfigured, CrmRowRefused, CrmUnavailable

PERSON = "maija.meikalainen@example.org"
OK: tuple[int, dict[str, str], bytes] = (204, {}, b"")


def results_of(results: list[Any]) -> list[tuple[str, int | None, str | None]]:
    return [(result.outcome, result.status, result.code) for result in results]


def test_a_chunk_goes_in_one_upsert_with_the_constant_headers(client: DataverseClient, script: Any, kit: Any) -> None:
    results = client.upsert_many(kit.contacts, [kit.row(n) for n in range(3)])
    assert [r.outcome for r in results] == ["acknowledged"] * 3
    (seen,) = script.seen
    assert (seen.method, seen.target) == ("POST", "/api/data/v9.2/contacts/Microsoft.Dynamics.CRM.UpsertMultiple")
    assert [target["@odata.id"] for target in seen.json()["Targets"]] == [f"contacts({r.row_id})" for r in results]
    assert seen.headers["OData-Version"] == seen.headers["OData-MaxVersion"] == "4.0"
    assert (seen.headers["Accept"], seen.headers["Content-Type"]) == ("application/json", "application/json")
    assert seen.headers["Authorization"] == "Bearer token-0"
    assert results[0].request_id == seen.headers["x-ms-client-request-id"]


def test_each_request_has_a_request_id_of_its_own(client: DataverseClient, script: Any, kit: Any) -> None:
    for _ in range(3):
        client.upsert_many(kit.contacts, [kit.row(1)])
    assert len({seen.headers["x-ms-client-request-id"] for seen in script.seen}) == 3


@pytest.mark.parametrize("method", ["upsert", "update", "delete"])
def test_one_row_twice_is_refused_before_anything_is_sent(
    client: DataverseClient, script: Any, kit: Any, method: str
) -> None:
    row = kit.row(1)
    calls = {
        "upsert": lambda: client.upsert_many(kit.contacts, [row, row]),
        "update": lambda: client.update_existing(kit.contacts, [row, row]),
        "delete": lambda: client.delete_many(kit.contacts, [row["contactid"], row["contactid"].upper()]),
    }
    with pytest.raises(CrmRowRefused):
        calls[method]()
    assert script.seen == []


def test_a_row_that_json_cannot_carry_is_refused_before_any_chunk_is_sent(
    client: DataverseClient, script: Any, kit: Any
) -> None:
    rows = [kit.row(n) for n in range(150)] + [kit.row(200, revenue=float("nan"))]
    with pytest.raises(CrmRowRefused):
        client.upsert_many(kit.contacts, rows)
    assert script.seen == []


@pytest.mark.parametrize("retry_after", ["7", None, "Fri, 02 Oct 2026 12:00:07 GMT", "nonsense"])
def test_429_is_waited_for_and_sent_again(
    client: DataverseClient, script: Any, kit: Any, manual_clock: Any, retry_after: str | None
) -> None:
    headers = {"Date": "Fri, 02 Oct 2026 12:00:00 GMT"} | ({"Retry-After": retry_after} if retry_after else {})
    script.answer_in_turn(kit.error(429, "0x80072322", **headers), OK)
    assert client.upsert_many(kit.contacts, [kit.row(1)])[0].outcome == "acknowledged"
    assert len(script.seen) == 2
    waited_s = sum(manual_clock.slept)
    assert waited_s == 7 if retry_after and retry_after != "nonsense" else 0 < waited_s <= 0.5


def test_a_storm_of_429_ends_at_the_deadline_with_nothing_executed(
    client: DataverseClient, script: Any, kit: Any, manual_clock: Any
) -> None:
    script.answer_in_turn(kit.error(429, "0x80072321", **{"Retry-After": "100"}))
    with pytest.raises(CrmUnavailable) as caught:
        client.upsert_many(kit.contacts, [kit.row(1)])
    assert caught.value.transient and caught.value.status == 429
    assert sum(manual_clock.slept) <= 900
    assert len(script.seen) == 9


def test_an_absurd_retry_after_is_capped(client: DataverseClient, script: Any, kit: Any, manual_clock: Any) -> None:
    script.answer_in_turn(kit.error(429, None, **{"Retry-After": "9" * 400}), OK)
    assert client.upsert_many(kit.contacts, [kit.row(1)])[0].outcome == "acknowledged"
    assert sum(manual_clock.slept) == 600


def test_no_thread_sends_inside_a_retry_after(script: Any, kit: Any, tokens: Any) -> None:
    clock, lock, came_at = kit.stepped_time(), threading.Lock(), []
    client = DataverseClient(kit.settings(script.base_url), tokens=tokens, clock=clock, sleep=clock.sleep)
    clock.client = client

    def reply(seen: Any) -> Any:
        with lock:
            came_at.append(clock.now)
            if len(came_at) in (6, 20):
                return kit.error(429, "0x80072326", **{"Retry-After": "30"})
            was_refused = clock.now in came_at[5:6] + came_at[19:20]
        # What was under way with a refused request is answered after it, so that nothing follows in its place.
        while was_refused and client.gates[0].paused_s == 0:
            time.sleep(0.001)
        return OK

    script.reply = reply
    threads = [
        threading.Thread(target=client.upsert_many, args=(kit.contacts, [kit.row(n)]), daemon=True) for n in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    client.close()
    assert len(came_at) == 26
    for refused in (5, 19):
        refused_at, later = came_at[refused], came_at[refused + 1 :]
        assert [at for at in later if refused_at < at < refused_at + 30] == []
        # Those that were under way with it: four are admitted at first, and one more for each answer.
        assert sum(at == refused_at for at in later) <= 8


def test_401_refreshes_the_token_once_and_sends_again(
    client: DataverseClient, script: Any, kit: Any, tokens: Any
) -> None:
    script.answer_in_turn((401, {"WWW-Authenticate": "Bearer"}, b""), OK)
    assert client.upsert_many(kit.contacts, [kit.row(1)])[0].outcome == "acknowledged"
    assert [seen.headers["Authorization"] for seen in script.seen] == ["Bearer token-0", "Bearer token-1"]


def test_a_second_401_stops_the_run(client: DataverseClient, script: Any, kit: Any, tokens: Any) -> None:
    script.answer_in_turn((401, {}, b"<html>"))
    with pytest.raises(CrmMisconfigured):
        client.upsert_many(kit.contacts, [kit.row(1)])
    assert (len(script.seen), tokens.refreshes) == (2, 1)


@pytest.mark.parametrize("in_bulk", [True, False])
def test_rows_that_did_not_land_in_time_go_in_smaller_calls(
    client: DataverseClient, script: Any, kit: Any, in_bulk: bool
) -> None:
    def reply(seen: Any) -> Any:
        time.sleep(0.8)
        return OK

    rows = [kit.row(n) for n in range(40)]
    script.reply = reply
    write = client.upsert_many if in_bulk else client.update_existing
    assert {result.outcome for result in write(kit.contacts, rows)} == {"unresolved"}
    assert client.chunk_rows(kit.contacts, in_bulk=in_bulk) == 20


@pytest.mark.parametrize(
    "answer",
    [
        "cut",
        "half",
        *((status, {}, b"<html>") for status in (500, 502, 503, 504, 408)),
        # A page of something in between: the action itself answers with no content.
        *((status, {}, b"<html>") for status in (200, 201, 202)),
    ],
)
def test_a_write_with_a_lost_answer_is_unresolved_and_not_repeated(
    client: DataverseClient, script: Any, kit: Any, answer: Any
) -> None:
    script.answer_in_turn(answer, OK)
    results = client.upsert_many(kit.contacts, [kit.row(n) for n in range(5)])
    assert [r.outcome for r in results] == ["unresolved"] * 5
    assert all(r.request_id for r in results)
    assert len(script.seen) == 1
    assert client.chunk_rows(kit.contacts) <= 100


def test_members_are_on_their_list_only_where_the_crm_itself_says_so(
    client: DataverseClient, script: Any, kit: Any
) -> None:
    script.answer_in_turn((200, {}, b"<html>"), OK)
    member = Membership("one", kit.row(1)["contactid"], kit.row(2)["contactid"])
    assert [client.add_list_members([member])[0].outcome for _ in range(2)] == ["unresolved", "acknowledged"]


def test_a_write_that_is_answered_too_late_is_unresolved(client: DataverseClient, script: Any, kit: Any) -> None:
    def reply(seen: Any) -> Any:
        time.sleep(0.8)
        return OK

    script.reply = reply
    assert client.upsert_many(kit.contacts, [kit.row(1)])[0].outcome == "unresolved"


def test_a_server_that_cannot_be_reached_means_that_nothing_was_executed(kit: Any, tokens: Any) -> None:
    clock = kit.manual_clock()
    settings = kit.settings("http://127.0.0.1:1")
    client = DataverseClient(settings, tokens=tokens, clock=clock, sleep=clock.sleep)
    with pytest.raises(CrmUnavailable):
        client.upsert_many(kit.contacts, [kit.row(1)])
    assert len(clock.slept) == settings.attempts - 1


def test_503_with_retry_after_holds_the_next_request(
    client: DataverseClient, script: Any, kit: Any, manual_clock: Any
) -> None:
    script.answer_in_turn((503, {"Retry-After": "20"}, b""), OK)
    client.upsert_many(kit.contacts, [kit.row(1)])
    assert manual_clock.slept == []
    client.upsert_many(kit.contacts, [kit.row(1)])
    assert sum(manual_clock.slept) == 20


def test_cookies_are_not_kept(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn((204, {"Set-Cookie": "ARRAffinity=server1; Path=/"}, b""))
    client.upsert_many(kit.contacts, [kit.row(1)])
    client.upsert_many(kit.contacts, [kit.row(1)])
    assert "Cookie" not in script.seen[1].headers


def test_a_redirect_is_not_followed_with_our_token(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn((302, {"Location": f"{script.base_url}/elsewhere"}, b""))
    with pytest.raises(CrmMisconfigured):
        client.upsert_many(kit.contacts, [kit.row(1)])
    assert len(script.seen) == 1


def test_bypass_headers_go_on_every_write_and_inside_a_batch_on_each_part(script: Any, kit: Any, tokens: Any) -> None:
    settings = kit.settings(script.base_url, suppress_flows=True, bypass_logic=("CustomSync", "CustomAsync"))
    client = DataverseClient(settings, tokens=tokens)
    script.answer_in_turn(kit.error(400, "0x80044331"), kit.answer_parts(OK, OK))
    client.upsert_many(kit.contacts, [kit.row(1), kit.row(2)])
    client.update_existing(kit.contacts, [kit.row(1), kit.row(2)])
    client.delete_many(kit.contacts, [kit.row(1)["contactid"], kit.row(2)["contactid"]])
    bulk, *batches = script.seen
    assert bulk.headers["MSCRM.SuppressCallbackRegistrationExpanderJob"] == "true"
    assert bulk.headers["MSCRM.BypassBusinessLogicExecution"] == "CustomSync,CustomAsync"
    assert len(batches) == 3
    for batch in batches:
        assert "MSCRM.BypassBusinessLogicExecution" not in batch.headers
        assert batch.body.count(b"\r\nMSCRM.BypassBusinessLogicExecution: CustomSync,CustomAsync\r\n") == 2
        assert batch.body.count(b"\r\nMSCRM.SuppressCallbackRegistrationExpanderJob: true\r\n") == 2


def test_rows_of_a_refused_chunk_go_singly_without_a_precondition(
    client: DataverseClient, script: Any, kit: Any
) -> None:
    refused = kit.error(400, "0x80044331", REQ_ID="q-7")
    script.answer_in_turn(refused, kit.answer_parts(OK, refused, OK))
    results = client.upsert_many(kit.contacts, [kit.row(n) for n in range(3)])
    assert results_of(results) == [
        ("acknowledged", 204, None),
        ("refused", 400, "0x80044331"),
        ("acknowledged", 204, None),
    ]
    assert results[1].request_id == "q-7"
    batch = script.seen[1]
    assert kit.operations_in(batch) == [f"PATCH /api/data/v9.2/contacts({r.row_id})" for r in results]
    assert b"If-" not in batch.body and b"@odata" not in batch.body and b"contactid" not in batch.body


def test_an_authority_that_is_down_while_a_token_is_replaced_is_asked_again(script: Any, kit: Any) -> None:
    script.answer_in_turn((401, {}, b""), OK)
    fails = [True, True]

    class Recovering(kit.tokens):  # type: ignore[misc,name-defined]
        def token(self) -> str:
            if self.refreshes and fails:
                fails.pop()
                raise CrmUnavailable("down")
            return str(super().token())

        def refresh(self, rejected: str | None = None) -> str:
            self.refreshes += 1
            raise CrmUnavailable("down")

    clock = kit.manual_clock()
    client = DataverseClient(kit.settings(script.base_url), tokens=Recovering(), clock=clock, sleep=clock.sleep)
    assert client.upsert_many(kit.contacts, [kit.row(1)])[0].outcome == "acknowledged"
    assert [seen.headers["Authorization"] for seen in script.seen] == ["Bearer token-0", "Bearer token-1"]
    assert len(clock.slept) == 2


def test_a_token_is_taken_after_a_wait_at_the_gate_and_not_before_it(script: Any, kit: Any, manual_clock: Any) -> None:
    taken_at: list[float] = []

    class Watched(kit.tokens):  # type: ignore[misc,name-defined]
        def token(self) -> str:
            taken_at.append(manual_clock.now)
            return "t"

    script.answer_in_turn(kit.error(429, None, **{"Retry-After": "300"}), OK)
    settings = kit.settings(script.base_url)
    client = DataverseClient(settings, tokens=Watched(), clock=manual_clock, sleep=manual_clock.sleep)
    client.upsert_many(kit.contacts, [kit.row(1)])
    assert taken_at == [1000.0, 1300.0]


def test_updates_go_in_a_batch_and_each_row_has_its_own_result(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(
        kit.answer_parts(OK, kit.error(412, "0x80060882"), kit.error(404, "0x80040217"), kit.error(400, "0x80044331"))
    )
    results = client.update_if_match(kit.contacts, [(kit.row(n), f'W/"{n}"') for n in range(4)])
    assert results_of(results) == [
        ("acknowledged", 204, None),
        ("conflict", 412, "0x80060882"),
        ("conflict", 404, "0x80040217"),
        ("refused", 400, "0x80044331"),
    ]
    (seen,) = script.seen
    assert seen.headers["Prefer"] == "odata.continue-on-error"
    assert kit.operations_in(seen) == [f"PATCH /api/data/v9.2/contacts({r.row_id})" for r in results]
    assert b'\r\nIf-Match: W/"2"\r\n' in seen.body


def test_update_existing_never_creates(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(kit.answer_parts(OK))
    client.update_existing(kit.contacts, [kit.row(1)])
    assert b"\r\nIf-Match: *\r\n" in script.seen[0].body


def test_deleting_what_is_gone_is_acknowledged(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(kit.answer_parts(OK, kit.error(404, "0x80040217"), kit.error(405, "0x80040227")))
    results = client.delete_many(kit.contacts, [kit.row(n)["contactid"] for n in range(3)])
    assert [r.outcome for r in results] == ["acknowledged", "acknowledged", "conflict"]


def test_deleting_in_an_unknown_table_is_not_taken_for_gone(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(kit.answer_parts(kit.error(404, "0x8006088a")))
    with pytest.raises(CrmMisconfigured):
        client.delete_many(kit.contacts, [kit.row(1)["contactid"]])


def test_only_the_throttled_parts_of_a_batch_go_again(
    client: DataverseClient, script: Any, kit: Any, manual_clock: Any
) -> None:
    throttled = kit.error(429, "0x80072322", **{"Retry-After": "9"})
    script.answer_in_turn(kit.answer_parts(OK, throttled, OK), kit.answer_parts(OK))
    results = client.update_existing(kit.contacts, [kit.row(n) for n in range(3)])
    assert [r.outcome for r in results] == ["acknowledged"] * 3
    assert kit.operations_in(script.seen[1]) == [f"PATCH /api/data/v9.2/contacts({results[1].row_id})"]
    assert sum(manual_clock.slept) == 9


def test_deadlocked_parts_go_again_and_uncertain_ones_do_not(client: DataverseClient, script: Any, kit: Any) -> None:
    first = kit.answer_parts(kit.error(500, "0x80044150"), kit.error(500, None), kit.error(503, None))
    script.answer_in_turn(first, kit.answer_parts(OK))
    results = client.update_existing(kit.contacts, [kit.row(n) for n in range(3)])
    assert [r.outcome for r in results] == ["acknowledged", "unresolved", "unresolved"]
    assert len(kit.operations_in(script.seen[1])) == 1


def test_a_part_that_deadlocks_for_ever_ends_unresolved(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(kit.answer_parts(kit.error(500, "0x80044150")))
    assert results_of(client.update_existing(kit.contacts, [kit.row(1)])) == [("unresolved", 500, "0x80044150")]
    assert len(script.seen) == 4


def test_rows_whose_part_is_missing_from_a_batch_are_unresolved(client: DataverseClient, script: Any, kit: Any) -> None:
    status, headers, body = kit.answer_parts(OK, OK, OK)
    script.answer_in_turn((status, headers, body[: body.rindex(b"--batchresponse_1\r\n") + 60]))
    results = client.update_existing(kit.contacts, [kit.row(n) for n in range(3)])
    assert [r.outcome for r in results] == ["acknowledged", "acknowledged", "unresolved"]
    assert len(script.seen) == 1


def test_more_answers_than_operations_decide_nothing(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(kit.answer_parts(OK, OK, OK))
    results = client.update_existing(kit.contacts, [kit.row(n) for n in range(2)])
    assert [r.outcome for r in results] == ["unresolved"] * 2


@pytest.mark.parametrize("answer", ["cut", "half", (503, {}, b"<html>"), (200, {}, b"{}")])
def test_a_batch_with_a_lost_answer_is_unresolved_whole(
    client: DataverseClient, script: Any, kit: Any, answer: Any
) -> None:
    script.answer_in_turn(answer)
    results = client.update_existing(kit.contacts, [kit.row(n) for n in range(3)])
    assert [r.outcome for r in results] == ["unresolved"] * 3
    assert len(script.seen) == 1


def test_a_privilege_missing_for_one_row_refuses_that_row_only(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(kit.answer_parts(OK, kit.error(403, "0x80040220")))
    results = client.update_existing(kit.contacts, [kit.row(n) for n in range(2)])
    assert results_of(results)[1] == ("refused", 403, "0x80040220")


def test_a_privilege_missing_for_every_row_stops_the_run(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(kit.answer_parts(*[kit.error(403, "0x80040220")] * 2))
    with pytest.raises(CrmMisconfigured):
        client.update_existing(kit.contacts, [kit.row(n) for n in range(2)])


def names_in(seen: Any, *numbers: int) -> bool:
    return any(f'"Name{number}"' in seen.body.decode() for number in numbers)


@pytest.mark.parametrize("page", [(400, {}, b"<html>"), (403, {}, b"<html>")])
@pytest.mark.parametrize("method", ["upsert_many", "update_existing"])
def test_a_firewall_that_takes_offence_at_some_rows_holds_back_those_alone(
    client: DataverseClient, script: Any, kit: Any, page: Any, method: str
) -> None:
    def reply(seen: Any) -> Any:
        if names_in(seen, 3, 4):
            return page
        return kit.answer_parts(*[OK] * len(kit.operations_in(seen))) if seen.target.endswith("$batch") else OK

    script.reply = reply
    results = getattr(client, method)(kit.contacts, [kit.row(n) for n in range(9)])
    assert [n for n, result in enumerate(results) if result.outcome == "refused"] == [3, 4]
    assert {result.outcome for result in results} == {"acknowledged", "refused"}
    alone = getattr(client, method)(kit.contacts, [kit.row(3)])
    assert results_of(alone) == [("refused", page[0], None)], "the table takes other rows"


@pytest.mark.parametrize("code", ["0x80040216", ""])
def test_a_row_refused_alone_is_its_own_trouble_only_while_its_table_takes_others(
    client: DataverseClient, script: Any, kit: Any, code: str
) -> None:
    refusals = kit.answer_parts(kit.error(400, code))
    script.answer_in_turn(refusals, kit.answer_parts(OK), refusals)
    with pytest.raises(CrmMisconfigured):
        client.update_existing(kit.contacts, [kit.row(1)])
    client.update_existing(kit.contacts, [kit.row(2)])
    for _ in range(10):
        assert results_of(client.update_existing(kit.contacts, [kit.row(1)])) == [("refused", 400, code)]
    with pytest.raises(CrmMisconfigured):
        client.update_existing(kit.contacts, [kit.row(1)])


def test_a_batch_too_large_is_halved(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn((413, {}, b""), kit.answer_parts(OK), kit.answer_parts(OK))
    results = client.update_existing(kit.contacts, [kit.row(n) for n in range(2)])
    assert [r.outcome for r in results] == ["acknowledged"] * 2


def test_rows_of_later_batches_are_unresolved_when_the_crm_goes_away(script: Any, kit: Any, tokens: Any) -> None:
    clock = kit.manual_clock()
    settings = kit.settings(script.base_url, chunk_rows=1)
    client = DataverseClient(settings, tokens=tokens, clock=clock, sleep=clock.sleep)
    script.answer_in_turn(kit.answer_parts(OK), kit.error(429, None, **{"Retry-After": "500"}))
    results = client.update_existing(kit.contacts, [kit.row(n) for n in range(3)])
    assert [r.outcome for r in results] == ["acknowledged", "unresolved", "unresolved"]
    assert [r.code for r in results[1:]] == [NOT_EXECUTED] * 2


def test_rows_that_did_not_land_are_logged_by_hash_code_and_request_id(
    client: DataverseClient, script: Any, kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    refused = kit.error(400, "0x80044331", REQ_ID="q-7")
    script.answer_in_turn(kit.answer_parts(OK, refused, refused))
    rows = [kit.row(n) for n in range(3)]
    client.update_existing(kit.contacts, rows)
    hashes = " ".join(hashlib.sha256(row["contactid"].encode()).hexdigest()[:12] for row in rows[1:])
    assert f"contacts refused, status 400, code 0x80044331, request q-7: rows {hashes}" in caplog.text


def test_no_log_line_and_no_error_names_a_person_a_key_or_a_query(
    client: DataverseClient, script: Any, kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    row = kit.row(1, emailaddress1=PERSON)
    texts = []
    for answer in (kit.error(400, "0x80044331"), "cut", kit.error(503, None), kit.error(403, "0x80040220")):
        script.answer_in_turn(answer)
        for call in (
            lambda: client.upsert_many(kit.contacts, [row]),
            lambda: client.update_existing(kit.contacts, [row]),
            lambda: list(client.iter_rows(kit.contacts, ["emailaddress1"], filter=f"emailaddress1 eq '{PERSON}'")),
        ):
            try:
                texts.append(repr(call()).replace(row["contactid"], "ID"))
            except (CrmMisconfigured, CrmUnavailable) as raised:
                texts.append(f"{raised!r} {raised.__cause__!r} {raised.__context__!r}")
    written = " ".join([*texts, caplog.text]).lower()
    assert "status=400" in written and "upsertmultiple contacts" in written
    for secret in ("meikalainen", row["contactid"], "name1", "filter", "token-0"):
        assert secret not in written
