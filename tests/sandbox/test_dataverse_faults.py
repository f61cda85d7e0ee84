"""Ordered faults, service protection, latency, and the log that tells what happened."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import pytest
import requests


def patch(api, row_id: str, **columns):
    return api.send("PATCH", f"contacts({row_id})", columns or {"firstname": "Eino"})


def test_connection_cut_before_the_commit_leaves_the_row(api):
    row_id = api.contact()
    api.control.faults({"kind": "cut", "method": "PATCH"})
    with pytest.raises(requests.ConnectionError):
        patch(api, row_id)
    assert api.row("contacts", row_id)["firstname"] == "Aino"
    entry = api.control.requests()[-1]
    assert (entry["fault"], entry["committed"]) == ("cut", False)


def test_connection_cut_after_the_commit_keeps_the_row_and_loses_the_answer(api):
    row_id = api.contact()
    api.control.faults({"kind": "cut", "method": "PATCH", "after_commit": True})
    with pytest.raises(requests.ConnectionError):
        patch(api, row_id)
    assert api.row("contacts", row_id)["firstname"] == "Eino"
    entry = api.control.requests()[-1]
    assert (entry["fault"], entry["committed"], entry["status"]) == ("cut", True, 204)


def test_connection_cut_in_the_middle_of_a_body_is_noticed(api):
    api.contact()
    api.control.faults({"kind": "cut_mid_body", "path": "^contacts"})
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        api.get("contacts")


@pytest.mark.parametrize("retry_after", ["3", "Wed, 21 Oct 2026 07:28:00 GMT", "999999", "-1", None])
def test_throttling_sends_retry_after_as_ordered(api, retry_after):
    api.control.faults({"kind": "throttle", "retry_after": retry_after})
    response = api.get("WhoAmI")
    assert (response.status_code, response.headers.get("Retry-After")) == (429, retry_after)
    assert api.get("WhoAmI").status_code == 200


def test_upsert_may_lose_a_race_to_another_one(api):
    api.control.faults({"kind": "error", "method": "PATCH", "status": 412, "code": "0x80040237"})
    row_id = str(uuid4())
    statuses = [api.send("PATCH", f"contacts({row_id})", {"firstname": "Aino"}).status_code for _ in range(2)]
    assert statuses == [412, 204]


def test_gateway_error_comes_as_html_and_may_hide_a_commit(api):
    row_id = api.contact()
    api.control.faults({"kind": "error", "status": 502, "html": True, "after_commit": True, "method": "PATCH"})
    response = patch(api, row_id)
    assert response.status_code == 502
    assert response.headers["Content-Type"] == "text/html"
    assert api.row("contacts", row_id)["firstname"] == "Eino"


def test_unauthorized_fault_has_a_challenge_and_no_body(api):
    api.control.faults({"kind": "unauthorized"})
    response = api.get("WhoAmI")
    assert (response.status_code, response.content) == (401, b"")


def test_truncated_json_does_not_parse(api):
    api.contact()
    api.control.faults({"kind": "truncate"})
    with pytest.raises(requests.exceptions.JSONDecodeError):
        api.get("contacts").json()


def test_slow_answer_takes_its_time(api):
    api.control.faults({"kind": "slow", "delay_ms": 300})
    started = time.perf_counter()
    assert api.get("WhoAmI").status_code == 200
    assert time.perf_counter() - started >= 0.3


def test_deadlock_strikes_bulk_and_writes_nothing(api):
    api.control.faults({"kind": "deadlock", "path": "Multiple$"})
    rows = [{"contactid": str(uuid4())}]
    response = api.bulk("UpsertMultiple", "contacts", rows)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "0x80044150")
    assert "1205" in response.json()["error"]["message"]
    assert api.bulk("UpsertMultiple", "contacts", rows).status_code == 204


def test_poisoned_row_fails_alone_and_with_its_bulk_until_cleared(api):
    poison = {"kind": "poison", "table": "contact", "column": "firstname", "value": "Poison", "times": None}
    api.control.faults({**poison, "status": 400, "code": "0x80040265"})
    rows = [{"contactid": str(uuid4()), "firstname": name} for name in ("Aino", "Poison", "Eino")]
    assert api.bulk("UpsertMultiple", "contacts", rows).json()["error"]["code"] == "0x80040265"
    assert api.control.rows("contacts") == []
    outcomes = [patch(api, row["contactid"], firstname=row["firstname"]).status_code for row in rows]
    assert outcomes == [204, 400, 204]
    api.control.clear_faults()
    assert patch(api, rows[1]["contactid"], firstname="Poison").status_code == 204


def test_fault_strikes_the_next_n_matching_requests_after_those_it_skips(api):
    (order,) = api.control.faults({"kind": "error", "method": "GET", "path": "^WhoAmI", "times": 2, "skip": 1})
    api.get("contacts")
    assert [api.get("WhoAmI").status_code for _ in range(4)] == [200, 503, 503, 200]
    assert api.control.fault_hits() == {order: 2}


def test_fault_by_chance_is_the_same_for_the_same_seed(api):
    seen = []
    for _ in range(2):
        api.control.clear_faults()
        api.control.faults({"kind": "error", "times": None, "probability": 0.5, "seed": 7})
        seen.append([api.get("WhoAmI").status_code for _ in range(20)])
    assert seen[0] == seen[1]
    assert {200, 503} == set(seen[0])


def test_unknown_kind_of_fault_is_refused(api):
    with pytest.raises(RuntimeError, match="none of"):
        api.control.faults({"kind": "earthquake"})


def test_too_many_requests_are_429_until_the_window_has_passed(api):
    api.control.limits(max_requests=5)
    answers = [api.get("WhoAmI") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].json()["error"]["code"] == "0x80072322"
    wait = int(answers[5].headers["Retry-After"])
    assert answers[0].headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "4"
    api.control.clock(advance=wait + 1)
    assert api.get("WhoAmI").status_code == 200


def test_pushing_on_makes_the_wait_longer(api):
    api.control.clock(set="2026-11-02T08:00:00+00:00", pinned=True)
    api.control.limits(max_requests=1, window_s=10)
    api.control.clock(advance=-1)
    assert api.get("WhoAmI").status_code == 200
    api.control.clock(advance=8)
    waits = [int(api.get("WhoAmI").headers["Retry-After"]) for _ in range(4)]
    assert waits == sorted(waits)
    assert waits[-1] > waits[0]


def test_each_application_user_has_its_own_quota(api, second_api):
    api.control.limits(max_requests=2)
    assert [api.get("WhoAmI").status_code for _ in range(3)][-1] == 429
    assert second_api.get("WhoAmI").status_code == 200


def test_affinity_cookie_binds_a_client_to_one_servers_quota(api):
    api.control.limits(max_requests=2, servers=2)
    api.session.cookies.clear()
    assert [api.get("WhoAmI").status_code for _ in range(3)] == [200, 200, 429]
    api.control.limits(max_requests=2, servers=2)
    seen = []
    for _ in range(5):
        api.session.cookies.clear()
        seen.append(api.get("WhoAmI").status_code)
    assert seen == [200, 200, 200, 200, 429]


def test_execution_time_is_limited_by_what_rows_cost(api):
    api.control.limits(max_execution_ms=40, latency_ms_per_row=1.0)
    rows = [{"contactid": str(uuid4())} for _ in range(50)]
    assert api.bulk("UpsertMultiple", "contacts", rows).status_code == 204
    response = api.get("WhoAmI")
    assert (response.status_code, response.json()["error"]["code"]) == (429, "0x80072321")


def test_execution_time_is_free_again_when_the_window_has_passed(api):
    api.control.limits(max_execution_ms=40, latency_ms_per_row=1.0)
    api.control.clock(set="2026-10-02T12:00:00+00:00", pinned=True)
    rows = [{"contactid": str(uuid4())} for _ in range(50)]
    assert api.bulk("UpsertMultiple", "contacts", rows).status_code == 204
    assert api.get("WhoAmI").status_code == 429
    api.control.clock(advance=301)
    assert [api.get("WhoAmI").status_code for _ in range(2)] == [200, 200]


def test_fault_may_strike_by_what_is_in_the_body(api):
    api.control.faults({"kind": "error", "body": "Eino", "times": None})
    answers = [api.send("POST", "contacts", {"firstname": name}).status_code for name in ("Aino", "Eino", "Bo")]
    assert answers == [204, 503, 204]


def test_concurrent_requests_are_limited_at_once(api):
    api.control.limits(max_concurrent=2, latency_ms_per_request=300.0)
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(api.get("WhoAmI").status_code)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [200, 200, 429, 429, 429]
    assert api.get("WhoAmI").status_code == 200


def test_log_keeps_requests_in_order_with_bodies_and_without_tokens(api):
    since = api.control.last_sequence()
    row_id = str(uuid4())
    patch(api, row_id, firstname="Aino")
    api.get(f"contacts({row_id})?$select=firstname", If_None_Match='W/"1"')
    first, second = api.control.requests(since)
    assert (first["sequence"], second["sequence"]) == (since + 1, since + 2)
    assert (first["method"], first["path"], first["body"]) == ("PATCH", f"contacts({row_id})", {"firstname": "Aino"})
    assert (first["status"], first["committed"], second["committed"]) == (204, True, False)
    assert second["query"] == "$select=firstname"
    assert second["headers"]["if-none-match"] == 'W/"1"'
    assert "authorization" not in first["headers"]
    assert first["request_id"] != second["request_id"]
    assert first["received_at"] < second["received_at"]
    assert first["client_id"] == api.emulator.client_id


def test_refused_write_is_logged_with_its_code_and_uncommitted(api):
    api.send("POST", "contacts", {"nothing": 1})
    entry = api.control.requests()[-1]
    assert (entry["status"], entry["code"], entry["committed"]) == (400, "0x0", False)


def test_cleared_log_is_empty_and_goes_on_counting(api):
    api.get("WhoAmI")
    api.control.clear_requests()
    assert api.control.requests() == []
    before = api.control.last_sequence()
    api.get("WhoAmI")
    assert api.control.requests()[0]["sequence"] == before + 1


def test_a_bulk_message_that_takes_too_long_is_rolled_back(api):
    api.control.limits(latency_ms_per_row=0.1, max_message_ms=0.2)
    rows = [{"contactid": str(uuid4())} for _ in range(3)]
    assert api.bulk("UpsertMultiple", "contacts", rows).status_code == 504
    assert api.control.rows("contacts") == []
    assert api.bulk("UpsertMultiple", "contacts", rows[:2]).status_code == 204


def test_bulk_above_the_rows_the_database_bears_times_out(api):
    api.control.limits(max_bulk_rows=2)
    rows = [{"contactid": str(uuid4())} for _ in range(3)]
    response = api.bulk("UpsertMultiple", "contacts", rows)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "0x80044151")
    assert api.bulk("UpsertMultiple", "contacts", rows[:2]).status_code == 204


def test_body_above_the_limit_is_413(api):
    api.control.limits(max_body_bytes=100)
    response = api.send("POST", "contacts", {"description": "x" * 200})
    assert response.status_code == 413


def test_faults_of_the_authority_strike_it_alone(api, session_to):
    api.control.faults({"kind": "error", "status": 503, "html": True, "target": "authority", "path": "/token$"})
    assert api.get("WhoAmI").status_code == 200
    endpoint = f"{api.emulator.authority}/oauth2/v2.0/token"
    answers = [session_to(api.emulator).post(endpoint, data={}, timeout=30).status_code for _ in range(2)]
    assert answers == [503, 400]
